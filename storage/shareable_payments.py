"""Payments that payees can be paid out of, as merchants' trade bills tell of them, and which bills were read."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, Identity, Index, SmallInteger, UniqueConstraint, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from domain.settlement.profit_sharing import MOST_REQUESTS, SPARE, SPARE_REQUESTS, WITHIN, Payment
from storage.bulk import fetch
from storage.tables import Table, instant
from storage.unit_of_work import Repository

_SLICE = 5_000
_MOST_PAYMENTS = 5_000
"""So many payments of one payee are looked at, the oldest first: a payout of more pieces would take an hour."""


class ShareablePaymentRow(Table, table=True):
    """A payment. merchant: who took it (`wechat_pay/main`); account_id, order_id: the shop's order, once it is known.

    shared_minor: what was shared, or is reserved to be; requests: how many were planned of it. barred: why nothing more
    of it can be shared, in the platform's word.
    """

    __tablename__ = "shareable_payments"
    id: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    merchant: str
    transaction_id: str = Field(max_length=32)
    out_trade_no: str = Field(max_length=64)
    account_id: str | None = None
    order_id: str | None = None
    paid_minor: int = Field(sa_type=BigInteger)
    refunded_minor: int = Field(default=0, sa_type=BigInteger)
    paid_at: datetime = instant()
    shared_minor: int = Field(default=0, sa_type=BigInteger)
    requests: int = Field(default=0, sa_type=SmallInteger)
    barred: str | None = None

    __table_args__ = (
        UniqueConstraint("merchant", "transaction_id"),
        Index("ix_shareable_payments_account_id_order_id", "account_id", "order_id"),
        Index("ix_shareable_payments_merchant_paid_at", "merchant", "paid_at"),
    )


class TradeBillRow(Table, table=True):
    """A day's bill that was read, so that its refunds count once. digest: None for a day without any."""

    __tablename__ = "trade_bills"
    merchant: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    digest: str | None = None
    payments: int
    read_at: datetime = instant()


class EarlyRefundRow(Table, table=True):
    """What went back of a payment whose own bill was not read yet; or never will be, as it is nobody's."""

    __tablename__ = "early_refunds"
    merchant: str = Field(primary_key=True)
    transaction_id: str = Field(primary_key=True, max_length=32)
    amount_minor: int = Field(sa_type=BigInteger)
    told_at: datetime = instant()


class BilledPayment(NamedTuple):
    """A payment as a bill tells of it."""

    transaction_id: str
    out_trade_no: str
    paid_minor: int
    paid_at: datetime


class ShareablePayments(Repository):
    """Rows of payments."""

    async def days_read(self, merchant: str, since: date) -> set[date]:
        """The days whose bills were read."""
        row = TradeBillRow
        statement = select(col(row.day)).where(col(row.merchant) == merchant, col(row.day) >= since)
        return set((await self.session.scalars(statement)).all())

    async def note_bill(self, merchant: str, day: date, digest: str | None, payments: int) -> bool:
        """Note that a bill is read; False when it was already."""
        values = {"merchant": merchant, "day": day, "digest": digest, "payments": payments, "read_at": self.now}
        noting = insert(TradeBillRow).values(values).on_conflict_do_nothing().returning(col(TradeBillRow.day))
        return (await self.session.execute(noting)).first() is not None

    async def add(self, merchant: str, payments: Sequence[BilledPayment]) -> None:
        """Write payments down, without what went back of them by bills that were read before."""
        for start in range(0, len(payments), _SLICE):
            some = payments[start : start + _SLICE]
            values = {
                "merchant": merchant,
                "transactions": [each.transaction_id for each in some],
                "numbers": [each.out_trade_no for each in some],
                "amounts": [each.paid_minor for each in some],
                "ats": [each.paid_at for each in some],
            }
            await fetch(self.work, _ADD, values)

    async def refund(self, merchant: str, refunds: Sequence[tuple[str, int]]) -> None:
        """Take off what went back to buyers: transactions with amounts. Of payments that are not here it is kept: the
        bill of an earlier day may be read later."""
        values = {
            "merchant": merchant,
            "now": self.now,
            "transactions": [transaction for transaction, _ in refunds],
            "amounts": [amount for _, amount in refunds],
        }
        if refunds:
            await fetch(self.work, _REFUND, values)

    async def forget(self, merchant: str, limit: int) -> int:
        """Delete payments that were not shared and cannot be any more; how many."""
        values = {"merchant": merchant, "before": self.now - 2 * WITHIN, "limit": limit}
        await fetch(self.work, _FORGET_REFUNDS, values)
        return len(await fetch(self.work, _FORGET, values))

    async def match(self, merchant: str, shops: Collection[str]) -> int:
        """Find the shop's order of payments that have none yet and can still be shared; how many were found.

        A number that several shops have stays nobody's, unless `shops` says which it is.
        """
        values = {"merchant": merchant, "shops": sorted(shops), "since": self.now - WITHIN}
        return len(await fetch(self.work, _MATCH, values))

    async def of_payee(
        self, merchant: str, payee: int, percent: int, *, without: Collection[int] = (), lock: bool = True
    ) -> dict[int, Payment]:
        """What of the payee's own orders' payments can be shared now, by the payments' numbers, the oldest first.

        lock: nobody else plans with them until the unit of work ends. without: numbers of payments left out.
        """
        values = {
            "merchant": merchant,
            "payee": payee,
            "percent": percent,
            "since": self.now - WITHIN + SPARE,
            "requests": MOST_REQUESTS - SPARE_REQUESTS,
            "without": sorted(without),
            "limit": _MOST_PAYMENTS,
        }
        rows = await fetch(self.work, _OF_PAYEE_LOCKED if lock else _OF_PAYEE, values)
        return {number: Payment(*payment) for number, *payment in rows}

    async def available(
        self, merchant: str, payees: Collection[int], percent: int, at: datetime | None = None
    ) -> Mapping[int, int]:
        """What the payments of payees' own orders can give at an instant, or now, of those who have any. An order of
        several payees counts for each of them."""
        values = {
            "merchant": merchant,
            "payees": sorted(payees),
            "percent": percent,
            "since": (at or self.now) - WITHIN + SPARE,
            "requests": MOST_REQUESTS - SPARE_REQUESTS,
            "limit": _MOST_PAYMENTS,
        }
        return dict(await fetch(self.work, _AVAILABLE, values))


_ADD = """
    INSERT INTO shareable_payments
        (merchant, transaction_id, out_trade_no, paid_minor, refunded_minor, paid_at, shared_minor, requests)
    SELECT %(merchant)b::text, transaction, number, amount, coalesce(early.amount_minor, 0), at, 0, 0
    FROM unnest(
        %(transactions)b::text[], %(numbers)b::text[], %(amounts)b::bigint[], %(ats)b::timestamptz[]
    ) WITH ORDINALITY AS t(transaction, number, amount, at, place)
    LEFT JOIN early_refunds early ON early.merchant = %(merchant)b::text AND early.transaction_id = transaction
    ORDER BY place
    ON CONFLICT (merchant, transaction_id) DO NOTHING
"""
_REFUND = """
    WITH r AS (
        SELECT transaction, sum(amount)::bigint AS amount
        FROM unnest(%(transactions)b::text[], %(amounts)b::bigint[]) AS t(transaction, amount) GROUP BY transaction
    ), known AS (
        UPDATE shareable_payments p SET refunded_minor = refunded_minor + r.amount
        FROM r WHERE p.merchant = %(merchant)b::text AND p.transaction_id = r.transaction
        RETURNING r.transaction
    )
    INSERT INTO early_refunds AS early (merchant, transaction_id, amount_minor, told_at)
    SELECT %(merchant)b::text, transaction, amount, %(now)b::timestamptz
    FROM r WHERE transaction NOT IN (SELECT transaction FROM known) ORDER BY transaction
    ON CONFLICT (merchant, transaction_id) DO UPDATE
        SET amount_minor = early.amount_minor + excluded.amount_minor, told_at = excluded.told_at
"""
_FORGET_REFUNDS = """
    DELETE FROM early_refunds WHERE (merchant, transaction_id) IN (
        SELECT merchant, transaction_id FROM early_refunds
        WHERE merchant = %(merchant)b::text AND told_at < %(before)b::timestamptz
        ORDER BY told_at LIMIT %(limit)b::integer
    )
"""
_FORGET = """
    DELETE FROM shareable_payments WHERE id IN (
        SELECT id FROM shareable_payments p
        WHERE merchant = %(merchant)b::text AND paid_at < %(before)b::timestamptz
            AND NOT EXISTS (SELECT FROM payout_shares s WHERE s.payment = p.id)
        ORDER BY paid_at LIMIT %(limit)b::integer
    ) RETURNING 1
"""
_MATCH = """
    WITH nobodys AS (
        SELECT id, out_trade_no FROM shareable_payments
        WHERE merchant = %(merchant)b::text AND order_id IS NULL AND paid_at > %(since)b::timestamptz
    ), found AS (
        SELECT nobodys.id, min(o.account_id) AS account_id, min(o.order_id) AS order_id
        FROM nobodys JOIN orders o ON o.order_id = nobodys.out_trade_no
        WHERE cardinality(%(shops)b::text[]) = 0 OR o.account_id = ANY(%(shops)b::text[])
        GROUP BY nobodys.id HAVING count(*) = 1
    )
    UPDATE shareable_payments p SET account_id = found.account_id, order_id = found.order_id
    FROM found WHERE p.id = found.id RETURNING 1
"""
# An order is decided on after it was paid, by a clock of ours that may be a little behind.
_OF_PAYEE = """
    SELECT p.id, p.transaction_id, p.paid_minor, p.paid_at, p.refunded_minor, p.shared_minor, p.requests
    FROM shareable_payments p
    WHERE p.merchant = %(merchant)b::text AND p.paid_at > %(since)b::timestamptz AND p.barred IS NULL
        AND p.requests < %(requests)b::integer AND NOT p.id = ANY(%(without)b::bigint[])
        AND (p.paid_minor - p.refunded_minor) * %(percent)b::integer / 100 > p.shared_minor
        AND (p.account_id, p.order_id) IN (
            SELECT o.account_id, o.order_id FROM attributions a JOIN orders o ON o.id = a.order_key
            WHERE a.payee = %(payee)b::integer AND a.ended_at IS NULL
                AND a.decided_at > %(since)b::timestamptz - interval '1 day'
        )
    ORDER BY p.paid_at, p.transaction_id LIMIT %(limit)b::integer
"""
_AVAILABLE = """
    WITH of_payees AS (
        SELECT DISTINCT a.payee, p.id, p.paid_at, p.transaction_id,
            (p.paid_minor - p.refunded_minor) * %(percent)b::integer / 100 - p.shared_minor AS amount
        FROM attributions a
        JOIN orders o ON o.id = a.order_key
        JOIN shareable_payments p ON p.account_id = o.account_id AND p.order_id = o.order_id
        WHERE a.payee = ANY(%(payees)b::integer[]) AND a.ended_at IS NULL
            AND a.decided_at > %(since)b::timestamptz - interval '1 day'
            AND p.merchant = %(merchant)b::text AND p.paid_at > %(since)b::timestamptz AND p.barred IS NULL
            AND p.requests < %(requests)b::integer
    ), placed AS (
        SELECT payee, amount, row_number() OVER (PARTITION BY payee ORDER BY paid_at, transaction_id) AS place
        FROM of_payees WHERE amount > 0
    )
    SELECT payee, sum(amount)::bigint FROM placed WHERE place <= %(limit)b::integer GROUP BY payee
"""
_OF_PAYEE_LOCKED = _OF_PAYEE + " FOR UPDATE OF p"
