"""Books against bills: every rung of the ladder, and that nothing is ever matched twice or lost."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.settlement.bill_extras import FeeTerms, KnownOrder, compared_discounts, compared_fees, without_discount
from domain.settlement.bills import BillKind
from domain.settlement.reconciliation import Break, Match, Ours, Outcome, Theirs, reconciled

DAY = date(2026, 6, 1)
NOON = datetime(2026, 6, 1, 4, tzinfo=UTC)
LAST: dict[BillKind, date] = {"trade": DAY, "funds": DAY}


def mine(number: str, amount: int = 10_000, **more: Any) -> Ours:
    told: dict[str, Any] = {"family": "payment", "shop": "s/1", "direction": "in", "day": DAY, "at": NOON}
    return Ours(**told | more | {"number": number, "amount_minor": amount})


def line(place: int, number: str | None, amount: int = 10_000, **more: Any) -> Theirs:
    told: dict[str, Any] = {"day": DAY, "bill": 1, "kind": "payment", "family": "payment", "direction": "in"}
    return Theirs(**told | {"at": NOON} | more | {"line": place, "number": number, "amount_minor": amount})


def compare(ours: Sequence[Ours], theirs: Sequence[Theirs], last: dict[BillKind, date] = LAST) -> Outcome:
    return reconciled(ours, theirs, last)


def kinds(outcome: Outcome) -> list[str]:
    return [each.kind for each in outcome.breaks]


def test_a_number_an_amount_and_a_direction_are_a_match() -> None:
    outcome = compare([mine("A"), mine("B", 5)], [line(2, "B", 5), line(3, "A")])
    assert [(each.rule, each.ours[0].number) for each in outcome.matches] == [("number", "B"), ("number", "A")]
    assert outcome.breaks == []


def test_the_platforms_own_number_is_the_second_rung() -> None:
    paid = mine("P1", family="transfer", direction="out", channel_number="W9")
    told = line(2, None, family="transfer", kind="transfer", direction="out", channel_number="W9")
    assert [each.rule for each in compare([paid], [told]).matches] == ["channel-number"]


def test_several_rows_of_one_number_are_matched_by_their_sum_and_a_row_with_several_of_ours() -> None:
    outcome = compare([mine("A", 30_000)], [line(2, "A", 10_000), line(3, "A", 20_000)])
    assert [(each.rule, len(each.theirs)) for each in outcome.matches] == [("sum", 2)]
    group = [mine("A1", 10_000, group="G"), mine("A2", 20_000, group="G")]
    outcome = compare(group, [line(2, "G", 30_000)])
    assert [(each.rule, len(each.ours)) for each in outcome.matches] == [("sum", 2)]
    assert kinds(compare(group, [line(2, "G", 30_001)])) == ["amount"]


@pytest.mark.parametrize(
    ("ours", "theirs", "kind", "difference"),
    [
        ([mine("A")], [line(2, "A", 10_001)], "amount", 1),
        ([mine("A")], [line(2, "A", direction="out")], "amount", -20_000),
        ([mine("A", standing="over", day=None, expected=False)], [line(2, "A")], "state", 10_000),
        ([], [line(2, "A")], "missing-ours", 10_000),
        ([mine("A", taken=True)], [line(2, "A")], "duplicate", 10_000),
        ([mine("A")], [], "timing", -10_000),
        ([mine("A", day=DAY - timedelta(days=3))], [], "missing-theirs", -10_000),
    ],
)
def test_each_kind_of_break(ours: list[Ours], theirs: list[Theirs], kind: str, difference: int) -> None:
    outcome = compare(ours, theirs)
    assert outcome.matches == []
    assert [(each.kind, each.difference_minor) for each in outcome.breaks] == [(kind, difference)]


def test_a_second_row_of_what_matched_is_a_duplicate() -> None:
    outcome = compare([mine("A")], [line(2, "A"), line(3, "A")])
    assert len(outcome.matches) == 1
    assert [(each.kind, each.theirs[0].line) for each in outcome.breaks] == [("duplicate", 3)]


def test_the_hour_only_suggests() -> None:
    outcome = compare([mine("A")], [line(2, "X", at=NOON + timedelta(hours=1))])
    assert outcome.matches == []
    assert sorted((each.kind, each.suggestion) for each in outcome.breaks) == [("missing-ours", "A"), ("timing", "X")]
    two = compare([mine("A"), mine("B")], [line(2, "X")])
    assert {each.suggestion for each in two.breaks if each.kind == "missing-ours"} == {None}, "either might be it"


def test_a_payout_that_nobody_knew_of_is_matched_by_the_bill() -> None:
    unknown = mine("P1", family="transfer", direction="out", standing="open", day=None, expected=False)
    told = line(2, "P1", family="transfer", kind="transfer", direction="out")
    assert len(compare([unknown], [told]).matches) == 1
    assert compare([unknown], []).breaks == [], "a bill does not have to have it"


def test_coupons_and_points_of_an_order_are_its_discount() -> None:
    coupon: Any = {"family": "discount", "direction": "out"}
    told = [line(2, "A", 300, kind="coupon", **coupon), line(3, "A", 200, kind="points", **coupon)]
    assert len(compared_discounts([KnownOrder("s/1", "A", 500)], told).matches) == 1
    (other,) = compared_discounts([KnownOrder("s/1", "A", 400)], told).breaks
    assert (other.kind, other.our_minor, other.their_minor) == ("amount", 400, 500)
    unheard = [KnownOrder("s/1", "A", None)]
    assert compared_discounts(unheard, told).breaks == [], "nobody told us of it"
    assert without_discount(unheard) == {"A"}
    (nameless,) = compared_discounts([], [line(2, None, 300, kind="coupon", **coupon)]).breaks
    assert (nameless.kind, nameless.our_minor, nameless.their_minor) == ("missing-ours", 0, 300)
    assert kinds(compared_discounts([], told)) == ["missing-ours"]


AGREED = FeeTerms(60, given_back=True)


def test_fees_are_the_agreed_rate_of_each_payment() -> None:
    match = Match((mine("A", 12_345),), (line(2, "A", 12_345, fee_minor=74),), "number")
    assert compared_fees([match], [], AGREED, ()).breaks == []
    (wrong,) = compared_fees([match], [], FeeTerms(100, given_back=True), ()).breaks
    assert (wrong.family, wrong.our_minor, wrong.their_minor, wrong.difference_minor) == ("fee", -123, -74, 49)
    apart = line(9, "A", 74, kind="fee", family="fee", direction="out")
    alone = Match((mine("A", 12_345),), (line(2, "A", 12_345),), "number")
    assert len(compared_fees([alone], [apart], AGREED, ()).matches) == 1


def test_fees_come_back_with_refunds_as_agreed() -> None:
    back: Any = {"family": "refund", "direction": "out"}
    match = Match((mine("R", 12_345, **back),), (line(2, "R", 12_345, kind="refund", fee_minor=-74, **back),), "number")
    assert compared_fees([match], [], AGREED, ()).breaks == []
    (kept,) = compared_fees([match], [], FeeTerms(60, given_back=False), ()).breaks
    assert (kept.family, kept.our_minor, kept.their_minor) == ("refund-fee", 0, 74)
    none = Match(match.ours, (match.theirs[0]._replace(fee_minor=0),), "number")
    (missing,) = compared_fees([none], [], AGREED, ()).breaks
    assert (missing.our_minor, missing.their_minor, missing.difference_minor) == (74, 0, -74)
    apart = line(9, "R", 74, kind="fee", family="fee", direction="in")
    assert len(compared_fees([none], [apart], AGREED, ()).matches) == 1


def test_a_fee_of_an_order_that_nobody_knows_is_a_break() -> None:
    fee: Any = {"kind": "fee", "family": "fee", "direction": "out"}
    lines = [line(2, "A", 74, **fee), line(3, "X", 10, **fee), line(4, None, 5, **fee), line(5, "LATER", 7, **fee)]
    match = Match((mine("A", 12_345),), (line(9, "A", 12_345),), "number")
    breaks = compared_fees([match], lines, AGREED, {"A", "LATER"}).breaks
    assert [(each.kind, each.theirs[0].line, each.difference_minor) for each in breaks] == [
        ("missing-ours", 3, -10),
        ("missing-ours", 4, -5),
    ]


def test_what_left_and_came_back_agrees_with_what_was_never_paid() -> None:
    lapsed = mine("P", family="transfer", direction="out", standing="over", day=None, expected=False)
    told: Any = {"family": "transfer", "kind": "transfer"}
    lines = [line(2, "P", direction="out", **told), line(3, "P", direction="in", **told)]
    assert [each.rule for each in compare([lapsed], lines).matches] == ["net"]
    assert kinds(compare([lapsed], lines[:1])) == ["state"]


NUMBERS = st.sampled_from(["A", "B", "C", "D", "E"])
AMOUNTS = st.sampled_from([1, 100, 200, 300])
OURS = st.builds(
    Ours,
    family=st.sampled_from(["payment", "refund", "transfer"]),
    shop=st.sampled_from(["s/1", "s/2"]),
    number=NUMBERS,
    amount_minor=AMOUNTS,
    direction=st.sampled_from(["in", "out"]),
    day=st.sampled_from([DAY, DAY - timedelta(days=1), DAY - timedelta(days=4)]),
    at=st.just(NOON),
    standing=st.sampled_from(["done", "done", "open", "over"]),
    channel_number=st.none() | NUMBERS,
    group=st.none() | NUMBERS,
    expected=st.booleans(),
    taken=st.booleans(),
)
LINES = st.builds(
    Theirs,
    day=st.just(DAY),
    bill=st.sampled_from([1, 2]),
    line=st.integers(2, 60),
    kind=st.just("payment"),
    family=st.sampled_from(["payment", "refund", "transfer"]),
    direction=st.sampled_from(["in", "out"]),
    amount_minor=AMOUNTS,
    at=st.just(NOON),
    number=st.none() | NUMBERS,
    channel_number=st.none() | NUMBERS,
)


def _moved(outcome: Outcome) -> int:
    """What of ours was matched: what never was money is matched with what left and came back."""
    ours = (each for match in outcome.matches for each in match.ours)
    return sum(each.signed_minor for each in ours if each.standing != "over")


@given(
    st.lists(OURS, max_size=12, unique_by=lambda each: (each.family, each.shop, each.number)),
    st.lists(LINES, max_size=12, unique_by=lambda each: (each.bill, each.line)),
    st.randoms(use_true_random=False),
)
def test_nothing_is_matched_twice_or_lost_whatever_the_order(
    ours: list[Ours], theirs: list[Theirs], pick: Random
) -> None:
    outcome = compare(ours, theirs)
    said: list[Match | Break] = [*outcome.matches, *outcome.breaks]
    told = [each for one in said for each in one.theirs]
    ours_told = [each for one in said for each in one.ours]
    assert sorted(told, key=repr) == sorted(theirs, key=repr), "each line stands once"
    assert len(set(ours_told)) == len(ours_told), "each of ours once at most"
    assert {each for each in ours if each.expected and not each.taken} <= set(ours_told)
    assert not any(each.taken for each in ours_told)
    matched = sum(each.signed_minor for match in outcome.matches for each in match.theirs)
    assert matched == _moved(outcome), "tolerance: nothing"
    assert matched + sum(each.their_minor for each in outcome.breaks) == sum(each.signed_minor for each in theirs)
    pick.shuffle(ours)
    pick.shuffle(theirs)
    assert compare(ours, theirs) == outcome


def test_a_hundred_thousand_lines_take_seconds() -> None:
    pick = Random("lines")
    ours = [mine(f"E{number}", pick.randrange(1, 100_000)) for number in range(100_000)]
    theirs = [line(place, each.number, each.amount_minor) for place, each in enumerate(ours, 2)]
    lost, wrong = theirs.pop(), theirs.pop()
    pick.shuffle(theirs)
    began = process_time()
    outcome = compare(ours, [*theirs, wrong._replace(amount_minor=wrong.amount_minor + 1)])
    took_s = process_time() - began
    assert (len(outcome.matches), sorted(kinds(outcome))) == (99_998, ["amount", "timing"])
    assert outcome.breaks[-1].ours[0].number == lost.number
    assert took_s < 10, f"{took_s:.1f} s"
