"""Exchange differences so that they can be checked: what was sold abroad on which day, worth how much then and now."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Date,
    Numeric,
    Select,
    String,
    Subquery,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    union_all,
)

from domain.money import per_minor
from storage.calculations import rates_of
from storage.exchange_rates import HOLDS_FOR, ExchangeRateRow
from storage.recordsets import table_of
from storage.report_frames import ReportFrame
from storage.report_lines import MEMBERS, ORDERS, SALES, Counts, FrameLines
from storage.report_texts import EARNED_IN_ALL, filled, rows_of
from storage.sales import SaleWordRow

_WORDS, _NOTED = table_of(SaleWordRow), table_of(ExchangeRateRow)
_EARNED_FX = filled("SELECT * FROM ({earned}) e WHERE e.sort = 'fx'", earned=EARNED_IN_ALL)
_TYPES = {
    "calculation": "uuid",
    "part": "count",
    "payee": "payee",
    "number": "count",
    "sign": "count",
    "scheme": "text",
    "component": "text",
    "title": "text",
    "period_start": "day",
    "currency": "text",
    "amount": "money",
}
_FROZEN = """
    SELECT * FROM unnest(
        CAST(:frozen_calculation AS uuid[]), CAST(:frozen_currency AS text[]), CAST(:frozen_rate AS text[]),
        CAST(:frozen_worth AS text[])
    ) AS t(calculation, foreign_currency, rate, worth)
"""
_OF = ("payee", "role", "scheme", "component", "title", "period_start", "currency")
_ABROAD = ("foreign_currency", "rate_day", "settlement_rate")


def exchange_differences(frame: ReportFrame, counts: Counts) -> Subquery:
    """Rows of the report `fx`: of what a payee earned by a component and period, the part of each currency and day.

    A part is what it comes to up to its day less what it comes to up to the day before, each rounded: the parts add up
    to what was rounded once, whether they are gains or losses.
    """
    lines = FrameLines(frame, counts)
    earned = rows_of(_EARNED_FX, frame.values, _TYPES)
    sold = _sold(lines).subquery()
    frozen = rows_of(
        _FROZEN, _frozen(lines), dict.fromkeys(("foreign_currency", "rate", "worth"), "text") | {"calculation": "uuid"}
    )
    of = [earned.c[each] for each in ("calculation", "payee", "number")]
    worth = sold.c.abroad * cast(frozen.c.worth, Numeric) - sold.c.at_order
    place = [sold.c.foreign_currency, sold.c.rate_day]
    upto = func.coalesce(func.sum(worth).over(partition_by=of, order_by=place), 0)
    whole = func.coalesce(func.sum(worth).over(partition_by=of), 0)
    first = func.row_number().over(partition_by=of, order_by=place) == 1
    amount = cast(earned.c.amount, Numeric)
    same = [earned.c[each] == sold.c[each] for each in ("calculation", "payee", "number")]
    rate = and_(frozen.c.calculation == sold.c.calculation, frozen.c.foreign_currency == sold.c.foreign_currency)
    member = and_(*(MEMBERS.c[each] == earned.c[each] for each in ("calculation", "part", "payee")))
    placed = (
        select(
            *(earned.c[each] for each in _OF if each != "role"),
            MEMBERS.c.role,
            func.coalesce(sold.c.foreign_currency, "").label("foreign_currency"),
            func.coalesce(sold.c.rate_day, earned.c.period_start).label("rate_day"),
            func.coalesce(frozen.c.rate, "").label("settlement_rate"),
            (earned.c.sign * func.coalesce(sold.c.abroad, 0)).label("foreign"),
            (earned.c.sign * func.coalesce(sold.c.at_order, 0)).label("at_order"),
            (earned.c.sign * func.coalesce(worth, 0)).label("base"),
            # Where there is nothing to go by, the first has it all: a floor without any difference.
            case((whole != 0, func.round(amount * upto / func.nullif(whole, 0))), else_=amount).label("upto"),
            case(
                (whole != 0, func.round(amount * (upto - func.coalesce(worth, 0)) / func.nullif(whole, 0))),
                (first, literal(0, Numeric)),
                else_=amount,
            ).label("before"),
        )
        .select_from(earned.join(MEMBERS, member).outerjoin(sold, and_(*same)).outerjoin(frozen, rate))
        .subquery()
    )
    groups = [placed.c[each] for each in (*_OF, *_ABROAD)]
    base = func.round(func.sum(placed.c.base))
    sums = {
        "foreign": func.sum(placed.c.foreign),
        "at_order": func.sum(placed.c.at_order),
        "base": base,
        "amount": func.sum(placed.c.upto - placed.c.before),
    }
    whole_sums = [cast(each, BigInteger).label(name) for name, each in sums.items()]
    found = (
        select(*groups, literal("money").label("measured"), *whole_sums)
        .group_by(*groups)
        .having(or_(*(each != 0 for each in sums.values())))
        .subquery()
    )
    return select(found, func.coalesce(_noted(found), "").label("order_rate")).subquery()


def _sold(lines: FrameLines) -> Select[Any]:
    """What was kept abroad, and what it was worth when it was ordered, as each component counts it: by currency and the
    day whose rate it was."""
    selects = []
    day = cast(
        func.timezone("Asia/Shanghai", func.coalesce(ORDERS.c.paid_at, ORDERS.c.created_at, ORDERS.c.told_at)), Date
    )
    for version, booked in lines.of_versions():
        counting = [
            each for each in lines.counting(booked[0]).get(0, ()) if each.count.component.base == "fx-difference"
        ]
        source = lines.source(0, version, orders=True)
        for each in counting:
            times = each.count.times
            keys = [lines.days.c.calculation, source.payee.label("payee"), SALES.c.currency, day.label("rate_day")]
            selects.append(
                select(
                    *keys,
                    literal(each.number).label("number"),
                    func.sum(SALES.c.foreign_minor * times).label("abroad"),
                    func.sum(SALES.c.kept_minor * times).label("at_order"),
                )
                .select_from(source.rows)
                .where(*source.chosen, each.count.passes)
                .group_by(lines.days.c.calculation, source.payee, SALES.c.currency, day)
            )
    if not selects:
        nothing = select(
            literal(UUID(int=0)).label("calculation"), *(literal(0).label(each) for each in ("payee", "number"))
        )
        nothing = nothing.add_columns(*(cast(literal(0), Numeric).label(each) for each in ("abroad", "at_order")))
        return nothing.add_columns(cast(None, Date).label("rate_day"), literal("").label("foreign_currency")).where(
            false()
        )
    told = union_all(*selects).subquery()
    names = ("calculation", "payee", "number", "abroad", "at_order", "rate_day")
    statement = select(*(told.c[each] for each in names), _WORDS.c.word.label("foreign_currency"))
    return statement.join(_WORDS, _WORDS.c.number == told.c.currency)


def _frozen(lines: FrameLines) -> dict[str, list[Any]]:
    """The rates that calculations were made with, and what a minor unit is worth by them."""
    rows = [
        (each.row.id, currency, format(rate.normalize(), "f"), format(per_minor(rate, currency), "f"))
        for each in lines.booked
        for currency, rate in rates_of(each.row).items()
    ]
    names = ("calculation", "currency", "rate", "worth")
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return {f"frozen_{name}": list(values) for name, values in zip(names, columns, strict=True)}


def _noted(found: Subquery) -> Any:
    """The rate that is noted for the day of an order."""
    day = found.c.rate_day
    statement = select(cast(func.trim_scale(_NOTED.c.rate), String)).where(
        _NOTED.c.currency == found.c.foreign_currency, _NOTED.c.day <= day, _NOTED.c.day > day - HOLDS_FOR.days
    )
    return statement.order_by(_NOTED.c.day.desc()).limit(1).scalar_subquery()
