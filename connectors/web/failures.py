"""How a failed web call is told to a flow, and whether trying it again is safe.

Every problem has two members beside its text:

- `outcome`: `not_done` when the service surely did nothing, `unknown` when it may have done the work all the same.
- `retryable`: trying again may help and cannot do the work twice, because nothing was done or the method is idempotent
  (RFC 9110, 9.2.2). A failed POST with an unknown outcome is not retryable here; a flow that knows better says `retry`.

An answer outside the accepted statuses, and whatever breaks on the wire, is a `communication` error with the status
that fits best; our own time limit is a `timeout` error (Serverless Workflow DSL 1.0.3, "Standard Error Types").
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar

import httpx

from connectors.retry_after import asked_wait_s
from domain.problems import CommunicationProblem, Problem, ProblemError, Text, TimeoutProblem

Outcome = Literal["not_done", "unknown"]
AnyProblem = TypeVar("AnyProblem", bound=ProblemError)

NEVER_SENT: Final[Mapping[str, Any]] = {"outcome": "not_done", "retryable": False}
"""Members of a problem that was found before anything was sent and that stays until somebody changes something."""

_LONGEST_WAIT_S = 86_400.0
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_IDEMPOTENT = _SAFE | {"PUT", "DELETE"}
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_EXCERPT_CHARS = 1000


def is_transient(status: int) -> bool:
    """Whether the same request may well succeed a little later."""
    return status in _TRANSIENT


def place(url: httpx.URL) -> str:
    """The address without its query, which may hold what nobody should read in an error."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.path}"


def consequences(method: str, *, answered: bool, transient: bool) -> dict[str, Any]:
    """The members `outcome` and `retryable`. answered: the service told us that it did not do the work."""
    outcome: Outcome = "not_done" if answered or method in _SAFE else "unknown"
    return {
        "outcome": outcome,
        "retryable": transient and (outcome == "not_done" or method in _IDEMPOTENT),
    }


def with_consequences(error: AnyProblem, *, outcome: Outcome, retryable: bool) -> AnyProblem:
    """The same problem with other consequences, for a request that was only one step of the call."""
    return type(error).of(
        Problem.model_validate({**error.problem.as_dict(), "outcome": outcome, "retryable": retryable})
    )


def unreachable(host: str, reason: str) -> CommunicationProblem:
    """No connection came about: 503, nothing was done."""
    return CommunicationProblem(
        Text(f"无法连接 {host}：{reason}", f"Cannot connect to {host}: {reason}"),
        status=503,
        outcome="not_done",
        retryable=True,
    )


def broken_off(host: str, reason: str, method: str) -> CommunicationProblem:
    """The connection broke after it was open: 502."""
    return CommunicationProblem(
        Text(f"与 {host} 的通信中断：{reason}", f"The exchange with {host} broke off: {reason}"),
        status=502,
        **consequences(method, answered=False, transient=True),
    )


def unusable(url: httpx.URL, reason: Text, method: str) -> CommunicationProblem:
    """An answer that nobody can read: 502, and asking again would bring the same."""
    return CommunicationProblem(
        Text(f"{place(url)} 的响应无法使用：{reason.zh}", f"Cannot use the answer of {place(url)}: {reason.en}"),
        status=502,
        **consequences(method, answered=False, transient=False),
    )


def too_late(host: str, limit_s: float, method: str, *, connected: bool = True) -> TimeoutProblem:
    """Our time limit passed: 408."""
    return TimeoutProblem(
        Text(f"{host} 在 {limit_s:g} 秒内没有完成响应", f"{host} did not answer in full within {limit_s:g} s"),
        **consequences(method, answered=not connected, transient=True),
    )


def refused(response: httpx.Response, method: str, *, redirected: bool) -> CommunicationProblem:
    """The service answered with a status that counts as an error; its status becomes the problem's.

    method: of the request that the flow made. redirected: an earlier answer sent us here, so that request may have been
    carried out. `response_excerpt` is the beginning of a text answer, `retry_after_s` what the service asked for.
    """
    status = response.status_code
    answered = not redirected and (status < 500 or status == 501)
    members: dict[str, Any] = consequences(method, answered=answered, transient=is_transient(status))
    wait_s = asked_wait_s(response.headers, datetime.now(UTC), _LONGEST_WAIT_S)
    if wait_s is not None:
        members["retry_after_s"] = int(wait_s)
    excerpt = _excerpt(response)
    if excerpt:
        members["response_excerpt"] = excerpt
    where = f"{method} {place(response.request.url)}"
    hint = Text("", "")
    if response.is_redirect:
        hint = Text("；如需跟随重定向，请设置 redirect: true", "; set `redirect: true` to follow redirections")
    return CommunicationProblem(
        Text(f"{where} 返回状态 {status}{hint.zh}", f"{where} answered with status {status}{hint.en}"),
        status=status,
        **members,
    )


def _excerpt(response: httpx.Response) -> str:
    media_type = response.headers.get("content-type", "")
    if not ("json" in media_type or "xml" in media_type or media_type.startswith("text/")):
        return ""
    return response.content[: 4 * _EXCERPT_CHARS].decode("utf-8", "replace")[:_EXCERPT_CHARS]
