"""What a comparison mends is right when it is compared again, on every platform: it sees no differences of its own
making."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from connectors.accounts import Account, secret_fields
from connectors.loading import load_connectors
from domain.accounts import NewAccount
from domain.calls import Catalog
from services.accounts import PlatformAccounts
from services.connections import Connections
from services.identities import IdentityService
from services.inbox import InboxService
from services.intake import Intake
from services.pulls import PullService
from simulator import trade
from storage.encryption import Keyring
from storage.engine import Database
from storage.orders import OrderRow
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.connectors.cases.erp import LINES
from tests.connectors.harness import Outside, outside, perform
from tests.services.house import eventually

CONNECTORS = load_connectors(Catalog())
SHOPS = {
    "youzan": ("orders", "refunds"),
    "taobao": ("orders", "refunds"),
    "jd": ("orders", "orders_created", "refunds_requested", "refunds_checked", "aftersales_changed"),
    "pinduoduo": ("orders", "refunds"),
    "douyin": ("orders", "refunds", "goods"),
    "wechat_store": ("orders", "refunds"),
    "meituan": ("orders", "refunds"),
    "eleme": ("orders", "refunds"),
}


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[Outside]:
    async with outside() as running:
        # Later than any list lags, so that what was made a moment ago is not left for the next time.
        running.link = replace(running.link, now=lambda: datetime.now(UTC) + timedelta(minutes=4))
        yield running


@pytest.fixture
async def live(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=8)
    yield database
    await database.close()


@pytest.mark.parametrize("platform", SHOPS)
async def test_what_was_mended_is_right(live: Database, world: Outside, platform: str) -> None:
    account = await connected(live, world, platform)
    simulated = world.sim.app.state.world
    with simulated.bulletin.quiet():
        for number in range(4):
            order = trade.pay(simulated, trade.place_order(simulated, account.slug))
            if number % 2:
                trade.request_refund(simulated, order)
    pulls = PullService(live, CONNECTORS, Connections(live), world.link)
    name, missing = f"{platform}/{account.slug}", 0
    for stream in SHOPS[platform]:
        missing += (await pulls.compare(name, stream)).missing
    assert missing >= 4
    await drained(live)
    for stream in SHOPS[platform]:
        again = await pulls.compare(name, stream)
        assert (again.state, again.missing, again.differing, again.unread, again.parts) == ("done", 0, 0, 0, {}), stream


async def test_a_warehouses_stock_that_is_wrong_here_is_counted_and_mended(live: Database, world: Outside) -> None:
    account = await connected(live, world, "erp")
    simulated = world.sim.app.state.world
    with simulated.bulletin.quiet():
        goods = [trade.set_stock(simulated, each, 7) for each in simulated.goods.having(shop="demo-apparel")[:3]]
    pulls, name = PullService(live, CONNECTORS, Connections(live), world.link), f"erp/{account.slug}"
    found = await pulls.compare(name, "stock")
    assert found.records == found.missing >= 3
    await drained(live)
    again = await pulls.compare(name, "stock")
    assert (again.records, again.missing, again.differing, again.accuracy) == (found.records, 0, 0, 1)
    async with UnitOfWork(live) as work:
        # As a release reads it that has a bug.
        wrong = text("UPDATE stock SET available = 0 WHERE sku_id = :code RETURNING 1")
        assert (await work.session.execute(wrong, {"code": goods[0].code})).all()
    found = await pulls.compare(name, "stock")
    assert (found.missing, found.differing, found.parts) == (0, 1, {"available": 1})
    await drained(live)
    assert (await pulls.compare(name, "stock")).parts == {}
    async with UnitOfWork(live) as work:
        left = text("SELECT available FROM stock WHERE sku_id = :code")
        assert await work.session.scalar(left, {"code": goods[0].code}) == 7


async def test_a_warehouses_parcels_are_compared(live: Database, world: Outside) -> None:
    account = await connected(live, world, "erp")
    client = await world.open("erp")
    await perform(client, "erp.create_shipping_order", order_id="E1", shop="douyin/demo-douyin", lines=LINES)
    pulls, name = PullService(live, CONNECTORS, Connections(live), world.link), f"erp/{account.slug}"

    async def is_shipped() -> bool:
        return (await pulls.compare(name, "waybills")).missing >= 1

    await eventually(is_shipped)
    await drained(live)
    again = await pulls.compare(name, "waybills")
    assert (again.missing, again.differing, again.parts) == (0, 0, {})


@pytest.mark.parametrize(
    ("stream", "change", "part"),
    [
        ("orders", "UPDATE orders SET influencer_id = NULL WHERE order_id = :order", "influencer_id"),
        ("orders", "UPDATE orders SET influencer_id = 'another' WHERE order_id = :order", "influencer_id"),
        ("orders", "UPDATE orders SET channel = 'shop' WHERE order_id = :order", "channel"),
        ("orders", "UPDATE orders SET video_id = NULL WHERE order_id = :order", "video_id"),
        ("orders", "UPDATE orders SET coupon_ids = '{}' WHERE order_id = :order", "coupon_ids"),
        ("orders", "UPDATE orders SET currency = 'USD' WHERE order_id = :order", "currency"),
        ("orders", "UPDATE orders SET paid_at = paid_at - interval '8 hours' WHERE order_id = :order", "paid_at"),
        (
            "orders",
            "UPDATE order_lines SET item_id = NULL FROM orders WHERE order_key = id AND order_id = :order",
            "lines",
        ),
        ("refunds", "UPDATE refunds SET line_ids = '{}' WHERE order_id = :order", "line_ids"),
    ],
)
async def test_what_decides_a_commission_is_compared_and_mended(
    live: Database, world: Outside, stream: str, change: str, part: str
) -> None:
    account = await connected(live, world, "douyin")
    simulated = world.sim.app.state.world
    with simulated.bulletin.quiet():
        order = trade.place_order(
            simulated,
            account.slug,
            influencer_id="i1",
            channel="short_video",
            video_id="7300000000000000001",
            coupon_ids=("7301",),
        )
        trade.request_refund(simulated, trade.pay(simulated, order))
    pulls, name = PullService(live, CONNECTORS, Connections(live), world.link), f"douyin/{account.slug}"
    await pulls.compare(name, stream)
    await drained(live)
    assert (await pulls.compare(name, stream)).parts == {}
    async with UnitOfWork(live) as work:
        # As a release reads it that has a bug: what the platform tells stays as it is, in the same version.
        changed = await work.session.execute(text(f"{change} RETURNING 1"), {"order": order.id})
        assert changed.all()
    found = await pulls.compare(name, stream)
    assert (found.differing, found.parts) == (1, {part: 1})
    await drained(live)
    again = await pulls.compare(name, stream)
    assert (again.missing, again.differing) == (0, 0)


async def test_who_sold_an_order_is_taken_back_where_nobody_did(live: Database, world: Outside) -> None:
    account = await connected(live, world, "douyin")
    simulated = world.sim.app.state.world
    with simulated.bulletin.quiet():
        order = trade.pay(simulated, trade.place_order(simulated, account.slug))
    pulls, name = PullService(live, CONNECTORS, Connections(live), world.link), f"douyin/{account.slug}"
    await pulls.compare(name, "orders")
    await drained(live)

    async def as_read_before(change: str) -> None:
        async with UnitOfWork(live) as work:
            await work.session.execute(text(f"UPDATE orders SET {change} WHERE order_id = :order"), {"order": order.id})

    await as_read_before("influencer_id = NULL, channel = NULL, video_id = NULL")
    assert (await pulls.compare(name, "orders")).parts == {}, "nobody sold it, and nobody said who"
    await as_read_before("influencer_id = 'i1', channel = 'live', video_id = '7301'")
    found = await pulls.compare(name, "orders")
    assert (found.differing, found.parts) == (1, {"influencer_id": 1, "channel": 1, "video_id": 1})
    await drained(live)
    async with UnitOfWork(live) as work:
        row = (await work.session.scalars(select(OrderRow).where(col(OrderRow.order_id) == order.id))).one()
        assert (row.influencer_id, row.channel, row.video_id) == (None, None, None)
    assert (await pulls.compare(name, "orders")).parts == {}


async def connected(live: Database, world: Outside, platform: str) -> Account:
    """The shop of a platform, known to Tandem."""
    account = await world.account(platform)
    secrets = secret_fields(CONNECTORS[platform].settings)
    shown = {name: value for name, value in account.settings.items() if name not in secrets}
    hidden = {name: str(value) for name, value in account.settings.items() if name in secrets}
    new = NewAccount(platform=platform, slug=account.slug, name="店", unit_path="/", settings=shown, credentials=hidden)
    await PlatformAccounts(live, CONNECTORS).connect(an_actor("root"), new)
    return account


async def drained(live: Database) -> None:
    """Let the inbox be read to its end."""
    inbox = InboxService(live, CONNECTORS, Intake(IdentityService()))
    while (read := await inbox.drain()).read:
        assert read.quarantined == 0
