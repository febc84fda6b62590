"""What a bill tells beside money: coupons and points that an order was paid with, and what the platform charged for it.

Both are compared only where the bill tells of them: an order's coupons with its discount, fees with the agreed rate.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from domain.settlement.bills import Direction
from domain.settlement.reconciliation import Break, BreakKind, Family, Match, Ours, Outcome, Theirs

_BPS = 10_000


class KnownOrder(NamedTuple):
    """An order by its number. discount_minor: None where nobody told it."""

    shop: str
    number: str
    discount_minor: int | None


def compared_discounts(orders: Iterable[KnownOrder], lines: Iterable[Theirs]) -> Outcome:
    """Coupons and points of each order together against its discount; lines without a number are compared with none."""
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
    return Outcome(matches, breaks)


def compared_fees(payments: Iterable[Match], lines: Iterable[Theirs], fee_bps: int) -> Outcome:
    """What the platform charged for each order that matched, against the agreed rate, rounded half up by payment."""
    charged = _by_number(lines)
    matches: list[Match] = []
    breaks: list[Break] = []
    for match in payments:
        order = match.ours[0]
        if order.family != "payment":
            continue
        own = charged.get(order.number, [])
        paid = [each for each in match.theirs if each.direction == "in"]
        expected = sum((each.amount_minor * fee_bps * 2 + _BPS) // (2 * _BPS) for each in paid)
        told = sum(each.fee_minor for each in match.theirs) - sum(each.signed_minor for each in own)
        mine = _ours("fee", order.shop, order.number, expected, match.theirs[0].day, "out")
        if told != expected:
            breaks.append(_break("amount", "fee", (mine,), own, -expected, -told, match.theirs[0].day))
        elif own:
            matches.append(Match((mine,), tuple(own), "sum"))
    return Outcome(matches, breaks)


def _by_number(lines: Iterable[Theirs]) -> Mapping[str, list[Theirs]]:
    found: dict[str, list[Theirs]] = defaultdict(list)
    for each in sorted(lines, key=lambda one: (one.day, one.bill, one.line, one.kind)):
        if each.number is not None:
            found[each.number].append(each)
    return {number: found[number] for number in sorted(found)}


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
