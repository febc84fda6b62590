"""What the ledger holds of one payee: what stood before a period, and every transfer in it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from storage.bulk import fetch
from storage.unit_of_work import Repository


class PayeeEntry(NamedTuple):
    """A transfer of a payee's. given, taken: kinds of the accounts credited and debited; net_minor: what the payee has
    more by it, now or later, or owes less."""

    kind: str
    source: str
    given: str
    taken: str
    amount_minor: int
    net_minor: int
    booked_at: datetime


class PayeeEntries(Repository):
    """By payee and period."""

    async def before(self, payee: int, scheme: str, currency: str, start: date) -> int:
        """What a payee has, less what they owe, by all periods of a scheme that begin before a day."""
        values = {"payee": payee, "scheme": scheme, "currency": currency, "start": start}
        ((amount,),) = await fetch(self.work, _BEFORE, values)
        return int(amount)

    async def within(self, payee: int, period: int, limit: int) -> Sequence[PayeeEntry]:
        """The payee's transfers in a period, in order."""
        rows = await fetch(self.work, _WITHIN, {"payee": payee, "period": period, "limit": limit})
        return [PayeeEntry(*row) for row in rows]

    async def booked_before(self, run: UUID, calculation: UUID) -> UUID | None:
        """The calculation that a run took off, when it booked another one."""
        values = {"run": run, "calculation": calculation}
        rows = await fetch(self.work, _BOOKED_BEFORE, values)
        return rows[0][0] if rows else None


_BEFORE = """
    SELECT coalesce(sum(amount), 0) FROM ledger_accounts a
    JOIN settlement_periods p ON p.scheme = %(scheme)b::text AND p.start < %(start)b::date
    CROSS JOIN LATERAL (
        SELECT sum(amount_minor) AS amount FROM transfers WHERE period = p.id AND credit = a.id
        UNION ALL
        SELECT -sum(amount_minor) FROM transfers WHERE period = p.id AND debit = a.id
    ) moved
    WHERE a.payee = %(payee)b::integer AND a.currency = %(currency)b::text
"""
_WITHIN = """
    WITH own AS (SELECT id FROM ledger_accounts WHERE payee = %(payee)b::integer), moved AS (
        SELECT t.* FROM own JOIN transfers t ON t.period = %(period)b::integer AND t.credit = own.id
        UNION
        SELECT t.* FROM own JOIN transfers t ON t.period = %(period)b::integer AND t.debit = own.id
    )
    SELECT moved.kind, moved.source, given.kind, taken.kind, moved.amount_minor,
        (CASE WHEN given.payee IS NULL THEN 0 ELSE moved.amount_minor END)
            - (CASE WHEN taken.payee IS NULL THEN 0 ELSE moved.amount_minor END),
        moved.booked_at
    FROM moved
    JOIN ledger_accounts given ON given.id = moved.credit
    JOIN ledger_accounts taken ON taken.id = moved.debit
    ORDER BY moved.id LIMIT %(limit)b::integer
"""
_BOOKED_BEFORE = """
    SELECT before FROM settlement_run_calculations
    WHERE run = %(run)b::uuid AND calculation = %(calculation)b::uuid
"""
