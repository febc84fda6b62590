"""`/hooks/{platform}/{account}`: a push is verified, stored and acknowledged, and nothing else happens here.

A kind of push that Tandem has no use for is taken like any other, and counted apart. So is one whose signature holds
and that cannot be read: it goes to quarantine with the reason. Whatever else cannot be read is refused.
A refusal takes as long whatever its reason, so that its time does not tell which accounts there are.
"""

import asyncio
from contextlib import suppress
from time import monotonic
from typing import Annotated, Any

from fastapi import Path, Request, Response

from api.auth import PUBLIC
from api.deps import ApiDependencies, Deps
from api.metrics import Metrics
from api.problems import unexpected
from api.push_refusals import DESCRIPTIONS, PushRefusals
from api.routing import router
from connectors.pulling import streams_announced
from connectors.registry import Connector
from connectors.webhooks import UNPARSED_KIND, WebhookRequest
from domain.problems import AuthenticationProblem, ConfigurationProblem, NotFoundProblem, ProblemError

webhooks = router("/hooks", "webhooks")

REFUSAL_S = 0.15

Platform = Annotated[str, Path(max_length=64, examples=["youzan"])]
Account = Annotated[str, Path(max_length=64, examples=["demo-apparel"])]

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "平台自己的格式 · In the platform's own format",
        "content": {
            "application/json": {"example": {"code": 0, "msg": "success"}},
            "text/plain": {"example": "success"},
        },
    },
    **DESCRIPTIONS,
}


@webhooks.post(
    "/{platform}/{account}",
    dependencies=[PUBLIC],
    response_class=Response,
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": {}}, "text/xml": {"schema": {}}}}},
    responses=ANSWERS,
    summary="接收平台推送 · Take a platform's push",
)
async def take_push(platform: Platform, account: Account, request: Request, deps: Deps) -> Response:
    """验签、防重放、落库，以平台自己的格式确认。· Verified, stored once, acknowledged as the platform wants it."""
    return await _take(platform, account, request, deps)


@webhooks.get(
    "/{platform}/{account}",
    dependencies=[PUBLIC],
    response_class=Response,
    responses=ANSWERS,
    summary="地址校验 · Prove the address",
)
async def prove_address(platform: Platform, account: Account, request: Request, deps: Deps) -> Response:
    """平台配置回调地址时的校验。· The platform's check of the address, answered with its echo."""
    return await _take(platform, account, request, deps)


async def _take(platform: str, account: str, request: Request, deps: ApiDependencies) -> Response:
    metrics: Metrics = request.app.state.metrics
    refusals: PushRefusals = request.app.state.push_refusals
    known = platform if platform in deps.connectors else "unknown"
    began = monotonic()
    try:
        response, outcome = await _accept(platform, account, request, deps)
    except Exception as error:  # even a bug is answered in the platform's own form
        problem = error if isinstance(error, ProblemError) else unexpected(error)
        if problem.problem.status < 500:
            await asyncio.sleep(max(0.0, began + REFUSAL_S - monotonic()))
        return refusals.answer(platform, problem)
    metrics.webhooks.labels(known, outcome).inc()
    metrics.webhook_latency.labels(known).observe(monotonic() - began)
    return response


async def _accept(platform: str, account: str, request: Request, deps: ApiDependencies) -> tuple[Response, str]:
    connector = deps.connectors.for_platform(platform)
    pushed = WebhookRequest(
        method=request.method,
        query=dict(request.query_params),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await request.body(),
        received_at=deps.database.clock(),
    )
    try:
        connected = await deps.connections.account(platform, account)
        verified = connector.verify(pushed, connected)
    except (NotFoundProblem, ConfigurationProblem):
        _verify_for_nobody(connector, pushed)
        raise
    outcome = "echo"
    if verified.echo is None:
        is_new = await deps.inbox.accept(platform, account, verified)
        is_used = connector.uses(verified.kind) or streams_announced(connector.client, verified.kind)
        outcome = "duplicate" if not is_new else "accepted" if is_used else "unsupported"
        if is_new and verified.kind == UNPARSED_KIND:
            outcome = "unparsed"
    answer = connector.acknowledge(verified, connected)
    return Response(answer.body, answer.status, dict(answer.headers), answer.media_type), outcome


def _verify_for_nobody(connector: Connector, pushed: WebhookRequest) -> None:
    """Raises ValidationProblem for a push that cannot be read, as it would for an account that is there."""
    with suppress(AuthenticationProblem):
        connector.verify(pushed, connector.nobody)
