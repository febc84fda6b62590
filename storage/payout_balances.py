"""What payees have and owe by a scheme: what closed periods left, and the transfers of those that are open.

Closed periods are added up once, when they are closed, so that a balance costs as much after years as after a month.
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from domain.settlement.scheme import Cycle
from storage.bulk import fetch
from storage.report_texts import filled
from storage.unit_of_work import Repository


class TakenBack(NamedTuple):
    """What was taken back of periods of a cycle. day: the last one of the period that it was booked in."""

    amount_minor: int
    cycle: Cycle
    day: date


class Owed(NamedTuple):
    """A payee's accounts in a scheme. debts: all that was ever taken back, of whom has not repaid it all."""

    payee: int
    payable_minor: int
    debts: Sequence[TakenBack]
    repaid_minor: int


class PayoutBalances(Repository):
    """Of one scheme and currency."""

    async def owed(
        self, scheme: str, currency: str, part: int, parts: int, payees: Sequence[int] | None = None
    ) -> Sequence[Owed]:
        """The accounts of a part's payees with a balance or a debt in a scheme, by payee."""
        values = {"scheme": scheme, "currency": currency, "part": part, "parts": parts, "payees": payees}
        return [
            Owed(payee, payable, [_taken_back(*each) for each in debts or ()], repaid)
            for payee, payable, debts, repaid in await fetch(self.work, _OWED, values)
        ]


def _taken_back(amount: int, cycle: Cycle, day: str) -> TakenBack:
    return TakenBack(amount, cycle, date.fromisoformat(day))


ADJUSTED = """
    SELECT 'run/' || c.run || '/' || c.calculation AS source, own.cycle
    FROM settlement_runs r
    JOIN periods ON periods.id = r.period
    JOIN settlement_run_calculations c ON c.run = r.id AND c.origin <> r.period
    JOIN settlement_calculations own ON own.id = c.calculation
"""
"""By which cycle what was adjusted in `periods` had been earned, by the source of the transfers that did."""
_OWED = filled(
    """
    WITH accounts AS (
        SELECT id, kind, payee FROM ledger_accounts
        WHERE kind IN ('payable', 'receivable') AND currency = %(currency)b::text
            AND payee %% %(parts)b::integer = %(part)b::integer
            AND (%(payees)b::integer[] IS NULL OR payee = ANY(%(payees)b::integer[]))
    ), periods AS (
        SELECT id, cycle, "end" - 1 AS day, closed_at IS NULL AS open FROM settlement_periods
        WHERE scheme = %(scheme)b::text AND currency = %(currency)b::text
    ), moves AS (
        SELECT a.kind, a.payee, c.credit_minor AS credit, c.debit_minor AS debit
        FROM carried_balances c JOIN accounts a ON a.id = c.account
        WHERE c.scheme = %(scheme)b::text
        UNION ALL
        SELECT a.kind, a.payee, t.amount_minor, 0
        FROM transfers t JOIN periods ON periods.id = t.period AND periods.open JOIN accounts a ON a.id = t.credit
        UNION ALL
        SELECT a.kind, a.payee, 0, t.amount_minor
        FROM transfers t JOIN periods ON periods.id = t.period AND periods.open JOIN accounts a ON a.id = t.debit
    ), balances AS (
        SELECT payee,
            coalesce(sum(credit - debit) FILTER (WHERE kind = 'payable'), 0)::bigint AS payable,
            coalesce(sum(credit) FILTER (WHERE kind = 'receivable'), 0)::bigint AS repaid,
            coalesce(sum(debit) FILTER (WHERE kind = 'receivable'), 0)::bigint AS taken_back
        FROM moves GROUP BY payee
    ), adjusted AS (
        {adjusted}
    ), taken_back AS (
        SELECT a.payee, coalesce(adjusted.cycle, periods.cycle) AS cycle, periods.day, t.amount_minor
        FROM balances b
        JOIN accounts a ON a.payee = b.payee AND a.kind = 'receivable'
        JOIN transfers t ON t.debit = a.id AND t.kind = 'clawback'
        JOIN periods ON periods.id = t.period
        LEFT JOIN adjusted ON adjusted.source = t.source
        WHERE b.taken_back > b.repaid
    ), debts AS (
        SELECT payee, jsonb_agg(jsonb_build_array(amount, cycle, day) ORDER BY day, cycle) AS debts FROM (
            SELECT payee, cycle, day, sum(amount_minor)::bigint AS amount FROM taken_back GROUP BY payee, cycle, day
        ) each GROUP BY payee
    )
    SELECT payee, payable, debts.debts, repaid FROM balances LEFT JOIN debts USING (payee)
    WHERE payable <> 0 OR debts.debts IS NOT NULL
    ORDER BY payee
""",
    adjusted=ADJUSTED,
)
