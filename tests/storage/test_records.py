"""Records: the newest state wins field by field, in whatever order and company states come."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError

from domain.canonical import Buyer, Delivery, MemberData, OrderData, OrderLine, RefundData, StockData
from domain.customers.folding import fold
from domain.customers.records import Record, record_of
from domain.events import Event
from storage.engine import Database
from storage.records import Records, Written
from storage.unit_of_work import UnitOfWork

AT = datetime(2026, 11, 11, tzinfo=UTC)
ORIGIN = {"platform": "youzan", "account": "flagship"}
LINE = OrderLine(line_id="1", title="羊毛大衣", quantity=1, price_minor=29_900, total_minor=29_900)
CREATED = OrderData(**ORIGIN, version=1, order_id="E1", status="unpaid", created_at=AT, lines=(LINE,))
PAID = OrderData(
    **ORIGIN,
    version=2,
    order_id="E1",
    status="paid",
    paid_minor=29_900,
    paid_at=AT + timedelta(minutes=2),
    buyer=Buyer(buyer_id="B1"),
    delivery=Delivery(province="浙江省", name_ciphertext="$n$1$"),
)
SHIPPED = OrderData(**ORIGIN, version=3, order_id="E1", status="shipped", delivery=Delivery(province="浙江省"))
UNCLEAR = OrderData(**ORIGIN, version=4, order_id="E1", status="unknown")
REFUND = RefundData(**ORIGIN, version=9, refund_id="R1", order_id="E1", status="refunded", amount_minor=10_000)


def event(name: str, data: Any) -> Event:
    return Event(id="1", source="/youzan/flagship", type=f"tandem.{name}", time=AT, data=data.model_dump(mode="json"))


def of(name: str, data: Any) -> Record:
    record = record_of(event(name, data), AT)
    assert record is not None
    return record


STATES = tuple(of("order.updated", each) for each in (CREATED, PAID, SHIPPED, UNCLEAR))


async def write(database: Database, records: Sequence[Record]) -> Written:
    folded = fold(records)
    async with UnitOfWork(database) as work:
        return await Records(work).write(folded, [None] * len(folded), {})


async def order(database: Database) -> dict[str, Any]:
    async with UnitOfWork(database) as work:
        row = (await work.session.execute(text("SELECT * FROM orders"))).mappings().one()
        lines = (await work.session.execute(text("SELECT title, quantity FROM order_lines"))).all()
    kept = {name: value for name, value in row.items() if name not in ("id", "buyer", "receiver", "told_at")}
    return {**kept, "sealed": (row["buyer"] is not None, row["receiver"] is not None), "lines": list(map(tuple, lines))}


async def test_the_end_is_the_same_in_every_order(database: Database) -> None:
    ends = []
    for states in permutations(STATES):
        for cut in (0, 1, 2, 4):
            async with UnitOfWork(database) as work:
                await work.session.execute(text("DELETE FROM orders"))
            await write(database, states[:cut])
            await write(database, states[cut:])
            ends.append(await order(database))
    assert all(end == ends[0] for end in ends)
    assert (ends[0]["status"], ends[0]["paid_minor"], ends[0]["version"]) == ("shipped", 29_900, 3)
    assert ends[0]["lines"] == [("羊毛大衣", 1)]
    assert ends[0]["sealed"] == (True, True)


async def test_of_two_states_told_in_one_instant_the_further_one_stays(database: Database) -> None:
    unpaid, paid = (of("order.updated", each.model_copy(update={"version": 7})) for each in (CREATED, PAID))
    for states in permutations((unpaid, paid)):
        for cut in (0, 1):
            async with UnitOfWork(database) as work:
                await work.session.execute(text("DELETE FROM orders"))
            await write(database, states[:cut])
            await write(database, states[cut:])
            end = await order(database)
            assert (end["status"], end["paid_minor"], end["version"], end["lines"]) == (
                "paid", 29_900, 7, [("羊毛大衣", 1)],
            )  # fmt: skip


async def test_what_is_known_already_changes_nothing(database: Database) -> None:
    assert (await write(database, STATES)).new == 1
    again = await write(database, STATES[:2])
    assert (again.new, again.changed, again.stale) == (0, 0, 1)


async def test_refund_and_order_find_each_other_whoever_comes_first(database: Database) -> None:
    refund = of("refund.succeeded", REFUND)
    for first, second in ((refund, STATES[1]), (STATES[1], refund)):
        async with UnitOfWork(database) as work:
            await work.session.execute(text("DELETE FROM refunds"))
            await work.session.execute(text("DELETE FROM orders"))
        await write(database, [first])
        await write(database, [second])
        assert (await order(database))["refunded_minor"] == 10_000


async def test_stock_is_kept_by_warehouse_and_the_newest_of_each_stays(database: Database) -> None:
    told = ((7, "north", 3), (9, "north", 0), (8, "north", 5), (6, "south", 4), (5, None, 9))
    for version, warehouse, left in told:
        data = StockData(**ORIGIN, version=version, item_id="I1", sku_id="S1", warehouse=warehouse, available=left)
        await write(database, [of("stock.changed", data)])
    async with UnitOfWork(database) as work:
        found = (await work.session.execute(text("SELECT warehouse, available FROM stock ORDER BY warehouse"))).all()
        assert (await work.session.execute(text("SELECT count(*) FROM goods"))).scalar_one() == 0
    assert list(map(tuple, found)) == [("", 9), ("north", 0), ("south", 4)]


@pytest.mark.parametrize("unstorable", ["\x00", "\ud800"])
async def test_a_text_that_no_database_keeps_is_the_database_s_to_refuse(database: Database, unstorable: str) -> None:
    data = MemberData(**ORIGIN, version=1, member_id="M1").model_dump(mode="json")
    told = Event(
        id="1", source="/s", type="tandem.member.updated", time=AT, data={**data, "attributes": {"pet": unstorable}}
    )
    record = record_of(told, AT)
    assert record is not None
    with pytest.raises(DataError):
        await write(database, [record])
