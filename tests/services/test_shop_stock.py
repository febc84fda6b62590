"""A warehouse's word on stock is heard by whoever waits for the shop's article."""

from sqlmodel import col, select

from domain.canonical import StockData
from domain.canonical.announcing import announce
from domain.events import Event
from domain.organisation import Unit
from services.identities import IdentityService
from services.intake import Arrival, Intake
from storage.engine import Database
from storage.events import EventOutboxRow, EventRow
from storage.organisation import Units
from storage.unit_of_work import UnitOfWork
from tests.services.test_goods import SHOP, WAREHOUSE, connect, goods, stock, tell


async def take_in(database: Database, *told: StockData) -> None:
    async with UnitOfWork(database) as work:
        arrivals = [Arrival.of(announce(each, work.now), work.now) for each in told]
        await Intake(IdentityService()).take_in(work, arrivals)


async def heard(database: Database, shop: str = SHOP) -> list[Event]:
    """What runs and subscribers are told of the shop's stock, in the order in which it came."""
    statement = (
        select(EventRow)
        .join(EventOutboxRow, col(EventOutboxRow.seq) == col(EventRow.seq))
        .where(col(EventRow.source) == f"/{shop}", col(EventRow.type) == "tandem.stock.changed")
        .order_by(col(EventRow.seq))
    )
    async with UnitOfWork(database) as work:
        return [Event.model_validate(row.envelope) for row in await work.session.scalars(statement)]


def said(events: list[Event]) -> list[tuple[str | None, int]]:
    return [(event.data["sku_id"], event.data["available"]) for event in events]


async def test_sold_out_in_the_warehouse_is_told_of_the_shop_s_article_once(database: Database) -> None:
    await connect(database, SHOP, WAREHOUSE)
    await tell(database, goods(code="DT"), goods("m", "DT-M"), goods("l", "DT-L"))
    await tell(database, stock("coat", 7, "m", of=SHOP), stock("coat", 7, "l", of=SHOP))
    word = stock("DT", 0, "DT-M")
    await take_in(database, word)
    events = await heard(database)
    assert said(events) == [(None, 7), ("m", 0)]
    assert [event.subjects for event in events] == [
        ("goods:youzan/coat",),
        ("goods:youzan/coat", "sku:youzan/m"),
    ]
    await take_in(database, word)
    assert await heard(database) == events, "the same word, told again"
    await take_in(database, stock("DT", 9, "DT-L", version=2), stock("DT", 0, "DT-L", version=3))
    assert said((await heard(database))[2:]) == [(None, 0), ("l", 0)], "the newest word on it, once"


async def test_nothing_of_a_whole_article_is_told_of_each_of_its_variants(database: Database) -> None:
    await connect(database, SHOP, WAREHOUSE)
    await tell(database, goods(code="DT"), goods("m", "DT-M"), goods("l", "DT-L"))
    await take_in(database, stock("DT", 0))
    [event] = await heard(database)
    assert set(event.subjects) == {"goods:youzan/coat", "sku:youzan/m", "sku:youzan/l"}
    assert (event.data["available"], event.data["sku_id"]) == (0, None)


async def test_shops_that_the_warehouse_does_not_supply_are_told_nothing(database: Database) -> None:
    async with UnitOfWork(database) as work:
        for path in ("/east/", "/west/"):
            await Units(work).add(Unit(path=path, name=path))
    await connect(database, SHOP, unit="/east/")
    await connect(database, WAREHOUSE, unit="/west/")
    await tell(database, goods("m", "DT-M"), goods("l", "DT-L"))
    await take_in(database, stock("DT", 0, "DT-M"))
    assert await heard(database) == []
    await connect(database, "erp/east", unit="/")
    await take_in(database, stock("DT", 0, "DT-L", of="erp/east"), stock("other", 0, of="erp/east"))
    assert said(await heard(database)) == [("l", 0)], "of the whole article nothing is known"


async def test_what_has_no_code_is_told_by_the_shop_s_own_number(database: Database) -> None:
    await connect(database, SHOP, WAREHOUSE)
    await tell(database, goods("m"))
    await take_in(database, stock("coat", 0, "m"))
    assert said(await heard(database)) == [(None, 0), ("m", 0)]


async def test_variants_and_warehouses_of_one_moment_are_each_told(database: Database) -> None:
    await connect(database, SHOP, WAREHOUSE)
    await tell(database, goods("m"), goods("l"))
    await take_in(database, stock("coat", 0, "m", of=SHOP), stock("coat", 3, "l", of=SHOP))
    assert sorted(said(await heard(database))) == [("l", 3), ("m", 0)]
    await take_in(database, *(stock("coat", 0, "l", of=SHOP, place=each, version=2) for each in ("W1", "W2")))
    assert len(await heard(database)) == 4
