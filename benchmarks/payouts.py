"""A batch of payouts for everybody who earned something: planned, given days, approved, taken out of the balances.

Planned twice: with nothing behind it, and with closed months in which everybody earned and was paid.
"""

import asyncio
import os
import time
from uuid import UUID

import psycopg

from benchmarks.figures import Figure
from benchmarks.steps import each_part, timed
from domain.access import Role, system_actor
from services.calculations import CalculationSteps
from services.payout_planning import PARTS, PayoutPlanning
from services.payouts import PayoutService, PayoutWish
from storage.engine import Database

CLOSED_MONTHS = int(os.environ.get("BENCH_CLOSED_MONTHS", "6"))
_FINANCE = system_actor("finance", Role.FINANCE)
_ACCOUNTS = """
    INSERT INTO ledger_accounts (kind, payee, currency)
    SELECT 'paying', payee, 'CNY' FROM ledger_accounts WHERE kind = 'payable'
    UNION ALL SELECT 'bank', NULL, 'CNY'
"""
_MONTH = """
    WITH month AS (
        INSERT INTO settlement_periods (scheme, cycle, start, "end", currency, opened_at)
        SELECT %(scheme)s, 'month', start, (start + interval '1 month')::date, 'CNY', now()
        FROM (SELECT ('2025-01-01'::date + %(month)s * interval '1 month')::date AS start) began
        RETURNING id
    ), accounts AS (
        SELECT payable.id AS payable, paying.id AS paying FROM ledger_accounts payable
        JOIN ledger_accounts paying ON paying.payee = payable.payee AND paying.kind = 'paying'
        WHERE payable.kind = 'payable'
    ), shared AS (
        SELECT min(id) FILTER (WHERE kind = 'commission') AS commission, min(id) FILTER (WHERE kind = 'bank') AS bank
        FROM ledger_accounts WHERE payee IS NULL
    )
    INSERT INTO transfers (key, amount_minor, booked_at, debit, credit, period, currency, kind, source)
    SELECT uuidv7(), 12345, now(), sides.debit, sides.credit, month.id, 'CNY', sides.kind, 'bench'
    FROM month CROSS JOIN accounts CROSS JOIN shared
    CROSS JOIN LATERAL (VALUES
        ('commission', commission, payable), ('payout-reserved', payable, paying), ('payout-paid', paying, bank)
    ) AS sides (kind, debit, credit)
"""
_CLOSE = """
    UPDATE settlement_periods SET closed_at = now(), closed_by = 'bench'
    WHERE scheme = %(scheme)s AND "end" < '2026-02-01' AND closed_at IS NULL
"""


async def payout_figures(database: Database, url: str, steps: CalculationSteps, scheme: str) -> list[Figure]:
    """How long a batch takes until its rail may begin. url: with the right to write everywhere."""
    service, planning = PayoutService(database, steps), PayoutPlanning(database)

    async def ask() -> UUID:
        return (await service.ask(_FINANCE, PayoutWish(scheme=scheme, rails=("bank",)))).id

    async def reserve() -> None:
        await each_part(range(PARTS), lambda part: planning.reserve_part(batch, part))
        await planning.finish_reserving(batch)

    async def plan() -> None:
        await each_part(range(PARTS), lambda part: planning.plan_part(batch, part))
        await planning.finish_plan(batch)

    batch = await ask()
    alone = await timed(plan)
    await service.decide(system_actor("one", Role.APPROVER), batch, approve=False)
    closing = await asyncio.to_thread(_past, url, scheme)
    batch = await ask()
    planned = await timed(plan)
    for approver in ("one", "another"):
        if (await service.show(_FINANCE, batch)).batch.state == "planned":
            await service.decide(system_actor(approver, Role.APPROVER), batch, approve=True)
    reserved = await timed(reserve)
    count = sum(each.payouts for each in (await service.show(_FINANCE, batch)).sums)
    return [
        Figure(f"planning {count:,} payouts", [alone], "s", better="lower"),
        Figure(f"closing one of {CLOSED_MONTHS} months behind it", closing, "s", better="lower"),
        Figure(
            "planning them after those",
            [planned],
            "s",
            better="lower",
            baseline=[alone],
            against="with nothing behind it",
        ),
        Figure("taking them out of the balances", [reserved], "s", better="lower"),
    ]


def _past(url: str, scheme: str) -> list[float]:
    """Months in which everybody earned something and was paid it; how many seconds closing each of them took."""
    seconds = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_ACCOUNTS)
        for month in range(CLOSED_MONTHS):
            connection.execute(_MONTH, {"scheme": scheme, "month": month})
            begun = time.perf_counter()
            connection.execute(_CLOSE, {"scheme": scheme})
            seconds.append(time.perf_counter() - begun)
    return seconds
