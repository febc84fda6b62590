"""What an order counts for: once, by the lines that are kept, as it was found when it began to count."""

from datetime import timedelta
from typing import Any

import pytest

from domain.access import Role
from domain.canonical import Buyer, OrderLine, RefundData
from services.settlement_reports import ReportService, Wanted
from services.settlement_views import SettlementViews
from storage.paging import PageRequest
from tests.actors import an_actor
from tests.services.test_calculations import Office, office
from tests.services.test_selling import MAY, NOW, RULES, WHOLE, Counter, a_refund, an_order, counter
from tests.services.test_settlement_runs import Books

__all__ = ["counter", "office"]
QIAN = an_actor("qian", Role.FINANCE)
BONDED = RULES.rstrip() + "\n  bonded: {{ categories: [{categories}] }}\n"
SCHEME = """
scheme:
  name: promoters
  version: {version}
  title: 跨境
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter] }}
  earns:
    - {{ name: warehouse, title: 保税仓, of: orders, where: {{ bonded: true }}, each: '3.50', deducts: true }}
    - {{ name: pieces, title: 件, of: quantity, each: '1.00' }}
    - {{ name: again, title: 回头客, of: orders, where: {{ first: false }}, each: '0.07' }}
    - name: weighted
      title: 加权
      of: orders
      weights: [{{ where: {{ category: 保税 }}, times: 2 }}, {{ where: {{ category: coat }}, times: 3 }}]
      each: '1.00'
"""


def sold(*categories: str | None, **more: Any) -> Any:
    """An order with a line of 100.00 for each category."""
    lines = tuple(
        OrderLine(
            line_id=str(number),
            item_id=f"i{number}",
            title="t",
            category=category,
            quantity=1,
            price_minor=10_000,
            total_minor=10_000,
        )
        for number, category in enumerate(categories, start=1)
    )
    return an_order(**{"lines": lines, "paid_minor": 10_000 * len(lines), "channel": "P1", **more})


async def publish(counter: Counter, version: str, *categories: str) -> None:
    await counter.publish(version, BONDED.replace("{categories}", ", ".join(categories)))
    await counter.settle()


@pytest.fixture
async def abroad(office: Office) -> Office:
    await office.scheme("2.0.0", text=SCHEME)
    await publish(office, "2.0.0", "保税")
    return office


async def earned(office: Office) -> dict[str, int]:
    return (await office.earned(await office.preview())).get("P1", {})


@pytest.mark.parametrize("categories", [("coat", "保税"), ("保税", "coat"), ("保税", "保税"), (None, "coat", "保税")])
async def test_a_fee_for_an_order_is_taken_whichever_of_its_lines_asks_for_it(
    abroad: Office, categories: tuple[str | None, ...]
) -> None:
    await abroad.told(sold(*categories))
    found = await earned(abroad)
    assert (found["warehouse"], found["weighted"]) == (-350, 200)


async def test_a_line_that_went_back_is_no_reason_any_more(abroad: Office) -> None:
    await abroad.told(sold("保税", "coat"))
    await abroad.told(a_refund(10_000, 1, "1"))
    found = await earned(abroad)
    assert (found.get("warehouse", 0), found["weighted"]) == (0, 300)
    await abroad.told(a_refund(20_000, 2, "1"))
    assert await earned(abroad) == {}


async def test_the_line_that_is_the_reason_is_told(abroad: Office) -> None:
    await abroad.told(sold("coat", "保税"), sold("保税", "coat", number="E2"), sold("coat", number="E3"))
    calculation = await abroad.preview()
    found = await SettlementViews(abroad.database).explain(QIAN, calculation, "P1")
    lines = {
        each.component: [(line.order_id, line.line_id, line.counted) for line in each.lines] for each in found.earnings
    }
    assert lines["warehouse"] == [("E1", "2", "1"), ("E2", "1", "1")]
    assert lines["weighted"] == [("E1", "2", "2"), ("E2", "1", "2"), ("E3", "1", "3")]


FEE = """
scheme:
  name: promoters
  version: {version}
  title: 跨境
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter, city] }}
  earns:
    - {{ name: fee, title: 费, of: orders, where: {{ bonded: true }}, each: '3.50', roles: [promoter] }}
    - {{ name: below, title: 下级, of: orders, level: 1, where: {{ bonded: true }}, each: '0.10', roles: [city] }}
"""


async def test_reports_have_the_fee_where_its_reason_is(abroad: Office) -> None:
    await abroad.scheme("3.0.0", text=FEE)
    await abroad.told(sold("coat", "保税"), sold("保税", "保税", number="E2"), sold("coat", number="E3"))
    await Books(abroad).settled()
    reports = ReportService(abroad.database)

    async def earned(name: str, *of: str) -> dict[str, int]:
        found = await reports.page(QIAN, name, Wanted(MAY, "promoters"), PageRequest(50))
        return {"/".join(str(row[each]) for each in of): row["earned"] for row in found.rows.items}

    assert await earned("categories", "category") == {"保税": 720, "coat": 0}
    assert await earned("goods", "article") == {"i1": 360, "i2": 360}
    assert await earned("orders", "order") == {
        "youzan/flagship/E1": 360,
        "youzan/flagship/E2": 360,
        "youzan/flagship/E3": 0,
    }
    for each in await reports.tie_out(QIAN, Wanted(MAY, "promoters")):
        assert each.difference == 0, each


async def test_rules_that_are_rewritten_ask_no_fee_for_what_was_sold_before(abroad: Office) -> None:
    await abroad.told(sold("保税", number="E1"), sold("coat", number="E2"), sold(None, number="E3"))
    before, rows = await earned(abroad), await abroad.rows()
    assert before["warehouse"] == -350
    await publish(abroad, "3.0.0", "coat")
    assert (await earned(abroad), await abroad.rows()) == (before, rows)
    # Nor when something of these orders changes later; what is sold from now on goes by the new rules.
    await abroad.told(sold("保税", number="E1", version=2, paid_minor=9_000))
    await abroad.told(sold("coat", number="E2", version=2, paid_minor=9_000), sold("coat", number="E4"))
    assert (await earned(abroad))["warehouse"] == -700


async def test_a_category_that_is_filled_in_later_tells_what_it_tells(abroad: Office) -> None:
    await abroad.told(sold(None))
    assert "warehouse" not in await earned(abroad)
    await abroad.told(sold("保税", version=2))
    assert (await earned(abroad))["warehouse"] == -350


async def test_a_line_that_is_split_between_two_stays_as_it_was_found(abroad: Office) -> None:
    """Also when all that was told of it came to nothing in between."""
    await abroad.told(sold("保税"))
    await abroad.told(sold("保税", version=2, status="closed"))
    await publish(abroad, "3.0.0", "coat")
    await abroad.told(sold("保税", version=3, status="completed"))
    assert (await earned(abroad))["warehouse"] == -350


async def test_who_nobody_knows_comes_neither_first_nor_again(abroad: Office) -> None:
    stranger = sold("coat", number="E1", buyer=Buyer())
    await abroad.told(stranger)
    assert "again" not in await earned(abroad)
    await abroad.told(sold("coat", number="E2"), sold("coat", number="E3", paid_at=NOW + timedelta(hours=1)))
    assert (await earned(abroad))["again"] == 7
    # Once it is known whose it is, it was theirs all along: they had bought before.
    later = NOW + timedelta(hours=2)
    await abroad.told(sold("coat", number="E1", version=2, paid_at=later), at=later)
    assert (await earned(abroad))["again"] == 14


@pytest.mark.parametrize("refunded", [0, 10_000, 30_000])
async def test_an_order_that_was_paid_and_closed_is_nobodys_sale(counter: Counter, refunded: int) -> None:
    await counter.told(an_order())
    if refunded:
        await counter.told(a_refund(refunded))
    await counter.told(an_order(version=2, status="closed"))
    nothing = (30_000, 0, 0, 0)
    assert await counter.sold() == {"P1 paid": nothing, "S1 paid": nothing}
    # A platform that opens it again says so.
    await counter.told(an_order(version=3, status="shipped"))
    if not refunded:
        assert (await counter.sold())["P1 paid"] == WHOLE


async def test_an_order_that_is_first_told_when_it_is_closed(counter: Counter) -> None:
    await counter.told(an_order(status="closed"), an_order("E2", status="closed", paid_at=None))
    assert (await counter.sold())["P1 paid"] == (30_000, 0, 0, 0)


async def test_pinduoduo_closes_an_order_by_any_refund_and_what_that_was_for_is_told(counter: Counter) -> None:
    shop: dict[str, Any] = {"platform": "pinduoduo", "account": "shop"}
    await counter.told(an_order(status="closed", **shop))
    assert (await counter.sold())["P1 paid"] == (30_000, 0, 0, 0)
    told = {"refund_id": "R1", "order_id": "E1", "status": "refunded", "occurred_at": NOW, **shop}
    await counter.told(RefundData(version=1, amount_minor=10_000, **told))
    assert (await counter.sold())["P1 paid"][:2] == (30_000, 20_000)
    await counter.told(RefundData(version=2, amount_minor=30_000, **told))
    assert (await counter.sold())["P1 paid"] == (30_000, 0, 0, 0)


async def test_of_three_pieces_two_stay_when_the_price_of_one_is_refunded(counter: Counter) -> None:
    three = OrderLine(line_id="1", title="t", quantity=3, price_minor=10_000, total_minor=30_000)
    await counter.told(an_order(lines=(three,)))
    for version, (refund, pieces) in enumerate([(9_900, 3), (10_000, 2), (20_000, 1), (30_000, 0)], start=1):
        await counter.told(a_refund(refund, version, "1"))
        assert (await counter.sold())["P1 paid"][2] == pieces
