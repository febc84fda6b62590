"""What bills and books have left over comes to what the breaks come to, day by day, and says so when one is missing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.settlement.bill_extras import FeeTerms, KnownOrder, compared_discounts, compared_fees
from domain.settlement.leftovers import Leftover, discounts_left_over, fees_left_over, left_over
from domain.settlement.reconciliation import Break, Match, Ours, Outcome, Theirs
from tests.domain.settlement.test_reconciliation import DAY, LINES, OURS, compare, line, mine


def left_by_day(left: Iterable[Leftover]) -> Mapping[tuple[date, str], int]:
    found: dict[tuple[date, str], int] = defaultdict(int)
    for each in left:
        found[each.day, each.family] += each.difference_minor
    return {name: amount for name, amount in found.items() if amount}


def broken_by_day(breaks: Iterable[Break]) -> Mapping[tuple[date, str], int]:
    found: dict[tuple[date, str], int] = defaultdict(int)
    for each in breaks:
        found[each.day, each.family] += each.difference_minor
    return {name: amount for name, amount in found.items() if amount}


@given(
    st.lists(OURS, max_size=12, unique_by=lambda each: (each.family, each.shop, each.number)),
    st.lists(LINES, max_size=12, unique_by=lambda each: (each.bill, each.line)),
)
def test_it_comes_to_what_the_breaks_come_to(ours: list[Ours], theirs: list[Theirs]) -> None:
    theirs = [each._replace(day=DAY - timedelta(days=each.line % 3)) for each in theirs]
    outcome = compare(ours, theirs)
    assert left_by_day(left_over(ours, theirs, outcome)) == broken_by_day(outcome.breaks)


def test_a_break_that_is_lost_leaves_its_pieces() -> None:
    ours, theirs = [mine("A"), mine("B", 7)], [line(2, "A", 10_001), line(3, "X", 500)]
    outcome = compare(ours, theirs)
    assert len(outcome.breaks) == 3
    lost = Outcome(outcome.matches, [])
    assert left_by_day(left_over(ours, theirs, lost)) == broken_by_day(outcome.breaks)


def test_discounts_and_fees() -> None:
    coupon: dict[str, Any] = {"family": "discount", "direction": "out", "kind": "coupon"}
    told = [line(2, "A", 300, **coupon), line(3, "A", 200, **coupon), line(4, "B", 50, **coupon)]
    told += [line(5, "C", 60, **coupon), line(6, None, 70, **coupon), line(7, "D", 80, **coupon)]
    orders = [KnownOrder("s/1", "A", 400), KnownOrder("s/1", "C", None), KnownOrder("s/1", "D", 80)]
    outcome = compared_discounts(orders, told)
    found = discounts_left_over(orders, told, outcome)
    assert left_by_day(found) == broken_by_day(outcome.breaks) == {(DAY, "discount"): 100 + 50 + 70}
    apart = [line(9, "B", 74, kind="fee", family="fee", direction="out")]
    payments = [
        Match((mine(number, 12_345),), (line(2, number, 12_345, fee_minor=fee),), "number")
        for number, fee in (("A", 74), ("B", 0), ("C", 70))
    ]
    back: dict[str, Any] = {"family": "refund", "direction": "out", "kind": "refund"}
    payments.append(
        Match((mine("A", 5_000, family="refund", direction="out"),), (line(8, "A", 5_000, **back),), "number")
    )
    apart += [line(20, "X", 9, kind="fee", family="fee", direction="out")]
    apart += [line(21, None, 3, kind="fee", family="fee", direction="out")]
    agreed = FeeTerms(60, given_back=True)
    fees = compared_fees(payments, apart, agreed, {"A", "B"})
    left = left_by_day(fees_left_over(payments, apart, agreed, {"A", "B"}))
    assert left == broken_by_day(fees.breaks) == {(DAY, "fee"): 4 - 9 - 3, (DAY, "refund-fee"): -30}
