"""A stream that tells in place of pushes is asked again each second, and others are not."""

import asyncio
from datetime import timedelta
from typing import cast

import pytest
from temporalio.testing import ActivityEnvironment

from activities import pulls as activities
from activities.pulls import PullActivities
from services.pulls import Pulled, PullService
from workflows.messages import StreamPull

PULL = StreamPull("taobao/tmall", "messages", "platform.taobao")


class Streams:
    """Brings one record each time it is asked, and has then nothing more."""

    def __init__(self, asked_again: timedelta, *, more: bool = False) -> None:
        self._asked_again, self._more = asked_again, more
        self.asked = 0

    def asked_again_for(self, account_id: str, stream: str) -> timedelta:
        return self._asked_again

    async def pull(self, account_id: str, stream: str) -> Pulled:
        self.asked += 1
        return Pulled(1, 1, self._more)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "_ASKED_AGAIN_AFTER_S", 0.02)


async def test_what_comes_after_the_end_is_there_a_moment_later() -> None:
    streams = Streams(timedelta(seconds=0.3))
    progress = await ActivityEnvironment().run(PullActivities(cast(PullService, streams)).pull, PULL)
    assert streams.asked > 2
    assert (progress.records, progress.missed, progress.more) == (streams.asked, streams.asked, False)


@pytest.mark.parametrize(("asked_again", "more"), [(timedelta(), False), (timedelta(minutes=1), True)])
async def test_others_are_asked_once_and_so_is_what_has_more(asked_again: timedelta, more: bool) -> None:
    streams = Streams(asked_again, more=more)
    progress = await ActivityEnvironment().run(PullActivities(cast(PullService, streams)).pull, PULL)
    assert (streams.asked, progress.more) == (1, more)


async def test_a_worker_that_stops_is_not_kept_waiting() -> None:
    streams, environment = Streams(timedelta(minutes=1)), ActivityEnvironment()
    running = asyncio.create_task(environment.run(PullActivities(cast(PullService, streams)).pull, PULL))
    await asyncio.sleep(0.1)
    environment.worker_shutdown()
    async with asyncio.timeout(5):
        assert (await running).records == streams.asked
