"""What the ledger holds of one payee: what stood before some days, and every transfer of them.

What was earned or taken back is of the last day of the period that it is booked in, whatever cycle that is of; what was
paid, released or set off is of the Shanghai day on which it was booked. So the days of a payee follow each other
without a gap, however they are cut.
"""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from storage.bulk import fetch
from storage.ledger import EARNED_KINDS
from storage.paging import Keys, Page, PageRequest
from storage.unit_of_work import Repository


class AccountDays(NamedTuple):
    """The days `[start, end)` of a payee in a scheme and a currency."""

    payee: int
    scheme: str
    currency: str
    start: date
    end: date


class PayeeEntry(NamedTuple):
    """A transfer of a payee's. day: that it is of; given, taken: kinds of the accounts credited and debited; net_minor:
    what the payee has more by it, now or later, or owes less."""

    number: int
    day: date
    kind: str
    source: str
    given: str
    taken: str
    amount_minor: int
    net_minor: int
    booked_at: datetime


class AccountPage(NamedTuple):
    """What a payee had before some days and has after them, less what they owe; how many transfers there are in
    between, and some of them."""

    opening_minor: int
    closing_minor: int
    transfers: int
    entries: Page[PayeeEntry]


_IN_ORDER = Keys("payee-entries", (int,))


class PayeeEntries(Repository):
    """By payee and days."""

    async def page(self, days: AccountDays, page: PageRequest) -> AccountPage:
        """The sums, whatever the page; and its transfers, in the order in which they were booked."""
        (after,) = _IN_ORDER.values_of(page)
        values = {**days._asdict(), "earned": list(EARNED_KINDS), "after": after or 0, "limit": page.size + 1}
        rows = await fetch(self.work, _PAGE, values)
        opening, closing, count = rows[0][:3]
        found = [PayeeEntry(*row[3:]) for row in rows if row[3] is not None]
        return AccountPage(opening, closing, count, _IN_ORDER.page_of(found, page, lambda each: (each.number,)))

    async def booked_before(self, run: UUID, calculation: UUID) -> UUID | None:
        """The calculation that a run took off, when it booked another one."""
        values = {"run": run, "calculation": calculation}
        rows = await fetch(self.work, _BOOKED_BEFORE, values)
        return rows[0][0] if rows else None


_PAGE = """
    WITH moved AS MATERIALIZED (
        SELECT side.id, side.net,
            CASE WHEN side.kind = ANY(%(earned)b::text[]) THEN p."end" - 1
                ELSE (side.booked_at AT TIME ZONE 'Asia/Shanghai')::date
            END AS day
        FROM ledger_accounts a
        JOIN settlement_periods p ON p.scheme = %(scheme)b::text
        CROSS JOIN LATERAL (
            SELECT id, kind, booked_at, amount_minor AS net FROM transfers WHERE period = p.id AND credit = a.id
            UNION ALL
            SELECT id, kind, booked_at, -amount_minor FROM transfers WHERE period = p.id AND debit = a.id
        ) side
        WHERE a.payee = %(payee)b::integer AND a.currency = %(currency)b::text
    ), sums AS (
        SELECT coalesce(sum(net) FILTER (WHERE day < %(start)b::date), 0)::bigint AS opening,
            coalesce(sum(net) FILTER (WHERE day < %(end)b::date), 0)::bigint AS closing,
            count(DISTINCT id) FILTER (WHERE day >= %(start)b::date AND day < %(end)b::date) AS count
        FROM moved
    ), shown AS (
        SELECT id, day, sum(net)::bigint AS net FROM moved
        WHERE day >= %(start)b::date AND day < %(end)b::date AND id > %(after)b::bigint
        GROUP BY id, day ORDER BY id LIMIT %(limit)b::integer
    )
    SELECT sums.opening, sums.closing, sums.count, shown.id, shown.day, t.kind, t.source, given.kind, taken.kind,
        t.amount_minor, shown.net, t.booked_at
    FROM sums LEFT JOIN (
        shown JOIN transfers t ON t.id = shown.id
        JOIN ledger_accounts given ON given.id = t.credit
        JOIN ledger_accounts taken ON taken.id = t.debit
    ) ON true
    ORDER BY shown.id
"""
_BOOKED_BEFORE = """
    SELECT before FROM settlement_run_calculations
    WHERE run = %(run)b::uuid AND calculation = %(calculation)b::uuid
"""
