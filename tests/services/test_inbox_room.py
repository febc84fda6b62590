"""Two years of a shop's past keep nobody's refund waiting: they are handed in no faster than they are read."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from connectors.page_windows import WindowedReader
from connectors.youzan import pulling as youzan_pulling
from domain.problems import UnavailableProblem
from services import inbox_room
from services import pulls as pulling
from services.pulls import PullService
from storage.engine import Database
from storage.inbox import Inbox, Push
from storage.pulls import Streams
from storage.unit_of_work import UnitOfWork
from tests.connectors.harness import Outside
from tests.services.test_pulls import SHOP, drained, live, one, pulls, read_all, world

__all__ = ["live", "pulls", "world"]

MOST = 5


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """From now on there is little room, and it is waited for so many seconds."""

    def wait_for(seconds: float) -> None:
        monkeypatch.setattr(inbox_room, "MOST_WAITING", MOST)
        monkeypatch.setattr(pulling, "_ROOM_WITHIN_S", seconds)

    return wait_for


async def _pushed_by_others(live: Database, count: int) -> None:
    async with UnitOfWork(live) as work:
        pushes = [Push("generic", "till", f"p{number}", "member", b"{}", work.now) for number in range(count)]
        await Inbox(work).add_many(pushes)


async def _waiting(live: Database, platform: str) -> int:
    (count,) = await one(live, f"SELECT count(*) FROM inbox WHERE state = 'waiting' AND platform = '{platform}'")
    return int(count)


async def _read_others(live: Database) -> None:
    async with UnitOfWork(live) as work:
        await Inbox(work).done([each.id for each in await Inbox(work).take_waiting(1_000, ["generic"])])


@pytest.mark.parametrize("task", ["pull", "compare"])
async def test_what_is_read_again_waits_while_much_waits_that_was_pushed(
    pulls: PullService, live: Database, world: Outside, patience: Callable[[float], None], task: str
) -> None:
    await world.sim.refund(stage="asked")
    patience(60.0)
    await _pushed_by_others(live, MOST + 1)
    reading = read_all(pulls, "refunds") if task == "pull" else pulls.compare(SHOP, "refunds")
    going = asyncio.create_task(reading)
    await asyncio.sleep(0.6)
    assert (going.done(), await _waiting(live, "youzan")) == (False, 0)
    await _read_others(live)
    await going
    assert await _waiting(live, "youzan") >= 1


async def test_a_shops_past_comes_a_page_at_a_time_as_it_is_read(
    pulls: PullService,
    live: Database,
    world: Outside,
    monkeypatch: pytest.MonkeyPatch,
    patience: Callable[[float], None],
) -> None:
    patience(0.2)
    by_twos = WindowedReader(youzan_pulling.STREAMS[0], timedelta(days=30), 2, most=10_000)
    monkeypatch.setattr(youzan_pulling, "_ORDERS", by_twos)
    truth = [order for order in world.sim.app.state.world.orders if order.shop == "demo-apparel"]
    assert len(truth) > 2 * MOST
    pulled = await pulls.pull(SHOP, "orders", pages=500)
    assert pulled.more
    assert MOST < await _waiting(live, "youzan") <= MOST + 2
    await drained(live)
    records = pulled.records
    while pulled.more:
        pulled = await pulls.pull(SHOP, "orders", pages=500)
        records += pulled.records
        await drained(live)
    assert records == len(truth), "nothing was left out where it stopped"


async def test_an_inbox_that_nobody_reads_is_told_as_the_reason_and_forgotten_afterwards(
    pulls: PullService, live: Database, patience: Callable[[float], None]
) -> None:
    patience(0.2)

    async def problem() -> str | None:
        async with UnitOfWork(live) as work:
            row = await Streams(work).stand(SHOP, "refunds")
            return row.problem if row is not None else "never tried"

    await _pushed_by_others(live, MOST + 1)
    with pytest.raises(UnavailableProblem, match="they come first"):
        await pulls.pull(SHOP, "refunds")
    assert "they come first" in (await problem() or "")
    await _read_others(live)
    await read_all(pulls, "refunds")
    assert await problem() is None
