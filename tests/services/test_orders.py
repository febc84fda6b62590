"""What a push with a number alone becomes known by, for flows that ask later."""

from datetime import UTC, datetime

from domain.canonical import Buyer, OrderData, OrderLine
from domain.canonical.announcing import announce
from domain.catalog.goods import GoodsCheckArguments
from domain.catalog.orders import OrderGetArguments
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.orders import OrderService
from storage.engine import Database
from storage.unit_of_work import UnitOfWork

NOW = datetime.now(UTC)
SHOP = {"platform": "douyin", "account": "flagship"}
ASKED = OrderGetArguments(**SHOP, order_id="69")


async def take_in(database: Database, *orders: OrderData) -> None:
    async with UnitOfWork(database) as work:
        arrivals = [Arrival.of(announce(order, NOW), NOW) for order in orders]
        await Intake(IdentityService()).take_in(work, arrivals)


def line(number: str, item: str | None, title: str) -> OrderLine:
    return OrderLine(line_id=number, item_id=item, title=title, quantity=1, price_minor=9_900, total_minor=9_900)


async def test_an_order_known_by_its_number_becomes_known_with_buyer_and_goods_when_it_is_read(
    database: Database,
) -> None:
    orders = OrderService(database)
    assert not (await orders.get(ASKED)).known
    await take_in(database, OrderData(**SHOP, version=1, order_id="69", status="unpaid"))
    bare = await orders.get(ASKED)
    assert (bare.known, bare.status, bare.customer_id, bare.amount_minor, bare.items) == (
        True,
        "unpaid",
        None,
        None,
        (),
    )
    lines = (
        line("1", "coat", "羊毛大衣"),
        line("2", "coat", "羊毛大衣"),
        line("3", None, "赠品"),
        line("4", "hat", "帽子"),
    )
    read = OrderData(
        **SHOP,
        version=2,
        order_id="69",
        status="unpaid",
        paid_minor=29_700,
        created_at=NOW,
        lines=lines,
        buyer=Buyer(buyer_id="D1"),
    )
    await take_in(database, read)
    whole = await orders.get(ASKED)
    assert (whole.status, whole.amount_minor, whole.title, whole.created_at) == ("unpaid", 29_700, "羊毛大衣", NOW)
    assert whole.items == tuple(GoodsCheckArguments(**SHOP, item_id=each) for each in ("coat", "hat"))
    assert whole.customer_id is not None
    # The same buyer turns out to be somebody known for longer: the order follows.
    await take_in(database, read.model_copy(update={"order_id": "70", "buyer": Buyer(buyer_id="D1", unionid="U1")}))
    other = await orders.get(OrderGetArguments(**SHOP, order_id="70"))
    assert other.customer_id == (await orders.get(ASKED)).customer_id
    await take_in(database, read.model_copy(update={"version": 3, "status": "paid", "paid_at": NOW}))
    assert ((await orders.get(ASKED)).status, (await orders.get(ASKED)).paid_at) == ("paid", NOW)
    elsewhere = await orders.get(OrderGetArguments(platform="douyin", account="outlet", order_id="69"))
    assert not elsewhere.known
