"""Periods whose holds are not over, and by which version of their scheme what they hold was booked."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from storage.bulk import fetch
from storage.unit_of_work import Repository


class HoldingPeriod(NamedTuple):
    """A period that is not released. end: the day after its last. version: of the calculation that was booked for it
    last; where there is none, each of those whose adjustments were booked in it."""

    period: int
    end: date
    version: str


class PayoutHolds(Repository):
    """Of one scheme and currency."""

    async def unreleased(self, scheme: str, currency: str) -> Sequence[HoldingPeriod]:
        """The periods in which a settlement is booked, or begun to be, and that no batch released."""
        rows = await fetch(self.work, _UNRELEASED, {"scheme": scheme, "currency": currency})
        return [HoldingPeriod(*row) for row in rows]


_UNRELEASED = """
    SELECT DISTINCT p.id, p."end", booked.version FROM settlement_periods p
    JOIN LATERAL (
        SELECT booked.version, rank() OVER (
            ORDER BY c.origin = p.id DESC, CASE WHEN c.origin = p.id THEN r.number ELSE 0 END DESC
        ) AS place
        FROM settlement_runs r
        JOIN settlement_run_calculations c ON c.run = r.id
        JOIN settlement_calculations booked ON booked.id = c.calculation
        WHERE r.period = p.id AND r.state IN ('approved', 'booked')
    ) booked ON booked.place = 1
    WHERE p.scheme = %(scheme)b::text AND p.currency = %(currency)b::text
        AND NOT EXISTS (SELECT FROM settlement_releases r WHERE r.period = p.id)
    ORDER BY p.id
"""
