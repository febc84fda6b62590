"""A push that is not taken: answered in its platform's own format, in words fit for strangers, counted by reason.

What a refusal may tell depends on who may be asking. What is wrong with the request itself is told to anybody. Which
accounts there are, and what their settings lack, is told to nobody: an unknown account, an incomplete one and a wrong
signature get one answer.
"""

from typing import Any

import structlog
from fastapi import Response

from api.metrics import Metrics
from api.problems import PROBLEM_MEDIA_TYPE, TooLargeProblem, problem_response
from connectors.registry import ConnectorRegistry
from connectors.webhooks import Refusal
from domain.problems import (
    AuthenticationProblem,
    ConfigurationProblem,
    NotFoundProblem,
    ProblemError,
    RateLimitProblem,
    Text,
    TimeoutProblem,
    UnavailableProblem,
)

_FORMATS: dict[str, Any] = {
    "application/json": {"example": {"code": 403, "msg": "… · …"}},
    "text/plain": {"example": "… · …"},
    PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}},
}
_TEXTS: dict[int | str, str] = {
    400: "推送无法读取 · The push cannot be read",
    403: "没有这个地址，或签名、时间、接收方不正确 · No such address, or wrong signature, time or receiver",
    408: "请求体发送过慢，请重发 · The body came too slowly: send it again",
    413: "请求过大 · Too large",
    429: "推送过于频繁，请稍后重发 · Too many pushes: send it again later",
    503: "未能保存，请重发 · It was not stored: send it again",
    "default": "其他问题 · Another problem",
}
DESCRIPTIONS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": _FORMATS} for status, text in _TEXTS.items()
}
"""What the description of the API says of refusals: in the platform's own format where there is one."""

_REASONS: tuple[tuple[type[ProblemError], Refusal], ...] = (
    (NotFoundProblem, Refusal.ACCOUNT),
    (ConfigurationProblem, Refusal.SETTINGS),
    (AuthenticationProblem, Refusal.SIGNATURE),
    (TooLargeProblem, Refusal.TOO_LARGE),
    (TimeoutProblem, Refusal.TOO_SLOW),
    (RateLimitProblem, Refusal.TOO_MANY),
    (UnavailableProblem, Refusal.UNAVAILABLE),
)
_STRANGERS = frozenset({Refusal.ACCOUNT, Refusal.SETTINGS, Refusal.SIGNATURE, Refusal.STALE, Refusal.RECEIVER})

log = structlog.get_logger(__name__)


class PushRefusals:
    """The refusals of one application."""

    def __init__(self, connectors: ConnectorRegistry, metrics: Metrics) -> None:
        self._connectors = connectors
        self._metrics = metrics

    def answer(self, platform: str, problem: ProblemError) -> Response:
        """The answer to a push that was not taken for this problem; counted, and its reason logged."""
        connector, reason = self._connectors.get(platform), self.count(platform, problem)
        if connector is None:
            return problem_response(_no_such_platform() if reason in _STRANGERS else problem, None)
        said = connector.refuse(_for_strangers() if reason in _STRANGERS else problem)
        headers = dict(said.headers)
        if "retry_after_s" in (members := problem.problem.as_dict()):
            headers.setdefault("Retry-After", str(max(1, round(float(members["retry_after_s"])))))
        return Response(said.body, said.status, headers, said.media_type)

    def count(self, platform: str, problem: ProblemError) -> Refusal:
        """Counts a push that was not taken, and logs why; the reason."""
        known, reason = platform if platform in self._connectors else "unknown", reason_of(problem)
        self._metrics.webhooks.labels(known, "failed" if problem.problem.status >= 500 else "refused").inc()
        self._metrics.webhook_refusals.labels(known, reason.value).inc()
        log.warning("push refused", platform=known, reason=reason.value, detail=str(problem))
        return reason


def reason_of(problem: ProblemError) -> Refusal:
    """Why the push was not taken."""
    if isinstance(problem, AuthenticationProblem):
        named = problem.problem.as_dict().get("reason")
        if named in set(Refusal):
            return Refusal(named)
    found = next((reason for kind, reason in _REASONS if isinstance(problem, kind)), None)
    if found is not None:
        return found
    return Refusal.FAILED if problem.problem.status >= 500 else Refusal.UNREADABLE


def _for_strangers() -> ProblemError:
    return AuthenticationProblem(
        Text("没有这个接收地址，或签名、时间、接收方不正确", "No such address, or wrong signature, time or receiver"),
        status=403,
    )


def _no_such_platform() -> ProblemError:
    return NotFoundProblem(Text("没有这个接收地址", "There is no such address for pushes"))
