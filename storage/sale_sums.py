"""What each payee's sales come to, by component of a scheme: the filters of the scheme as SQL over numbered words."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Integer, Numeric, and_, case, cast, false, func, literal, select, true

from domain.money import per_minor
from domain.settlement.exact import EXACT, WEIGHT
from domain.settlement.formulas import Proportion
from domain.settlement.scheme import LINE_BASES, Component, LineTest, Scheme
from storage.orders import OrderRow
from storage.recordsets import table_of
from storage.sales import BASES, SaleRow, Sales
from storage.unit_of_work import Repository

_SALES = table_of(SaleRow)
_MEASURES: Mapping[str, str] = {
    "paid": "paid_minor",
    "kept": "kept_minor",
    "quantity": "quantity",
    "orders": "orders",
}
_FLAGS = {"first": "is_first", "bonded": "is_bonded"}


class Extent(NamedTuple):
    """Which sales: of `[start, end)`, up to a row, of one part; of some payees only, where they are named; since: after
    that row."""

    start: date
    end: date
    watermark: int
    part: int | None = None
    payees: Sequence[int] | None = None
    since: int = 0


class Sold(NamedTuple):
    """bases: by component, in `exact.WEIGHT`. by_line: of components of the grain `line`, in minor units. unrounded:
    of exchange differences, which may be finer than that, what `bases` has rounded."""

    payee: int
    bases: Mapping[str, int]
    by_line: Mapping[str, int]
    unrounded: Mapping[str, Fraction] = {}


class LineCount(NamedTuple):
    """How a component counts order lines. weight: what a sale counts, in `exact.WEIGHT`; of exchange differences what
    was kept abroad. passes: whether it counts at all."""

    component: Component
    weight: ColumnElement[Any]
    passes: ColumnElement[bool]


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
        lines = [each for each in counted if each.grain == "line"]
        worth = await self._worth(rates or {})
        sums = [
            func.sum(_weighted(each, numbers, worth)).filter(_passes(each, numbers)).label(each.name)
            for each in counted
        ]
        statement = (
            select(_SALES.c.payee, *sums)
            .where(*within(scheme, extent))
            .group_by(_SALES.c.payee)
            .order_by(_SALES.c.payee)
        )
        rounded = await self._by_line(scheme, lines, numbers, worth, extent) if lines else {}
        rows = (await self.session.execute(statement)).all()
        names = [each.name for each in counted]
        gains = {each.name for each in counted if each.base == "fx-difference"}
        return (_sold(row[0], dict(zip(names, row[1:], strict=True)), rounded.get(row[0], {}), gains) for row in rows)

    async def line_counts(self, scheme: Scheme) -> list[LineCount]:
        """How each component that counts order lines does it, in the order of the scheme."""
        return [await self._counted(each) for each in scheme.components if each.base in LINE_BASES]

    async def _counted(self, component: Component) -> LineCount:
        numbers = await self._numbers([component])
        passes = _passes(component, numbers)
        if component.base != "fx-difference":
            return LineCount(component, _weighted(component, numbers, {}), passes)
        home = await Sales(self.work).numbers({("currency", "")}, known_only=True)
        weight = _weighted(replace(component, base="kept"), numbers, {})
        return LineCount(component, weight, passes & _SALES.c.currency.not_in(home.values()))

    async def lines(
        self, scheme: Scheme, component: Component, extent: Extent, limit: int
    ) -> list[tuple[str, str, str, int]]:
        """The order lines that count for a component, with all their differences: account, order, line, and what they
        count in `exact.WEIGHT`; without those that come to nothing. Of exchange differences what was kept abroad."""
        _, weight, passes = await self._counted(component)
        chosen = [*within(scheme, extent), passes]
        counted = func.sum(weight).label("counted")
        sums = (
            select(_SALES.c.order_key, _SALES.c.line_id, counted)
            .where(*chosen)
            .group_by(_SALES.c.order_key, _SALES.c.line_id)
            .having(counted != 0)
            .order_by(_SALES.c.order_key, _SALES.c.line_id)
            .limit(limit)
            .subquery()
        )
        orders = table_of(OrderRow)
        statement = (
            select(orders.c.account_id, orders.c.order_id, sums.c.line_id, sums.c.counted)
            .join(orders, orders.c.id == sums.c.order_key)
            .order_by(sums.c.order_key, sums.c.line_id)
        )
        return [(*row[:3], int(row[3])) for row in await self.session.execute(statement)]

    async def _by_line(
        self,
        scheme: Scheme,
        lines: Sequence[Component],
        numbers: Mapping[tuple[str, str], int],
        worth: Mapping[int, Decimal],
        extent: Extent,
    ) -> dict[int, dict[str, int]]:
        """What lines come to when each is rounded by itself, all its differences together."""
        exact = [
            func.sum(_weighted(each, numbers, worth) * cast(literal(_rate(each)), Numeric))
            .filter(_passes(each, numbers))
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

    async def _worth(self, rates: Mapping[str, Decimal]) -> Mapping[int, Decimal]:
        """What a minor unit of each currency is worth in the merchant's, by the number of its word."""
        words = await Sales(self.work).numbers({("currency", each) for each in rates}, known_only=True)
        return {number: per_minor(rates[currency], currency) for (_, currency), number in words.items()}

    async def _numbers(self, components: Sequence[Component]) -> dict[tuple[str, str], int]:
        tests = [test for each in components for test in (*each.tests, *(t for w in each.weightings for t in w.tests))]
        words = {(test.field, word) for test in tests for word in test.values}
        return await Sales(self.work).numbers(words, known_only=True) if words else {}


def within(scheme: Scheme, extent: Extent) -> list[ColumnElement[bool]]:
    """Whether a sale is of an extent, and counts as the scheme does."""
    found = [
        _SALES.c.basis == BASES[scheme.counts],
        _SALES.c.day >= extent.start,
        _SALES.c.day < extent.end,
        _SALES.c.seq <= extent.watermark,
    ]
    if extent.since:
        found.append(_SALES.c.seq > extent.since)
    if extent.part is not None:
        found.append(_SALES.c.part == extent.part)
    if extent.payees is not None:
        found.append(_SALES.c.payee.in_(extent.payees))
    return found


def _passes(component: Component, numbers: Mapping[tuple[str, str], int]) -> ColumnElement[bool]:
    """Whether a sale counts for a component."""
    tests = [_holds(test, numbers) for test in component.tests]
    if component.days is not None:
        tests += [_SALES.c.day >= component.days[0], _SALES.c.day < component.days[1]]
    return and_(true(), *tests)


def _holds(test: LineTest, numbers: Mapping[tuple[str, str], int]) -> ColumnElement[bool]:
    if test.flag is not None:
        flag = _SALES.c[_FLAGS[test.field]]
        return flag if test.flag else ~flag
    if test.values:
        # A word without a number is in no sale yet.
        known = [numbers[test.field, word] for word in test.values if (test.field, word) in numbers]
        return _SALES.c[test.field].in_(known) if known else false()
    bounds: list[ColumnElement[bool]] = []
    if test.low is not None:
        bounds.append(_SALES.c.order_minor >= test.low)
    if test.high is not None:
        bounds.append(_SALES.c.order_minor < test.high)
    return and_(true(), *bounds)


def _weighted(
    component: Component, numbers: Mapping[tuple[str, str], int], worth: Mapping[int, Decimal]
) -> ColumnElement[Any]:
    """What a sale counts, in `exact.WEIGHT`. worth: of a minor unit of other currencies, by their word's number."""
    amount = (
        _gained(worth)
        if component.base == "fx-difference"
        else cast(_SALES.c[_MEASURES[str(component.base)]], BigInteger)
    )
    whens = [
        (and_(true(), *(_holds(test, numbers) for test in each.tests)), literal(each.weight, BigInteger))
        for each in component.weightings
    ]
    weight = case(*whens, else_=literal(WEIGHT, BigInteger)) if whens else literal(WEIGHT, BigInteger)
    return amount * weight


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


def _whole(value: Any) -> int:
    """A sum as a whole number; of exchange differences what is finer than a ten-thousandth is rounded."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP)) if isinstance(value, Decimal) else int(value)
