"""Two years of a shop's past keep nobody's refund waiting, and nobody's backlog keeps a refund from being read."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.accounts import secret_fields
from connectors.page_windows import WindowedReader
from connectors.taobao.settings import TaobaoSettings
from connectors.youzan import pulling as youzan_pulling
from domain.accounts import NewAccount
from services import inbox_room
from services.accounts import PlatformAccounts
from services.connections import Connections
from services.inbox import BATCH
from services.inbox_room import InboxFullProblem, InboxRoom
from services.pulls import PullService
from simulator import trade
from storage.engine import Database
from storage.inbox import Inbox, Push
from storage.pulls import Streams
from storage.unit_of_work import UnitOfWork
from tests.connectors.harness import Outside
from tests.services.test_pulls import ADMIN, CONNECTORS, SHOP, drained, live, one, pulls, read_all, world

__all__ = ["live", "pulls", "world"]

MOST = 5


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on there is little room for the past."""

    def begin() -> None:
        monkeypatch.setattr(inbox_room, "PAST_WAITS_AT", MOST)
        monkeypatch.setattr(inbox_room, "_FULL_HOLDS_S", 0.0)

    return begin


async def _pushed_by_others(live: Database, count: int) -> None:
    async with UnitOfWork(live) as work:
        pushes = [Push("generic", "till", f"p{number}", "member", b"{}", work.now) for number in range(count)]
        await Inbox(work).add_many(pushes)


async def _waiting(live: Database, platform: str) -> int:
    (count,) = await one(live, f"SELECT count(*) FROM inbox WHERE state = 'waiting' AND platform = '{platform}'")
    return int(count)


async def _read_others(live: Database) -> None:
    async with UnitOfWork(live) as work:
        await Inbox(work).done([each.id for each in await Inbox(work).take_waiting(10_000, ["generic"])])


@pytest.mark.parametrize("task", ["pull", "compare"])
async def test_the_past_is_left_for_a_moment_while_much_waits_that_was_pushed(
    pulls: PullService, live: Database, world: Outside, little_room: Callable[[], None], task: str
) -> None:
    await world.sim.refund(stage="asked")
    little_room()
    await _pushed_by_others(live, MOST + 1)
    reading = pulls.pull if task == "pull" else pulls.compare_on
    with pytest.raises(InboxFullProblem, match="they come first") as full:
        await reading(SHOP, "refunds")
    told = full.value.problem.as_dict()
    assert told["retryable"]
    assert 0 < told["retry_after_s"] <= 15, "else it would wait for minutes while there is room"
    assert await _waiting(live, "youzan") == 0
    await _read_others(live)
    await reading(SHOP, "refunds")
    assert await _waiting(live, "youzan") >= 1


async def test_what_is_read_to_this_day_goes_on_while_much_waits(
    pulls: PullService, live: Database, world: Outside, little_room: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = replace(world.link, now=lambda: datetime.now(UTC))
    await read_all(PullService(live, CONNECTORS, Connections(live), before), "refunds")
    await drained(live)
    little_room()
    await _pushed_by_others(live, MOST + 1)
    await world.sim.refund(stage="asked")
    await read_all(pulls, "refunds")
    assert await _waiting(live, "youzan") >= 1
    monkeypatch.setattr(inbox_room, "PRESENT_WAITS_AT", MOST)
    monkeypatch.setattr(inbox_room, "_ROOM_HOLDS_S", 0.0)
    again = PullService(live, CONNECTORS, Connections(live), world.link)
    with pytest.raises(InboxFullProblem):
        await again.pull(SHOP, "refunds")


async def test_a_shop_whose_messages_stand_in_for_pushes_is_read_from_its_first_day(
    live: Database, world: Outside, little_room: Callable[[], None]
) -> None:
    account, state = await world.account("taobao"), world.sim.app.state.world
    hidden = secret_fields(TaobaoSettings)
    secrets = {name: str(value) for name, value in account.settings.items() if name in hidden}
    shown = {name: value for name, value in account.settings.items() if name not in secrets}
    shop = NewAccount(
        platform="taobao", slug=account.slug, name="天猫店", unit_path="/", settings=shown, credentials=secrets
    )
    await PlatformAccounts(live, CONNECTORS).connect(ADMIN, shop)
    pulls, name = PullService(live, CONNECTORS, Connections(live), world.link), f"taobao/{account.slug}"
    little_room()
    await _pushed_by_others(live, MOST + 1)
    trade.pay(state, trade.place_order(state, account.slug))
    await pulls.pull(name, "messages")
    assert await _waiting(live, "taobao") >= 1
    with pytest.raises(InboxFullProblem):
        await pulls.pull(name, "orders")


async def test_a_shops_past_comes_a_page_at_a_time_as_it_is_read(
    pulls: PullService,
    live: Database,
    world: Outside,
    monkeypatch: pytest.MonkeyPatch,
    little_room: Callable[[], None],
) -> None:
    little_room()
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
    pulls: PullService, live: Database, little_room: Callable[[], None]
) -> None:
    little_room()

    async def problem() -> str | None:
        async with UnitOfWork(live) as work:
            row = await Streams(work).stand(SHOP, "refunds")
            return row.problem if row is not None else "never tried"

    await _pushed_by_others(live, MOST + 1)
    with pytest.raises(InboxFullProblem):
        await pulls.pull(SHOP, "refunds")
    assert "they come first" in (await problem() or "")
    await _read_others(live)
    await read_all(pulls, "refunds")
    assert await problem() is None


async def test_what_lanes_have_in_hand_keeps_nothing_waiting(live: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_room, "PAST_WAITS_AT", MOST)
    await _pushed_by_others(live, BATCH + MOST)
    await InboxRoom(live, lanes=1).refuse_when_full(past=True)
    with pytest.raises(InboxFullProblem):
        await InboxRoom(live).refuse_when_full(past=True)


async def test_whoever_asks_a_full_inbox_does_not_count_it_each_time(
    live: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_room, "PAST_WAITS_AT", MOST)
    await _pushed_by_others(live, MOST + 1)
    room = InboxRoom(live)
    with pytest.raises(InboxFullProblem):
        await room.refuse_when_full(past=True)
    await _read_others(live)
    with pytest.raises(InboxFullProblem):
        await room.refuse_when_full(past=True)
    monkeypatch.setattr(inbox_room, "_FULL_HOLDS_S", 0.0)
    assert await room.wait_for_room(5.0)
