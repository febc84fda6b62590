"""What sales come to, against a recomputation by hand; and that sales are never changed."""

from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction
from random import Random
from typing import Any

import psycopg
import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from domain.settlement.attribution import Basis
from domain.settlement.exact import EXACT, WEIGHT, Rounding, rounded
from domain.settlement.scheme import Component, LineTest, Scheme, Weighting
from domain.settlement.scheme_reading import read_scheme
from domain.settlement.selling import WORD_FIELDS, Amounts, Sale, SaleKey
from storage.engine import Database
from storage.paging import PageRequest
from storage.sale_filters import Extent
from storage.sale_sums import SaleSums, Sold
from storage.sales import PARTS, Sales, part_of
from storage.unit_of_work import UnitOfWork

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)


def a_scheme(earns: str, **more: Any) -> Scheme:
    components = [{"title": each["name"], **each} for each in yaml.safe_load(earns)]
    head = {"name": "s", "title": "s", "cycle": "month", "from": "2026-01-01", "counts": "paid"}
    found = read_scheme({"scheme": {**head, **more, "earns": components}})
    assert found.scheme is not None, found.remarks
    return found.scheme


EVERYTHING = """
- {name: kept, of: kept, rate: '5%'}
- {name: paid-live, of: paid, where: {channel: [live, video]}, rate: '5%'}
- {name: deals, of: orders, each: '8.00'}
- {name: pieces, of: quantity, where: {category: coat, bonded: false}, each: '1.00'}
- name: weighted
  of: kept
  weights: [{where: {first: true}, times: '1.5'}, {where: {order-amount: {at-least: '5000.00'}}, times: '1.2'}]
  rate: '3%'
- {name: festival, of: kept, days: {from: 2026-05-10, until: 2026-05-12}, rate: '1%'}
- {name: by-line, of: kept, grain: line, rate: '3.3333%'}
- {name: unheard, of: kept, where: {influencer: nobody}, rate: '1%'}
- {name: coats, of: orders, where: {category: coat}, each: '8.00'}
- {name: not-bonded, of: orders, where: {bonded: false, channel: live}, each: '8.00'}
- name: weighted-orders
  of: orders
  weights: [{where: {category: coat, bonded: true}, times: '0.3'}, {where: {category: shoe}, times: '1.7'}]
  days: {from: 2026-05-03, until: 2026-05-25}
  each: '1.00'
- {name: rounded-orders, of: orders, where: {category: shoe}, grain: line, each: '1.00'}
"""
BY_ORDER = ("coats", "not-bonded", "weighted-orders", "rounded-orders")


def the_words(**known: str) -> tuple[str, ...]:
    return tuple(known.get(field, "") for field in WORD_FIELDS)


def a_sale(day: date, amount: int = 1, payee: int = 1, order: int = 1, **known: str) -> Sale:
    key = SaleKey("paid", day, payee, order, "a", amount, the_words(**known))
    return Sale(key, Amounts(amount, amount, 0, 1, 1))


def some_sales(pick: Random, count: int) -> list[Sale]:
    """Lines of orders, and differences of some of them."""
    made: list[Sale] = []
    for number in range(count):
        basis: Basis = pick.choice(("paid", "paid", "completed"))
        amount = pick.randrange(0, 900_000)
        key = SaleKey(
            basis=basis,
            day=MAY + timedelta(days=pick.randrange(-3, 35)),
            payee=pick.randrange(1, 40),
            order_key=number // 3,
            line_id=f"l{number}",
            order_minor=amount * 2,
            words=the_words(channel=pick.choice(("live", "video", "")), category=pick.choice(("coat", "shoe"))),
            is_first=pick.random() < 0.3,
            is_bonded=pick.random() < 0.2,
            paid_day=pick.choice((None, MAY + timedelta(days=pick.randrange(-20, 35)))),
        )
        made.append(Sale(key, Amounts(amount, amount, 0, pick.randrange(1, 5), int(number % 3 == 0))))
        if pick.random() < 0.3:
            made.append(Sale(key, Amounts(0, -pick.randrange(0, amount + 1), 0, -1, 0)))
    return made


def _passes(sale: Sale, tests: tuple[LineTest, ...]) -> bool:
    for test in tests:
        if test.flag is not None:
            fits = {"first": sale.of.is_first, "bonded": sale.of.is_bonded}[test.field] == test.flag
        elif test.values:
            fits = sale.of.words[WORD_FIELDS.index(test.field)] in test.values
        else:
            fits = (test.low is None or sale.of.order_minor >= test.low) and (
                test.high is None or sale.of.order_minor < test.high
            )
        if not fits:
            return False
    return True


def _counts(sale: Sale, component: Component) -> int:
    days = component.days
    if not _passes(sale, component.tests) or (days and not days[0] <= (sale.of.paid_day or sale.of.day) < days[1]):
        return 0
    amounts = sale.amounts
    measure = {
        "paid": amounts.paid_minor,
        "kept": amounts.kept_minor,
        "quantity": amounts.quantity,
        "orders": amounts.orders,
    }
    weight = next((each.weight for each in component.weightings if _passes(sale, each.tests)), WEIGHT)
    return measure[str(component.base)] * weight


def by_hand(scheme: Scheme, sales: list[Sale]) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for sale in sales:
        if sale.of.basis == scheme.counts and MAY <= sale.of.day < JUNE:
            for each in scheme.components:
                found[sale.of.payee][each.name] += 0 if each.name in BY_ORDER else _counts(sale, each)
    for each in scheme.components:
        if each.name in BY_ORDER:
            for (payee, _), weight in orders_by_hand(scheme, each, sales).items():
                found[payee][each.name] += weight
    return found


def orders_by_hand(scheme: Scheme, component: Component, sales: list[Sale]) -> dict[tuple[int, int], int]:
    """By payee and order: what the first weighting is worth that one of its lines fits, once, when one that is kept
    passes."""
    pieces: dict[SaleKey, int] = defaultdict(int)
    for sale in sales:
        pieces[sale.of] += sale.amounts.quantity
    places: dict[tuple[int, int], list[int]] = defaultdict(list)
    weights = [*component.weightings, Weighting((), WEIGHT)]
    for of, count in pieces.items():
        line = Sale(of, Amounts())
        on_time = component.days is None or component.days[0] <= (of.paid_day or of.day) < component.days[1]
        if count and of.basis == scheme.counts and MAY <= of.day < JUNE and on_time and _passes(line, component.tests):
            place = next(number for number, each in enumerate(weights) if _passes(line, each.tests))
            places[of.payee, of.order_key].append(place)
    return {key: weights[min(found)].weight for key, found in places.items()}


def _half_away(value: Fraction) -> int:
    size = int(abs(value) + Fraction(1, 2))
    return -size if value < 0 else size


def line_by_line(sales: list[Sale], payee: int, rate: Fraction) -> int:
    lines: dict[tuple[int, str], int] = defaultdict(int)
    for sale in sales:
        if sale.of.basis == "paid" and sale.of.payee == payee and MAY <= sale.of.day < JUNE:
            lines[sale.of.order_key, sale.of.line_id] += sale.amounts.kept_minor
    return sum(_half_away(amount * rate) for amount in lines.values())


async def summed(database: Database, scheme: Scheme, watermark: int, part: int | None = None) -> dict[int, Sold]:
    async with UnitOfWork(database) as work:
        rows = await SaleSums(work).by_payee(scheme, Extent(MAY, JUNE, watermark, part))
        return {each.payee: each for each in rows}


async def test_sums_are_what_a_recomputation_by_hand_gives(database: Database) -> None:
    pick = Random(7)
    sales = some_sales(pick, 1_500)
    async with UnitOfWork(database) as work:
        await Sales(work).add(sales)
    async with UnitOfWork(database) as work:
        mark = await Sales(work).watermark()
        await Sales(work).add(some_sales(pick, 50))  # after the freeze: nobody's business
    scheme = a_scheme(EVERYTHING)
    found, wanted = await summed(database, scheme, mark), by_hand(scheme, sales)
    assert set(found) == set(wanted)
    for payee, sold in found.items():
        assert {name: sold.bases.get(name, 0) for name in wanted[payee]} == wanted[payee]
        assert sold.by_line.get("rounded-orders", 0) == wanted[payee]["rounded-orders"] // 100
        assert sold.by_line["by-line"] == line_by_line(sales, payee, Fraction(33_333, 1_000_000))
    parts: dict[int, Sold] = {}
    for part in range(PARTS):
        piece = await summed(database, scheme, mark, part)
        assert all(part_of(payee) == part for payee in piece)
        parts |= piece
    assert parts == found


@pytest.mark.parametrize("rule", ["half-away", "half-even", "down", "up"])
async def test_lines_are_rounded_in_sql_as_elsewhere(database: Database, rule: Rounding) -> None:
    """Half a cent of five, fifteen, twenty-five, and what goes back of them."""
    amounts = [5, 15, 25, -5, -15, 7, 0, 999_999_999_999]
    sales = [a_sale(MAY, amount, order=number, channel="live") for number, amount in enumerate(amounts)]
    async with UnitOfWork(database) as work:
        await Sales(work).add(sales)
    scheme = a_scheme("[{name: x, of: kept, grain: line, rate: '10%'}]", rounding={"rule": rule})
    found = await summed(database, scheme, 10**6)
    wanted = sum(rounded(amount * WEIGHT * 100_000, EXACT, rule=rule) for amount in amounts)
    assert found[1].by_line == {"x": wanted}


def an_order_of_two(*categories: str, quantities: tuple[int, ...] = (1, 1)) -> list[Sale]:
    lines = zip("ab", categories, quantities, strict=True)
    return [
        Sale(
            SaleKey("paid", MAY, 1, 7, name, 9, the_words(category=category)),
            Amounts(1, 1, 0, pieces, int(name == "a")),
        )
        for name, category, pieces in lines
    ]


async def deals(database: Database, where: str) -> dict[str, int]:
    """What orders count with and without a condition, from all that was told so far."""
    scheme = a_scheme(
        f"[{{name: some, of: orders, where: {where}, each: '1.00'}}, {{name: all, of: orders, each: '1'}}]"
    )
    bases = (await summed(database, scheme, 10**6))[1].bases
    return {name: bases.get(name, 0) // WEIGHT for name in ("some", "all")}


@pytest.mark.parametrize("categories", [("保税", "coat"), ("coat", "保税"), ("保税", "保税")])
async def test_an_order_counts_once_by_any_of_its_lines(database: Database, categories: tuple[str, ...]) -> None:
    async with UnitOfWork(database) as work:
        await Sales(work).add(an_order_of_two(*categories))
    assert await deals(database, "{category: 保税}") == {"some": 1, "all": 1}
    assert await deals(database, "{category: [保税, coat]}") == {"some": 1, "all": 1}
    assert (await deals(database, "{category: shoe}"))["some"] == 0


async def test_a_line_that_went_back_or_is_of_another_kind_now_counts_no_more(database: Database) -> None:
    sold = an_order_of_two("coat", "保税")
    async with UnitOfWork(database) as work:
        await Sales(work).add([*sold, Sale(sold[1].of, Amounts(0, -1, 0, -1, 0))])
    assert await deals(database, "{category: 保税}") == {"some": 0, "all": 1}
    assert await deals(database, "{category: coat}") == {"some": 1, "all": 1}
    other = sold[0].of._replace(words=the_words(category="保税"))
    async with UnitOfWork(database) as work:
        await Sales(work).add([Sale(sold[0].of, Amounts(-1, -1, 0, -1, -1)), Sale(other, Amounts(1, 1, 0, 1, 1))])
    assert await deals(database, "{category: 保税}") == {"some": 1, "all": 1}
    assert await deals(database, "{category: coat}") == {"some": 0, "all": 1}


async def test_a_buyer_whom_nobody_knows_comes_neither_first_nor_again(database: Database) -> None:
    sales = [a_sale(MAY, order=number) for number in range(3)]
    firsts = (True, False, None)
    async with UnitOfWork(database) as work:
        await Sales(work).add(
            [Sale(each.of._replace(is_first=first), each.amounts) for each, first in zip(sales, firsts, strict=True)]
        )
    for flag in ("true", "false"):
        assert await deals(database, f"{{first: {flag}}}") == {"some": 1, "all": 3}
        assert await deals(database, f"{{first: {flag}, bonded: false}}") == {"some": 1, "all": 3}
    async with UnitOfWork(database) as work:
        told = await Sales(work).told([0, 1, 2], [MAY], [1])
    assert {each.of.order_key: each.of.is_first for each in told} == {0: True, 1: False, 2: None}


@pytest.mark.parametrize("where", ["", "where: {category: coat}, "])
async def test_lines_are_listed_of_more_sellers_than_a_statement_has_parameters(database: Database, where: str) -> None:
    """Of orders by what their lines are, each of whom is asked for twice."""
    many = range(1, 70_001)
    async with UnitOfWork(database) as work:
        await Sales(work).add([a_sale(MAY, payee=many[-1], order=1, category="coat")])
        since = await Sales(work).watermark()
        await Sales(work).add([a_sale(MAY, payee=payee, order=payee, category="coat") for payee in (2, 80_000)])
    scheme = a_scheme(f"[{{name: deals, of: orders, {where}each: '1.00'}}]")
    extent = Extent(MAY, JUNE, 10**6, payees=many, since=since)
    async with UnitOfWork(database) as work:
        found = await SaleSums(work).lines(scheme, scheme.components[0], extent, PageRequest(10))
    assert [each.payee for each in found.items] == [2]


async def test_nobody_changes_a_sale(database: Database, database_url: str) -> None:
    """The application may not, and the owner is stopped by the table itself."""
    async with UnitOfWork(database) as work:
        await Sales(work).add([a_sale(MAY)])
    for statement in (
        "UPDATE sales SET kept_minor = 0",
        "DELETE FROM sales",
        "TRUNCATE sales",
        "UPDATE sales_2026_05 SET kept_minor = 0",
        f"DELETE FROM sales_2026_05_{part_of(1):02}",
        f"TRUNCATE sales_2026_05_{part_of(1):02}",
    ):
        with pytest.raises(SQLAlchemyError, match="permission denied"):
            async with UnitOfWork(database) as work:
                await work.session.execute(text(statement))
        with pytest.raises(psycopg.Error, match="only ever added to"):
            async with await psycopg.AsyncConnection.connect(database_url) as connection:
                await connection.execute(statement.encode())


async def test_months_are_made_as_they_are_needed(database: Database) -> None:
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 2, 28)]
    async with UnitOfWork(database) as work:
        await Sales(work).add([])
        await Sales(work).add([a_sale(day) for day in days])
        await Sales(work).add([a_sale(day, payee=2) for day in days])
        assert await work.session.scalar(text("SELECT count(*) FROM sales")) == 6
