"""What each payee's sales come to, by component of a scheme, in as few passes over them as there can be."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Numeric,
    Subquery,
    case,
    cast,
    false,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
    union_all,
)

from domain.money import per_minor
from domain.settlement.exact import EXACT
from domain.settlement.formulas import Proportion
from domain.settlement.scheme import LINE_BASES, Component, Scheme
from storage.counted_orders import orders_by_line, weight_of_order
from storage.orders import OrderRow
from storage.paging import Keys, Page, PageRequest
from storage.recordsets import table_of
from storage.sale_filters import Extent, Numbers, is_by_line, passes, tests_of, weight, within
from storage.sales import SaleRow, Sales
from storage.unit_of_work import Repository

_SALES = table_of(SaleRow)
_MEASURES: Mapping[str, str] = {
    "paid": "paid_minor",
    "kept": "kept_minor",
    "quantity": "quantity",
    "orders": "orders",
}
_LINES = Keys("counted-lines", (int, str, int))


class Sold(NamedTuple):
    """bases: by component, in `exact.WEIGHT`. by_line: of components of the grain `line`, in minor units. unrounded:
    of exchange differences, which may be finer than that, what `bases` has rounded."""

    payee: int
    bases: Mapping[str, int]
    by_line: Mapping[str, int]
    unrounded: Mapping[str, Fraction] = {}


class CountedLine(NamedTuple):
    """An order line of a payee's. counted: in `exact.WEIGHT`, of exchange differences what was kept abroad. amount: in
    minor units, where each line is rounded by itself."""

    order_key: int
    line_id: str
    payee: int
    account: str
    order_id: str
    counted: int
    amount: int | None


class LineCount(NamedTuple):
    """How a component counts order lines. weight: what a sale counts, in `exact.WEIGHT`; of exchange differences what
    was kept abroad. passes: whether it counts at all. Of what is counted by the lines of orders (`is_by_line`) neither
    says anything: ask `counted_orders`. numbers: of the words that the component asks for. times: how often a sale
    counts, in `exact.WEIGHT`."""

    component: Component
    weight: ColumnElement[Any]
    passes: ColumnElement[bool]
    numbers: Numbers
    times: ColumnElement[int]


class SaleSums(Repository):
    """Sums over an extent, payee by payee in the order of their numbers."""

    async def by_payee(
        self, scheme: Scheme, extent: Extent, rates: Mapping[str, Decimal] | None = None
    ) -> Iterator[Sold]:
        """What every payee with sales sold, as the components of the scheme count it.

        rates: of other currencies at settlement, for exchange differences.
        """
        counted = [each for each in scheme.components if each.base in LINE_BASES]
        numbers = await self._numbers(counted)
        by_order = [each for each in counted if is_by_line(each)]
        plain = [each for each in counted if not is_by_line(each)]
        lines = [each for each in plain if each.grain == "line"]
        worth = await self._worth(rates or {})
        sums = [
            func.sum(_weighted(each, numbers, worth)).filter(passes(each, numbers)).label(each.name) for each in plain
        ]
        statement = (
            select(_SALES.c.payee, *sums)
            .where(*within(scheme, extent))
            .group_by(_SALES.c.payee)
            .order_by(_SALES.c.payee)
        )
        rounded = await self._by_line(scheme, lines, numbers, worth, extent) if lines else {}
        orders = await self._by_order(scheme, by_order, numbers, extent) if by_order else {}
        rows = (await self.session.execute(statement)).all()
        names = [each.name for each in plain]
        gains = {each.name for each in plain if each.base == "fx-difference"}
        none: tuple[dict[str, int], dict[str, int]] = ({}, {})
        return (
            _sold(
                row[0],
                {**dict(zip(names, row[1:], strict=True)), **orders.get(row[0], none)[0]},
                {**rounded.get(row[0], {}), **orders.get(row[0], none)[1]},
                gains,
            )
            for row in rows
        )

    async def line_counts(self, scheme: Scheme) -> list[LineCount]:
        """How each component that counts order lines does it, in the order of the scheme."""
        return [await self._counted(each) for each in scheme.components if each.base in LINE_BASES]

    async def _counted(self, component: Component) -> LineCount:
        numbers = await self._numbers([component])
        counts, times = passes(component, numbers), weight(component, numbers)
        if component.base != "fx-difference":
            return LineCount(component, _weighted(component, numbers, {}), counts, numbers, times)
        home = await Sales(self.work).numbers({("currency", "")}, known_only=True)
        weighed = _weighted(replace(component, base="kept"), numbers, {})
        return LineCount(component, weighed, counts & _SALES.c.currency.not_in(home.values()), numbers, times)

    async def sold_in(self, scheme: Scheme, extent: Extent, currencies: Collection[str]) -> set[str]:
        """Those of the currencies that there is a sale in."""
        numbers = await Sales(self.work).numbers({("currency", each) for each in currencies}, known_only=True)
        found = set()
        for (_, currency), number in numbers.items():
            chosen = [*within(scheme, extent), _SALES.c.currency == number]
            if (await self.session.scalar(select(_SALES.c.seq).where(*chosen).limit(1))) is not None:
                found.add(currency)
        return found

    async def lines(
        self,
        scheme: Scheme,
        component: Component,
        extent: Extent,
        page: PageRequest,
        rates: Mapping[str, Decimal] | None = None,
    ) -> Page[CountedLine]:
        """The order lines that count for a component, with all their differences; without those that come to nothing.

        With `extent.since` what the differences after it come to. rates: as of `by_payee`.
        """
        count = await self._counted(component)
        told = (
            _orders_told(scheme, count, extent)
            if is_by_line(component)
            else _lines_told(scheme, count, extent, _weighted(component, count.numbers, await self._worth(rates or {})))
        )
        keys = (told.c.order_key, told.c.line_id, told.c.payee)
        counted = func.sum(told.c.now - told.c.before)
        sums = (
            select(*keys, counted.label("counted"), _amount_of_line(scheme, component, told).label("amount"))
            .group_by(*keys)
            .having(counted != 0)
            .order_by(*keys)
            .limit(page.size + 1)
        )
        if page.cursor is not None:
            order_key, line_id, payee = _LINES.values_of(page)
            after = (literal(order_key, BigInteger), literal(line_id), literal(payee, BigInteger))
            sums = sums.where(tuple_(*keys) > tuple_(*after))
        listed, orders = sums.subquery(), table_of(OrderRow)
        statement = (
            select(listed.c.order_key, listed.c.line_id, listed.c.payee, orders.c.account_id, orders.c.order_id)
            .add_columns(listed.c.counted, listed.c.amount)
            .select_from(listed.outerjoin(orders, orders.c.id == listed.c.order_key))
            .order_by(listed.c.order_key, listed.c.line_id, listed.c.payee)
        )
        found = [
            CountedLine(order_key, line_id, payee, account or "", order_id or "", int(counts), _whole_or_none(amount))
            for order_key, line_id, payee, account, order_id, counts, amount in await self.session.execute(statement)
        ]
        return _LINES.page_of(found, page, lambda each: each[:3])

    async def _by_line(
        self,
        scheme: Scheme,
        lines: Sequence[Component],
        numbers: Numbers,
        worth: Mapping[int, Decimal],
        extent: Extent,
    ) -> dict[int, dict[str, int]]:
        """What lines come to when each is rounded by itself, all its differences together."""
        exact = [
            func.sum(_weighted(each, numbers, worth) * cast(literal(_rate(each)), Numeric))
            .filter(passes(each, numbers))
            .label(each.name)
            for each in lines
        ]
        inner = (
            select(_SALES.c.payee, *exact)
            .where(*within(scheme, extent))
            .group_by(_SALES.c.payee, _SALES.c.order_key, _SALES.c.line_id)
            .subquery()
        )
        outer = select(inner.c.payee, *(func.sum(_rounded(inner.c[each.name], scheme)) for each in lines))
        found: dict[int, dict[str, int]] = {}
        for row in await self.session.execute(outer.group_by(inner.c.payee)):
            found[row[0]] = {each.name: int(value or 0) for each, value in zip(lines, row[1:], strict=True)}
        return found

    async def _by_order(
        self, scheme: Scheme, counted: Sequence[Component], numbers: Numbers, extent: Extent
    ) -> dict[int, tuple[dict[str, int], dict[str, int]]]:
        """How many orders count, by what their lines are; and, of components of the grain `line`, what they come to
        when each order is rounded by itself."""
        inner = (
            select(_SALES.c.payee, *(weight_of_order(each, numbers).label(each.name) for each in counted))
            .where(*within(scheme, extent), or_(*(passes(each, numbers) for each in counted)))
            .group_by(_SALES.c.payee, _SALES.c.order_key)
            .subquery()
        )
        lines = [each for each in counted if each.grain == "line"]
        exact = [inner.c[each.name] * cast(literal(_rate(each)), Numeric) for each in lines]
        outer = select(
            inner.c.payee,
            *(func.sum(inner.c[each.name]) for each in counted),
            *(func.sum(_rounded(each, scheme)) for each in exact),
        )
        found: dict[int, tuple[dict[str, int], dict[str, int]]] = {}
        for payee, *values in await self.session.execute(outer.group_by(inner.c.payee)):
            sums = [int(value) for value in values]
            found[payee] = (
                {each.name: value for each, value in zip(counted, sums, strict=False)},
                {each.name: value for each, value in zip(lines, sums[len(counted) :], strict=True)},
            )
        return found

    async def _worth(self, rates: Mapping[str, Decimal]) -> Mapping[int, Decimal]:
        """What a minor unit of each currency is worth in the merchant's, by the number of its word."""
        words = await Sales(self.work).numbers({("currency", each) for each in rates}, known_only=True)
        return {number: per_minor(rates[currency], currency) for (_, currency), number in words.items()}

    async def _numbers(self, components: Sequence[Component]) -> Numbers:
        words = {(test.field, word) for each in components for test in tests_of(each) for word in test.values}
        return await Sales(self.work).numbers(words, known_only=True) if words else {}


def _lines_told(scheme: Scheme, count: LineCount, extent: Extent, worth: ColumnElement[Any]) -> Subquery:
    """What each sale of an extent counts (`now`), and what of it was there before (`before`); both once more in what
    is paid for (`exact`, `exact_before`): of exchange differences the gain, else the same."""
    was_there, nothing = _SALES.c.seq <= extent.since, literal(0, Numeric)
    return (
        select(_SALES.c.order_key, _SALES.c.line_id, _SALES.c.payee)
        .add_columns(count.weight.label("now"), case((was_there, count.weight), else_=nothing).label("before"))
        .add_columns(worth.label("exact"), case((was_there, worth), else_=nothing).label("exact_before"))
        .where(*within(scheme, extent._replace(since=0)), count.passes)
        .subquery()
    )


def _orders_told(scheme: Scheme, count: LineCount, extent: Extent) -> Subquery:
    """The same of each order of an extent, with the line that it counts by."""
    nothing = literal(0, BigInteger)
    sides = [(extent._replace(since=0), True)]
    if extent.since:
        sides.append((extent._replace(since=0, watermark=extent.since), False))
    told = []
    for side, is_now in sides:
        orders = orders_by_line(count.component, count.numbers, within(scheme, side))
        now, before = (orders.c.counted, nothing) if is_now else (nothing, orders.c.counted)
        told.append(
            select(orders.c.order_key, orders.c.line_id, orders.c.payee)
            .add_columns(now.label("now"), before.label("before"))
            .add_columns(now.label("exact"), before.label("exact_before"))
        )
    return union_all(*told).subquery()


def _amount_of_line(scheme: Scheme, component: Component, told: Subquery) -> ColumnElement[Any]:
    """What a line comes to that is rounded by itself, and came to before, taken off; NULL for what is not."""
    if component.grain != "line":
        return cast(null(), Numeric)
    rate = cast(literal(_rate(component)), Numeric)
    now, before = func.sum(told.c.exact) * rate, func.sum(told.c.exact_before) * rate
    return _rounded(now, scheme) - _rounded(before, scheme)


def _weighted(component: Component, numbers: Numbers, worth: Mapping[int, Decimal]) -> ColumnElement[Any]:
    """What a sale counts, in `exact.WEIGHT`. worth: of a minor unit of other currencies, by their word's number."""
    amount = (
        _gained(worth)
        if component.base == "fx-difference"
        else cast(_SALES.c[_MEASURES[str(component.base)]], BigInteger)
    )
    return amount * weight(component, numbers)


def _gained(worth: Mapping[int, Decimal]) -> ColumnElement[Any]:
    """What a sale is worth more at settlement than on the day of its order, in minor units, to their last decimal;
    nothing for what was sold in the merchant's own currency."""
    whens = [
        (_SALES.c.currency == number, _SALES.c.foreign_minor * literal(each, Numeric) - _SALES.c.kept_minor)
        for number, each in worth.items()
    ]
    return case(*whens, else_=literal(0, Numeric)) if whens else literal(0, Numeric)


def _rate(component: Component) -> int:
    if not isinstance(component.formula, Proportion):
        raise TypeError("only proportions are rounded line by line")
    return component.formula.rate


def _rounded(exact: ColumnElement[int], scheme: Scheme) -> ColumnElement[int]:
    """As `domain.settlement.exact.rounded`, in SQL."""
    unit = cast(literal(EXACT * scheme.grain), Numeric)
    size = func.abs(exact)
    whole = func.div(size, unit)
    rest = func.mod(size, unit)
    match scheme.rounding:
        case "half-away":
            more = rest * 2 >= unit
        case "half-even":
            more = (rest * 2 > unit) | ((rest * 2 == unit) & (func.mod(whole, 2) == 1))
        case "down":
            more = false()
        case "up":
            more = rest > 0
    return func.sign(exact) * (whole + cast(cast(more, Integer), Numeric)) * scheme.grain


def _sold(payee: int, sums: Mapping[str, Any], by_line: Mapping[str, int], gains: Collection[str]) -> Sold:
    found = {name: value for name, value in sums.items() if value is not None}
    return Sold(
        payee,
        {name: _whole(value) for name, value in found.items()},
        by_line,
        {name: Fraction(value) for name, value in found.items() if name in gains},
    )


def _whole_or_none(value: Any) -> int | None:
    return None if value is None else int(value)


def _whole(value: Any) -> int:
    """A sum as a whole number; of exchange differences what is finer than a ten-thousandth is rounded."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP)) if isinstance(value, Decimal) else int(value)
