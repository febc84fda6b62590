"""For machines that watch: is the process alive, can it serve, how much of what."""

import hmac
from ipaddress import ip_address
from typing import Literal

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel

from api.auth import PUBLIC, bearer_token
from api.deps import Deps
from api.metrics import Metrics
from api.routing import ApiRoute
from domain.problems import AuthenticationProblem, ProblemError, Text

monitoring = APIRouter(tags=["monitoring"], route_class=ApiRoute)

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Whether requests can be served, and which server behind is down."""

    status: Literal["ok", "unavailable"]
    database: Literal["up", "down"]
    temporal: Literal["up", "down"]


@monitoring.get("/healthz", dependencies=[PUBLIC], summary="进程存活 · Is the process alive")
async def check_liveness() -> Alive:
    """不检查其他服务。· Asks nobody else."""
    return Alive()


@monitoring.get(
    "/readyz",
    dependencies=[PUBLIC],
    responses={503: {"model": Ready, "description": "数据库或流程引擎不可用 · The database or Temporal is down"}},
    summary="能否服务 · Can it serve",
)
async def check_readiness(deps: Deps, response: Response) -> Ready:
    """数据库与流程引擎是否应答。· Whether the database and Temporal answer."""
    found = await deps.vitals.readiness()
    if not found.ready:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Ready(
        status="ok" if found.ready else "unavailable",
        database="up" if found.database else "down",
        temporal="up" if found.temporal else "down",
    )


@monitoring.get("/metrics", dependencies=[PUBLIC], include_in_schema=False)
async def show_metrics(request: Request, deps: Deps) -> Response:
    """Prometheus figures, for this machine or with the metrics token."""
    _require_monitor(request, deps.settings.metrics_token)
    metrics: Metrics = request.app.state.metrics
    return Response(await metrics.expose(deps.vitals, deps.database.clock()), media_type=_METRICS_TYPE)


def _require_monitor(request: Request, token: str | None) -> None:
    if token is not None and "authorization" in request.headers:
        if hmac.compare_digest(bearer_token(request).encode(), token.encode()):
            return
    elif _is_loopback(request):
        return
    raise _not_a_monitor()


def _is_loopback(request: Request) -> bool:
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _not_a_monitor() -> ProblemError:
    return AuthenticationProblem(
        Text(
            "指标只对本机开放；从别处读取请设置 TANDEM_METRICS_TOKEN 并带上它",
            "Metrics are open to this machine only; from elsewhere set TANDEM_METRICS_TOKEN and send it",
        )
    )
