"""Who noted the facts that a calculation counts, and which scores they changed, for who approves what comes of it."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from storage.bulk import fetch
from storage.calculation_tables import CalculationRow
from storage.report_texts import filled
from storage.sales import PARTS
from storage.unit_of_work import Repository


class CountedFacts(NamedTuple):
    """Facts of these names, of whoever takes part in a calculation and of the days of its period, noted after one
    number and up to another."""

    calculation: UUID
    names: list[str]
    start: date
    end: date
    since: int
    upto: int


class NotedBy(NamedTuple):
    """How many facts of a name somebody noted: a login, or `flow:` and a flow's name."""

    by: str
    name: str
    facts: int


class ChangedScore(NamedTuple):
    """A score of a payee's, by code, that was noted again and is another one since."""

    payee: str
    name: str
    before: int
    after: int
    by: str


def counted_facts(row: CalculationRow, names: Sequence[str], since: int = 0) -> CountedFacts:
    """Those of a calculation that is frozen."""
    return CountedFacts(row.id, list(names), row.start, row.end, since, row.facts_upto or 0)


class NotedFacts(Repository):
    """Facts by who noted them."""

    async def by_whom(self, facts: CountedFacts) -> Sequence[NotedBy]:
        """How many there are, by who noted them and by name."""
        return [NotedBy(*row) for row in await fetch(self.work, _BY_WHOM, _values(facts))]

    async def changed_scores(self, scores: CountedFacts, limit: int) -> tuple[Sequence[ChangedScore], int]:
        """Scores that are another one since they were noted again, the latest first; and how many there are in all."""
        rows = await fetch(self.work, _CHANGED, {**_values(scores), "limit": limit})
        return [ChangedScore(*row[:-1]) for row in rows], rows[0][-1] if rows else 0

    async def has_noted(self, facts: CountedFacts, by: str) -> bool:
        """Whether somebody noted any."""
        ((found,),) = await fetch(self.work, _HAS_NOTED, {**_values(facts), "by": by})
        return bool(found)


def _values(facts: CountedFacts) -> dict[str, object]:
    return {**facts._asdict(), "parts": PARTS}


# Day by day, as the index of days and numbers is: a period has far more facts than came since it was booked.
_NEW = """
    FROM generate_series(%(start)b::date, %(end)b::date - 1, interval '1 day') AS one (day)
    JOIN payee_facts f ON f.day = one.day::date AND f.seq > %(since)b::bigint AND f.seq <= %(upto)b::bigint
    WHERE f.name = ANY(%(names)b::text[])
"""
_TAKES_PART = """
    AND EXISTS (
        SELECT FROM settlement_members m
        WHERE m.calculation = %(calculation)b::uuid AND m.payee = f.payee
            AND m.part = (f.payee::bigint * 2654435761 %% 4294967296 * %(parts)b::bigint) >> 32
    )
"""
_BY_WHOM = filled(
    """
    SELECT f.noted_by, f.name, count(*)::integer {new} {takes_part}
    GROUP BY f.noted_by, f.name ORDER BY f.noted_by, f.name
    """,
    new=_NEW,
    takes_part=_TAKES_PART,
)
_HAS_NOTED = filled(
    "SELECT EXISTS (SELECT {new} AND f.noted_by = %(by)b::text {takes_part})", new=_NEW, takes_part=_TAKES_PART
)
_CHANGED = filled(
    """
    SELECT y.code, told.name, told.before, told.amount, told.noted_by, (count(*) OVER ())::integer
    FROM (
        SELECT f.payee, f.name, f.seq, f.amount, f.noted_by,
            lag(f.amount) OVER (PARTITION BY f.payee, f.name ORDER BY f.seq) AS before
        FROM payee_facts f
        WHERE f.day >= %(start)b::date AND f.day < %(end)b::date AND f.seq <= %(upto)b::bigint
            AND f.name = ANY(%(names)b::text[]) {takes_part}
    ) told JOIN payees y ON y.id = told.payee
    WHERE told.seq > %(since)b::bigint AND told.before <> told.amount
    ORDER BY told.seq DESC LIMIT %(limit)b::integer
    """,
    takes_part=_TAKES_PART,
)
