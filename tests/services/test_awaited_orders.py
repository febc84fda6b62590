"""What a short push tells of an order starts flows with the buyer, the articles and the amount: once, and never not."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from connectors.accounts import Account, secret_fields
from connectors.loading import load_connectors
from connectors.lookups import TellsWholeOrders
from connectors.pinduoduo.channel import PinduoduoChannel
from connectors.telling import tell_order
from connectors.webhooks import Verified
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.canonical import Buyer, OrderData, OrderLine, OrderStatus
from domain.events import Event, rfc3339
from domain.problems import RateLimitProblem
from services.accounts import PlatformAccounts
from services.connections import Connections
from services.identities import IdentityService
from services.inbox import InboxService
from services.intake import Arrival, Intake
from services.order_reading import OrderReading
from services.pacing import AccountPacer
from services.pulls import PullService
from simulator import trade
from simulator.platforms.pinduoduo import render
from simulator.platforms.pinduoduo.channel import PddMessage
from storage.awaited_orders import PATIENCE, AwaitedOrders
from storage.encryption import Keyring
from storage.engine import Database
from storage.events import Events
from storage.pulls import Streams
from storage.quarantine import Quarantine, QuarantineFilter
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.connectors.harness import Outside, outside

ADMIN = an_actor("root")
CONNECTORS = load_connectors(Catalog())
SHOPS = {"douyin": "demo-douyin", "wechat_store": "demo-wechat-store", "pinduoduo": "demo-pinduoduo"}
EACH_SHOP = pytest.mark.parametrize("platform", SHOPS)
PAID, SHIPPED = "tandem.order.paid", "tandem.order.shipped"


@dataclass
class Shop:
    """A Tandem with one shop, whose clock can be ahead."""

    platform: str
    world: Outside
    database: Database
    account: Account
    ahead: timedelta = timedelta()

    def __post_init__(self) -> None:
        self.inbox = InboxService(self.database, CONNECTORS, Intake(IdentityService()))
        # Later, so that the lists show what was made a moment ago.
        link = replace(self.world.link, now=lambda: datetime.now(UTC) + timedelta(minutes=4))
        connections = Connections(self.database)
        self.pulls = PullService(self.database, CONNECTORS, connections, link)
        self.reading = OrderReading(self.database, CONNECTORS, connections, self.world.link)

    def sell(self) -> Any:
        state = self.world.sim.app.state.world
        return trade.pay(state, trade.place_order(state, SHOPS[self.platform]))

    def ship(self, order: Any) -> None:
        trade.ship(self.world.sim.app.state.world, order, waybill="SF1")

    async def hears(self, count: int, past: int = 0) -> None:
        """Take in so many pushes, each of them twice; past: those from here on."""
        connector = CONNECTORS[self.platform]
        if self.platform == "pinduoduo":
            waiting = self.world.sim.app.state.world.shelf("pdd_message", PddMessage).having(shop=self.account.slug)
            frames = [PinduoduoChannel(self.account).read(json.dumps(each.body), datetime.now(UTC)) for each in waiting]
            found = [frame.record for frame in frames if frame.record is not None]
        else:
            requests = await self.world.pushes(self.platform, count)
            found = [connector.verify(request, self.account) for request in requests]
        assert len({each.dedupe_key for each in found}) >= count
        for verified in found[past:count] * 2:
            await self.inbox.accept(self.platform, self.account.slug, verified)
        await self.drain()

    async def drain(self) -> None:
        while (read := await self.inbox.drain()).read:
            assert read.quarantined == 0

    async def asks(self) -> int:
        """One round of asking; how many orders were asked about."""
        asked = await self.reading.drain(self.platform)
        assert asked.failed == 0
        await self.drain()
        return asked.asked

    async def pull(self) -> None:
        while (await self.pulls.pull(f"{self.platform}/{self.account.slug}", "orders")).more:
            pass
        await self.drain()

    async def told(self, order: Any, name: str = PAID) -> list[dict[str, Any]]:
        """The data of every event of that name, each waiting to be dispatched; a customer stands among its subjects."""
        return await told(self.database, str(order.id), name)

    async def is_known(self, order: Any) -> bool:
        """Whether the order is somebody's, with its articles and its amount."""
        statement = """SELECT count(DISTINCT o.id) FROM orders o JOIN identities i ON i.id = o.identity_id
            JOIN order_lines l ON l.order_key = o.id WHERE o.order_id = :order AND o.paid_minor > 0"""
        async with UnitOfWork(self.database) as work:
            return bool(await work.session.scalar(text(statement), {"order": str(order.id)}))


async def told(database: Database, order_id: str, name: str) -> list[dict[str, Any]]:
    statement = """SELECT seq FROM events JOIN event_outbox USING (seq)
        WHERE type = :type AND :subject = ANY(subjects) ORDER BY seq"""
    async with UnitOfWork(database) as work:
        named = {"type": name, "subject": f"order:{order_id}"}
        seqs = list(await work.session.scalars(text(statement), named))
        return [
            {**event.data, "whose": [key for key in event.tandemkeys if key.startswith("customer:")]}
            for event in (await Events(work).readable(seqs)).values()
        ]


def is_whole(data: dict[str, Any], status: str = "paid") -> bool:
    buyer = any(value for name, value in data["buyer"].items() if name != "openid_scope")
    said = (data["status"], data["told_in_part"])
    return said == (status, False) and buyer and bool(data["lines"]) and data["paid_minor"] > 0 and bool(data["whose"])


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Outside]:
    async with outside() as world:
        yield world


@pytest.fixture
async def shop(running: Outside, database_url: str, platform: str) -> AsyncIterator[Shop]:
    running.receiver.answer = "success" if platform == "wechat_store" else '{"code":0,"msg":"success"}'
    await running.be_new()
    account, connector = await running.account(platform), CONNECTORS[platform]
    clock: list[Shop] = []
    keys = Keyring({"k1": b"1" * 32})
    database = Database(
        database_url, keys, pool_size=8, clock=lambda: datetime.now(UTC) + (clock[0].ahead if clock else timedelta())
    )
    secrets = secret_fields(connector.settings)
    shown = {name: value for name, value in account.settings.items() if name not in secrets}
    hidden = {name: str(value) for name, value in account.settings.items() if name in secrets}
    new = NewAccount(
        platform=platform, slug=account.slug, name=platform, unit_path="/", settings=shown, credentials=hidden
    )
    await PlatformAccounts(database, CONNECTORS).connect(ADMIN, new)
    async with UnitOfWork(database) as work:
        # Its past was read.
        since = {"since": rfc3339(datetime.now(UTC) - timedelta(minutes=5))}
        await Streams(work).note(f"{platform}/{account.slug}", "orders", "/", since, reached_at=None)
    clock.append(Shop(platform, running, database, account))
    yield clock[0]
    await database.close()


PUSHES = {"douyin": 2, "wechat_store": 2, "pinduoduo": 1}
"""Of an order that is placed and paid: Pinduoduo tells of paid ones alone."""


@EACH_SHOP
async def test_a_pushed_order_is_asked_about_and_told_once_as_a_whole(shop: Shop, platform: str) -> None:
    assert issubclass(CONNECTORS[platform].client, TellsWholeOrders)
    order = shop.sell()
    await shop.hears(PUSHES[platform])
    assert await shop.told(order) == [], "it waits for the whole order"
    assert await shop.asks() == 1
    assert await shop.is_known(order)
    [event] = await shop.told(order)
    assert is_whole(event), event
    assert await shop.asks() == 0
    await shop.pull()
    await shop.hears(PUSHES[platform])
    assert len(await shop.told(order)) == 1
    if platform != "pinduoduo":
        [placed] = await shop.told(order, "tandem.order.created")
        assert is_whole(placed, "unpaid"), placed


@EACH_SHOP
async def test_without_the_push_the_list_tells_it_and_a_late_push_tells_nothing_more(shop: Shop, platform: str) -> None:
    order = shop.sell()
    await shop.pull()
    assert await shop.is_known(order)
    [event] = await shop.told(order)
    assert is_whole(event), event
    await shop.hears(PUSHES[platform])
    while await shop.asks():
        pass
    assert len(await shop.told(order)) == 1


@EACH_SHOP
async def test_a_list_that_comes_first_completes_what_was_pushed(shop: Shop, platform: str) -> None:
    orders = [shop.sell() for _ in range(3)]
    await shop.hears(PUSHES[platform] * 3)
    await shop.pull()
    assert await shop.asks() == 0, "nothing waits any more"
    for order in orders:
        [event] = await shop.told(order)
        assert is_whole(event), event


@EACH_SHOP
async def test_each_step_is_told_although_the_order_is_further_when_it_is_read(shop: Shop, platform: str) -> None:
    order = shop.sell()
    shop.ship(order)
    await shop.hears(PUSHES[platform] + 1)
    await shop.asks()
    [paid], [shipped] = await shop.told(order), await shop.told(order, SHIPPED)
    assert is_whole(paid), paid
    assert is_whole(shipped, "shipped"), shipped


@EACH_SHOP
async def test_a_step_that_is_pushed_late_is_completed_by_the_answer_that_was_read_before(
    shop: Shop, platform: str
) -> None:
    order, state = shop.sell(), shop.world.sim.app.state.world
    shop.ship(order)
    trade.complete(state, state.orders.get(str(order.id)))
    await shop.hears(PUSHES[platform])
    assert await shop.asks() == 1
    await shop.hears(PUSHES[platform] + 1, past=PUSHES[platform])
    assert await shop.told(order, SHIPPED) == [], "it waits for the whole order"
    assert await shop.asks() == 1
    [shipped] = await shop.told(order, SHIPPED)
    assert is_whole(shipped, "shipped"), shipped


@pytest.mark.parametrize("platform", ["pinduoduo"])
async def test_an_answer_that_cannot_be_read_is_put_aside_once_however_often_it_is_given(
    shop: Shop, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.sell()
    await shop.hears(PUSHES[platform])
    whole = render.order
    monkeypatch.setattr(render, "order", lambda *asked: {**whole(*asked), "order_status": 9})
    aside = []
    for minutes in (0, 2, 5, 10):
        shop.ahead = timedelta(minutes=minutes)
        assert (await shop.reading.drain(platform)).asked == 1
        aside.append((await shop.inbox.drain()).quarantined)
    assert aside == [1, 0, 0, 0]
    async with UnitOfWork(shop.database) as work:
        assert await Quarantine(work).put_away(QuarantineFilter(), 1, "no use") == 1
    shop.ahead = timedelta(minutes=18)
    assert (await shop.reading.drain(platform)).asked == 1
    assert (await shop.inbox.drain()).quarantined == 0, "what a person put away stays so"


@pytest.mark.parametrize("platform", ["douyin"])
async def test_an_order_that_cannot_be_read_is_told_as_it_is_in_the_end_and_once(shop: Shop, platform: str) -> None:
    order = shop.sell()
    await shop.hears(PUSHES[platform])
    await shop.world.break_things({"match": {"platform": platform}, "fault": "5xx"})
    assert (await shop.reading.drain(platform)).failed == 1
    assert (await shop.reading.drain(platform)).asked == 0, "not again at once"
    shop.ahead = PATIENCE + timedelta(seconds=1)
    # A process that starts looks back at once.
    shop.inbox = InboxService(shop.database, CONNECTORS, Intake(IdentityService()))
    await shop.drain()
    [event] = await shop.told(order)
    assert (event["status"], event["told_in_part"], event["lines"]) == ("paid", True, [])
    await shop.world.break_things()
    await shop.pull()
    assert len(await shop.told(order)) == 1
    assert await shop.is_known(order)


@pytest.mark.parametrize("platform", ["douyin"])
@pytest.mark.parametrize("fault", ["timeout_before", "5xx", "quota"])
async def test_an_account_that_does_not_answer_is_left_alone_for_a_while(shop: Shop, fault: str) -> None:
    order, account_id = shop.sell(), f"{shop.platform}/{shop.account.slug}"
    await shop.hears(PUSHES["douyin"])
    await shop.world.break_things({"match": {"platform": "douyin"}, "fault": fault})
    pacer = AccountPacer(shop.database)
    link = replace(shop.world.link, pacer=pacer)
    shop.reading = OrderReading(shop.database, CONNECTORS, Connections(shop.database), link)
    assert (await shop.reading.drain("douyin")).failed == 1
    shop.sell()
    await shop.hears(PUSHES["douyin"] * 2)
    async with UnitOfWork(shop.database) as work:
        assert not await shop.reading.has_work(work, "douyin"), "what is new waits as well"
        assert await AwaitedOrders(work).is_due("douyin")
    if fault == "quota":
        await pacer.turn(account_id, 20, bulk=False)
        with pytest.raises(RateLimitProblem):
            # Whoever reads in bulk waits in every process; its own word is in force.
            await AccountPacer(shop.database, bulk_patience_s=0.3).turn(account_id, 20, bulk=True)
    await shop.world.break_things()
    await shop.pull()
    [event] = await shop.told(order)
    assert is_whole(event), event


NOW = datetime.now(UTC).replace(microsecond=0)
ANY_SHOP = Account("pinduoduo", "shop", {})
LINE = OrderLine(line_id="1", title="坚果", quantity=1, price_minor=9900, total_minor=9900)


def an_order(status: OrderStatus, order_id: str = "1", *, at: datetime = NOW, whole: bool = False) -> Event:
    rest: dict[str, Any] = {"told_in_part": True}
    if whole:
        rest = {"paid_minor": 9900, "lines": (LINE,), "buyer": Buyer(buyer_id=f"b{order_id}")}
    data = OrderData(
        platform="pinduoduo", account="shop", version=1, occurred_at=at, order_id=order_id, status=status, **rest
    )
    return tell_order(data, Verified("order", b"", "", at), ANY_SHOP)


async def take_in(database: Database, *events: Event) -> None:
    async with UnitOfWork(database) as work:
        await Intake(IdentityService()).take_in(work, [Arrival.of(event, NOW) for event in events])


async def claimed(database: Database, limit: int = 20) -> list[str]:
    async with UnitOfWork(database) as work:
        return [order for _, order in await AwaitedOrders(work).claim("pinduoduo", limit)]


async def test_a_reading_that_is_not_as_far_completes_nothing(database: Database) -> None:
    await take_in(database, an_order("paid"), an_order("unpaid", whole=True))
    assert await told(database, "1", PAID) == []
    await take_in(database, an_order("completed", whole=True))
    [event] = await told(database, "1", PAID)
    assert is_whole(event), event


async def test_what_was_pushed_days_ago_starts_nothing_and_waits_for_nothing(database: Database) -> None:
    await take_in(database, an_order("paid", at=NOW - timedelta(days=3)))
    assert await claimed(database) == []
    await take_in(database, an_order("paid", at=NOW - timedelta(days=3), whole=True))
    assert await told(database, "1", PAID) == []


async def test_at_a_peak_the_newest_are_asked_about_and_the_list_completes_the_rest(database: Database) -> None:
    for number in range(30):
        async with UnitOfWork(database) as work:
            arrival = Arrival.of(an_order("paid", f"{number:02}"), NOW - timedelta(seconds=30 - number))
            await Intake(IdentityService()).take_in(work, [arrival])
    first = await claimed(database, 10)
    assert first == [f"{number}" for number in range(29, 19, -1)]
    await take_in(database, *(an_order("paid", f"{number:02}", whole=True) for number in range(30)))
    assert await claimed(database) == []
    assert [len(await told(database, f"{number:02}", PAID)) for number in range(30)] == [1] * 30


async def test_more_than_a_look_back_tells_is_told_after_the_next_batches(
    database: Database, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("inbox", "intake"):
        monkeypatch.setattr(f"services.{module}.MOST_MET", 2)
    monkeypatch.setattr("services.inbox._MOST_LOOKS", 1)
    await take_in(database, *(an_order("paid", f"{number}") for number in range(5)))
    clock.advance(seconds=PATIENCE.total_seconds() + 1)
    inbox = InboxService(database, CONNECTORS, Intake(IdentityService()))
    seen = []
    for _ in range(3):
        await inbox.drain()
        seen.append(sum([len(await told(database, f"{number}", PAID)) for number in range(5)]))
    assert seen == [2, 4, 5], "not a minute for each look"
