"""`/pixel/{account}.gif` and `/collect/{account}`: what happens on the merchant's own pages and in its app.

Answered with a 1×1 GIF that nobody keeps; no cookie is set, and a visitor who does not want to be tracked is not.
"""

from typing import Annotated, Any

from fastapi import Path, Request, Response

from api.auth import PUBLIC
from api.deps import ApiDependencies, Deps
from api.limits import RateLimiter
from api.metrics import Metrics
from api.push_refusals import PushRefusals
from api.routing import router
from connectors.site.settings import PLATFORM
from connectors.webhooks import WebhookRequest
from domain.problems import ConfigurationProblem, NotFoundProblem, ProblemError, Text

sites = router("", "sites")

Account = Annotated[str, Path(max_length=64, examples=["demo-site"])]

# An image of another site is shown, and a page may read the answer; cookies are neither asked for nor set.
_HEADERS = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
_GIF: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "1×1 GIF",
        "content": {"image/gif": {"schema": {"type": "string", "format": "binary"}, "example": "GIF89a…"}},
    }
}
_EVENTS = {
    "key": "site-key-0123456789",
    "device": "d3adb33fd3adb33f",
    "events": [{"type": "visit", "id": "1", "name": "page_view", "item_id": "2019000001"}],
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "object"}, "example": _EVENTS} for kind in ("application/json", "text/plain")
        },
    }
}


@sites.get(
    "/pixel/{account}.gif",
    dependencies=[PUBLIC],
    response_class=Response,
    responses=_GIF,
    summary="像素：一次访问、加购或扫码 · One visit, cart or scan, told by an image",
)
async def show_pixel(account: Account, request: Request, deps: Deps) -> Response:
    """参数：key（站点密钥）、type、name、item_id、device、who（服务器签名的访客）…；尊重 DNT，不设 Cookie。

    Parameters: `key` of the site, `type`, `name`, `item_id`, `device`, `who` (the visitor, signed by the merchant's
    server) … Do-not-track is honoured, no cookie is set.
    """
    return await _take(account, request, deps)


@sites.post(
    "/collect/{account}",
    dependencies=[PUBLIC],
    response_class=Response,
    responses=_GIF,
    openapi_extra=_BODY,
    summary="网站与应用事件 · Events of a site or app",
)
async def collect_events(account: Account, request: Request, deps: Deps) -> Response:
    """一次最多 50 个事件，JSON；可用 sendBeacon 发送。· Up to 50 events as JSON, as `sendBeacon` sends them."""
    return await _take(account, request, deps)


async def _take(account: str, request: Request, deps: ApiDependencies) -> Response:
    metrics: Metrics = request.app.state.metrics
    try:
        response, outcome = await _accept(account, request, deps)
    except ProblemError as problem:
        refusals: PushRefusals = request.app.state.push_refusals
        refusals.count(PLATFORM, problem)
        if isinstance(problem, NotFoundProblem | ConfigurationProblem):
            raise NotFoundProblem(Text("没有这个站点", "There is no such site")) from None
        raise
    metrics.webhooks.labels(PLATFORM, outcome).inc()
    return response


async def _accept(account: str, request: Request, deps: ApiDependencies) -> tuple[Response, str]:
    connector = deps.connectors.for_platform(PLATFORM)
    site = await deps.connections.account(PLATFORM, account)
    limiter: RateLimiter = request.app.state.limiter
    limiter.count("site", account)
    verified = connector.verify(
        WebhookRequest(
            method=request.method,
            query=dict(request.query_params),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.body(),
            received_at=deps.database.clock(),
        ),
        site,
    )
    outcome = "echo"
    if verified.echo is None:
        outcome = "accepted" if await deps.inbox.accept(PLATFORM, account, verified) else "duplicate"
    answer = connector.acknowledge(verified, site)
    return Response(answer.body, answer.status, {**answer.headers, **_HEADERS}, answer.media_type), outcome
