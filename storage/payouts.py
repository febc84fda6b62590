"""Payouts, one row each from its number to its end, and who of a batch is not paid."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    UniqueConstraint,
    func,
    literal_column,
    select,
    text,
)
from sqlmodel import AutoString, Field, col

from domain.settlement.bills import SHANGHAI
from domain.settlement.payouts import ENDS, FOLLOWERS, UNDER_WAY, Omission, Rail, State
from storage.bulk import fetch
from storage.encryption import EncryptedJson
from storage.paging import Order, Page, PageRequest, paginate
from storage.tables import Table, instant
from storage.unit_of_work import Repository

_OPEN = "state IN ('created', 'reserved', 'submitting', 'accepted', 'awaiting_user', 'unknown')"


class PayoutRow(Table, table=True):
    """One payout. number: ours, the same for every attempt; rail_number: the rail's. offset_minor: what of the balance
    went to what the payee owes. pay_on: not before that day. next_at: when the rail is asked next. confirmation:
    `domain.settlement.payouts.Confirmation`, while it waits for the payee. file: the bank file that it was written
    into. reason: why it ended unpaid. refused_at: when its rail did not take it; that is certain once nothing that was
    sent before can be taken any more. first_sent_at: when it was first handed to its rail, after the rail last said
    that it certainly did not take it; None: never. put_off: how often to the next day, because its rail took no more
    on the day.
    """

    __tablename__ = "payouts"
    id: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    batch: UUID = Field(sa_column_args=[ForeignKey("payout_batches.id")])
    part: int = Field(sa_type=SmallInteger)
    number: str = Field(max_length=32, unique=True)
    payee: int = Field(sa_column_args=[ForeignKey("payees.id")], index=True)
    rail: Rail = Field(sa_type=AutoString)
    amount_minor: int = Field(sa_type=BigInteger)
    offset_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    state: State = Field(sa_type=AutoString)
    pay_on: date
    attempts: int = Field(default=0, sa_type=SmallInteger)
    next_at: datetime = instant()
    rail_number: str | None = Field(default=None, index=True)
    confirmation: dict[str, Any] | None = Field(
        default=None, sa_type=EncryptedJson("payouts.confirmation"), nullable=True
    )
    file: str | None = None
    reason: str | None = None
    refused_at: datetime | None = instant(optional=True)
    first_sent_at: datetime | None = instant(optional=True)
    put_off: int = Field(default=0, sa_type=SmallInteger)
    created_at: datetime = instant()
    changed_at: datetime = instant()
    ended_at: datetime | None = instant(optional=True)

    __table_args__ = (
        UniqueConstraint("batch", "payee"),
        Index("ix_payouts_open", "batch", "id", postgresql_where=text(_OPEN)),
        Index("ix_payouts_first_sent_at", "first_sent_at"),
        Index("ix_payouts_reserved", "batch", "pay_on", postgresql_where=text("state = 'reserved'")),
    )


class OmissionRow(Table, table=True):
    """A payee with a balance who is not paid, and why. amount_minor: what stays; offset_minor: what of the balance goes
    to what they owe."""

    __tablename__ = "payout_omissions"
    batch: UUID = Field(primary_key=True, sa_column_args=[ForeignKey("payout_batches.id")])
    payee: int = Field(primary_key=True, sa_column_args=[ForeignKey("payees.id")], index=True)
    part: int = Field(sa_type=SmallInteger)
    reason: Omission = Field(sa_type=AutoString)
    amount_minor: int = Field(sa_type=BigInteger)
    offset_minor: int = Field(sa_type=BigInteger)


class StateSum(NamedTuple):
    """How many payouts of a batch stand where, by rail, and what they come to."""

    rail: str
    state: str
    payouts: int
    amount_minor: int


class DaySum(NamedTuple):
    """What a batch pays on a day by a rail."""

    day: date
    rail: str
    payouts: int
    amount_minor: int


class Reserved(NamedTuple):
    """A payout that waits to be written into a file."""

    id: int
    number: str
    payee: int
    amount_minor: int


class ToPlace(NamedTuple):
    """A payout that is to have a day."""

    id: int
    rail: Rail
    amount_minor: int
    pay_on: date


class End(NamedTuple):
    """How a payout ended, as its rail says. at: when, if the rail says it."""

    payout: int
    state: State
    rail_number: str | None
    reason: str | None
    at: datetime | None


_BY_ID = Order("payouts", (PayoutRow.id,), descending=False)


class Payouts(Repository):
    """Rows of payouts. Only a state that may follow is written; what ended stays."""

    async def to_place(self, batch: UUID, rails: Collection[Rail], before: date | None) -> Sequence[ToPlace]:
        """The payouts of some rails that nobody was asked to make, by rail and payee; those of days before one, where
        it is given."""
        values = {"batch": batch, "rails": list(rails), "before": before}
        return [ToPlace(*row) for row in await fetch(self.work, _TO_PLACE, values)]

    async def taken(
        self, batch: UUID, rail: Rail, mch_id: str | None, today: date, before: date | None
    ) -> Mapping[date, tuple[int, int]]:
        """How many payouts a merchant makes by a rail on each day from one on, and what they come to, without those
        that `to_place` has: whatever was sent today, unless the rail refused it, and what is planned."""
        start = datetime.combine(today, time(), SHANGHAI)
        values = {"batch": batch, "rail": rail, "mch_id": mch_id, "today": today, "start": start, "before": before}
        return {day: (count, amount) for day, count, amount in await fetch(self.work, _TAKEN, values)}

    async def place(self, days: Mapping[int, date]) -> None:
        """Put off payouts to later days."""
        if days:
            await fetch(self.work, _PLACE, {"ids": list(days), "days": list(days.values())})

    async def cancel_all(self, batch: UUID, reason: str) -> None:
        """End the payouts of a plan that comes to nothing."""
        await fetch(self.work, _CANCEL, {"batch": batch, "reason": reason, "now": self.now})

    async def find(self, number: str, *, for_update: bool = False) -> PayoutRow | None:
        """One payout by our number."""
        statement = select(PayoutRow).where(col(PayoutRow.number) == number)
        return (await self.session.scalars(statement.with_for_update() if for_update else statement)).first()

    async def locked(self, numbers: Collection[str]) -> Mapping[str, PayoutRow]:
        """Those of the payouts that exist, by our numbers, locked in one order."""
        statement = select(PayoutRow).where(col(PayoutRow.number).in_(numbers)).order_by(col(PayoutRow.id))
        return {row.number: row for row in await self.session.scalars(statement.with_for_update())}

    async def reserved_by(self, batch: UUID, rail: Rail, day: date, limit: int) -> Sequence[Reserved]:
        """Payouts of a rail that are reserved and may be paid on a day, locked."""
        row = PayoutRow
        statement = (
            select(col(row.id), col(row.number), col(row.payee), col(row.amount_minor))
            .where(col(row.batch) == batch, col(row.rail) == rail, col(row.state) == "reserved")
            .where(col(row.pay_on) <= day)
            .order_by(col(row.id))
            .limit(limit)
            .with_for_update()
        )
        return [Reserved(*found) for found in await self.session.execute(statement)]

    async def never_sent(self, batch: UUID, limit: int) -> Sequence[PayoutRow]:
        """Reserved payouts that no rail was ever asked for, locked."""
        row = PayoutRow
        statement = (
            select(row)
            .where(col(row.batch) == batch, col(row.state) == "reserved")
            .where(col(row.first_sent_at).is_(None))
            .order_by(col(row.id))
            .limit(limit)
            .with_for_update()
        )
        return (await self.session.scalars(statement)).all()

    async def next_day(self, batch: UUID, rails: Collection[Rail], before: date | None = None) -> date | None:
        """The first day on which reserved payouts of some rails may be paid, of those before a day where one is
        given."""
        row = PayoutRow
        # Written out: a parameter would hide the partial index from a prepared statement.
        is_reserved = col(row.state) == literal_column("'reserved'")
        statement = select(func.min(col(row.pay_on))).where(
            col(row.batch) == batch, col(row.rail).in_(rails), is_reserved
        )
        if before is not None:
            statement = statement.where(col(row.pay_on) < before)
        return await self.session.scalar(statement)

    async def write_into_file(self, payouts: Sequence[int], file: str) -> int:
        """Note that reserved payouts stand in a file from now on; how many they are."""
        return len(await fetch(self.work, _INTO_FILE, {"ids": list(payouts), "file": file, "now": self.now}))

    async def end(self, ends: Sequence[End]) -> int:
        """Write the ends of locked payouts that a rail may have; how many that were. Rows that were read before do not
        show it."""
        values = {
            "ids": [each.payout for each in ends],
            "states": [each.state for each in ends],
            "numbers": [each.rail_number for each in ends],
            "reasons": [each.reason for each in ends],
            "at": [each.at or self.now for each in ends],
            "now": self.now,
            "under_way": sorted(UNDER_WAY),
        }
        return len(await fetch(self.work, _END, values))

    def move(self, row: PayoutRow, state: State, **values: Any) -> bool:
        """Write a locked payout's new state; False when it may not follow (it ended, or somebody was faster)."""
        if state not in FOLLOWERS[row.state] and state != row.state:
            return False
        row.state, row.changed_at = state, self.now
        for name, value in values.items():
            setattr(row, name, value)
        if state in ENDS:
            row.ended_at = self.now
        return True

    def bounce(self, row: PayoutRow) -> bool:
        """Write that a bank sent a locked payout back that it had paid; False when it is not one of those. It ended
        when it was paid."""
        if row.rail != "bank" or row.state != "paid":
            return False
        row.state, row.reason, row.changed_at = "failed", "returned", self.now
        return True

    def pay_after_all(self, row: PayoutRow, rail_number: str | None) -> bool:
        """Write that a locked payout was paid although it had failed, which is known since now; False when it had
        not. rail_number: the rail's own number of it, where it is said."""
        if row.state not in ("failed", "cancelled"):
            return False
        row.rail_number = rail_number or row.rail_number
        row.state, row.reason, row.changed_at, row.ended_at = "paid", "paid-after-all", self.now, self.now
        return True

    def wait(self, row: PayoutRow, for_s: float) -> None:
        """Ask about it again so much later."""
        row.next_at = self.now + timedelta(seconds=for_s)

    async def sums(self, batch: UUID) -> Sequence[StateSum]:
        """What a batch comes to, by rail and state."""
        row = PayoutRow
        statement = (
            select(col(row.rail), col(row.state), func.count(), func.sum(col(row.amount_minor)))
            .where(col(row.batch) == batch)
            .group_by(col(row.rail), col(row.state))
            .order_by(col(row.rail), col(row.state))
        )
        found = (await self.session.execute(statement)).all()
        return [StateSum(rail, state, count, int(amount)) for rail, state, count, amount in found]

    async def calendar(self, batch: UUID) -> Sequence[DaySum]:
        """What a batch pays on which day, by rail."""
        row = PayoutRow
        statement = (
            select(col(row.pay_on), col(row.rail), func.count(), func.sum(col(row.amount_minor)))
            .where(col(row.batch) == batch)
            .group_by(col(row.pay_on), col(row.rail))
            .order_by(col(row.pay_on), col(row.rail))
        )
        found = (await self.session.execute(statement)).all()
        return [DaySum(day, rail, count, int(amount)) for day, rail, count, amount in found]

    async def omitted(self, batch: UUID) -> Mapping[Omission, tuple[int, int]]:
        """How many payees are not paid, and what stays, by reason."""
        row = OmissionRow
        statement = (
            select(col(row.reason), func.count(), func.sum(col(row.amount_minor)))
            .where(col(row.batch) == batch)
            .group_by(col(row.reason))
        )
        found = (await self.session.execute(statement)).all()
        return {reason: (count, int(amount)) for reason, count, amount in found}

    async def search(
        self, batch: UUID, page: PageRequest, *, state: State | None = None, rail: Rail | None = None
    ) -> Page[PayoutRow]:
        """Payouts of a batch, by number of their rows."""
        statement = select(PayoutRow).where(col(PayoutRow.batch) == batch)
        if state is not None:
            statement = statement.where(col(PayoutRow.state) == state)
        if rail is not None:
            statement = statement.where(col(PayoutRow.rail) == rail)
        return await paginate(self.session, statement, _BY_ID, page, lambda row: row)

    async def omissions(self, batch: UUID, limit: int) -> Sequence[OmissionRow]:
        """Payees who are not paid, the largest sums first."""
        row = OmissionRow
        statement = select(row).where(col(row.batch) == batch).order_by(col(row.amount_minor).desc(), col(row.payee))
        return (await self.session.scalars(statement.limit(limit))).all()


_END = """
    UPDATE payouts SET state = t.state, rail_number = coalesce(t.number, rail_number), reason = t.reason,
        changed_at = %(now)b::timestamptz, ended_at = t.at
    FROM unnest(
        %(ids)b::bigint[], %(states)b::text[], %(numbers)b::text[], %(reasons)b::text[], %(at)b::timestamptz[]
    ) AS t(id, state, number, reason, at)
    WHERE payouts.id = t.id AND payouts.state = ANY(%(under_way)b::text[]) RETURNING 1
"""
_INTO_FILE = """
    UPDATE payouts SET state = 'submitting', file = %(file)b::text, attempts = attempts + 1, changed_at = %(now)b,
        first_sent_at = %(now)b
    WHERE id = ANY(%(ids)b::bigint[]) AND state = 'reserved' RETURNING 1
"""
_TO_PLACE = """
    SELECT id, rail, amount_minor, pay_on FROM payouts
    WHERE batch = %(batch)b::uuid AND rail = ANY(%(rails)b::text[]) AND state IN ('created', 'reserved')
        AND (%(before)b::date IS NULL OR pay_on < %(before)b::date)
    ORDER BY rail, payee
"""
_TAKEN = """
    SELECT day, count(*), sum(amount_minor)::bigint FROM (
        SELECT greatest(p.pay_on, %(today)b::date) AS day, p.amount_minor
        FROM payout_batches b JOIN payouts p ON p.batch = b.id AND p.rail = %(rail)b::text
        WHERE p.state IN ('created', 'reserved') AND b.state IN ('planned', 'reserving', 'paying')
            AND b.terms->'payers'->%(rail)b::text->>'mch_id' IS NOT DISTINCT FROM %(mch_id)b::text
            AND (b.id <> %(batch)b::uuid OR p.pay_on >= %(before)b::date)
        UNION ALL
        SELECT %(today)b::date, p.amount_minor
        FROM payouts p JOIN payout_batches b ON b.id = p.batch
        WHERE p.first_sent_at >= %(start)b::timestamptz AND p.rail = %(rail)b::text
            AND p.state NOT IN ('created', 'reserved')
            AND (p.state NOT IN ('failed', 'cancelled') OR p.rail_number IS NOT NULL)
            AND b.terms->'payers'->%(rail)b::text->>'mch_id' IS NOT DISTINCT FROM %(mch_id)b::text
    ) taken
    GROUP BY day
"""
_PLACE = """
    UPDATE payouts SET pay_on = placed.day
    FROM unnest(%(ids)b::bigint[], %(days)b::date[]) AS placed (id, day)
    WHERE payouts.id = placed.id AND payouts.state IN ('created', 'reserved')
"""
_CANCEL = """
    UPDATE payouts SET state = 'cancelled', reason = %(reason)b::text, changed_at = %(now)b::timestamptz,
        ended_at = %(now)b::timestamptz
    WHERE batch = %(batch)b::uuid AND state = 'created'
"""
