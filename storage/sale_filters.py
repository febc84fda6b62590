"""Which sales count for a component of a scheme, and how much: its filters as SQL over numbered words."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Integer, and_, any_, case, false, func, literal, true

from domain.settlement.exact import WEIGHT
from domain.settlement.scheme import FIELDS_OF_LINES, Component, LineTest, Scheme
from storage.recordsets import table_of
from storage.sales import BASES, SaleRow

Numbers = Mapping[tuple[str, str], int]
"""The numbers of words, by field and word."""
_SALES = table_of(SaleRow)
# Sales that began before the day of payment was kept count by the day that they have, as they were settled.
_PAID_DAY = func.coalesce(_SALES.c.paid_day, _SALES.c.day)
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


def tests_of(component: Component) -> list[LineTest]:
    """Everything that a component asks of lines."""
    return [*component.tests, *(test for each in component.weightings for test in each.tests)]


def is_by_line(component: Component) -> bool:
    """Whether it counts orders by what their lines are, so that one line is not as good as another."""
    return component.base == "orders" and any(test.field in FIELDS_OF_LINES for test in tests_of(component))


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
        # One array, however many are below somebody: a statement has so many parameters and no more.
        found.append(_SALES.c.payee == any_(literal(list(extent.payees), ARRAY(BigInteger))))
    return found


def passes(component: Component, numbers: Numbers) -> ColumnElement[bool]:
    """Whether a sale counts for a component."""
    tests = [_holds(test, numbers) for test in component.tests]
    if component.days is not None:
        tests += [component.days[0] <= _PAID_DAY, component.days[1] > _PAID_DAY]
    return and_(true(), *tests)


def weight(component: Component, numbers: Numbers) -> ColumnElement[int]:
    """How many ten-thousandths a sale counts."""
    whens = [(fits, literal(each, BigInteger)) for fits, each in _weightings(component, numbers)]
    return case(*whens, else_=literal(WEIGHT, BigInteger)) if whens else literal(WEIGHT, BigInteger)


def place_of_weighting(component: Component, numbers: Numbers) -> ColumnElement[int]:
    """Which of the component's weightings is the first that a sale fits; their number, when it fits none."""
    fits = [fits for fits, _ in _weightings(component, numbers)]
    none = literal(len(fits), Integer)
    return case(*((each, literal(place, Integer)) for place, each in enumerate(fits)), else_=none) if fits else none


def _weightings(component: Component, numbers: Numbers) -> list[tuple[ColumnElement[bool], int]]:
    return [
        (and_(true(), *(_holds(test, numbers) for test in each.tests)), each.weight) for each in component.weightings
    ]


def _holds(test: LineTest, numbers: Numbers) -> ColumnElement[bool]:
    if test.flag is not None:
        # What nobody knows is neither so nor not so: it passes neither way.
        flag = _SALES.c[_FLAGS[test.field]]
        return flag if test.flag else ~flag
    if test.values:
        # A word without a number is in no sale yet.
        known = [numbers[test.field, word] for word in test.values if (test.field, word) in numbers]
        # One array, as of payees.
        return _SALES.c[test.field] == any_(literal(known, ARRAY(Integer))) if known else false()
    bounds: list[ColumnElement[bool]] = []
    if test.low is not None:
        bounds.append(_SALES.c.order_minor >= test.low)
    if test.high is not None:
        bounds.append(_SALES.c.order_minor < test.high)
    return and_(true(), *bounds)


def pieces(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """Pieces kept of the sales of a group, as far as a condition holds; nothing where it does for none."""
    return func.coalesce(func.sum(_SALES.c.quantity).filter(condition), 0)
