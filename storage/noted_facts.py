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


class Counted(NamedTuple):
    """What counted in a calculation: facts of these names, of whoever took part in it, up to a number."""

    calculation: UUID | None
    names: list[str]
    upto: int


NOTHING = Counted(None, [], 0)


class CountedFacts(NamedTuple):
    """Facts that count in a calculation, of the days of its period, less those that counted before."""

    counted: Counted
    start: date
    end: date
    before: Counted


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


def counted_facts(row: CalculationRow, names: Sequence[str], before: Counted = NOTHING) -> CountedFacts:
    """Those of a calculation that is frozen, of these names."""
    return CountedFacts(Counted(row.id, list(names), row.facts_upto or 0), row.start, row.end, before)


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
    return {
        "parts": PARTS,
        "start": facts.start,
        "end": facts.end,
        **facts.counted._asdict(),
        "before": facts.before.calculation,
        "names_before": facts.before.names,
        "since": facts.before.upto,
    }


_TAKES_PART = """
    EXISTS (
        SELECT FROM settlement_members m
        WHERE m.calculation = %(calculation)b::uuid AND m.payee = f.payee
            AND m.part = (f.payee::bigint * 2654435761 %% 4294967296 * %(parts)b::bigint) >> 32
    )
"""
# As what they are now: in another role, or not there, other facts of theirs counted, or none.
_TOOK_PART_BEFORE = """
    EXISTS (
        SELECT FROM settlement_members m
        JOIN settlement_members now ON now.calculation = %(calculation)b::uuid AND now.part = m.part
            AND now.payee = m.payee AND (now.role, now.is_present) = (m.role, m.is_present)
        WHERE m.calculation = %(before)b::uuid AND m.payee = f.payee
            AND m.part = (f.payee::bigint * 2654435761 %% 4294967296 * %(parts)b::bigint) >> 32
    )
"""
# What came since is found day by day, as the index of days and numbers is: a period has far more facts. What was noted
# before counts for the first time where the scheme did not ask for it so then, or the payee was not there so.
_NEW = filled(
    """
    FROM (
        SELECT f.* FROM generate_series(%(start)b::date, %(end)b::date - 1, interval '1 day') AS one (day)
        JOIN payee_facts f ON f.day = one.day::date AND f.seq > %(since)b::bigint AND f.seq <= %(upto)b::bigint
        UNION ALL
        SELECT f.* FROM payee_facts f WHERE {in_period_before} AND f.name <> ALL(%(names_before)b::text[])
        UNION ALL
        SELECT f.* FROM payee_facts f
        WHERE {in_period_before} AND f.name = ANY(%(names_before)b::text[]) AND NOT {took_part_before}
    ) f
    WHERE f.name = ANY(%(names)b::text[]) AND {takes_part}
    """,
    in_period_before="""
        %(since)b::bigint > 0 AND f.day >= %(start)b::date AND f.day < %(end)b::date AND f.seq <= %(since)b::bigint
    """,
    took_part_before=_TOOK_PART_BEFORE,
    takes_part=_TAKES_PART,
)
_BY_WHOM = filled(
    """
    SELECT f.noted_by, f.name, count(*)::integer {new}
    GROUP BY f.noted_by, f.name ORDER BY f.noted_by, f.name
    """,
    new=_NEW,
)
_HAS_NOTED = filled("SELECT EXISTS (SELECT {new} AND f.noted_by = %(by)b::text)", new=_NEW)
_CHANGED = filled(
    """
    SELECT y.code, f.name, f.before, f.amount, f.noted_by, (count(*) OVER ())::integer
    FROM (
        SELECT f.payee, f.name, f.seq, f.amount, f.noted_by,
            lag(f.amount) OVER (PARTITION BY f.payee, f.name ORDER BY f.seq) AS before
        FROM payee_facts f
        WHERE f.day >= %(start)b::date AND f.day < %(end)b::date AND f.seq <= %(upto)b::bigint
            AND f.name = ANY(%(names)b::text[]) AND {takes_part}
    ) f JOIN payees y ON y.id = f.payee
    WHERE f.before <> f.amount
        AND (
            f.seq > %(since)b::bigint OR f.name <> ALL(%(names_before)b::text[]) OR NOT {took_part_before}
        )
    ORDER BY f.seq DESC LIMIT %(limit)b::integer
    """,
    took_part_before=_TOOK_PART_BEFORE,
    takes_part=_TAKES_PART,
)
