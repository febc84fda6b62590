"""What bills and books have left over when everything that was matched is taken off, piece by piece.

Added up it has to be what the breaks come to. It does not go by the breaks, so that one that is lost is noticed: they
only say on which day a piece counts that several days have a part in.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import NamedTuple

from domain.settlement.bill_extras import FeeTerms, KnownOrder, by_family
from domain.settlement.reconciliation import FEES, Family, Match, Ours, Outcome, Theirs


class Leftover(NamedTuple):
    """Something of ours, by shop and number, or a line of a bill. difference_minor: what the bill has more than the
    books because of it. Of a fee it stands by its order, and is what the platform charged too little."""

    family: Family
    day: date
    difference_minor: int
    shop: str = ""
    number: str = ""
    bill: int = 0
    line: int = 0
    kind: str = ""


def left_over(ours: Iterable[Ours], theirs: Iterable[Theirs], outcome: Outcome) -> Sequence[Leftover]:
    """Of orders, refunds and payouts. What no bill has to have counts where a break has it."""
    matched_lines = {_line(each) for match in outcome.matches for each in match.theirs}
    matched_ours = {_name(each) for match in outcome.matches for each in match.ours}
    days_of_lines = {_line(line): each.day for each in outcome.breaks for line in each.theirs}
    days_of_ours = {_name(one): each.day for each in outcome.breaks for one in each.ours}
    found = [
        _of_line(each, days_of_lines.get(_line(each), each.day), each.signed_minor)
        for each in theirs
        if _line(each) not in matched_lines
    ]
    for each in ours:
        day = days_of_ours.get(_name(each), each.day if each.expected else None)
        if day is not None and not each.taken and each.standing != "over" and _name(each) not in matched_ours:
            found.append(Leftover(each.family, day, -each.signed_minor, each.shop, each.number))
    return found


def discounts_left_over(orders: Iterable[KnownOrder], lines: Iterable[Theirs], outcome: Outcome) -> Sequence[Leftover]:
    """Of coupons and points, for orders whose discount is known, for orders that nobody knows, and of no order."""
    known = {each.number: each for each in sorted(orders, reverse=True)}
    matched = {_line(each) for match in outcome.matches for each in match.theirs}
    left: dict[str, list[Theirs]] = defaultdict(list)
    found: list[Leftover] = []
    for each in lines:
        if each.number is None:
            found.append(_of_line(each, each.day, each.amount_minor))
        elif _line(each) not in matched:
            left[each.number].append(each)
    for number, told in left.items():
        order, day = known.get(number), min(each.day for each in told)
        if order is not None and order.discount_minor is None:
            continue
        found += [_of_line(each, day, each.amount_minor) for each in told]
        if order is not None and order.discount_minor is not None:
            found.append(Leftover("discount", day, -order.discount_minor, order.shop, number))
    return found


def fees_left_over(
    matches: Iterable[Match], lines: Iterable[Theirs], terms: FeeTerms, known: Collection[str]
) -> Sequence[Leftover]:
    """Of fees, for each order and refund that matched, and of lines for which we have neither."""
    lines = list(lines)
    charged: dict[str, int] = defaultdict(int)
    for line in lines:
        if line.number is not None:
            charged[line.number] -= line.signed_minor
    found: list[Leftover] = []
    matched: set[str] = set()
    for match in by_family(matches):
        one = match.ours[0]
        agreed = terms.expected_minor(match)
        told = (0 if one.number in matched else charged[one.number]) + sum(each.fee_minor for each in match.theirs)
        matched.add(one.number)
        if agreed != told:
            found.append(Leftover(FEES[one.family], match.theirs[0].day, agreed - told, one.shop, one.number))
    settled = matched | set(known)
    strange = (each for each in lines if each.number is None or each.number not in settled)
    return [*found, *(_of_line(each, each.day, each.signed_minor) for each in strange)]


def _line(each: Theirs) -> tuple[int, int, str]:
    return each.bill, each.line, each.kind


def _name(each: Ours) -> tuple[Family, str, str]:
    return each.family, each.shop, each.number


def _of_line(each: Theirs, day: date, difference_minor: int) -> Leftover:
    return Leftover(each.family, day, difference_minor, bill=each.bill, line=each.line, kind=each.kind)
