"""Batches of payouts: what they pay by, who approved them, how far they are; and which periods' holds are released."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, SmallInteger, select, text, tuple_
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import AutoString, Field, col

from domain.problems import ConflictProblem, Text
from domain.settlement.payouts import ENDS, Payer, Rail, Terms
from storage.bulk import fetch
from storage.locks import lock
from storage.paging import Order, Page, PageRequest, paginate
from storage.payouts import PayoutRow
from storage.tables import Table, instant
from storage.unit_of_work import Repository, refused

BatchState = Literal["planning", "planned", "refused", "reserving", "paying", "done", "failed"]
_ONE_OPEN = "uq_payout_batches_open"


class PayoutBatchRow(Table, table=True):
    """One batch. period: that it books in. day: of the plan, in Shanghai. terms: `domain.settlement.payouts.Terms`.

    Of one scheme and currency one is planned at a time: two would plan the same balance.
    """

    __tablename__ = "payout_batches"
    id: UUID = Field(primary_key=True)
    number: int = Field(default=None, sa_column_args=[Identity(always=True)], nullable=False)
    scheme: str
    currency: str = Field(max_length=3)
    period: int = Field(sa_column_args=[ForeignKey("settlement_periods.id")], index=True)
    day: date
    state: BatchState = Field(sa_type=AutoString)
    terms: dict[str, Any] = Field(sa_type=JSONB)
    asked_by: str
    asked_at: datetime = instant()
    payouts: int | None = None
    total_minor: int | None = Field(default=None, sa_type=BigInteger)
    approvals_needed: int | None = Field(default=None, sa_type=SmallInteger)
    decided_at: datetime | None = instant(optional=True)
    ended_at: datetime | None = instant(optional=True)
    problem: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)

    __table_args__ = (
        Index(
            _ONE_OPEN,
            "scheme",
            "currency",
            unique=True,
            postgresql_where=text("state IN ('planning', 'planned', 'reserving')"),
        ),
        Index("ix_payout_batches_asked_at_id", "asked_at", "id"),
        Index(
            "ix_payout_batches_unfinished",
            "asked_at",
            postgresql_where=text("state IN ('planning', 'reserving', 'paying')"),
        ),
    )

    @property
    def payers(self) -> Mapping[Rail, Payer]:
        """The merchant who pays, by rail."""
        return Terms.model_validate(self.terms).payers


class PayoutApprovalRow(Table, table=True):
    """What somebody said of a batch, once."""

    __tablename__ = "payout_approvals"
    batch: UUID = Field(primary_key=True, sa_column_args=[ForeignKey("payout_batches.id")])
    login: str = Field(primary_key=True)
    approved: bool
    note: str | None = None
    decided_at: datetime = instant()


class ReleaseRow(Table, table=True):
    """A period whose holds are over: what is booked in it from then on can be paid at once."""

    __tablename__ = "settlement_releases"
    period: int = Field(primary_key=True, sa_column_args=[ForeignKey("settlement_periods.id")])
    released_at: datetime = instant()
    released_by: str


class EndedBatch(NamedTuple):
    """A batch that has come to its end."""

    batch: UUID
    scheme: str


_BY_TIME = Order("payout_batches", (PayoutBatchRow.asked_at, PayoutBatchRow.id), descending=True)


class PayoutBatches(Repository):
    """Rows of batches."""

    async def add(self, row: PayoutBatchRow) -> None:
        """Begin one. Raises ConflictProblem when one of the scheme is planned already."""
        with refused(_ONE_OPEN, _under_way(row.scheme)):
            self.session.add(row)
            await self.session.flush()

    async def find(self, batch: UUID, *, for_update: bool = False) -> PayoutBatchRow | None:
        """One batch."""
        statement = select(PayoutBatchRow).where(col(PayoutBatchRow.id) == batch)
        return (await self.session.scalars(statement.with_for_update() if for_update else statement)).first()

    async def hold(self, batch: UUID, part: int) -> None:
        """Let nobody else plan this part until the unit of work ends."""
        await lock(self.work, f"payouts/{batch}/{part}")

    async def stands_at(self, batch: UUID, state: str) -> bool:
        """Whether a batch is at a state, and stays so until the unit of work ends."""
        statement = select(col(PayoutBatchRow.state)).where(col(PayoutBatchRow.id) == batch)
        return (await self.session.scalar(statement.with_for_update(read=True))) == state

    async def search(self, page: PageRequest, *, scheme: str | None = None) -> Page[PayoutBatchRow]:
        """Batches, the newest first."""
        statement = select(PayoutBatchRow)
        if scheme is not None:
            statement = statement.where(col(PayoutBatchRow.scheme) == scheme)
        return await paginate(self.session, statement, _BY_TIME, page, lambda row: row)

    async def to_begin(self, before: datetime, limit: int) -> Sequence[PayoutBatchRow]:
        """Batches asked for before an instant that a workflow has to plan or to reserve, the oldest first."""
        row = PayoutBatchRow
        statement = select(row).where(col(row.state).in_(("planning", "reserving")), col(row.asked_at) < before)
        return (await self.session.scalars(statement.order_by(col(row.asked_at), col(row.id)).limit(limit))).all()

    async def to_follow(
        self, before: datetime, limit: int, after: tuple[datetime, UUID] | None = None
    ) -> Sequence[PayoutBatchRow]:
        """Batches asked for before an instant whose payouts a workflow has to follow, the oldest first, behind the one
        that was asked for then; one of which only the bank has something waits for people."""
        row, payout = PayoutBatchRow, PayoutRow
        paying = select(col(payout.id)).where(
            col(payout.batch) == col(row.id), col(payout.rail) != "bank", col(payout.state).not_in(ENDS)
        )
        statement = select(row).where(col(row.state) == "paying", paying.exists(), col(row.asked_at) < before)
        if after is not None:
            statement = statement.where(tuple_(col(row.asked_at), col(row.id)) > after)
        return (await self.session.scalars(statement.order_by(col(row.asked_at), col(row.id)).limit(limit))).all()

    async def decide(self, batch: UUID, login: str, *, approved: bool, note: str | None) -> None:
        """Note what somebody said; raises ConflictProblem when they said it already."""
        values = {"batch": batch, "login": login, "approved": approved, "note": note, "decided_at": self.now}
        adding = insert(PayoutApprovalRow).values(**values).on_conflict_do_nothing()
        if (await self.session.execute(adding.returning(col(PayoutApprovalRow.login)))).first() is None:
            raise ConflictProblem(Text("您已经表过态", "You have decided on it already"))

    async def approvals(self, batch: UUID) -> Sequence[PayoutApprovalRow]:
        """What people said, in order."""
        row = PayoutApprovalRow
        statement = select(row).where(col(row.batch) == batch).order_by(col(row.decided_at), col(row.login))
        return (await self.session.scalars(statement)).all()

    async def release(self, scheme: str, currency: str, over: Sequence[int], by: str) -> Sequence[int]:
        """Those of the periods of a scheme whose holds are over, each noted once, by who released it.

        Whoever books in one of them waits, or sees that it is released. One that is being settled waits for its turn.
        What a batch whose plan failed had to release goes over to this one.
        """
        values = {"scheme": scheme, "currency": currency, "over": list(over), "now": self.now, "by": by}
        return [period for (period,) in await fetch(self.work, _RELEASE, values)]

    async def held(self, batch: UUID, currency: str, part: int, parts: int) -> Sequence[tuple[int, int, int]]:
        """What a batch releases of a part's payees: period, payee, amount, less than nothing where it was taken off."""
        values = {"by": str(batch), "currency": currency, "part": part, "parts": parts}
        return [(period, payee, amount) for period, payee, amount in await fetch(self.work, _HELD, values)]

    async def end_finished(self) -> Sequence[EndedBatch]:
        """End the batches all of whose payouts have ended, each told of once."""
        return [EndedBatch(*row) for row in await fetch(self.work, _END_FINISHED, {"now": self.now})]

    async def is_planned(self, period: int) -> bool:
        """Whether a batch that books in a period has not taken its sums out of the balances yet."""
        row = PayoutBatchRow
        statement = select(col(row.id)).where(
            col(row.period) == period, col(row.state).in_(("planning", "planned", "reserving"))
        )
        return (await self.session.scalar(statement.limit(1))) is not None

    async def is_released(self, period: int) -> bool:
        """Whether what is booked in a period can be paid at once. Holds the period until the end of the transaction."""
        await fetch(self.work, _HOLD_PERIOD, {"period": period})
        return await self.session.get(ReleaseRow, period) is not None


_RELEASE = """
    WITH taken_over AS (
        UPDATE settlement_releases r SET released_by = %(by)b::text
        FROM settlement_periods p, payout_batches b
        WHERE p.id = r.period AND p.scheme = %(scheme)b::text AND p.currency = %(currency)b::text
            AND b.scheme = p.scheme AND b.state = 'failed' AND b.id::text = r.released_by
        RETURNING r.period
    ), released AS (
        INSERT INTO settlement_releases (period, released_at, released_by)
        SELECT id, %(now)b::timestamptz, %(by)b::text FROM (
            SELECT id FROM settlement_periods p
            WHERE id = ANY(%(over)b::integer[])
                AND NOT EXISTS (SELECT FROM settlement_releases r WHERE r.period = p.id)
                AND NOT EXISTS (
                    SELECT FROM settlement_runs s
                    WHERE s.period = p.id AND s.state IN ('computing', 'computed', 'approved')
                )
            ORDER BY id FOR UPDATE
        ) ended
        ON CONFLICT DO NOTHING RETURNING period
    )
    SELECT period FROM taken_over UNION ALL SELECT period FROM released
"""
_HELD = """
    SELECT moves.period, moves.payee, sum(moves.amount)::bigint FROM (
        SELECT t.period, a.payee, t.amount_minor AS amount FROM settlement_releases r
        JOIN transfers t ON t.period = r.period AND t.kind <> 'release'
        JOIN ledger_accounts a ON a.id = t.credit AND a.kind = 'held'
        WHERE r.released_by = %(by)b::text AND a.currency = %(currency)b::text
        UNION ALL
        SELECT t.period, a.payee, -t.amount_minor FROM settlement_releases r
        JOIN transfers t ON t.period = r.period AND t.kind <> 'release'
        JOIN ledger_accounts a ON a.id = t.debit AND a.kind = 'held'
        WHERE r.released_by = %(by)b::text AND a.currency = %(currency)b::text
    ) moves
    WHERE moves.payee %% %(parts)b::integer = %(part)b::integer
    GROUP BY moves.period, moves.payee HAVING sum(moves.amount) <> 0
    ORDER BY moves.payee, moves.period
"""
_END_FINISHED = """
    UPDATE payout_batches SET state = 'done', ended_at = %(now)b::timestamptz
    WHERE state = 'paying' AND NOT EXISTS (
        SELECT FROM payouts WHERE payouts.batch = payout_batches.id
            AND state IN ('created', 'reserved', 'submitting', 'accepted', 'awaiting_user', 'unknown')
    )
    RETURNING id, scheme
"""
_HOLD_PERIOD = "SELECT 1 FROM settlement_periods WHERE id = %(period)b::integer FOR SHARE"


def _under_way(scheme: str) -> ConflictProblem:
    return ConflictProblem(
        Text(f"方案 {scheme} 已有一批付款在计划中", f"Payouts of {scheme} are being planned already: end those first")
    )
