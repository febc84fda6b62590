"""What tells whether periods were settled: on which days anybody was there by a cycle, and where each period stands."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from domain.settlement.scheme import Cycle
from storage.bulk import fetch
from storage.settlement_runs import State
from storage.unit_of_work import Repository


class ActiveDays(NamedTuple):
    """Days `[since, until)` on which somebody of a role was active, with this cycle of their own, or None for that of a
    scheme. until: None where they still are."""

    role: str
    cycle: Cycle | None
    since: date
    until: date | None


class StandingPeriod(NamedTuple):
    """A period that anything was asked for. run, state: of its last settlement. booked_from: when what was booked last
    as its own was frozen."""

    scheme: str
    cycle: Cycle
    start: date
    is_closed: bool
    run: UUID | None
    state: State | None
    booked_from: datetime | None


class DuePeriods(Repository):
    """Of all schemes, from a day on."""

    async def active_days(self, first: date) -> Sequence[ActiveDays]:
        """The days from that one on, of all payees together: as few rows as there are roles, cycles and gaps."""
        return [ActiveDays(*row) for row in await fetch(self.work, _ACTIVE_DAYS, {"first": first})]

    async def standing(self, first: date) -> Sequence[StandingPeriod]:
        """The periods that end after that day."""
        return [StandingPeriod(*row) for row in await fetch(self.work, _STANDING, {"first": first})]


# Many have the same days: they are told apart first, and merged then.
_ACTIVE_DAYS = """
    SELECT role, cycle, lower(days), upper(days) FROM (
        SELECT role, cycle, unnest(range_agg(daterange(since, until))) AS days FROM (
            SELECT DISTINCT role, cycle, since, until FROM (
                SELECT role, cycle, active, greatest(since, %(first)b::date) AS since,
                    lead(since) OVER (PARTITION BY payee ORDER BY since) AS until
                FROM payee_terms
            ) terms
            WHERE active AND (until IS NULL OR until > %(first)b::date)
        ) told
        GROUP BY role, cycle
    ) merged
    ORDER BY 1, 2, 3
"""
_STANDING = """
    SELECT p.scheme, p.cycle, p.start, p.closed_at IS NOT NULL, last.id, last.state, booked.frozen_at
    FROM settlement_periods p
    LEFT JOIN LATERAL (
        SELECT r.id, r.state FROM settlement_runs r WHERE r.period = p.id ORDER BY r.number DESC LIMIT 1
    ) last ON true
    LEFT JOIN LATERAL (
        SELECT own.frozen_at FROM settlement_run_calculations c
        JOIN settlement_runs r ON r.id = c.run
        JOIN settlement_calculations own ON own.id = c.calculation
        WHERE c.origin = p.id AND r.period = p.id AND r.state = 'booked' ORDER BY r.number DESC LIMIT 1
    ) booked ON true
    WHERE p."end" > %(first)b::date
"""
