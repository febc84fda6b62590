"""What was sold and earned, cut by what order lines say, and by level: parts that add up to what was booked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    select,
    union_all,
)

from storage.calculation_tables import MemberRow
from storage.counted_orders import orders_by_line
from storage.orders import OrderRow
from storage.recordsets import table_of
from storage.report_frames import BookedCalculation, ReportFrame
from storage.report_splits import OF, with_parts
from storage.report_texts import EARNED, rows_of
from storage.sale_filters import Extent, is_by_line, within
from storage.sale_sums import LineCount
from storage.sales import SaleRow, SaleWordRow

NOWHERE = "—"
"""Where what is earned by no order line stands."""
_SOLD = -2
_SALES, _ORDERS, _MEMBERS, _WORDS = (table_of(row) for row in (SaleRow, OrderRow, MemberRow, SaleWordRow))
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


CUTS: Mapping[str, Cut] = {
    "platforms": Cut(("platform",)),
    "channels": Cut(("channel",)),
    "shops": Cut(("shop",)),
    "goods": Cut(("shop", "article")),
    "categories": Cut(("category",)),
    "influencers": Cut(("influencer",)),
    "stores": Cut(("store",), _ORDERS.c.unit_path),
    "orders": Cut(("order",), _ORDERS.c.account_id + "/" + _ORDERS.c.order_id),
}
Counts = Mapping[UUID, Sequence[LineCount]]
"""How the components of each calculation count lines."""


def cut_by(name: str, frame: ReportFrame, counts: Counts) -> Subquery:
    """Rows of one of `CUTS`: what was sold by who was paid for it, and what they earned."""
    cut = CUTS[name]
    earned = select(rows_of(EARNED, frame.values, _EARNED_TYPES)).cte("earned")
    lines = _lines(cut, frame, counts).cte("lines")
    names = cut.names
    on = [earned.c[each] == lines.c[each] for each in OF if each != "late"]
    joined = (
        select(
            *(earned.c[each] for each in (*OF, "currency", "amount")),
            *(func.coalesce(lines.c[each], NOWHERE).label(each) for each in names),
            func.coalesce(lines.c.weight, 1).label("weight"),
        )
        .select_from(earned.outerjoin(lines, and_(*on, lines.c.weight > 0)))
        .subquery()
    )
    pieces = with_parts(joined, names)
    signed = select(*(earned.c[each] for each in ("calculation", "late", "sign", "currency"))).distinct().subquery()
    both = union_all(
        select(
            *(pieces.c[each] for each in (*names, "currency", "payee")),
            literal(0, BigInteger).label("sold"),
            pieces.c.piece.label("earned"),
        ),
        select(
            *(lines.c[each] for each in names),
            signed.c.currency,
            lines.c.payee,
            signed.c.sign * lines.c.weight,
            literal(0, BigInteger),
        )
        .join(signed, signed.c.calculation == lines.c.calculation)
        .where(lines.c.number == _SOLD),
    ).subquery()
    groups = [both.c[each] for each in (*names, "currency")]
    sums = (
        func.count(both.c.payee.distinct()).label("payees"),
        cast(func.sum(both.c.sold), BigInteger).label("sold"),
        cast(func.sum(both.c.earned), BigInteger).label("earned"),
    )
    return select(*groups, *sums).group_by(*groups).subquery()


def by_level(frame: ReportFrame) -> Subquery:
    """Rows of the report `levels`: of an override each level has its part of what was rounded once."""
    types = {**_EARNED_TYPES, "level": "text", "weight": "money"}
    pieces = with_parts(rows_of(_LEVELS.replace("{earned}", EARNED), frame.values, types), ("level",))
    groups = [pieces.c[each] for each in ("scheme", "level", "currency")]
    amount = cast(func.sum(pieces.c.piece), BigInteger).label("amount")
    return select(*groups, func.count(pieces.c.payee.distinct()).label("payees"), amount).group_by(*groups).subquery()


def _lines(cut: Cut, frame: ReportFrame, counts: Counts) -> Select[tuple[object, ...]]:
    """What lines count for every component of every calculation, in words: calculation, payee, number, weight."""
    selects = [each for booked in frame.booked for each in _of_calculation(cut, booked, counts)]
    if not selects:
        nobody = [literal(0).label(each) for each in ("payee", "number", "weight")]
        empty = select(literal(UUID(int=0)).label("calculation"), *nobody)
        return empty.add_columns(*(literal("").label(each) for each in cut.names)).where(false())
    told = union_all(*selects).subquery()
    statement = select(told.c.calculation, told.c.payee, told.c.number, told.c.weight)
    if cut.of_order is not None:
        return statement.add_columns(*(told.c[each] for each in cut.names))
    for name in cut.names:
        words = _WORDS.alias()
        statement = statement.join(words, words.c.number == told.c[name]).add_columns(words.c.word.label(name))
    return statement


def _of_calculation(cut: Cut, booked: BookedCalculation, counts: Counts) -> Iterator[Select[tuple[object, ...]]]:
    numbers = {name: number for number, name in enumerate(booked.row.components)}
    counted = [each for each in counts[booked.row.id] if each.component.override is None]
    for level in sorted({0, *(each.component.level for each in counted)}):
        some = {numbers[each.component.name]: each for each in counted if each.component.level == level}
        plain = {number: each for number, each in some.items() if not is_by_line(each.component)}
        sums = _sums(cut, booked, level, plain)
        measures = {number: f"weight_{number}" for number in plain} | ({_SOLD: "sold"} if level == 0 else {})
        yield from (_measured(cut, booked, sums, number, weight) for number, weight in measures.items())
        for number, each in some.items():
            if number not in plain:
                yield _measured(cut, booked, _order_sums(cut, booked, level, each), number, "counted")


def _measured(cut: Cut, booked: BookedCalculation, sums: CTE, number: int, weight: str) -> Select[tuple[object, ...]]:
    return select(
        literal(booked.row.id).label("calculation"),
        sums.c.payee,
        literal(number).label("number"),
        sums.c[weight].label("weight"),
        *(sums.c[each] for each in cut.names),
    )


def _sums(cut: Cut, booked: BookedCalculation, level: int, counted: Mapping[int, LineCount]) -> CTE:
    """What lines count, by who is paid for them: the seller, or who is so many levels above."""
    weights = [func.sum(each.weight).filter(each.passes).label(f"weight_{number}") for number, each in counted.items()]
    statement = _by_payee(cut, booked, level, _SALES, [*weights, func.sum(_SALES.c.kept_minor).label("sold")])
    return statement.where(*within(booked.scheme, _extent(booked))).cte()


def _order_sums(cut: Cut, booked: BookedCalculation, level: int, count: LineCount) -> CTE:
    """What orders count that do by what their lines are, each where the line is that it counts by."""
    words = [] if cut.of_order is not None else [_SALES.c[each] for each in cut.names]
    chosen = within(booked.scheme, _extent(booked))
    orders = orders_by_line(count.component, count.numbers, chosen, words)
    return _by_payee(cut, booked, level, orders, [func.sum(orders.c.counted).label("counted")]).cte()


def _by_payee(
    cut: Cut, booked: BookedCalculation, level: int, source: FromClause, sums: Sequence[ColumnElement[object]]
) -> Select[tuple[object, ...]]:
    payee = _MEMBERS.c.uplines[level] if level else source.c.payee
    by = [cut.of_order.label(cut.names[0])] if cut.of_order is not None else [source.c[each] for each in cut.names]
    statement = select(payee.label("payee"), *by, *sums).select_from(source)
    if cut.of_order is not None:
        statement = statement.join(_ORDERS, _ORDERS.c.id == source.c.order_key)
    if level:
        seller = and_(_MEMBERS.c.calculation == booked.row.id, _MEMBERS.c.payee == source.c.payee)
        statement = statement.join(_MEMBERS, seller).where(payee.is_not(None))
    return statement.group_by(payee, *by)


def _extent(booked: BookedCalculation) -> Extent:
    return Extent(booked.row.start, booked.row.end, booked.row.sales_upto or 0)


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
