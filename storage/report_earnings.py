"""Reports of what payees earned by component, from the calculations that runs booked."""

from collections.abc import Mapping

from domain.settlement.report_columns import GROUP_LEADER
from storage.report_texts import EARNED, EARNED_BEFORE, filled

_IS_LEADER = """
    EXISTS (
        SELECT FROM settlement_members leader
        WHERE leader.calculation = e.calculation AND leader.part = e.part AND leader.payee = e.payee
            AND leader.role = '{role}'
    )
"""
SOME: Mapping[str, str] = {
    "group-leaders": filled(_IS_LEADER, role=GROUP_LEADER),
    "tier-distance": "(e.marks IS NOT NULL AND NOT e.late)",
    "step-bonuses": "e.sort = 'bonus'",
    "overrides": "e.sort = 'override'",
    "deeds": "e.sort = 'deed'",
    "bounds": "e.sort = 'bounds'",
    "fx": "e.sort = 'fx'",
    "fees": "e.sort = 'deduction'",
}
"""Which of what was earned these reports are of."""
REST = filled(
    "SELECT e.currency, sum(e.amount)::bigint FROM ({earned}) e WHERE NOT {which} GROUP BY e.currency", earned=EARNED
)
"""What a report of some components leaves out, by currency."""

_SOME = """
    SELECT e.payee, coalesce((array_agg(m.role ORDER BY e.sign DESC))[1], '') AS role, e.scheme, e.component,
        max(e.title) AS title, e.period_start, max(e.measured) AS measured, e.currency,
        sum(e.base)::bigint AS base, sum(e.amount)::bigint AS amount,
        (array_agg(e.marks ORDER BY e.sign DESC))[1] AS marks, max({score}) AS score
    FROM ({earned}) e
    LEFT JOIN settlement_members m ON m.calculation = e.calculation AND m.part = e.part AND m.payee = e.payee
    {scored}
    WHERE {which}
    GROUP BY e.payee, e.scheme, e.component, e.period_start, e.currency
"""
_SCORED = """
    LEFT JOIN LATERAL (
        SELECT f.amount FROM payee_facts f JOIN settlement_calculations k ON k.id = e.calculation
        WHERE f.payee = e.payee AND f.name = e.score AND e.sign > 0
            AND f.day >= k.start AND f.day < k."end" AND f.seq <= k.facts_upto
        ORDER BY f.seq DESC LIMIT 1
    ) scored ON true
"""
_DISTANCE = """
    SELECT tiered.payee, tiered.role, tiered.scheme, tiered.component, tiered.title, tiered.period_start,
        tiered.measured, tiered.base, tiered.currency, tiered.amount, reached.mark * 10000 AS mark,
        reached.next_mark * 10000 AS next_mark, reached.next_mark * 10000 - tiered.base AS missing
    FROM ({some}) tiered
    CROSS JOIN LATERAL (
        SELECT max(mark) FILTER (WHERE mark * 10000 <= tiered.base) AS mark,
            min(mark) FILTER (WHERE mark * 10000 > tiered.base) AS next_mark
        FROM unnest(CAST(tiered.marks AS bigint[])) AS t(mark)
    ) reached
"""


def _some(name: str) -> str:
    is_scored = name == "group-leaders"
    score, scored = ("scored.amount", _SCORED) if is_scored else ("NULL::bigint", "")
    return filled(_SOME, earned=EARNED, which=SOME[name], score=score, scored=scored)


EARNINGS: Mapping[str, str] = {
    "payees": filled(
        """
        SELECT payee, scheme, currency, coalesce(sum(amount) FILTER (WHERE NOT late), 0)::bigint AS commission,
            coalesce(sum(amount) FILTER (WHERE late), 0)::bigint AS late, sum(amount)::bigint AS earned
        FROM ({earned}) e GROUP BY payee, scheme, currency
        """,
        earned=EARNED,
    ),
    "components": filled(
        """
        SELECT scheme, component, max(title) AS title, max(sort) AS sort, currency,
            count(*) FILTER (WHERE amount <> 0) AS payees, sum(amount)::bigint AS amount
        FROM (
            SELECT scheme, component, max(title) AS title, max(sort) AS sort, currency, payee, sum(amount) AS amount
            FROM ({earned}) e GROUP BY scheme, component, currency, payee
        ) of_payee
        GROUP BY scheme, component, currency
        """,
        earned=EARNED,
    ),
    "roles": filled(
        """
        SELECT scheme, role, currency, count(*) FILTER (WHERE amount <> 0) AS payees, sum(amount)::bigint AS amount
        FROM (
            SELECT e.scheme, coalesce(m.role, '') AS role, e.currency, e.payee, sum(e.amount) AS amount
            FROM ({earned}) e
            LEFT JOIN settlement_members m ON m.calculation = e.calculation AND m.part = e.part AND m.payee = e.payee
            GROUP BY 1, 2, 3, 4
        ) of_payee
        GROUP BY scheme, role, currency
        """,
        earned=EARNED,
    ),
    **{name: _some(name) for name in SOME if name not in ("tier-distance", "fx")},
    "tier-distance": filled(_DISTANCE, some=_some("tier-distance")),
    "comparison": filled(
        """
        SELECT scheme, component, max(title) AS title, currency, sum(before)::bigint AS before,
            sum(amount)::bigint AS amount, sum(amount - before)::bigint AS change
        FROM (
            SELECT scheme, component, title, currency, 0 AS before, amount FROM ({earned}) now
            UNION ALL
            SELECT scheme, component, title, currency, amount, 0 FROM ({before}) earlier
        ) both_frames
        GROUP BY scheme, component, currency
        """,
        earned=EARNED,
        before=EARNED_BEFORE,
    ),
}
"""The statements of these reports, by name."""
