"""What went wrong with a platform, as problems that say whether to try again and whether the work was done.

Every problem made here carries these members:

retryable       bool: the same call may succeed later
outcome         `not_done`, `unknown` or `done`: whether the platform did the work; unknown → query before trying again
asked_first     true: the platform had said before that no earlier attempt did the work, so `not_done` is of all of them
retry_after_s   seconds to wait before the next attempt, when known
platform        its name
platform_code   its own error code, when it gave one
cause           `address` or `clock`, when that is what the platform does not take: no secret and no grant will help
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NoReturn

from domain.problems import (
    AuthenticationProblem,
    AuthorizationProblem,
    CommunicationProblem,
    ConfigurationProblem,
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
    RateLimitProblem,
    Text,
    TimeoutProblem,
    ValidationProblem,
)

Outcome = Literal["not_done", "unknown", "done"]
Verdict = Literal[
    "refresh",
    "busy",
    "rate_limit",
    "credentials",
    "clock",
    "permission",
    "address",
    "not_found",
    "conflict",
    "invalid",
    "failed",
]


@dataclass(frozen=True, slots=True)
class CodeMeaning:
    """What one error code of a platform means for the caller, and what to tell the person in charge."""

    verdict: Verdict
    text: Text
    retry_after_s: float | None = None


class TokenDied(Exception):
    """The platform no longer takes the access token. Raised and handled inside `connectors` only."""


_CLASSES: Mapping[Verdict, type[ProblemError]] = {
    "busy": CommunicationProblem,
    "rate_limit": RateLimitProblem,
    "credentials": AuthenticationProblem,
    "clock": AuthenticationProblem,
    "permission": AuthorizationProblem,
    "address": AuthorizationProblem,
    "not_found": NotFoundProblem,
    "conflict": ConflictProblem,
    "invalid": ValidationProblem,
    "failed": CommunicationProblem,
}
_RETRYABLE: frozenset[Verdict] = frozenset({"busy", "rate_limit"})
_CAUSES: frozenset[Verdict] = frozenset({"address", "clock"})


def raise_for_code(
    platform: str, code: int | str, message: str, meanings: Mapping[int, CodeMeaning], *, effect: bool
) -> NoReturn:
    """Raise what an error code means: TokenDied for a dead token, else the problem of its verdict.

    A code nobody listed is final and not done: the platform answered, and it did not say yes. Only `busy` may hide work
    that was done; for an effect its outcome is unknown. `message` is the platform's own words, shortened.
    """
    meaning = meanings.get(int(code)) if str(code).lstrip("-").isdigit() else None
    raise_meaning(platform, code, message, meaning, effect=effect)


def raise_meaning(
    platform: str, code: int | str, message: str, meaning: CodeMeaning | None, *, effect: bool
) -> NoReturn:
    """As `raise_for_code`, for platforms whose codes are words: `meaning` is what this one means, None if unknown."""
    if meaning is None:
        meaning = CodeMeaning("failed", Text("平台拒绝了请求", "The platform refused"))
    if meaning.verdict == "refresh":
        raise TokenDied
    said = f"{message[:200]} ({platform} {code})".lstrip()
    members = {"cause": meaning.verdict} if meaning.verdict in _CAUSES else {}
    raise _CLASSES[meaning.verdict](
        Text(f"{meaning.text.zh}：{said}", f"{meaning.text.en}: {said}"),
        platform=platform,
        platform_code=str(code),
        retryable=meaning.verdict in _RETRYABLE,
        outcome="unknown" if effect and meaning.verdict == "busy" else "not_done",
        retry_after_s=meaning.retry_after_s,
        **members,
    )


def unreachable(platform: str) -> CommunicationProblem:
    """No connection was made, so nothing was done."""
    return CommunicationProblem(
        Text(f"连接不上平台 {platform}，稍后自动重试", f"{platform} cannot be reached; it is tried again later"),
        status=503,
        platform=platform,
        retryable=True,
        outcome="not_done",
    )


def no_answer(platform: str, *, effect: bool, retry_after_s: float | None = None) -> TimeoutProblem:
    """The request went out and no whole answer came: for an effect nobody knows whether it was done."""
    return TimeoutProblem(
        Text(
            f"平台 {platform} 没有在限时内应答" + ("，结果未知，将先查询再决定是否重做" if effect else ""),
            f"{platform} did not answer in time"
            + ("; the outcome is unknown and is queried before anything is repeated" if effect else ""),
        ),
        platform=platform,
        retryable=True,
        outcome="unknown" if effect else "not_done",
        retry_after_s=retry_after_s,
    )


def http_refusal(platform: str, status: int, *, effect: bool, retry_after_s: float | None) -> ProblemError:
    """The problem of an HTTP status that is not 200."""
    if status == 429:
        return RateLimitProblem(
            Text(f"平台 {platform} 限流，稍后自动重试", f"{platform} limits the rate; it is tried again later"),
            platform=platform,
            platform_code="429",
            retryable=True,
            outcome="not_done",
            retry_after_s=retry_after_s if retry_after_s is not None else 1.0,
        )
    server_side = status >= 500
    return CommunicationProblem(
        Text(f"平台 {platform} 应答 HTTP {status}", f"{platform} answered HTTP {status}"),
        status=status if 400 <= status <= 599 else 502,
        platform=platform,
        platform_code=str(status),
        retryable=server_side,
        outcome="unknown" if server_side and effect else "not_done",
        retry_after_s=retry_after_s,
    )


def unreadable_answer(platform: str, *, effect: bool) -> CommunicationProblem:
    """The answer is no JSON object of a sensible size: a proxy's error page, most often."""
    return CommunicationProblem(
        Text(f"平台 {platform} 的应答无法解读", f"The answer of {platform} cannot be read"),
        status=502,
        platform=platform,
        retryable=True,
        outcome="unknown" if effect else "not_done",
    )


def missing_in_answer(platform: str, field: str) -> CommunicationProblem:
    """The answer lacks what it must have: the contract changed, and repeating will not help."""
    return CommunicationProblem(
        Text(
            f"平台 {platform} 的应答缺少“{field}”，接口可能已变更，请联系技术支持",
            f"The answer of {platform} lacks “{field}”; its interface may have changed: call for support",
        ),
        status=502,
        platform=platform,
        retryable=False,
        outcome="unknown",
    )


def wrong_setting(platform: str, text: Text) -> ConfigurationProblem:
    """An account's setting does not fit the call."""
    return ConfigurationProblem(text, platform=platform, retryable=False, outcome="not_done")


def wrong_shop(platform: str, setting: str, set_to: int | str, told: int | str) -> ConfigurationProblem:
    """The authorisation is another shop's than the one that the settings name."""
    return wrong_setting(
        platform,
        Text(
            f"账号设置中的 {setting} 是 {set_to}，授权的店铺却是 {told}：请更正，或请该店铺授权",
            f"{setting} in the account's settings is {set_to}, but the shop that authorised is {told}: correct it, or "
            "have the right shop authorise",
        ),
    )


def still_unknown(error: ProblemError) -> ProblemError:
    """The failure of asking what became of an earlier attempt: whatever it says of itself, that stays unknown."""
    return type(error).of(error.problem.model_copy(update={"outcome": "unknown"}))


@contextmanager
def nothing_sent() -> Iterator[None]:
    """For what comes before anything is sent: whatever fails here, this attempt did nothing."""
    try:
        yield
    except ProblemError as error:
        raise type(error).of(error.problem.model_copy(update={"outcome": "not_done"})) from error


@contextmanager
def asked_first() -> Iterator[None]:
    """For what is done once the platform has said that no earlier attempt did the work: a refusal is then certain.

    Without it, the refusal of a later attempt says nothing of an earlier one that nobody knows of.
    """
    try:
        yield
    except ProblemError as error:
        raise type(error).of(error.problem.model_copy(update={"asked_first": True})) from error


@contextmanager
def leaving_unknown() -> Iterator[None]:
    """For asking what an effect came to, and for reading that it was done: whatever fails here, nobody knows."""
    try:
        yield
    except ProblemError as error:
        raise still_unknown(error) from None
