"""What was sold and earned, cut by what order lines say, and by level: parts that add up to what was booked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    and_,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    union_all,
)

from storage.counted_orders import orders_by_line
from storage.recordsets import table_of
from storage.report_frames import ReportFrame
from storage.report_lines import ORDERS, SALES, Counting, Counts, FrameLines, Source, sold_once
from storage.report_splits import OF, with_parts
from storage.report_texts import EARNED, EARNED_IN_ALL, rows_of
from storage.sales import SaleWordRow

NOWHERE = "—"
"""Where what is earned by no order line stands."""
_WORDS = table_of(SaleWordRow)
_EARNED_TYPES = {
    "calculation": "uuid",
    "payee": "payee",
    "number": "count",
    "late": "flag",
    "sign": "count",
    "scheme": "text",
    "currency": "text",
    "amount": "money",
}


@dataclass(frozen=True, slots=True)
class Cut:
    """names: of the columns. of_order: an expression over the order; else they are words of sales."""

    names: tuple[str, ...]
    of_order: ColumnElement[str] | None = None

    @property
    def columns(self) -> list[ColumnElement[Any]]:
        """What sales are grouped by: words by their numbers."""
        if self.of_order is not None:
            return [self.of_order.label(self.names[0])]
        return [SALES.c[each] for each in self.names]

    def in_words(self, rows: FromClause, *columns: ColumnElement[Any]) -> Select[Any]:
        """Columns of rows that are grouped so, and the names."""
        if self.of_order is not None:
            return select(*columns, *(rows.c[each] for each in self.names))
        statement = select(*columns)
        for name in self.names:
            words = _WORDS.alias()
            statement = statement.join(words, words.c.number == rows.c[name]).add_columns(words.c.word.label(name))
        return statement


CUTS: Mapping[str, Cut] = {
    "platforms": Cut(("platform",)),
    "channels": Cut(("channel",)),
    "shops": Cut(("shop",)),
    "goods": Cut(("shop", "article")),
    "categories": Cut(("category",)),
    "influencers": Cut(("influencer",)),
    "stores": Cut(("store",), ORDERS.c.unit_path),
    "orders": Cut(("order",), ORDERS.c.account_id + "/" + ORDERS.c.order_id),
}


def cut_by(name: str, frame: ReportFrame, counts: Counts) -> Subquery:
    """Rows of one of `CUTS`: what was sold by who was paid for it, what they earned, and of how many payees there is
    any of either."""
    cut, lines = CUTS[name], FrameLines(frame, counts)
    earned, sold = _earned(cut, frame, lines), sold_once(lines, cut.columns, orders=cut.of_order is not None)
    names = ("currency", "payee", *cut.names)
    both = union_all(
        select(
            *(earned.c[each] for each in ("currency", "payee")),
            _NOTHING.label("sold"),
            earned.c.piece.label("earned"),
            *(earned.c[each] for each in cut.names),
        ),
        cut.in_words(sold, sold.c.currency, sold.c.payee, sold.c.sold, _NOTHING),
    ).subquery()
    sums = [cast(func.sum(both.c[each]), BigInteger) for each in ("sold", "earned")]
    of_payee = (
        select(*(both.c[each] for each in names), sums[0].label("sold"), sums[1].label("earned"))
        .group_by(*(both.c[each] for each in names))
        .having(or_(sums[0] != 0, sums[1] != 0))
        .subquery()
    )
    groups = [of_payee.c[each] for each in (*cut.names, "currency")]
    totals = [cast(func.sum(of_payee.c[each]), BigInteger).label(each) for each in ("sold", "earned")]
    return select(*groups, func.count().label("payees"), *totals).group_by(*groups).subquery()


def by_level(frame: ReportFrame) -> Subquery:
    """Rows of the report `levels`: of an override each level has its part of what was rounded once."""
    types = {**_EARNED_TYPES, "level": "text", "weight": "money"}
    pieces = with_parts(rows_of(_LEVELS.replace("{earned}", EARNED), frame.values, types), ("level",))
    groups = [pieces.c[each] for each in ("scheme", "level", "currency")]
    amount = cast(func.sum(pieces.c.piece), BigInteger).label("amount")
    of_payee = select(*groups, pieces.c.payee, amount).group_by(*groups, pieces.c.payee).subquery()
    groups = [of_payee.c[each] for each in ("scheme", "level", "currency")]
    amount = cast(func.sum(of_payee.c.amount), BigInteger).label("amount")
    payees = func.count().filter(of_payee.c.amount != 0).label("payees")
    return select(*groups, payees, amount).group_by(*groups).subquery()


_NOTHING = literal(0, BigInteger)


def _earned(cut: Cut, frame: ReportFrame, lines: FrameLines) -> Subquery:
    """What payees earned by each component, a piece for each place that the lines behind it are of."""
    earned = select(rows_of(EARNED_IN_ALL, frame.values, _EARNED_TYPES)).cte("earned")
    weights = _weights(cut, lines).cte("weights")
    on = [earned.c[each] == weights.c[each] for each in OF if each != "late"]
    joined = (
        select(
            *(earned.c[each] for each in (*OF, "currency", "amount")),
            *(func.coalesce(weights.c[each], NOWHERE).label(each) for each in cut.names),
            func.coalesce(weights.c.weight, 1).label("weight"),
        )
        .select_from(earned.outerjoin(weights, and_(*on, weights.c.weight > 0)))
        .subquery()
    )
    return with_parts(joined, cut.names)


def _weights(cut: Cut, lines: FrameLines) -> Select[Any]:
    """What lines count for every component of every calculation, in words: calculation, payee, number, weight."""
    selects = list(_of_versions(cut, lines))
    if not selects:
        nobody = [literal(0).label(each) for each in ("payee", "number", "weight")]
        empty = select(literal(UUID(int=0)).label("calculation"), *nobody)
        return empty.add_columns(*(literal("").label(each) for each in cut.names)).where(false())
    told = union_all(*selects).subquery()
    return cut.in_words(told, *(told.c[each] for each in ("calculation", "payee", "number", "weight")))


def _of_versions(cut: Cut, lines: FrameLines) -> Iterator[Select[Any]]:
    for version, booked in lines.of_versions():
        for level, counting in lines.counting(booked[0]).items():
            source = lines.source(level, version, orders=cut.of_order is not None)
            yield from _of_sales(cut, lines, source, [each for each in counting if not each.is_by_line])
            for each in counting:
                if each.is_by_line:
                    yield _of_orders(cut, lines, source, each)


def _of_sales(cut: Cut, lines: FrameLines, source: Source, counting: Sequence[Counting]) -> Iterator[Select[Any]]:
    by, days = cut.columns, lines.days
    weights = [
        func.sum(each.count.weight).filter(each.count.passes).label(f"weight_{each.number}") for each in counting
    ]
    statement = select(days.c.calculation, source.payee.label("payee"), *by, *weights).select_from(source.rows)
    sums = statement.where(*source.chosen).group_by(days.c.calculation, source.payee, *by).cte()
    for each in counting:
        yield _weighed(cut, sums, each, sums.c[f"weight_{each.number}"])


def _of_orders(cut: Cut, lines: FrameLines, source: Source, counting: Counting) -> Select[Any]:
    """What orders count that do by what their lines are, each where the line is that it counts by."""
    count, keys = counting.count, [lines.days.c.calculation, source.payee.label("paid_payee")]
    orders = orders_by_line(count.component, count.numbers, source.chosen, [*keys, *cut.columns], rows=source.rows)
    payee, names = orders.c.paid_payee.label("payee"), [orders.c[each] for each in cut.names]
    groups = [orders.c.calculation, orders.c.paid_payee, *names]
    weight = func.sum(orders.c.counted).label("weight")
    return _weighed(cut, select(orders.c.calculation, payee, *names, weight).group_by(*groups).cte(), counting)


def _weighed(cut: Cut, sums: CTE, counting: Counting, weight: ColumnElement[Any] | None = None) -> Select[Any]:
    return select(
        sums.c.calculation,
        sums.c.payee,
        literal(counting.number).label("number"),
        (sums.c.weight if weight is None else weight).label("weight"),
        *(sums.c[name] for name in cut.names),
    )


_LEVELS = """
    SELECT e.calculation, e.payee, e.number, e.late, e.sign, e.scheme, e.currency, e.amount,
        CASE e.sort
            WHEN 'bounds' THEN '—' WHEN 'override' THEN coalesce(below.level::text, '—') ELSE e.level::text
        END AS level,
        coalesce(below.weight, 1) AS weight
    FROM ({earned}) e
    LEFT JOIN LATERAL (
        SELECT p.level, sum(p.earned) * (CAST(e.rates AS bigint[]))[p.level] AS weight
        FROM settlement_passed p
        WHERE e.sort = 'override' AND p.calculation = e.calculation AND p.upline = e.payee AND p.to_part = e.part
            AND p.component = e.shared AND p.level <= cardinality(CAST(e.rates AS bigint[]))
        GROUP BY p.level HAVING sum(p.earned) > 0
    ) below ON below.weight > 0
"""
