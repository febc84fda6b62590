"""What is behind a sum, to the last line, fact and person: page after page, and together the sum itself."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

import pytest

from domain.problems import NotFoundProblem, ValidationProblem
from domain.settlement.payees import NewPayee, UplineChange
from services.earning_explanations import FIRST_SHOWN, ExplainedEarning
from services.payee_accounts import PayeeAccounts
from services.settlement_views import EarningName, SettlementViews
from storage.paging import Page, PageRequest
from tests.services.test_calculations import MAY, QIAN, Office, office
from tests.services.test_selling import a_refund, an_order
from tests.services.test_settlement_runs import Books

__all__ = ["office"]
Item = TypeVar("Item")

BY_LINE = """
scheme:
  name: promoters
  version: 2.0.0
  title: 推广员
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter, city] }}
  earns:
    - {{ name: lines, title: 逐笔, of: kept, roles: [promoter], rate: '3.33%', grain: line }}
    - {{ name: fees, title: 逐笔扣, of: orders, roles: [promoter], each: '0.35', grain: line, deducts: true }}
    - {{ name: below, title: 下级, of: kept, level: 1, roles: [city], rate: '1%' }}
    - {{ name: first, title: 开业, of: visits, days: {{ from: 2026-05-02, until: 2026-05-03 }}, each: '2.00' }}
    - {{ name: mark, title: 考核, of: score, score: service, each: '1.00' }}
"""


async def explained(office: Office, calculation: UUID, code: str) -> dict[str, ExplainedEarning]:
    found = await SettlementViews(office.database).explain(QIAN, calculation, code)
    assert found.amount_minor == sum(each.amount_minor for each in found.earnings)
    return {each.component: each for each in found.earnings}


async def whole(
    first: ExplainedEarning,
    code: str,
    fetch: Callable[..., Awaitable[Page[Item]]],
    size: int = 7,
) -> list[Item]:
    """A list from its beginning, in small pages."""
    named = EarningName(first.calculation, code, first.component, first.before)
    items: list[Item] = []
    cursor = None
    while True:
        page = await fetch(QIAN, named, PageRequest(size, cursor))
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            return items
        assert len(page.items) == size


async def test_every_line_is_listed_however_many_there_are(office: Office) -> None:
    orders = [an_order(f"E{number:03}", channel="P1", paid_minor=1_000 + number) for number in range(40)]
    await office.told(*orders, a_refund(333).model_copy(update={"order_id": "E007"}))
    views = SettlementViews(office.database)
    sales = (await explained(office, await office.preview(), "P1"))["sales"]
    assert (len(sales.lines), sales.facts, sales.is_difference) == (FIRST_SHOWN, [], False)
    lines = await whole(sales, "P1", views.lines)
    assert len({(each.order_id, each.line_id) for each in lines}) == len(lines) == 80
    assert lines[:FIRST_SHOWN] == list(sales.lines)
    assert sum(Decimal(each.counted) for each in lines) == Decimal(sales.base)
    assert {each.payee for each in lines} == {"P1"}
    named = EarningName(sales.calculation, "P1", "sales")
    rest = await views.lines(QIAN, named, PageRequest(200, sales.lines_cursor))
    assert [*sales.lines, *rest.items] == lines


async def test_lines_that_are_rounded_one_by_one_show_what_each_comes_to(office: Office) -> None:
    await office.scheme(text=BY_LINE)
    amounts = [1_015, 2_030, 3_045, 4_075, 1]
    await office.told(*(an_order(f"E{n}", channel="P1", paid_minor=amount) for n, amount in enumerate(amounts)))
    found = await explained(office, await office.preview(), "P1")
    lines = found["lines"]
    assert sum(each.amount_minor or 0 for each in lines.lines) == lines.amount_minor
    assert len({each.amount_minor for each in lines.lines}) > 3
    fees = found["fees"]
    assert [each.amount_minor for each in fees.lines] == [-35] * 5
    assert fees.amount_minor == -175


async def test_a_difference_of_such_lines_adds_up_to_what_changed(office: Office) -> None:
    await office.scheme(text=BY_LINE)
    await office.told(an_order(channel="P1", paid_minor=1_015), an_order("E2", channel="P1", paid_minor=2_030))
    books = Books(office)
    await books.settled()
    await office.told(a_refund(100, 1, "2"), an_order("E3", channel="P1", paid_minor=3_047))
    await books.settled()
    account = await PayeeAccounts(office.database).explain(QIAN, "promoters", MAY, "P1")
    change = next(each for each in account.entries[-1].changes if each.earning.component == "lines")
    assert change.earning.is_difference
    assert {each.order_id for each in change.earning.lines} == {"E1", "E3"}, "E2 is as it was"
    assert sum(each.amount_minor or 0 for each in change.earning.lines) == change.change_minor


async def test_visits_and_scores_are_listed_with_those_that_count(office: Office) -> None:
    await office.scheme(text=BY_LINE)
    for day in range(3):
        await office.note("visits", {"P1": 10 + day}, MAY + timedelta(days=day))
    await office.note("visits", {"P1": -1}, MAY + timedelta(days=1))
    await office.note("service", {"P1": 60})
    await office.note("service", {"P1": 90})
    await office.note("service", {"P2": 1})
    found = await explained(office, await office.preview(), "P1")
    first, mark = found["first"], found["mark"]
    assert [(each.amount, str(each.day), each.counts) for each in first.facts] == [
        (11, "2026-05-02", True),
        (-1, "2026-05-02", True),
    ]
    assert (first.base, first.amount_minor) == ("10", 2_000)
    assert [(each.name, each.amount, each.counts) for each in mark.facts] == [
        ("service", 60, False),
        ("service", 90, True),
    ]
    assert mark.facts[0].noted_by == "qian"
    paged = await whole(mark, "P1", SettlementViews(office.database).facts, 1)
    assert paged == list(mark.facts)
    # The coefficient of what a city earns goes by a score, too.
    await office.scheme("3.0.0")
    await office.told(an_order(channel="P1"))
    await office.note("service", {"C1": 95})
    city = (await explained(office, await office.preview(), "C1"))["city"]
    assert [(each.name, each.amount) for each in city.facts] == [("service", 95)]


async def test_what_is_earned_by_others_lists_every_one_of_them(office: Office) -> None:
    codes = [f"Q{number:02}" for number in range(70)]
    await office.register.put(QIAN, [NewPayee(code=code, name=code, role="promoter") for code in codes])
    await office.register.set_uplines(QIAN, [UplineChange(code=code, upline="C1", since=MAY) for code in codes])
    await office.note("visits", dict.fromkeys(codes, 1))
    await office.told(an_order(channel="P1"), an_order("E2", channel="P3", paid_minor=100))
    views = SettlementViews(office.database)
    city = (await explained(office, await office.preview(), "C1"))["city"]
    assert [(each.payee, each.level, each.amount_minor) for each in city.below] == [("P1", 1, 1_500), ("P3", 1, 5)]
    everybody = SCHEME_OF_VISITS
    await office.scheme(text=everybody)
    city = (await explained(office, await office.preview(), "C1"))["team"]
    assert (len(city.below), city.below_cursor is not None) == (FIRST_SHOWN, True)
    below = await whole(city, "C1", views.below)
    assert {each.payee for each in below} == set(codes)
    assert sum(each.amount_minor for each in below) == 70 * 150


SCHEME_OF_VISITS = """
scheme:
  name: promoters
  version: 4.0.0
  title: 推广员
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: {{ roles: [promoter, city] }}
  earns:
    - {{ name: visits, title: 到店, of: visits, roles: [promoter], each: '1.50' }}
    - {{ name: team, title: 团队, roles: [city], overrides: {{ of: visits, levels: ['10%'] }} }}
"""


async def test_sales_of_a_downline_say_whose_they_are_and_a_change_who_earned_something_else(office: Office) -> None:
    await office.scheme(text=BY_LINE)
    await office.told(an_order(channel="P1"), an_order("E2", channel="P3"))
    below = (await explained(office, await office.preview(), "C1"))["below"]
    assert [(each.order_id, each.payee) for each in below.lines[::2]] == [("E1", "P1"), ("E2", "P3")]
    await office.scheme("5.0.0")
    books = Books(office)
    await books.settled()
    await office.told(a_refund(10_000, 1, "2"))
    await books.settled()
    account = await PayeeAccounts(office.database).explain(QIAN, "promoters", MAY, "C1")
    (change,) = account.entries[-1].changes
    assert [(each.payee, each.before_minor, each.amount_minor) for each in change.earning.below] == [
        ("P1", 1_500, 1_000)
    ], "P3 earned what they earned before"


async def test_what_is_not_there_is_refused(office: Office) -> None:
    await office.told(an_order(channel="P1"))
    calculation, june = await office.preview(), await office.preview(day=MAY + timedelta(days=40))
    views = SettlementViews(office.database)
    for named in (
        EarningName(UUID(int=5), "P1", "sales"),
        EarningName(calculation, "nobody", "sales"),
        EarningName(calculation, "P1", "nothing"),
        EarningName(calculation, "P1", "floor-and-cap"),
        EarningName(calculation, "P1", "sales", UUID(int=5)),
    ):
        with pytest.raises(NotFoundProblem):
            await views.lines(QIAN, named, PageRequest())
    with pytest.raises(ValidationProblem):
        await views.lines(QIAN, EarningName(calculation, "P1", "sales", june), PageRequest())
    of_another_list = (await views.list(QIAN, PageRequest(1))).next_cursor
    for cursor in ("soon", of_another_list, "WyJjb3VudGVkLWxpbmVzIiwxZTQwMCwiYSIsMV0"):
        with pytest.raises(ValidationProblem):
            await views.lines(QIAN, EarningName(calculation, "P1", "sales"), PageRequest(5, cursor))
