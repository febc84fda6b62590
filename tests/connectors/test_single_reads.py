"""Things read one by one: what is refused for itself stops no other, what is refused alike stops the read."""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from connectors import single_reads
from connectors.single_reads import completed_rows, read_each
from domain.problems import (
    AuthorizationProblem,
    CommunicationProblem,
    NotFoundProblem,
    ProblemError,
    RateLimitProblem,
    Text,
    ValidationProblem,
)

SAID = Text("拒绝", "refused")
TOO_OFTEN = RateLimitProblem(SAID, retryable=True, retry_after_s=0.01)
REFUSED = CommunicationProblem(SAID, retryable=False)


class Platform:
    def __init__(self, refused: Mapping[str, ProblemError]) -> None:
        self._refused = refused

    async def __call__(self, number: str) -> Mapping[str, Any]:
        if number in self._refused:
            raise self._refused[number]
        return {"number": number}


async def test_what_is_refused_among_others_is_told_with_its_reason() -> None:
    found = await read_each(["1", "2"], Platform({"1": REFUSED}), at_once=2)
    assert found == {"1": REFUSED, "2": {"number": "2"}}


async def test_what_is_refused_alone_on_its_page_does_not_stop_the_stream_for_ever() -> None:
    assert await read_each(["1"], Platform({"1": REFUSED}), at_once=2) == {"1": REFUSED}


@pytest.mark.parametrize(
    "refused",
    [
        {"1": AuthorizationProblem(SAID)},
        {"1": ValidationProblem(SAID), "2": ValidationProblem(SAID)},
    ],
    ids=["who may not ask at all", "a question that is wrong for everything"],
)
async def test_what_is_no_fault_of_one_thing_stops_the_read(refused: Mapping[str, ProblemError]) -> None:
    with pytest.raises(ProblemError):
        await read_each(list(refused), Platform(refused), at_once=2)


class Slowing:
    """Answers so many reads, then none for a while, and so on."""

    def __init__(self, at_most: int, rest_s: float) -> None:
        self._at_most, self._rest_s = at_most, rest_s
        self._answered, self._since = 0, 0.0
        self.refused = 0

    async def __call__(self, number: str) -> Mapping[str, Any]:
        if self._answered == self._at_most:
            if time.monotonic() < self._since + self._rest_s:
                self.refused += 1
                raise TOO_OFTEN
            self._answered = 0
        self._answered, self._since = self._answered + 1, time.monotonic()
        return {"number": number}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_reads, "AGAIN_AFTER_S", (0.01, 0.01))
    monkeypatch.setattr(single_reads, "SLOWED_AFTER_S", (0.02, 0.02, 0.04, 0.08))


@pytest.mark.parametrize("rest_s", [0.0, 0.015, 0.05], ids=["an instant", "less than our pause", "more than our pause"])
async def test_a_platform_that_slows_us_down_is_read_at_its_pace(hasty: None, rest_s: float) -> None:
    numbers, platform = [str(number) for number in range(50)], Slowing(3, rest_s)
    found = await read_each(numbers, platform, at_once=1)
    assert found == {number: {"number": number} for number in numbers}
    # Sixteen rests, at most three tries in each: whoever went on asking would be refused dozens of times in each.
    assert platform.refused <= 16 * 3


async def test_a_platform_that_lets_nothing_through_sets_nothing_aside(hasty: None) -> None:
    closed = Platform({"2": TOO_OFTEN, "3": TOO_OFTEN})
    with pytest.raises(RateLimitProblem):
        await read_each(["1", "2", "3"], closed, at_once=1)
    with pytest.raises(RateLimitProblem):
        await read_each(["2", "3"], closed, at_once=1, else_known=True)
    with pytest.raises(RateLimitProblem):
        # What is known of them in part would be told in part, and never again.
        await read_each(["1", "2", "3"], closed, at_once=1, else_known=True)


async def test_a_platform_that_lets_hardly_anything_through_is_asked_for_two_minutes(
    hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_reads, "_LONGEST_S", 0.2)
    with pytest.raises(RateLimitProblem):
        await read_each([str(number) for number in range(1_000)], Slowing(1, 0.015), at_once=1)


async def test_one_that_is_always_asked_too_often_holds_up_no_other(hasty: None) -> None:
    found = await read_each(["1", "2", "3"], Platform({"1": TOO_OFTEN}), at_once=1)
    assert found == {"1": TOO_OFTEN, "2": {"number": "2"}, "3": {"number": "3"}}


async def test_rows_that_lack_something_are_completed_and_others_stay() -> None:
    rows = [{"id": "1"}, {"id": "2"}, {"id": "3", "number": "known"}, "no row"]

    def lacking(row: Any) -> str | None:
        return row["id"] if isinstance(row, dict) and "number" not in row else None

    whole = await completed_rows(rows, lacking, Platform({"2": REFUSED}), at_once=2)
    assert whole == [{"id": "1", "number": "1"}, REFUSED, {"id": "3", "number": "known"}, "no row"]
    unknown = Platform({"2": NotFoundProblem(SAID)})
    (_, aside, *_) = await completed_rows(rows, lacking, unknown, at_once=2)
    assert isinstance(aside, NotFoundProblem), "what is listed but not known is nobody's guess"
    assert (await completed_rows(rows, lacking, unknown, at_once=2, else_known=True))[1] == {"id": "2"}
    every = {each: AuthorizationProblem(SAID, retryable=False) for each in ("1", "2")}
    with pytest.raises(AuthorizationProblem):
        await completed_rows(rows, lacking, Platform(every), at_once=2)
    assert await completed_rows(rows, lacking, Platform(every), at_once=2, else_known=True) == rows
