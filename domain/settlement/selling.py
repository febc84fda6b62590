"""What an order comes to in sales: a row for each line, payee and way of counting, as things stand.

Amounts are cut without losing a unit. What went back is taken off the lines that it was for, and never off more than
was paid for them; nothing depends on the order in which refunds were told.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from domain.settlement.attribution import BASES, AttributionRules, Basis, Shares
from domain.settlement.exact import WEIGHT
from domain.settlement.splits import allot, split

WORD_FIELDS = ("platform", "shop", "channel", "influencer", "category", "article", "currency")
"""The texts of a sale, in the order of `Sale.words`."""


class SoldLine(NamedTuple):
    """A line as it was sold. total_minor: before what was taken off the whole order."""

    line_id: str
    quantity: int
    total_minor: int
    category: str | None = None
    item_id: str | None = None


class WentBack(NamedTuple):
    """A refund that was paid. line_ids: the lines it is for; none: the whole order."""

    refund_id: str
    amount_minor: int
    at: datetime | None = None
    line_ids: tuple[str, ...] = ()


class SoldOrder(NamedTuple):
    """An order, as much of it as sales are made of. Amounts are of its own currency.

    days: on which day it counts, by each way of counting that it has come to. begun: the ways in which it ever counted,
    and whether the day of payment was kept with its sales. rate: what a minor unit of its currency
    is in minor units of the merchant's, as numerator and denominator; None when it is the merchant's own. is_first:
    whether it was its customer's first; None while nobody knows whose it is. is_closed: whatever was paid went back,
    with or without a refund to tell of it. bonded: of lines that counted before, whether they shipped from a bonded
    warehouse; None where only their category can tell, which was not known.
    """

    order_key: int
    shop: str
    paid_minor: int | None
    postage_minor: int | None
    lines: Sequence[SoldLine]
    refunds: Sequence[WentBack]
    days: Mapping[Basis, date]
    currency: str
    rate: tuple[int, int] | None = None
    channel: str | None = None
    influencer: str | None = None
    is_first: bool | None = None
    is_closed: bool = False
    bonded: Mapping[str, bool | None] = {}
    begun: Mapping[Basis, bool] = {}


class SaleKey(NamedTuple):
    """What a sale is of: a line that counts for a payee.

    words: by field, empty where nothing is known. order_minor: of the whole order. is_first: None while nobody knows
    whose the order is. paid_day: when the order was paid, where that was not on `day`.
    """

    basis: Basis
    day: date
    payee: int
    order_key: int
    line_id: str
    order_minor: int
    words: tuple[str, ...]
    is_first: bool | None = False
    is_bonded: bool = False
    paid_day: date | None = None


class Amounts(NamedTuple):
    """What adds up. foreign_minor: what was kept, in the order's currency, where that is not the merchant's. quantity:
    pieces kept, none of a line that is not. orders: the deal, which is with the first line that is kept."""

    paid_minor: int = 0
    kept_minor: int = 0
    foreign_minor: int = 0
    quantity: int = 0
    orders: int = 0

    def plus(self, other: "Amounts") -> "Amounts":
        return Amounts(*(one + another for one, another in zip(self, other, strict=True)))

    def minus(self, other: "Amounts") -> "Amounts":
        return Amounts(*(one - another for one, another in zip(self, other, strict=True)))


class Sale(NamedTuple):
    """What a sale comes to, or a difference of one: its amounts are signed then."""

    of: SaleKey
    amounts: Amounts


class _Line(NamedTuple):
    line: SoldLine
    paid: int
    kept: int
    foreign: int
    quantity: int
    orders: int
    words: tuple[str, ...]
    is_bonded: bool


def sales_of(order: SoldOrder, owners: Sequence[Shares], rules: AttributionRules) -> list[Sale]:
    """The sales of an order that is these payees'. owners: whose it is in each role.

    In a way in which it ever counted it goes on, whatever the rules count since: a version of them takes nothing back.
    Pieces and deals are not cut: of several payees of one role the one with the largest share has them.
    """
    lines = _counted(order, rules)
    whole = sum(each.paid for each in lines)
    found: list[Sale] = []
    for basis in BASES:
        if basis not in rules.counts and basis not in order.begun:
            continue
        day = order.days.get(basis)
        if day is None:
            continue
        paid_day = _paid_day(order, basis, day)
        for owner in owners:
            shares = [share for _, share in owner]
            for each in lines:
                paid, kept, foreign = (
                    allot(amount, shares, WEIGHT)[0] for amount in (each.paid, each.kept, each.foreign)
                )
                for place, (payee, _) in enumerate(owner):
                    key = SaleKey(
                        basis,
                        day,
                        payee,
                        order.order_key,
                        each.line.line_id,
                        whole,
                        each.words,
                        order.is_first,
                        each.is_bonded,
                        paid_day,
                    )
                    pieces, deals = (each.quantity, each.orders) if place == 0 else (0, 0)
                    found.append(Sale(key, Amounts(paid[place], kept[place], foreign[place], pieces, deals)))
    return found


def _paid_day(order: SoldOrder, basis: Basis, day: date) -> date | None:
    """As it was when the order began to count: what was settled by another day is refunded by that day, too."""
    paid_day = order.days.get("paid") if order.begun.get(basis, True) else None
    return None if paid_day == day else paid_day


def _counted(order: SoldOrder, rules: AttributionRules) -> list[_Line]:
    """The lines with what was paid for each and is kept, in the merchant's currency; the deal is with the first line
    that is kept."""
    lines = sorted(order.lines, key=lambda line: line.line_id)
    if not lines:
        return []
    paid = _paid(order, lines)
    kept = [0] * len(lines) if order.is_closed else _less_refunds(paid, lines, order.refunds)
    has_any = any(kept) or not (any(paid) or order.is_closed)
    is_kept = [kept[number] > 0 if paid[number] > 0 else has_any for number in range(len(lines))]
    platform = order.shop.partition("/")[0]
    found = []
    for number, line in enumerate(lines):
        words = (platform, order.shop, order.channel or "", order.influencer or "", line.category or "")
        found.append(
            _Line(
                line,
                paid=_at_home(paid[number], order.rate),
                kept=_at_home(kept[number], order.rate),
                foreign=kept[number] if order.rate is not None else 0,
                quantity=_pieces_kept(line.quantity, paid[number], kept[number]) if is_kept[number] else 0,
                orders=int(is_kept[number] and not any(is_kept[:number])),
                words=(*words, line.item_id or "", order.currency if order.rate is not None else ""),
                is_bonded=_is_bonded(order, line, rules),
            )
        )
    return found


def _is_bonded(order: SoldOrder, line: SoldLine, rules: AttributionRules) -> bool:
    """As it was found when the line began to count: rules that are rewritten move nothing that was earned."""
    by_category = line.category in rules.bonded_categories
    if line.line_id not in order.bonded:
        return order.shop in rules.bonded_shops or by_category
    before = order.bonded[line.line_id]
    return by_category if before is None else before


def _pieces_kept(quantity: int, paid: int, kept: int) -> int:
    """How many pieces of a line stay that something is kept of. One went back when its whole price did, in whole minor
    units; what is less was taken off the price."""
    back = paid - kept
    return quantity - ((back + 1) * quantity - 1) // paid if back > 0 else quantity


def _paid(order: SoldOrder, lines: Sequence[SoldLine]) -> list[int]:
    """What the buyer paid for each line, postage left out."""
    if order.paid_minor is None:
        return [line.total_minor for line in lines]
    goods = max(order.paid_minor - (order.postage_minor or 0), 0)
    for weights in ([line.total_minor for line in lines], [line.quantity for line in lines]):
        if sum(weights) > 0:
            return split(goods, [max(weight, 0) for weight in weights])
    return split(goods, [1] * len(lines))


def _less_refunds(paid: Sequence[int], lines: Sequence[SoldLine], refunds: Sequence[WentBack]) -> list[int]:
    """What is kept of each line. A refund first takes from the lines it names, then from the others; what is more than
    all of them was postage."""
    kept = list(paid)
    everything = frozenset(line.line_id for line in lines)
    for refund in sorted(refunds, key=lambda each: (each.at is None, each.at, each.refund_id)):
        left = refund.amount_minor
        named = everything.intersection(refund.line_ids) or everything
        for chosen in (named, everything - named):
            room = [amount if line.line_id in chosen else 0 for line, amount in zip(lines, kept, strict=True)]
            taken = min(left, sum(room))
            if taken > 0:
                for place, part in enumerate(split(taken, room)):
                    kept[place] -= part
                left -= taken
    return kept


def _at_home(amount_minor: int, rate: tuple[int, int] | None) -> int:
    """The amount in the merchant's currency, to the nearest minor unit, half away from zero."""
    if rate is None:
        return amount_minor
    whole, rest = divmod(abs(amount_minor) * rate[0], rate[1])
    found = whole + (2 * rest >= rate[1])
    return -found if amount_minor < 0 else found


def differences(now: Sequence[Sale], before: Sequence[Sale]) -> list[Sale]:
    """The sales that make of what was told before what holds now, in one order whatever the order of the two."""
    sums: dict[SaleKey, Amounts] = {}
    for sale in now:
        sums[sale.of] = sums.get(sale.of, Amounts()).plus(sale.amounts)
    for sale in before:
        sums[sale.of] = sums.get(sale.of, Amounts()).minus(sale.amounts)
    return [Sale(key, amounts) for key, amounts in sorted(sums.items(), key=_in_order) if any(amounts)]


def _in_order(sale: tuple[SaleKey, Amounts]) -> tuple[object, ...]:
    """A sale's key as something that sorts: what is not known stands before what is not so."""
    key = sale[0]
    known = (key.is_first is not None, bool(key.is_first), key.paid_day or key.day)
    return (*key._replace(is_first=None, paid_day=None), *known)
