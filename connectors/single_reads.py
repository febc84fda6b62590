"""Things that a platform's list only numbers, read one by one: one that cannot be read stops no other.

What fails in a bad moment of the platform is read again; what then still fails, while others went through, is set
aside: it goes into the inbox as its number and the reason, and from there into quarantine. What stops every read (a
quota, a lost authorisation, everything refused alike) is no fault of one thing, and is raised. Where the platform only
slows us down we go on at its pace, as long as it lets anything through.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

import structlog

from connectors.listed_rows import row_payload
from connectors.payloads import parse_json_object
from connectors.webhooks import Verified
from domain.ids import content_digest, short_digest
from domain.problems import (
    AuthenticationProblem,
    AuthorizationProblem,
    ConfigurationProblem,
    NotFoundProblem,
    ProblemError,
    RateLimitProblem,
    RuntimeProblem,
    Text,
    UnavailableProblem,
    ValidationProblem,
)

UNREAD_KIND = "tandem.unread"
AGAIN_AFTER_S = (0.5, 2.0)
"""Pauses before what failed in a bad moment is read again."""
SLOWED_AFTER_S = (2.0, 2.0, 4.0, 8.0)
"""Pauses while the platform says that it is asked too often, from the last time on that it let anything through."""
_LONGEST_S = 300.0
"""Longer a page must not take: whoever reads it has ten minutes, and may have begun with other pages."""
_OF_EVERYTHING = (AuthenticationProblem, ConfigurationProblem, RateLimitProblem, UnavailableProblem)

log = structlog.get_logger(__name__)

Row = Mapping[str, Any]
Found = Row | ProblemError | None
"""What a number stands for; None when the platform knows no such thing; else why it cannot be read."""


async def read_each(
    numbers: Sequence[str],
    read: Callable[[str], Awaitable[Row]],
    *,
    at_once: int,
    else_known: bool = False,
) -> Mapping[str, Found]:
    """What each of these numbers stands for, in their order.

    else_known: enough is known of the things without reading them, so only a bad moment of the platform stops them all.
    Raises the problem that stops every read: one of the account, one that none of several escaped, or that the platform
    lets nothing through any more. Takes five minutes at most, and a good quarter of one where nothing gets through.
    """
    turn = asyncio.Semaphore(at_once)
    found: dict[str, Found] = {}
    stopped: list[ProblemError] = []
    throttled: dict[str, RateLimitProblem] = {}

    async def one(number: str) -> None:
        async with turn:
            if stopped or throttled:
                return
            each = await _read(number, read)
            if isinstance(each, RateLimitProblem) and _is_brief(each):
                throttled[number] = each
                return
            found[number] = each
            if isinstance(each, _OF_EVERYTHING):
                stopped.append(each)

    waiting, end = list(dict.fromkeys(numbers)), time.monotonic() + _LONGEST_S
    again, slowed = iter(AGAIN_AFTER_S), iter(SLOWED_AFTER_S)
    while True:
        throttled.clear()
        async with asyncio.TaskGroup() as group:
            for number in waiting:
                group.create_task(one(number))
        if stopped:
            raise stopped[0]
        left = [number for number in waiting if number not in found or may_be_read_later(found[number])]
        if throttled and len(left) < len(waiting):
            slowed = iter(SLOWED_AFTER_S)
        # Who was told to wait waits behind the others: it may be the only one that is.
        waiting = sorted(left, key=lambda number: number in throttled)
        pause_s = next(slowed if throttled else again, None)
        if not waiting or pause_s is None or time.monotonic() > end:
            break
        await asyncio.sleep(pause_s)
    if throttled:
        last = next(iter(throttled.values()))
        if len(waiting) > 1:
            raise last
        found |= {number: found.get(number, last) for number in waiting}
    problems = [each for each in found.values() if isinstance(each, ProblemError)]
    if problems and len(problems) == len(found):
        worst = next((each for each in problems if may_be_read_later(each)), problems[0])
        # Of one alone nobody knows whether others would be told; a page of it must not be read for ever.
        is_of_it = len(problems) == 1 and not isinstance(worst, AuthorizationProblem)
        if waiting or not (else_known or is_of_it):
            raise worst
    return {number: found[number] for number in numbers}


async def completed_rows(
    rows: Sequence[Any],
    lacking: Callable[[Any], str | None],
    read: Callable[[str], Awaitable[Row]],
    *,
    at_once: int,
    else_known: bool = False,
) -> list[Any]:
    """The rows of a list, those that lack something with the members that `read` gives.

    lacking: the number to ask by, None for a row that says enough. Where one cannot be read, or is listed but not
    known, its problem stands there, to be set aside; with else_known it stays as the list has it.

    Raises as `read_each`.
    """
    numbers = [lacking(row) for row in rows]
    asked = [each for each in numbers if each is not None]
    found = await read_each(asked, read, at_once=at_once, else_known=else_known)
    whole: list[Any] = []
    for row, number in zip(rows, numbers, strict=True):
        if number is None:
            whole.append(row)
            continue
        told = found[number]
        if isinstance(told, Mapping):
            whole.append({**row, **told})
            continue
        problem = told or _unknown(number)
        log.warning("a row of a list is not completed", number=number, reason=str(problem), else_known=else_known)
        whole.append(row if else_known else problem)
    return whole


def may_be_read_later(found: Found) -> bool:
    """Whether a thing was asked about in a bad moment of the platform."""
    return isinstance(found, ProblemError) and found.problem.as_dict().get("retryable") is True


def unread_record(kind: str, number: str, problem: ProblemError, now: datetime) -> Verified:
    """What the inbox keeps of a thing that could not be read: once a day for each reason."""
    log.warning("a thing is set aside, the platform does not tell it", kind=kind, number=number, reason=str(problem))
    payload = row_payload({"kind": kind, "number": number, **problem.text.as_dict()})
    # What a number names may be a person, whose erasure must find it in the payload only.
    key = f"{UNREAD_KIND}:{kind}:{content_digest(number)}:{now:%Y-%m-%d}:{short_digest(payload)}"
    return Verified(UNREAD_KIND, payload, key[:256], now)


def refuse_unread(push: Verified) -> NoReturn:
    """Raises ValidationProblem with the reason for which a thing was set aside."""
    told = parse_json_object(push.payload)
    named = f"{told.get('kind')} {told.get('number')}"
    raise ValidationProblem(
        Text(
            f"平台没有给出 {named}：{told.get('zh')}。每晚的比对会再读一次",
            f"The platform did not tell {named}: {told.get('en')}. The nightly comparison reads it once more",
        ),
        retryable=False,
    )


async def _read(number: str, read: Callable[[str], Awaitable[Row]]) -> Found:
    try:
        return await read(number)
    except NotFoundProblem:
        return None
    except ProblemError as problem:
        return problem
    except Exception as error:  # a connector's bug on one thing must not stop the others
        said = f"{type(error).__name__}: {error}"
        return RuntimeProblem(Text(f"内部错误：{said}", f"Internal error: {said}"), retryable=False)


def _unknown(number: str) -> NotFoundProblem:
    return NotFoundProblem(
        Text(
            f"平台的列表里有 {number}，单独查询却没有",
            f"The platform lists {number}, but does not know it when it is asked about alone",
        ),
        retryable=False,
    )


def _is_brief(problem: RateLimitProblem) -> bool:
    """Whether the platform was asked too often for a moment only."""
    waits_s = problem.problem.as_dict().get("retry_after_s")
    return isinstance(waits_s, int | float) and waits_s <= AGAIN_AFTER_S[-1]
