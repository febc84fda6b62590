"""Shares of payments that payouts are paid by, and the plan of each payout: whose turn it is, and whether it goes on.

A share holds its amount of its payment from its planning on, until it failed.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, SmallInteger, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import AutoString, Field, col

from domain.settlement.payouts import UNDER_WAY
from domain.settlement.profit_sharing import ShareState, share_number
from storage.bulk import fetch
from storage.payouts import PayoutRow
from storage.shareable_payments import ShareablePaymentRow
from storage.tables import Table, instant
from storage.unit_of_work import Repository

NOT_SENT = "not-sent"


class SharePlanRow(Table, table=True):
    """How a payout is being shared. hand: who goes on with it, of those who ever did; only the last sends anything.

    turns: how often it was cut. given_up_at: from then on nothing is planned or sent; reason: why.
    """

    __tablename__ = "share_plans"
    payout: int = Field(primary_key=True, sa_type=BigInteger, sa_column_args=[ForeignKey("payouts.id")])
    merchant: str
    hand: int = 0
    turns: int = Field(default=0, sa_type=SmallInteger)
    reason: str | None = None
    given_up_at: datetime | None = instant(optional=True)


class PayoutShareRow(Table, table=True):
    """One share. out_order_no: its number on the platform, written down before it is asked for. payment: out of which.

    sent_at: when it was last asked for. sharing_id: the platform's number. reason: what it said.
    """

    __tablename__ = "payout_shares"
    out_order_no: str = Field(primary_key=True, max_length=64)
    payout: int = Field(sa_type=BigInteger, sa_column_args=[ForeignKey("share_plans.payout")], index=True)
    payment: int = Field(sa_type=BigInteger, sa_column_args=[ForeignKey("shareable_payments.id")], index=True)
    amount_minor: int = Field(sa_type=BigInteger)
    state: ShareState = Field(sa_type=AutoString)
    sharing_id: str | None = Field(default=None, index=True)
    reason: str | None = None
    planned_at: datetime = instant()
    sent_at: datetime | None = instant(optional=True)
    changed_at: datetime = instant()
    ended_at: datetime | None = instant(optional=True)

    __table_args__ = (Index("ix_payout_shares_shared", "ended_at", postgresql_where=text("state = 'shared'")),)


class ShareOf(NamedTuple):
    """A share with the payment that it is of."""

    row: PayoutShareRow
    transaction_id: str
    paid_at: datetime


class PayoutShares(Repository):
    """Plans and shares."""

    async def take_over(self, payout: int, merchant: str) -> SharePlanRow:
        """The plan of a payout, locked, from now on in the hand of whoever asks. merchant: who pays, if it is new."""
        values = {"payout": payout, "merchant": merchant, "hand": 0, "turns": 0}
        await self.session.execute(insert(SharePlanRow).values(values).on_conflict_do_nothing())
        plan = await self.require(payout)
        plan.hand += 1
        await self.session.flush()
        return plan

    async def require(self, payout: int) -> SharePlanRow:
        """The plan of a payout that was begun, locked."""
        plan = await self.plan(payout)
        if plan is None:
            raise LookupError(f"payout {payout} was never begun")
        return plan

    async def plan(self, payout: int) -> SharePlanRow | None:
        """The plan of a payout, locked."""
        statement = select(SharePlanRow).where(col(SharePlanRow.payout) == payout).with_for_update()
        return (await self.session.scalars(statement)).first()

    async def of(self, payout: int) -> list[ShareOf]:
        """The shares of a payout by number."""
        share, payment = PayoutShareRow, ShareablePaymentRow
        statement = (
            select(share, col(payment.transaction_id), col(payment.paid_at))
            .join(payment, col(payment.id) == col(share.payment))
            .where(col(share.payout) == payout)
            .order_by(col(share.out_order_no))
        )
        return [ShareOf(*row) for row in (await self.session.execute(statement)).all()]

    async def add(self, payout: int, number: str, count: int, pieces: Mapping[int, int]) -> None:
        """Write shares down, and hold what they are of payments. pieces: amounts by payment; count: shares before."""
        payment = ShareablePaymentRow
        for place, (key, amount) in enumerate(pieces.items(), count + 1):
            held = {"shared_minor": col(payment.shared_minor) + amount, "requests": col(payment.requests) + 1}
            await self.session.execute(update(payment).where(col(payment.id) == key).values(held))
            self.session.add(
                PayoutShareRow(
                    out_order_no=share_number(number, place),
                    payout=payout,
                    payment=key,
                    amount_minor=amount,
                    state="planned",
                    planned_at=self.now,
                    changed_at=self.now,
                )
            )
        await self.session.flush()

    async def is_under_way(self, payout: int) -> bool:
        """Whether a payout may be paid now; until the unit of work ends it stays so."""
        statement = select(col(PayoutRow.state)).where(col(PayoutRow.id) == payout).with_for_update(read=True)
        return (await self.session.scalar(statement)) in UNDER_WAY

    async def begin(self, payout: int, out_order_no: str, hand: int) -> bool:
        """Note that a share is being asked for from now on; False when somebody else goes on with its payout, when
        that is given up or not under way any more, or when the share has ended."""
        plan = await self.plan(payout)
        if plan is None or plan.hand != hand or plan.given_up_at is not None or not await self.is_under_way(payout):
            return False
        share = await self._share(out_order_no)
        if share is None or share.state not in ("planned", "submitting", "unknown"):
            return False
        share.state, share.sent_at, share.changed_at = "submitting", self.now, self.now
        return True

    async def note(
        self, out_order_no: str, state: ShareState, *, sharing_id: str | None = None, reason: str | None = None
    ) -> None:
        """Note what became of a share that has not ended; one that failed gives its amount back to its payment."""
        share = await self._share(out_order_no)
        if share is None or share.ended_at is not None:
            return
        share.state, share.changed_at, share.reason = state, self.now, reason
        share.sharing_id = sharing_id or share.sharing_id
        if state in ("shared", "failed"):
            share.ended_at = self.now
        if state == "failed":
            payment = ShareablePaymentRow
            left = {"shared_minor": col(payment.shared_minor) - share.amount_minor}
            await self.session.execute(update(payment).where(col(payment.id) == share.payment).values(left))

    async def give_up(self, plan: SharePlanRow, reason: str) -> None:
        """Send nothing more of a payout: what was not asked for yet has failed."""
        plan.given_up_at, plan.reason = self.now, reason
        for share in sorted(await self.of(plan.payout), key=lambda each: (each.paid_at, each.transaction_id)):
            if share.row.state == "planned":
                await self.note(share.row.out_order_no, "failed", reason=NOT_SENT)

    async def bar(self, out_order_no: str, reason: str) -> None:
        """Note that nothing more can be shared of the payment that a share was of."""
        share, payment = PayoutShareRow, ShareablePaymentRow
        of_it = select(col(share.payment)).where(col(share.out_order_no) == out_order_no).scalar_subquery()
        await self.session.execute(update(payment).where(col(payment.id) == of_it).values(barred=reason))

    async def promised(self, merchant: str, payees: Collection[int], besides: UUID) -> Mapping[int, int]:
        """What payees are to get of a merchant's payments by payouts that are not cut yet, of those who are to get any.
        besides: a batch whose payouts do not count."""
        values = {"merchant": merchant, "payees": sorted(payees), "besides": besides}
        return dict(await fetch(self.work, _PROMISED, values))

    async def shared(self, payouts: Collection[int]) -> Mapping[int, int]:
        """What was shared of payouts, of those of which anything was."""
        row = PayoutShareRow
        statement = (
            select(col(row.payout), func.sum(col(row.amount_minor)))
            .where(col(row.payout).in_(payouts), col(row.state) == "shared")
            .group_by(col(row.payout))
        )
        return {payout: int(amount) for payout, amount in (await self.session.execute(statement)).all()}

    async def release_ended(self) -> int:
        """Let go what was planned for payouts that ended without it; how many shares that were."""
        row = PayoutShareRow
        ended = select(col(PayoutRow.id)).where(col(PayoutRow.ended_at).is_not(None)).scalar_subquery()
        statement = select(row).where(col(row.state) == "planned", col(row.payout).in_(ended)).with_for_update()
        found = (await self.session.scalars(statement.limit(1_000))).all()
        for share in found:
            await self.note(share.out_order_no, "failed", reason="payout-ended")
        return len(found)

    async def _share(self, out_order_no: str) -> PayoutShareRow | None:
        statement = select(PayoutShareRow).where(col(PayoutShareRow.out_order_no) == out_order_no).with_for_update()
        return (await self.session.scalars(statement)).first()


_PROMISED = """
    SELECT p.payee, sum(p.amount_minor)::bigint
    FROM payouts p
    JOIN payout_batches b ON b.id = p.batch
    LEFT JOIN share_plans s ON s.payout = p.id
    WHERE p.payee = ANY(%(payees)b::integer[]) AND p.rail = 'profit-sharing' AND p.batch <> %(besides)b::uuid
        AND p.state IN ('created', 'reserved', 'submitting') AND coalesce(s.turns, 0) = 0 AND s.given_up_at IS NULL
        AND b.state IN ('planning', 'planned', 'reserving', 'paying')
        AND b.terms #>> '{payers,profit-sharing,account}' = %(merchant)b::text
    GROUP BY p.payee
"""
