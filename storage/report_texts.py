"""Statements put together from named parts, and what several reports ask for."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Boolean, Date, Integer, String, Subquery, Uuid, column, text
from sqlalchemy.types import TypeEngine

from storage.tables import Instant
from storage.unit_of_work import UnitOfWork


def filled(statement: str, **parts: str) -> str:
    """The statement with other statements in its `{places}`."""
    for name, part in parts.items():
        statement = statement.replace("{" + name + "}", part)
    return statement


_SIGNED = """
    SELECT *, (array_agg(calculation) FILTER (WHERE sign > 0) OVER (PARTITION BY origin, late))[1] AS holds
    FROM (
        SELECT side.of AS calculation, booked.origin, booked.scheme, booked.currency, booked.late,
            sum(side.sign)::integer AS sign
        FROM (
            SELECT c.calculation, c.before, c.origin, r.scheme, p.currency, c.origin <> r.period AS late
            FROM settlement_runs r
            JOIN settlement_run_calculations c ON c.run = r.id
            JOIN settlement_periods p ON p.id = r.period
            WHERE r.state = 'booked' AND r.period = ANY(CAST(:{periods} AS integer[]))
        ) booked
        CROSS JOIN LATERAL (VALUES (booked.calculation, 1), (booked.before, -1)) side(of, sign)
        WHERE side.of IS NOT NULL
        GROUP BY 1, 2, 3, 4, 5 HAVING sum(side.sign) <> 0
    ) counting
"""
_COMPONENTS = """
    SELECT * FROM unnest(
        CAST(:of_calculation AS uuid[]), CAST(:of_number AS integer[]), CAST(:of_component AS text[]),
        CAST(:of_title AS text[]), CAST(:of_sort AS text[]), CAST(:of_measured AS text[]),
        CAST(:of_level AS integer[]), CAST(:of_shared AS integer[]), CAST(:of_rates AS text[]),
        CAST(:of_marks AS text[]), CAST(:of_score AS text[])
    ) AS t(calculation, number, component, title, sort, measured, level, shared, rates, marks, score)
"""
_EARNED = """
    SELECT signed.calculation, signed.holds, signed.sign, signed.scheme, signed.currency, signed.late, signed.origin,
        period.start AS period_start, e.payee, e.part, e.component AS number, kind.component, kind.title, kind.sort,
        kind.measured, kind.level, kind.shared, kind.rates, kind.marks, kind.score,
        signed.sign * e.amount_minor AS amount,
        signed.sign * e.base * CASE WHEN kind.sort IN ('override', 'bounds') THEN 10000 ELSE 1 END AS base
    FROM ({signed}) signed
    JOIN settlement_earnings e ON e.calculation = signed.calculation
    JOIN settlement_periods period ON period.id = signed.origin
    JOIN ({components}) kind ON kind.calculation = e.calculation AND kind.number = e.component
    WHERE CAST(:payee AS integer) IS NULL OR e.payee = CAST(:payee AS integer)
"""
SIGNED = filled(_SIGNED, periods="inside")
"""The calculations of what was booked in the frame, and how often each counts: one that another run of it replaced does
not count any more. holds: the calculation in whose favour that is."""
EARNED = filled(_EARNED, signed=SIGNED, components=_COMPONENTS)
"""What was booked in the frame, by payee and component; bases in `exact.WEIGHT`."""
EARNED_BEFORE = filled(_EARNED, signed=filled(_SIGNED, periods="previous"), components=_COMPONENTS)
"""As `EARNED`, of the frame before."""
_ONCE = """
    SELECT calculation, origin, scheme, currency, false AS late, NULL::uuid AS holds, sum(sign)::integer AS sign
    FROM ({signed}) s
    GROUP BY calculation, origin, scheme, currency HAVING sum(sign) <> 0
"""
EARNED_IN_ALL = filled(_EARNED, signed=filled(_ONCE, signed=SIGNED), components=_COMPONENTS)
"""As `EARNED`, in time or late being one: what was booked in the frame and replaced in it does not count at all."""

MOVES = """
    SELECT t.id, t.kind AS transfer, t.source, t.period, t.currency, t.booked_at, a.kind AS account,
        a.id AS account_id, a.payee, side.sign * t.amount_minor AS amount
    FROM transfers t
    CROSS JOIN LATERAL (VALUES (t.credit, 1), (t.debit, -1)) side(account, sign)
    JOIN ledger_accounts a ON a.id = side.account
    WHERE t.period = ANY(CAST(:inside AS integer[]) || CAST(:before AS integer[]))
        AND (CAST(:payee AS integer) IS NULL OR a.payee = CAST(:payee AS integer))
"""
"""Both sides of every transfer up to the end of the frame; what is credited counts as more."""


_TYPES: Mapping[str, TypeEngine[Any]] = {
    "payee": Integer(),
    "money": BigInteger(),
    "measure": BigInteger(),
    "abroad": BigInteger(),
    "count": BigInteger(),
    "rate": String(),
    "text": String(),
    "day": Date(),
    "instant": Instant(),
    "uuid": Uuid(),
    "flag": Boolean(),
}
_VALUE = re.compile(r"(?<![:\w]):([a-z_]+)")


def rows_of(statement: str, values: Mapping[str, Any], types: Mapping[str, str]) -> Subquery:
    """A statement as a table with these columns, by what they hold; of the values it gets those that it names."""
    named = set(_VALUE.findall(statement))
    bound = text(statement).bindparams(**{name: value for name, value in values.items() if name in named})
    return bound.columns(*(column(name, _TYPES[kind]) for name, kind in types.items())).subquery()


async def run(work: UnitOfWork, statement: str, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
    """The rows that a statement gives back; of the values it gets those that it names."""
    named = set(_VALUE.findall(statement))
    found = await work.session.execute(text(statement), {name: each for name, each in values.items() if name in named})
    return [tuple(row) for row in found]
