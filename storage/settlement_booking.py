"""What a part of a settlement changes in the ledger, booked where the earnings are: one transfer for each payee."""

from typing import NamedTuple
from uuid import UUID

from domain.problems import ConflictProblem, Text
from domain.settlement.given import Books
from storage.bulk import fetch
from storage.ledger import AccountKind
from storage.unit_of_work import Repository


class Difference(NamedTuple):
    """A calculation less the one that was booked for the same days before. period: that it is booked in. more, less:
    the payee's account that is credited with what they get more, and debited with what they get less; more_kind,
    less_kind: what such a transfer is."""

    source: str
    calculation: UUID
    before: UUID | None
    period: int
    currency: str
    more: AccountKind
    less: AccountKind
    more_kind: str
    less_kind: str


def kinds_of(*, late: bool) -> tuple[Books, Books]:
    """What transfers are that give payees more, and less; late: of a period that is closed."""
    return ("adjustment", "clawback") if late else ("commission", "commission")


class Moved(NamedTuple):
    """What payees get more altogether, and what others get less, neither below nothing."""

    more_minor: int
    less_minor: int


class BookedDifference(NamedTuple):
    """How many transfers a part has, and what they give the payees altogether."""

    transfers: int
    amount_minor: int


class SettlementBooking(Repository):
    """Earnings into transfers."""

    async def moved(self, calculation: UUID, before: UUID | None, parts: int) -> Moved:
        """What booking a calculation instead of the one before moves."""
        values = {"calculation": calculation, "before": before, "parts": parts}
        ((more, less),) = await fetch(self.work, _MOVED, values)
        return Moved(more, less)

    async def book(self, difference: Difference, part: int) -> BookedDifference:
        """Book a part; what is booked already stays.

        Raises ConflictProblem when something else is booked under the key of one of them; nothing is booked then.
        """
        values = {**difference._asdict(), "part": part, "now": self.now}
        await fetch(self.work, _ACCOUNTS, values)
        await fetch(self.work, _BOOK, values)
        ((transfers, amount, otherwise),) = await fetch(self.work, _BOOKED, values)
        if otherwise:
            raise ConflictProblem(
                Text(
                    f"{otherwise} 笔账已按别的内容记过，不能改记",
                    f"Something else is booked under the keys of {otherwise} transfers, and stays",
                )
            )
        return BookedDifference(transfers, amount)


_MOVED = """
    SELECT coalesce(sum(amount) FILTER (WHERE amount > 0), 0)::bigint,
        coalesce(-sum(amount) FILTER (WHERE amount < 0), 0)::bigint
    FROM generate_series(0, %(parts)b::integer - 1) part
    CROSS JOIN LATERAL earned_difference(%(calculation)b::uuid, %(before)b::uuid, part::smallint)
"""
_ACCOUNTS = """
    INSERT INTO ledger_accounts (kind, payee, currency)
    SELECT wanted.kind, wanted.payee, %(currency)b::text FROM (
        SELECT CASE WHEN amount > 0 THEN %(more)b::text ELSE %(less)b::text END AS kind, payee
        FROM earned_difference(%(calculation)b::uuid, %(before)b::uuid, %(part)b::smallint)
    ) wanted
    WHERE NOT EXISTS (
        SELECT FROM ledger_accounts a
        WHERE a.kind = wanted.kind AND a.payee = wanted.payee AND a.currency = %(currency)b::text
    )
    UNION ALL
    SELECT 'commission', NULL, %(currency)b::text
    WHERE NOT EXISTS (
        SELECT FROM ledger_accounts a
        WHERE a.kind = 'commission' AND a.payee IS NULL AND a.currency = %(currency)b::text
    )
    ON CONFLICT DO NOTHING
"""
_BOOK = """
    INSERT INTO transfers (key, amount_minor, booked_at, debit, credit, period, currency, kind, source)
    SELECT md5(%(source)b::text || '/' || e.payee)::uuid, abs(e.amount), %(now)b::timestamptz,
        CASE WHEN e.amount > 0 THEN commission.id ELSE own.id END,
        CASE WHEN e.amount > 0 THEN own.id ELSE commission.id END,
        %(period)b::integer, %(currency)b::text,
        CASE WHEN e.amount > 0 THEN %(more_kind)b::text ELSE %(less_kind)b::text END, %(source)b::text
    FROM earned_difference(%(calculation)b::uuid, %(before)b::uuid, %(part)b::smallint) e
    JOIN ledger_accounts own ON own.payee = e.payee AND own.currency = %(currency)b::text
        AND own.kind = CASE WHEN e.amount > 0 THEN %(more)b::text ELSE %(less)b::text END
    JOIN ledger_accounts commission ON commission.kind = 'commission' AND commission.payee IS NULL
        AND commission.currency = %(currency)b::text
    ORDER BY own.id
    ON CONFLICT (key) DO NOTHING
"""
_BOOKED = """
    SELECT count(*), coalesce(sum(e.amount), 0)::bigint, count(*) FILTER (
        WHERE (t.amount_minor, t.kind, t.period, t.currency, t.source) IS DISTINCT FROM (
            abs(e.amount), CASE WHEN e.amount > 0 THEN %(more_kind)b::text ELSE %(less_kind)b::text END,
            %(period)b::integer, %(currency)b::text, %(source)b::text
        )
    )
    FROM earned_difference(%(calculation)b::uuid, %(before)b::uuid, %(part)b::smallint) e
    LEFT JOIN transfers t ON t.key = md5(%(source)b::text || '/' || e.payee)::uuid
"""
