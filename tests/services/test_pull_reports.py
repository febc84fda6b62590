"""What a stream remembers of its readings."""

from datetime import timedelta

from storage.engine import Database
from storage.pulls import StreamRow, Streams
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock

SHOP = "youzan/flagship"


async def test_since_when_a_stream_stops_is_told_until_it_goes_on(database: Database, clock: SteppedClock) -> None:
    async def note(problem: str | None, reached_minutes: int | None = None) -> StreamRow:
        clock.advance(minutes=5)
        async with UnitOfWork(database) as work:
            reached_at = None if reached_minutes is None else began + timedelta(minutes=reached_minutes)
            await Streams(work).note(SHOP, "orders", "/", {}, reached_at=reached_at, problem=problem)
        async with UnitOfWork(database) as work:
            row = await Streams(work).stand(SHOP, "orders")
            assert row is not None
            return row

    async with UnitOfWork(database) as work:
        began = work.now
    assert (await note(None, 5)).problem_since is None
    first = await note("quota", 3)
    assert first.problem_since == first.pulled_at
    assert first.reached_at == began + timedelta(minutes=5), "what was read stays read"
    again = await note("no permission")
    assert (again.problem, again.problem_since) == ("no permission", first.pulled_at)
    assert again.reached_at == began + timedelta(minutes=5)
    on = await note(None, 20)
    assert (on.problem, on.problem_since, on.reached_at) == (None, None, began + timedelta(minutes=20))
    later = await note("quota")
    assert later.problem_since == later.pulled_at
