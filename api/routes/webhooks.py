"""`/hooks/{platform}/{account}`: a push is verified, stored and acknowledged, and nothing else happens here.

A refusal takes as long whatever its reason, so that its time does not tell which accounts there are.
"""

import asyncio
from time import monotonic
from typing import Annotated, Any

import structlog
from fastapi import Path, Request, Response

from api.auth import PUBLIC
from api.deps import ApiDependencies, Deps
from api.metrics import Metrics
from api.routing import router
from connectors.webhooks import Verified, WebhookRequest
from domain.problems import AuthenticationProblem, ConfigurationProblem, NotFoundProblem, ProblemError, Text

webhooks = router("/hooks", "webhooks")

REFUSAL_S = 0.15

Platform = Annotated[str, Path(max_length=64, examples=["youzan"])]
Account = Annotated[str, Path(max_length=64, examples=["demo-apparel"])]

ACKNOWLEDGED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "平台自己的格式 · In the platform's own format",
        "content": {
            "application/json": {"example": {"code": 0, "msg": "success"}},
            "text/plain": {"example": "success"},
        },
    }
}

log = structlog.get_logger(__name__)


@webhooks.post(
    "/{platform}/{account}",
    dependencies=[PUBLIC],
    response_class=Response,
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": {}}, "text/xml": {"schema": {}}}}},
    responses=ACKNOWLEDGED,
    summary="接收平台推送 · Take a platform's push",
)
async def take_push(platform: Platform, account: Account, request: Request, deps: Deps) -> Response:
    """验签、防重放、落库，以平台自己的格式确认。· Verified, stored once, acknowledged as the platform wants it."""
    return await _take(platform, account, request, deps)


@webhooks.get(
    "/{platform}/{account}",
    dependencies=[PUBLIC],
    response_class=Response,
    responses=ACKNOWLEDGED,
    summary="地址校验 · Prove the address",
)
async def prove_address(platform: Platform, account: Account, request: Request, deps: Deps) -> Response:
    """平台配置回调地址时的校验。· The platform's check of the address, answered with its echo."""
    return await _take(platform, account, request, deps)


async def _take(platform: str, account: str, request: Request, deps: ApiDependencies) -> Response:
    metrics: Metrics = request.app.state.metrics
    known = platform if platform in deps.connectors else "unknown"
    began = monotonic()
    try:
        response, outcome = await _accept(platform, account, request, deps)
    except ProblemError as problem:
        outcome = _outcome_of(problem)
        metrics.webhooks.labels(known, outcome).inc()
        reason = problem.problem.detail if outcome in ("misconfigured", "unreadable") else None
        log.warning("push refused", platform=known, outcome=outcome, reason=reason)
        if problem.problem.status < 500:
            await asyncio.sleep(max(0.0, began + REFUSAL_S - monotonic()))
            raise _without_secrets(problem) from None
        raise
    metrics.webhooks.labels(known, outcome).inc()
    metrics.webhook_latency.labels(known).observe(monotonic() - began)
    return response


async def _accept(platform: str, account: str, request: Request, deps: ApiDependencies) -> tuple[Response, str]:
    connector = deps.connectors.for_platform(platform)
    connected = await deps.connections.account(platform, account)
    verified: Verified = connector.verify(
        WebhookRequest(
            method=request.method,
            query=dict(request.query_params),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.body(),
            received_at=deps.database.clock(),
        ),
        connected,
    )
    outcome = "echo"
    if verified.echo is None:
        outcome = "accepted" if await deps.inbox.accept(platform, account, verified) else "duplicate"
    answer = connector.acknowledge(verified, connected)
    return Response(answer.body, answer.status, dict(answer.headers), answer.media_type), outcome


def _outcome_of(problem: ProblemError) -> str:
    if isinstance(problem, NotFoundProblem):
        return "unknown-account"
    if isinstance(problem, AuthenticationProblem):
        return "refused"
    if isinstance(problem, ConfigurationProblem):
        return "misconfigured"
    return "failed" if problem.problem.status >= 500 else "unreadable"


def _without_secrets(problem: ProblemError) -> ProblemError:
    """What a stranger may hear: neither which settings are missing nor what the signature should have been."""
    if isinstance(problem, NotFoundProblem | ConfigurationProblem):
        return NotFoundProblem(Text("没有这个接收地址", "There is no such address for pushes"))
    if isinstance(problem, AuthenticationProblem):
        return AuthenticationProblem(Text("签名、时间或接收方不正确", "Wrong signature, time or receiver"))
    return problem
