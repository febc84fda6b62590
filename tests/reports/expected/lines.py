"""Reports that go back to order lines: the cuts, and exchange differences."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.reports.expected.earnings import Earned, earned_in
from tests.reports.expected.parts import Cells, cut, to_unit
from tests.reports.expected.raw import Books, Frame, Row, changes_of, shanghai
from tests.reports.expected.schemes import BY_NAME, LINES

Place = tuple[str, ...]
_DECIMALS = {"JPY": 0}


def _words(*fields: str) -> Callable[[Books, Row], Place]:
    return lambda books, sale: tuple(books.words[getattr(sale, field)] for field in fields)


def _order(books: Books, sale: Row) -> Place:
    order = books.orders[sale.order_key]
    return (f"{order.account_id}/{order.order_id}",)


PLACES: dict[str, Callable[[Books, Row], Place]] = {
    "platforms": _words("platform"),
    "channels": _words("channel"),
    "shops": _words("shop"),
    "goods": _words("shop", "article"),
    "categories": _words("category"),
    "influencers": _words("influencer"),
    "stores": lambda books, sale: (books.orders[sale.order_key].unit_path,),
    "orders": _order,
}


def cut_by(books: Books, frame: Frame, name: str) -> Cells:
    """One of the cuts."""
    place_of, size = PLACES[name], 2 if name == "goods" else 1
    of_payee: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for sale, currency, times in sold_once(books, frame):
        of_payee[(*place_of(books, sale), currency), sale.payee][0] += times * sale.kept_minor
    for each in earned_in(books, frame):
        weights: dict[Place, int] = defaultdict(int)
        for sale, weight in _weighed(books, each):
            weights[place_of(books, sale)] += weight
        for place, piece in cut(each.amount, weights, ("—",) * size).items():
            of_payee[(*place, each.currency), each.payee][1] += piece
    found: Cells = defaultdict(lambda: {"payees": 0, "sold": 0, "earned": 0})
    for (key, _), (sold, earned) in of_payee.items():
        if sold or earned:
            row = found[key]
            row["payees"], row["sold"], row["earned"] = row["payees"] + 1, row["sold"] + sold, row["earned"] + earned
    return found


def sold_once(books: Books, frame: Frame) -> Iterator[tuple[Row, str, int]]:
    """The sales of a frame that somebody was paid for who sold them: each once, however many settlements it is in."""
    counted: dict[tuple[int, str], dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    rows: dict[int, Row] = {}
    for change in changes_of(books, frame.inside(books)):
        for sign, calculation in change.sides:
            for sale in _sales_of(books, calculation):
                if sale.payee in books.members[calculation.id] and frame.has(sale.payee):
                    rows[sale.seq] = sale
                    turn = (calculation.scheme, calculation.cycle)
                    counted[sale.seq, change.origin.currency][turn] += sign
    counts = {
        key: any(times > 0 for times in of.values()) - any(times < 0 for times in of.values())
        for key, of in counted.items()
        if any(of.values())
    }
    bases: dict[tuple[int, int, str], set[int]] = defaultdict(set)
    for seq, currency in counts:
        bases[rows[seq].payee, rows[seq].order_key, currency].add(rows[seq].basis)
    for (seq, currency), times in counts.items():
        sale = rows[seq]
        if sale.basis == min(bases[sale.payee, sale.order_key, currency]):
            yield sale, currency, times


def _sales_of(books: Books, calculation: Row) -> Iterator[Row]:
    """The sales that a calculation could see."""
    basis = BY_NAME[calculation.scheme].basis
    for sale in books["sales"]:
        if (
            sale.basis == basis
            and calculation.start <= sale.day < calculation.end
            and sale.seq <= calculation.sales_upto
        ):
            yield sale


def _weighed(books: Books, each: Earned) -> Iterator[tuple[Row, int]]:
    """The sales behind an earning, and what each weighs. Where the lines of an order say whether it counts, it does so
    once, by the first of its kept lines, those of the first weighting before others."""
    sales = list(_sales_behind(books, each))
    if not each.component.is_by_line:
        yield from ((sale, each.component.weight(books, sale)) for sale in sales)
        return
    lines: dict[tuple[int, int], dict[tuple[int, str], list[Row]]] = defaultdict(lambda: defaultdict(list))
    for sale in sales:
        line = each.component.weighting(books, sale), sale.line_id
        lines[sale.payee, sale.order_key][line].append(sale)
    for of in lines.values():
        kept = [line for line, rows in of.items() if sum(row.quantity for row in rows) > 0]
        if kept:
            first = of[min(kept)][0]
            yield first, each.component.times(books, first)


def _sales_behind(books: Books, each: Earned) -> Iterator[Row]:
    """The sales that a component counts for a payee: their own, or of those so many levels below."""
    if each.component.data.get("of") not in LINES:
        return
    members = books.members[each.calculation.id]
    for sale in _sales_of(books, each.calculation):
        member = members.get(sale.payee)
        if member is None or not each.component.counts(books, sale):
            continue
        chain: Sequence[int] = [sale.payee, *member.uplines]
        if chain[each.component.level : each.component.level + 1] == [each.payee]:
            yield sale


def fx(books: Books, frame: Frame) -> Cells:
    """Report `fx`."""
    found: Cells = defaultdict(lambda: {"foreign": 0, "at_order": 0, "base": Fraction(0), "amount": 0})
    for each in earned_in(books, frame):
        if each.component.sort != "fx":
            continue
        key = (books.codes[each.payee], each.scheme, each.component.name, each.change.origin.start, each.currency)
        for abroad, row in _parts(books, each).items():
            cells = found[(*key, *abroad)]
            cells |= {"role": each.member.role, "title": each.component.title, "measured": "money"}
            cells["order_rate"] = _noted(books, abroad[0], abroad[1])
            for name, value in row.items():
                cells[name] += value
    for row in found.values():
        row["base"] = to_unit(row["base"])
    nothing = [
        key for key, row in found.items() if not any(row[name] for name in ("foreign", "at_order", "base", "amount"))
    ]
    for key in nothing:
        del found[key]
    return found


def _parts(books: Books, each: Earned) -> dict[tuple[Any, ...], dict[str, Any]]:
    """What was earned by day and currency: what it comes to up to a day, less what it came to before, each rounded."""
    sums: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    for sale in _sales_behind(books, each):
        times = each.component.times(books, sale)
        order = books.orders[sale.order_key]
        currency = books.words[sale.currency]
        place = (
            currency,
            shanghai(order.paid_at or order.created_at or order.told_at),
            each.calculation.rates[currency],
        )
        sums[place][0] += sale.foreign_minor * times
        sums[place][1] += sale.kept_minor * times
    worth = {
        place: foreign * Fraction(Decimal(place[2])) * 100 / 10 ** _DECIMALS.get(place[0], 2) - home
        for place, (foreign, home) in sums.items()
    }
    whole, upto, given = sum(worth.values(), Fraction(0)), Fraction(0), 0
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for place in sorted(worth):
        upto += worth[place]
        amount = to_unit(each.amount * upto / whole) - given if whole else each.amount - given
        given += amount
        rate = format(Decimal(place[2]).normalize(), "f")
        foreign, home = sums[place]
        row = {"foreign": foreign, "at_order": home, "base": worth[place]}
        found[place[0], place[1], rate] = {name: each.sign * value for name, value in row.items()} | {"amount": amount}
    return found or {("", each.change.origin.start, ""): {"amount": each.amount}}


def _noted(books: Books, currency: str, day: Any) -> str:
    """The rate that was noted for a day: of that day, or of the last one of ten days."""
    rates = [
        each
        for each in books["exchange_rates"]
        if each.currency == currency and day - timedelta(days=10) < each.day <= day
    ]
    return format(max(rates, key=lambda each: each.day).rate.normalize(), "f") if rates else ""
