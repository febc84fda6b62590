"""Two calculations beside each other: what payees get more or less by the one than by the other."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from storage.bulk import fetch
from storage.unit_of_work import Repository


class ChangedPayee(NamedTuple):
    """What a payee gets in all by one calculation, and by the other."""

    payee: int
    before_minor: int
    now_minor: int


class Changes(NamedTuple):
    """Of all payees who earn anything in either: how many get more, less, the same, and how much more and less
    altogether, neither below nothing. largest: those for whom it changes most."""

    gaining: int
    gained_minor: int
    losing: int
    lost_minor: int
    unchanged: int
    largest: Sequence[ChangedPayee]


class CalculationComparisons(Repository):
    """Earnings compared by payee."""

    async def changes(self, before: UUID, now: UUID, most: int) -> Changes:
        """What changes from one calculation to the other, with at most so many payees named."""
        rows = await fetch(self.work, _CHANGES, {"before": before, "now": now, "most": most})
        # Sums and the payees named come in one pass over the earnings; without any of these the rest is NULL.
        gaining, gained, losing, lost, unchanged = rows[0][:5]
        largest = [ChangedPayee(*row[5:]) for row in rows if row[5] is not None]
        return Changes(gaining, gained, losing, lost, unchanged, largest)


_CHANGES = """
    WITH told AS MATERIALIZED (
        SELECT payee, coalesce(sum(amount_minor) FILTER (WHERE calculation = %(before)b::uuid), 0)::bigint AS was,
            coalesce(sum(amount_minor) FILTER (WHERE calculation = %(now)b::uuid), 0)::bigint AS now
        FROM settlement_earnings WHERE calculation IN (%(before)b::uuid, %(now)b::uuid)
        GROUP BY payee
    ), sums AS (
        SELECT count(*) FILTER (WHERE now > was) AS gaining,
            coalesce(sum(now - was) FILTER (WHERE now > was), 0)::bigint AS gained,
            count(*) FILTER (WHERE now < was) AS losing,
            coalesce(sum(was - now) FILTER (WHERE now < was), 0)::bigint AS lost,
            count(*) FILTER (WHERE now = was) AS unchanged
        FROM told
    ), largest AS (
        SELECT payee, was, now FROM told WHERE now <> was
        ORDER BY abs(now - was) DESC, payee LIMIT %(most)b::integer
    )
    SELECT sums.gaining, sums.gained, sums.losing, sums.lost, sums.unchanged, l.payee, l.was, l.now
    FROM sums LEFT JOIN largest l ON true
    ORDER BY abs(l.now - l.was) DESC, l.payee
"""
