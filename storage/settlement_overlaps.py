"""Periods of a scheme that overlap others of another cycle, and who would be paid by both."""

from datetime import date
from typing import NamedTuple
from uuid import UUID

from storage.bulk import fetch
from storage.locks import lock
from storage.unit_of_work import Repository


class PaidTwice(NamedTuple):
    """A payee who is paid for some days by another cycle already: by the period `[start, end)`."""

    code: str
    cycle: str
    start: date
    end: date


class SettlementOverlaps(Repository):
    """What is approved or booked by other cycles."""

    async def hold(self, scheme: str) -> None:
        """Let no other settlement of a scheme be planned or approved until this unit of work ends."""
        await lock(self.work, f"settlement-scheme/{scheme}")

    async def paid_by_others(self, scheme: str, cycle: str, start: date, end: date) -> list[UUID]:
        """What was approved last for each period of another cycle that overlaps `[start, end)`, the latest first."""
        values = {"scheme": scheme, "cycle": cycle, "start": start, "end": end}
        return [calculation for (calculation,) in await fetch(self.work, _PAID_BY_OTHERS, values)]

    async def paid_twice(self, calculation: UUID, limit: int) -> list[PaidTwice]:
        """Members of a calculation who are paid by another cycle for some of its days, and were not paid for its period
        before."""
        rows = await fetch(self.work, _PAID_TWICE, {"calculation": calculation, "limit": limit})
        return [PaidTwice(*row) for row in rows]


_PAID_BY_OTHERS = """
    SELECT last.calculation FROM settlement_periods p
    JOIN LATERAL (
        SELECT c.calculation FROM settlement_run_calculations c JOIN settlement_runs r ON r.id = c.run
        WHERE c.origin = p.id AND r.state IN ('approved', 'booked') ORDER BY r.number DESC LIMIT 1
    ) last ON true
    WHERE p.scheme = %(scheme)b::text AND p.cycle <> %(cycle)b::text
        AND p.start < %(end)b::date AND p."end" > %(start)b::date
    ORDER BY p."end" DESC, p.id
"""
_PAID_TWICE = """
    WITH paid AS (
        SELECT p.cycle, p.start, p."end", own.cycle = p.cycle AS is_own, last.calculation
        FROM settlement_calculations own
        JOIN settlement_periods p
            ON p.scheme = own.scheme AND p.start < own."end" AND p."end" > own.start
            AND (p.cycle <> own.cycle OR p.start = own.start)
        JOIN LATERAL (
            SELECT c.calculation FROM settlement_run_calculations c JOIN settlement_runs r ON r.id = c.run
            WHERE c.origin = p.id AND r.state IN ('approved', 'booked') AND c.calculation <> own.id
            ORDER BY r.number DESC LIMIT 1
        ) last ON true
        WHERE own.id = %(calculation)b::uuid
    ),
    twice AS (
        SELECT m.payee, m.part, paid.cycle, paid.start, paid."end"
        FROM paid
        JOIN settlement_earnings e ON e.calculation = paid.calculation
        JOIN settlement_members m ON m.calculation = %(calculation)b::uuid AND m.part = e.part AND m.payee = e.payee
        WHERE NOT paid.is_own
        GROUP BY 1, 2, 3, 4, 5 HAVING sum(e.amount_minor) <> 0
    )
    SELECT y.code, t.cycle, t.start, t."end" FROM twice t JOIN payees y ON y.id = t.payee
    WHERE NOT EXISTS (
        SELECT FROM paid JOIN settlement_earnings e ON e.calculation = paid.calculation
        WHERE paid.is_own AND e.part = t.part AND e.payee = t.payee
    )
    ORDER BY y.code, t.start LIMIT %(limit)b::integer
"""
