"""A stream that tells in place of pushes is asked again each second until its next stroke is near; others are not."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Literal, cast

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import pulls as activities
from activities.pulls import PullActivities
from domain.problems import ProblemError, RateLimitProblem, Text
from services.inbox_room import InboxFullProblem
from services.pulls import Pulled, PullService
from workflows.messages import StreamPull

PULL = StreamPull("taobao/tmall", "messages", "platform.taobao")


class Streams:
    """Brings one record each time it is asked, and has then nothing more."""

    def __init__(self, asked_again: int, *, more: bool = False, in_vain: int | None = None) -> None:
        self._asked_again, self._more, self._in_vain = asked_again, more, in_vain
        self.asked = 0

    def is_asked_again(self, account_id: str, stream: str) -> bool:
        return self.asked <= self._asked_again

    async def pull(self, account_id: str, stream: str) -> Pulled:
        self.asked += 1
        return Pulled(1, 1, self._more, self.asked == self._in_vain)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "_ASKED_AGAIN_AFTER_S", 0.02)


async def test_what_comes_after_the_end_is_there_a_moment_later() -> None:
    streams = Streams(3)
    progress = await ActivityEnvironment().run(PullActivities(cast(PullService, streams)).pull, PULL)
    assert streams.asked == 4
    assert (progress.records, progress.missed, progress.more) == (4, 4, False)


async def test_a_reading_ends_also_where_its_strokes_are_always_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "_LONGEST_S", 0.2)
    streams = Streams(10_000)
    async with asyncio.timeout(5):
        await ActivityEnvironment().run(PullActivities(cast(PullService, streams)).pull, PULL)
    assert streams.asked > 1


@pytest.mark.parametrize(("asked_again", "more"), [(0, False), (10_000, True)])
async def test_others_are_asked_once_and_so_is_what_has_more(asked_again: int, more: bool) -> None:
    streams = Streams(asked_again, more=more)
    progress = await ActivityEnvironment().run(PullActivities(cast(PullService, streams)).pull, PULL)
    assert (streams.asked, progress.more) == (1, more)


@pytest.mark.parametrize("in_vain", [1, 3])
async def test_a_reading_in_vain_is_the_last_before_the_next_stroke(in_vain: int) -> None:
    streams = Streams(10_000, in_vain=in_vain)
    async with asyncio.timeout(5):
        await ActivityEnvironment().run(PullActivities(cast(PullService, streams)).pull, PULL)
    assert streams.asked == in_vain


async def test_a_worker_that_stops_is_not_kept_waiting() -> None:
    streams, environment = Streams(10_000), ActivityEnvironment()
    running = asyncio.create_task(environment.run(PullActivities(cast(PullService, streams)).pull, PULL))
    await asyncio.sleep(0.1)
    environment.worker_shutdown()
    async with asyncio.timeout(5):
        assert (await running).records == streams.asked


async def test_only_so_many_at_once_keep_a_place_for_being_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "MOST_ASKING_AGAIN", 1)
    streams, environment = Streams(10_000), ActivityEnvironment()
    served = PullActivities(cast(PullService, streams))
    first = asyncio.create_task(environment.run(served.pull, PULL))
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        assert (await ActivityEnvironment().run(served.pull, PULL)).records == 1
        environment.worker_shutdown()
        await first
        streams.asked, streams._asked_again = 0, 2
        assert (await ActivityEnvironment().run(served.pull, PULL)).records == 3, "the place is free again"


@pytest.mark.parametrize(
    ("problem", "attempt", "pause_s"),
    [
        (RateLimitProblem(Text("太快", "too often"), retryable=True, retry_after_s=1), 1, 5),
        (RateLimitProblem(Text("太快", "too often"), retryable=True, retry_after_s=1), 4, 40),
        (RateLimitProblem(Text("太快", "too often"), retryable=True, retry_after_s=1), 700, 300),
        (RateLimitProblem(Text("太快", "too often"), retryable=True, retry_after_s=900), 2, 900),
        (InboxFullProblem(Text("满", "full"), retryable=True, retry_after_s=7), 1, 7),
        (InboxFullProblem(Text("满", "full"), retryable=True, retry_after_s=7), 500, 60),
    ],
)
async def test_what_throttles_is_asked_less_and_less(problem: ProblemError, attempt: int, pause_s: float) -> None:
    class Throttled(Streams):
        async def pull(self, account_id: str, stream: str) -> Pulled:
            raise problem

    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt)
    with pytest.raises(ApplicationError) as failed:
        await environment.run(PullActivities(cast(PullService, Throttled(0))).pull, PULL)
    assert failed.value.next_retry_delay == timedelta(seconds=pause_s)


@pytest.mark.parametrize("task", ["pull", "compare"])
async def test_a_go_that_was_cut_short_is_followed_by_a_pause(task: Literal["pull", "compare"]) -> None:
    class CutShort(Streams):
        async def pull(self, account_id: str, stream: str) -> Pulled:
            return Pulled(1, 1, more=True, wait_s=7.0)

        compare_on = pull

    cut_short = PullActivities(cast(PullService, CutShort(0)))
    progress = await ActivityEnvironment().run(cut_short.pull, replace(PULL, task=task))
    assert (progress.more, progress.wait_s) == (True, 7.0)


async def test_what_came_before_a_bad_moment_counts() -> None:
    class Throttled(Streams):
        async def pull(self, account_id: str, stream: str) -> Pulled:
            if self.asked == 3:
                raise RateLimitProblem(Text("太快", "too often"), retryable=True, retry_after_s=1)
            return await super().pull(account_id, stream)

    progress = await ActivityEnvironment().run(PullActivities(cast(PullService, Throttled(10_000))).pull, PULL)
    assert (progress.records, progress.more) == (3, False)
