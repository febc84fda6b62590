"""The sales behind calculations of a frame: which are of each, and what they count for its components.

Sales are read once for each version of a scheme and level, however many calculations there are: their days stand in one
table beside them, and what is the same for all of them is a parameter.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, FromClause, and_, func, select

from storage.calculation_tables import MemberRow
from storage.orders import OrderRow
from storage.recordsets import table_of
from storage.report_frames import BookedCalculation, ReportFrame
from storage.report_texts import rows_of
from storage.sale_filters import is_by_line
from storage.sale_sums import LineCount
from storage.sales import BASES, SaleRow

Counts = Mapping[UUID, Sequence[LineCount]]
"""How the components of each calculation count lines."""
SALES, ORDERS, MEMBERS = (table_of(row) for row in (SaleRow, OrderRow, MemberRow))
_DAYS = """
    SELECT calculation, version, basis, turn, currency, sign, upto, day::date AS day
    FROM unnest(
        CAST(:days_calculation AS uuid[]), CAST(:days_version AS integer[]), CAST(:days_basis AS integer[]),
        CAST(:days_turn AS text[]), CAST(:days_currency AS text[]), CAST(:days_sign AS integer[]),
        CAST(:days_upto AS bigint[]), CAST(:days_start AS date[]), CAST(:days_end AS date[])
    ) AS t(calculation, version, basis, turn, currency, sign, upto, start, stop)
    CROSS JOIN LATERAL generate_series(start, stop - 1, interval '1 day') AS day
"""
_TYPES = {
    "calculation": "uuid",
    "version": "count",
    "basis": "count",
    "turn": "text",
    "currency": "text",
    "sign": "count",
    "upto": "count",
    "day": "day",
}


@dataclass(frozen=True, slots=True)
class Counting:
    """A component of a version that counts lines, under its number."""

    number: int
    count: LineCount

    @property
    def is_by_line(self) -> bool:
        """Whether it counts orders by what their lines are."""
        return is_by_line(self.count.component)


@dataclass(frozen=True, slots=True)
class Source:
    """rows: to select from. payee: who is paid. chosen: which of the rows."""

    rows: FromClause
    payee: ColumnElement[int]
    chosen: Sequence[ColumnElement[bool]]


class FrameLines:
    """Sales of the calculations that count in a frame. Of what is booked and replaced in it there is nothing."""

    def __init__(self, frame: ReportFrame, counts: Counts) -> None:
        self._payee = frame.payee
        self._counts = counts
        self.booked = [each for each in frame.booked if each.sign]
        self.turns = {_turn(each) for each in self.booked}
        self.bases = {BASES[each.scheme.counts] for each in self.booked}
        self._versions = list(dict.fromkeys(_version(each) for each in self.booked))
        self.days = rows_of(_DAYS, self._values(), _TYPES).select().cte("days")

    def of_versions(self) -> Iterator[tuple[int, Sequence[BookedCalculation]]]:
        """The calculations by version, each with its number in `days`."""
        for number, version in enumerate(self._versions):
            yield number, [each for each in self.booked if _version(each) == version]

    def counting(self, booked: BookedCalculation) -> Mapping[int, Sequence[Counting]]:
        """The components of a version that count lines, by whose they are: 0 the payee's own."""
        numbers = {name: number for number, name in enumerate(booked.row.components)}
        found: dict[int, list[Counting]] = {}
        for each in self._counts[booked.row.id]:
            if each.component.override is None:
                found.setdefault(each.component.level, []).append(Counting(numbers[each.component.name], each))
        return found

    def source(self, level: int = 0, version: int | None = None, *, orders: bool = False) -> Source:
        """Sales beside the calculations that they are of, and who is paid for them: who sold, or so many above."""
        some = (
            self.booked
            if version is None
            else [each for each in self.booked if _version(each) == self._versions[version]]
        )
        payee: ColumnElement[int] = MEMBERS.c.uplines[level] if level else MEMBERS.c.payee
        members = and_(
            MEMBERS.c.calculation == self.days.c.calculation,
            MEMBERS.c.part == SALES.c.part,
            MEMBERS.c.payee == SALES.c.payee,
        )
        same = (self.days.c.day == SALES.c.day, self.days.c.basis == SALES.c.basis, self.days.c.upto >= SALES.c.seq)
        rows: FromClause = SALES.join(self.days, and_(*same)).join(MEMBERS, members)
        if orders:
            rows = rows.join(ORDERS, ORDERS.c.id == SALES.c.order_key)
        chosen = [SALES.c.day >= _first(some), SALES.c.day < _last(some)]
        if version is not None:
            chosen.append(self.days.c.version == version)
        if level:
            chosen.append(payee.is_not(None))
        if self._payee is not None:
            chosen.append(payee == self._payee)
        return Source(rows, payee, chosen)

    def _values(self) -> dict[str, list[Any]]:
        numbers = {version: number for number, version in enumerate(self._versions)}
        rows = [(each, each.row) for each in self.booked]
        return {
            "days_calculation": [row.id for _, row in rows],
            "days_version": [numbers[_version(each)] for each, _ in rows],
            "days_basis": [BASES[each.scheme.counts] for each, _ in rows],
            "days_turn": [_turn(each) for each, _ in rows],
            "days_currency": [each.scheme.currency for each, _ in rows],
            "days_sign": [each.sign for each, _ in rows],
            "days_upto": [row.sales_upto or 0 for _, row in rows],
            "days_start": [row.start for _, row in rows],
            "days_end": [row.end for _, row in rows],
        }


def sold_once(lines: FrameLines, by: Sequence[ColumnElement[Any]], *, orders: bool) -> CTE:
    """What was sold by who was paid for it, by some columns of sales or of orders: `payee`, `currency`, those, `sold`.

    A sale counts once for a payee, however many settlements it is part of; less than nothing where it was taken out of
    one. Where schemes count paid and completed orders, an order counts as paid. orders: whether columns are of those.
    """
    source, days = lines.source(orders=orders), lines.days
    named = [source.payee.label("payee"), days.c.currency, *by]
    if len(lines.turns) <= 1:
        sold = func.sum(days.c.sign * SALES.c.kept_minor).label("sold")
        statement = select(*named, sold).select_from(source.rows).where(*source.chosen)
        return statement.group_by(source.payee, days.c.currency, *by).cte("sold")
    of_sale = [SALES.c.seq, SALES.c.kept_minor, SALES.c.order_key, days.c.basis]
    times = func.sum(days.c.sign)
    in_turn = (
        select(*named, *of_sale, times.label("times"))
        .select_from(source.rows)
        .where(*source.chosen)
        .group_by(source.payee, days.c.currency, *by, *of_sale, days.c.turn)
        .having(times != 0)
        .subquery()
    )
    names = [each.name for each in by]
    groups = [in_turn.c[each] for each in ("payee", "currency", *names, "seq", "kept_minor", "order_key", "basis")]
    once = func.greatest(func.max(in_turn.c.times), 0) + func.least(func.min(in_turn.c.times), 0)
    counted = select(*groups, once.label("times")).group_by(*groups).subquery()
    groups = [counted.c[each] for each in ("payee", "currency", *names)]
    sold = func.sum(counted.c.times * counted.c.kept_minor).label("sold")
    if len(lines.bases) == 1:
        return select(*groups, sold).group_by(*groups).cte("sold")
    first = func.min(counted.c.basis).over(
        partition_by=[counted.c[each] for each in ("payee", "currency", "order_key")]
    )
    as_paid = select(counted, first.label("first_basis")).subquery()
    groups = [as_paid.c[each] for each in ("payee", "currency", *names)]
    sold = func.sum(as_paid.c.times * as_paid.c.kept_minor).label("sold")
    return select(*groups, sold).where(as_paid.c.basis == as_paid.c.first_basis).group_by(*groups).cte("sold")


def _version(booked: BookedCalculation) -> tuple[str, str]:
    return booked.row.scheme, booked.row.version


def _turn(booked: BookedCalculation) -> str:
    """What follows one another without a gap: the periods of a scheme and cycle."""
    return f"{booked.row.scheme}/{booked.row.cycle}"


def _first(booked: Sequence[BookedCalculation]) -> date:
    return min((each.row.start for each in booked), default=date.min)


def _last(booked: Sequence[BookedCalculation]) -> date:
    return max((each.row.end for each in booked), default=date.min)
