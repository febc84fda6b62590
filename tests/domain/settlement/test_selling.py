"""What orders come to in sales: nothing is lost by cutting, and what went back is taken off where it belongs."""

from collections import defaultdict
from datetime import UTC, date, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.settlement.attribution import AttributionRules, Shares
from domain.settlement.selling import (
    WORD_FIELDS,
    Amounts,
    Sale,
    SoldLine,
    SoldOrder,
    WentBack,
    differences,
    sales_of,
)

MAY = date(2026, 5, 1)
RULES = AttributionRules("orders", "1.0.0", ("completed",), MAY, {}, frozenset({"tmall/hk"}), frozenset({"奶粉"}))
ALONE: list[Shares] = [((1, 10_000),)]


def line(line_id: str = "1", total: int = 10_000, quantity: int = 1, **more: Any) -> SoldLine:
    return SoldLine(line_id, quantity, total, **more)


def an_order(*lines: SoldLine, paid: int | None = None, refunds: Any = (), **more: Any) -> SoldOrder:
    head: dict[str, Any] = {
        "order_key": 7,
        "shop": "youzan/flagship",
        "paid_minor": paid,
        "postage_minor": None,
        "lines": lines or (line(),),
        "refunds": refunds,
        "days": {"completed": MAY},
        "currency": "CNY",
    }
    return SoldOrder(**{**head, **more})


def amounts(sales: list[Sale]) -> list[tuple[int, ...]]:
    return [
        (each.amounts.paid_minor, each.amounts.kept_minor, each.amounts.quantity, each.amounts.orders) for each in sales
    ]


def back(amount: int, *lines: str, number: str = "r") -> WentBack:
    return WentBack(number, amount, datetime(2026, 5, 2, tzinfo=UTC), lines)


def test_what_was_taken_off_the_order_is_taken_off_its_lines_and_postage_is_no_sale() -> None:
    order = an_order(line("a", 20_000), line("b", 10_000), paid=25_600, postage_minor=600)
    sales = sales_of(order, ALONE, RULES)
    assert amounts(sales) == [(16_667, 16_667, 1, 1), (8_333, 8_333, 1, 0)]
    assert {each.of.order_minor for each in sales} == {25_000}


def test_a_refund_takes_from_the_lines_that_it_names_and_the_rest_was_postage() -> None:
    lines = (line("a", 20_000, 2), line("b", 10_000))
    assert amounts(sales_of(an_order(*lines, refunds=[back(10_000, "b")]), ALONE, RULES)) == [
        (20_000, 20_000, 2, 1),
        (10_000, 0, 0, 0),
    ]
    assert amounts(sales_of(an_order(*lines, refunds=[back(13_000, "b")]), ALONE, RULES))[0] == (20_000, 17_000, 2, 1)
    gone = sales_of(an_order(*lines, refunds=[back(99_000)]), ALONE, RULES)
    assert amounts(gone) == [(20_000, 0, 0, 0), (10_000, 0, 0, 0)]


def test_a_gift_stays_with_an_order_that_is_kept() -> None:
    lines = (line("a", 0), line("b", 10_000))
    assert amounts(sales_of(an_order(*lines, paid=10_000), ALONE, RULES)) == [(0, 0, 1, 1), (10_000, 10_000, 1, 0)]
    gone = sales_of(an_order(*lines, paid=10_000, refunds=[back(10_000)]), ALONE, RULES)
    assert [each.amounts.quantity for each in gone] == [0, 0]


def test_the_deal_is_with_the_first_line_that_is_kept() -> None:
    lines = (line("1", 10_000), line("2", 10_000))
    assert amounts(sales_of(an_order(*lines, refunds=[back(10_000, "1")]), ALONE, RULES)) == [
        (10_000, 0, 0, 0),
        (10_000, 10_000, 1, 1),
    ]
    gift = (line("1", 0), line("2", 10_000))
    assert [each.amounts.orders for each in sales_of(an_order(*gift), ALONE, RULES)] == [1, 0]


def test_of_an_order_that_was_closed_nothing_is_kept() -> None:
    lines = (line("a", 20_000, 2), line("b", 0), line("c", 10_000))
    for refunds in ([], [back(10_000, "c")], [back(30_000)]):
        closed = sales_of(an_order(*lines, refunds=refunds, is_closed=True), ALONE, RULES)
        assert amounts(closed) == [(20_000, 0, 0, 0), (0, 0, 0, 0), (10_000, 0, 0, 0)]
    free = sales_of(an_order(line("a", 0), is_closed=True), ALONE, RULES)
    assert amounts(free) == [(0, 0, 0, 0)]


@pytest.mark.parametrize(
    ("quantity", "paid", "refunded", "pieces"),
    [
        (3, 30_000, 0, 3),
        (3, 30_000, 9_999, 3),
        (3, 30_000, 10_000, 2),
        (3, 30_000, 20_001, 1),
        (3, 30_000, 29_999, 1),
        (3, 30_000, 30_000, 0),
        # A third of 100.00 is refunded as 33.33 and 66.66.
        (3, 10_000, 3_332, 3),
        (3, 10_000, 3_333, 2),
        (3, 10_000, 6_666, 1),
        (1, 10_000, 9_999, 1),
        (9, 2, 0, 9),
    ],
)
def test_a_piece_went_back_when_its_whole_price_did(quantity: int, paid: int, refunded: int, pieces: int) -> None:
    refunds = [back(refunded)] if refunded else []
    (sale,) = sales_of(an_order(line("a", paid, quantity), refunds=refunds), ALONE, RULES)
    assert sale.amounts.quantity == pieces


def test_several_share_amounts_and_one_has_the_deal() -> None:
    owners: list[Shares] = [((2, 7_000), (1, 2_000)), ((9, 10_000),)]
    sales = sales_of(an_order(line(total=9_999, quantity=3)), owners, RULES)
    assert [(each.of.payee, *amounts([each])[0]) for each in sales] == [
        (2, 6_999, 6_999, 3, 1),
        (1, 2_000, 2_000, 0, 0),
        (9, 9_999, 9_999, 3, 1),
    ]


def test_an_order_in_another_currency_is_worth_what_it_was_then() -> None:
    """TigerBeetle's example: 100.00 at 82.42135 are 8242.14, half a unit rounded away from zero."""
    order = an_order(line(total=10_000), currency="USD", rate=(8_242_135, 100_000))
    (sale,) = sales_of(order, ALONE, RULES)
    assert sale.amounts == Amounts(824_214, 824_214, 10_000, 1, 1)
    assert sale.of.words[WORD_FIELDS.index("currency")] == "USD"


def test_what_ships_from_a_bonded_warehouse() -> None:
    lines = (line("a", category="奶粉"), line("b", category="米粉"))
    assert [each.of.is_bonded for each in sales_of(an_order(*lines), ALONE, RULES)] == [True, False]
    assert all(each.of.is_bonded for each in sales_of(an_order(*lines, shop="tmall/hk"), ALONE, RULES))


def test_what_counted_before_ships_as_it_was_found_then() -> None:
    """Of `a` and `b` it was known; of `c` only that nothing was known of its category; `d` is new."""
    lines = (
        line("a", category="奶粉"),
        line("b", category="米粉"),
        line("c", category="奶粉"),
        line("d", category="奶粉"),
    )
    found: dict[str, bool | None] = {"a": False, "b": True, "c": None}
    sales = sales_of(an_order(*lines, bonded=found), ALONE, RULES)
    assert [each.of.is_bonded for each in sales] == [False, True, True, True]
    (unknown,) = sales_of(an_order(line("c"), bonded={"c": None}, shop="tmall/hk"), ALONE, RULES)
    assert not unknown.of.is_bonded, "the shop was no reason when the line began to count"


def test_an_order_counts_on_the_days_that_it_has_come_to() -> None:
    both = RULES._replace(counts=("paid", "completed"))
    days = {"paid": date(2026, 4, 30), "completed": MAY}
    assert [each.of.day for each in sales_of(an_order(days=days), ALONE, both)] == [date(2026, 4, 30), MAY]
    assert [each.of.basis for each in sales_of(an_order(days={"paid": MAY}), ALONE, both)] == ["paid"]
    assert sales_of(an_order(days={"paid": MAY}), ALONE, RULES) == []


LINES = st.lists(st.tuples(st.integers(0, 10**7), st.integers(1, 9)), min_size=1, max_size=6)
REFUNDS = st.lists(st.tuples(st.integers(1, 10**7), st.sets(st.integers(0, 7), max_size=3)), max_size=5)
SHARES = st.lists(st.integers(1, 2_500), min_size=1, max_size=4)


def _order(lines: list[tuple[int, int]], refunds: list[tuple[int, set[int]]], paid: int | None) -> SoldOrder:
    told = [
        back(amount, *map(str, sorted(which)), number=str(number)) for number, (amount, which) in enumerate(refunds)
    ]
    return an_order(
        *(line(str(number), total, quantity) for number, (total, quantity) in enumerate(lines)),
        paid=paid,
        refunds=told,
    )


@given(LINES, REFUNDS, st.none() | st.integers(0, 10**7), st.randoms(use_true_random=False))
def test_cutting_loses_nothing_and_no_order_of_telling_matters(
    lines: list[tuple[int, int]], refunds: list[tuple[int, set[int]]], paid: int | None, pick: Random
) -> None:
    order = _order(lines, refunds, paid)
    sales = sales_of(order, ALONE, RULES)
    whole = sum(total for total, _ in lines) if paid is None else paid
    assert sum(each.amounts.paid_minor for each in sales) == whole
    assert sum(each.amounts.kept_minor for each in sales) == max(whole - sum(amount for amount, _ in refunds), 0)
    assert all(0 <= each.amounts.kept_minor <= each.amounts.paid_minor for each in sales)
    assert all(
        (each.amounts.quantity > 0) == (each.amounts.kept_minor > 0) for each in sales if each.amounts.paid_minor
    )
    assert sum(each.amounts.orders for each in sales) == any(each.amounts.quantity for each in sales)
    assert all(each.amounts.quantity for each in sales if each.amounts.orders)
    mixed = order._replace(
        lines=pick.sample(list(order.lines), len(order.lines)), refunds=pick.sample(list(order.refunds), len(refunds))
    )
    assert sales_of(mixed, ALONE, RULES) == sales


@given(LINES, REFUNDS, SHARES)
def test_those_who_share_have_no_more_than_the_whole(
    lines: list[tuple[int, int]], refunds: list[tuple[int, set[int]]], shares: list[int]
) -> None:
    order = _order(lines, refunds, None)
    alone = sales_of(order, ALONE, RULES)
    shared = sales_of(order, [tuple((number, share) for number, share in enumerate(shares, start=1))], RULES)
    for whole in alone:
        parts = [each.amounts for each in shared if each.of.line_id == whole.of.line_id]
        for measure in ("paid_minor", "kept_minor"):
            exact = getattr(whole.amounts, measure) * sum(shares) / 10_000
            assert abs(sum(getattr(each, measure) for each in parts) - exact) <= len(shares)


def test_who_a_buyer_is_may_be_known_later() -> None:
    known = sales_of(an_order(is_first=True), ALONE, RULES)
    unknown = sales_of(an_order(is_first=None), ALONE, RULES)
    changes = differences(known, unknown)
    assert [(each.of.is_first, each.amounts.orders) for each in changes] == [(None, -1), (True, 1)]


@given(st.lists(st.tuples(LINES, REFUNDS), min_size=1, max_size=6))
def test_differences_lead_from_each_state_to_the_next(
    states: list[tuple[list[tuple[int, int]], list[tuple[int, set[int]]]]],
) -> None:
    """However often an order changes, all that was added comes to what holds now; and nothing is added twice."""
    added: dict[Any, Amounts] = defaultdict(Amounts)
    for lines, refunds in states:
        now = sales_of(_order(lines, refunds, None), ALONE, RULES)
        before = [Sale(key, total) for key, total in added.items()]
        for sale in differences(now, before):
            added[sale.of] = added[sale.of].plus(sale.amounts)
        assert {key: total for key, total in added.items() if any(total)} == {
            each.of: each.amounts for each in now if any(each.amounts)
        }
        assert differences(now, [Sale(key, total) for key, total in added.items()]) == []
