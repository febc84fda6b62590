"""What a bill tells beside money: coupons and points that an order was paid with, and what the platform charged for it.

Both are compared only where the bill tells of them: an order's coupons with its discount, fees with the agreed rate.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from domain.settlement.bills import Direction
from domain.settlement.reconciliation import FEES, Break, BreakKind, Family, Match, Ours, Outcome, Theirs

_BPS = 10_000


class KnownOrder(NamedTuple):
    """An order by its number. discount_minor: None where nobody told it."""

    shop: str
    number: str
    discount_minor: int | None


class FeeTerms(NamedTuple):
    """What was agreed. bps: in ten-thousandths; given_back: whether the fee of what is refunded comes back."""

    bps: int
    given_back: bool

    def expected_minor(self, match: Match) -> int:
        """What an order or a refund should have cost, by its rows of the bill; below nothing for what comes back."""
        is_refund = match.ours[0].family == "refund"
        if is_refund and not self.given_back:
            return 0
        way = "out" if is_refund else "in"
        moved = [each.amount_minor for each in match.theirs if each.direction == way]
        cost = sum((each * self.bps * 2 + _BPS) // (2 * _BPS) for each in moved)
        return -cost if is_refund else cost


def compared_discounts(orders: Iterable[KnownOrder], lines: Iterable[Theirs]) -> Outcome:
    """Coupons and points of each order together against its discount; a line that names no order is ours to be found.
    Not compared are those of orders whose discount nobody told, see `without_discount`."""
    lines = list(lines)
    known = {each.number: each for each in sorted(orders, reverse=True)}
    matches: list[Match] = []
    breaks: list[Break] = []
    for number, found in _by_number(lines).items():
        order = known.get(number)
        told = sum(each.amount_minor for each in found)
        if order is None:
            breaks.append(_break("missing-ours", "discount", (), found, 0, told))
        elif order.discount_minor is not None:
            mine = _ours("discount", order.shop, number, order.discount_minor, found[0].day, found[0].direction)
            if order.discount_minor == told:
                matches.append(Match((mine,), tuple(found), "sum"))
            else:
                breaks.append(_break("amount", "discount", (mine,), found, order.discount_minor, told))
    nameless = (each for each in sorted(lines, key=_place) if each.number is None)
    breaks += [_break("missing-ours", "discount", (), [each], 0, each.amount_minor) for each in nameless]
    return Outcome(matches, breaks)


def without_discount(orders: Iterable[KnownOrder]) -> Collection[str]:
    """The numbers of orders whose discount nobody told: coupons and points have nothing to be compared with."""
    return {each.number for each in orders if each.discount_minor is None}


def compared_fees(
    matches: Iterable[Match], lines: Iterable[Theirs], terms: FeeTerms, known: Collection[str]
) -> Outcome:
    """What the platform charged for each order that matched, and gave back with each refund, against the agreed rate,
    rounded half up by row. known: which of the lines' numbers are orders or refunds of ours; what is charged for
    anything else is ours to be found."""
    lines = list(lines)
    charged = dict(_by_number(lines))
    found: list[Match] = []
    breaks: list[Break] = []
    for match in by_family(matches):
        one = match.ours[0]
        own = charged.pop(one.number, [])
        expected, day = terms.expected_minor(match), match.theirs[0].day
        told = sum(each.fee_minor for each in match.theirs) - sum(each.signed_minor for each in own)
        direction: Direction = "out" if expected >= 0 else "in"
        mine = _ours(FEES[one.family], one.shop, one.number, abs(expected), day, direction)
        if told != expected:
            breaks.append(_break("amount", mine.family, (mine,), own, -expected, -told, day))
        elif own:
            found.append(Match((mine,), tuple(own), "sum"))
    breaks += [
        _break("missing-ours", "fee", (), [each], 0, each.signed_minor)
        for each in sorted(lines, key=_place)
        if each.number is None or (each.number in charged and each.number not in known)
    ]
    return Outcome(found, breaks)


def by_family(matches: Iterable[Match]) -> Sequence[Match]:
    """Those that cost something, payments before refunds: a fee of one number is the order's first."""
    ranks = {family: rank for rank, family in enumerate(FEES)}
    found = (each for each in matches if each.ours[0].family in ranks)
    return sorted(found, key=lambda each: ranks[each.ours[0].family])


def _by_number(lines: Iterable[Theirs]) -> Mapping[str, list[Theirs]]:
    found: dict[str, list[Theirs]] = defaultdict(list)
    for each in sorted(lines, key=_place):
        if each.number is not None:
            found[each.number].append(each)
    return {number: found[number] for number in sorted(found)}


def _place(line: Theirs) -> tuple[date, int, int, str]:
    return line.day, line.bill, line.line, line.kind


def _ours(family: Family, shop: str, number: str, amount_minor: int, day: date, direction: Direction) -> Ours:
    return Ours(family, shop, number, amount_minor, direction, day, expected=False)


def _break(
    kind: BreakKind,
    family: Family,
    ours: tuple[Ours, ...],
    theirs: Sequence[Theirs],
    our_minor: int,
    their_minor: int,
    day: date | None = None,
) -> Break:
    return Break(kind, family, day or theirs[0].day, ours, tuple(theirs), our_minor, their_minor)
