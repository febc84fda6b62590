"""Settlement runs: what they book, who approved it, how far the booking is."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    SmallInteger,
    UniqueConstraint,
    func,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import AutoString, Field, col

from domain.problems import ConflictProblem, Text
from storage.calculation_tables import CalculationRow
from storage.paging import Order, Page, PageRequest, paginate
from storage.tables import Table, instant
from storage.unit_of_work import Repository, refused

State = Literal["computing", "computed", "approved", "booked", "refused", "failed"]
Hold = Literal["to change", "as it is"]
_OPEN = "uq_settlement_runs_open"


class SettlementRunRow(Table, table=True):
    """One run. number: grows with each. period: that it books in. waiting: how many closed periods that changed it
    leaves for the next one. total_minor: what it pays beyond what was booked.
    moved_minor: what payees get more altogether, or what others get less if that is more; what needs approval.

    Of one period one run is open at a time: two would book the same difference. What is closed is adjusted by one of
    those that are open, see `SettlementPeriods.changed_since`.
    """

    __tablename__ = "settlement_runs"
    id: UUID = Field(primary_key=True)
    number: int = Field(default=None, sa_column_args=[Identity(always=True)], nullable=False)
    scheme: str
    cycle: str
    period: int = Field(sa_column_args=[ForeignKey("settlement_periods.id")], index=True)
    state: State = Field(sa_type=AutoString)
    asked_by: str
    asked_at: datetime = instant()
    approvals_needed: int | None = Field(default=None, sa_type=SmallInteger)
    total_minor: int | None = Field(default=None, sa_type=BigInteger)
    moved_minor: int | None = Field(default=None, sa_type=BigInteger)
    decided_at: datetime | None = instant(optional=True)
    booked_at: datetime | None = instant(optional=True)
    booked_minor: int | None = Field(default=None, sa_type=BigInteger)
    problem: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)
    waiting: int = 0

    __table_args__ = (
        Index(
            _OPEN,
            "period",
            unique=True,
            postgresql_where=text("state IN ('computing', 'computed', 'approved')"),
        ),
        Index("ix_settlement_runs_asked_at_id", "asked_at", "id"),
        Index(
            "ix_settlement_runs_unfinished",
            "asked_at",
            postgresql_where=text("state IN ('computing', 'approved')"),
        ),
    )


class RunCalculationRow(Table, table=True):
    """A calculation of a run. origin: the period that it is of; before: the calculation that was booked for it last."""

    __tablename__ = "settlement_run_calculations"
    run: UUID = Field(primary_key=True, sa_column_args=[ForeignKey("settlement_runs.id")])
    calculation: UUID = Field(primary_key=True)
    origin: int = Field(sa_column_args=[ForeignKey("settlement_periods.id")], index=True)
    before: UUID | None = Field(default=None, index=True)

    __table_args__ = (
        UniqueConstraint("run", "origin"),
        ForeignKeyConstraint(
            ["calculation"], ["settlement_calculations.id"], name="fk_settlement_run_calculations_calculation"
        ),
        ForeignKeyConstraint(["before"], ["settlement_calculations.id"], name="fk_settlement_run_calculations_before"),
        Index("ix_settlement_run_calculations_calculation", "calculation"),
    )


class ApprovalRow(Table, table=True):
    """What somebody said of a run, once."""

    __tablename__ = "settlement_approvals"
    run: UUID = Field(primary_key=True, sa_column_args=[ForeignKey("settlement_runs.id")])
    login: str = Field(primary_key=True)
    approved: bool
    note: str | None = None
    decided_at: datetime = instant()


class BookedPartRow(Table, table=True):
    """A part of a calculation that a run has booked."""

    __tablename__ = "settlement_booked_parts"
    run: UUID = Field(primary_key=True, sa_column_args=[ForeignKey("settlement_runs.id")])
    calculation: UUID = Field(primary_key=True)
    part: int = Field(primary_key=True, sa_type=SmallInteger)
    transfers: int
    amount_minor: int = Field(sa_type=BigInteger)
    booked_at: datetime = instant()

    __table_args__ = (
        ForeignKeyConstraint(
            ["calculation"], ["settlement_calculations.id"], name="fk_settlement_booked_parts_calculation"
        ),
        Index("ix_settlement_booked_parts_calculation", "calculation"),
    )


class Booked(NamedTuple):
    """How much of a run is booked. by_calculation: parts."""

    parts: int
    transfers: int
    amount_minor: int
    by_calculation: Mapping[UUID, int]


_NEWEST_FIRST = Order("settlement-runs", (SettlementRunRow.asked_at, SettlementRunRow.id))


class SettlementRuns(Repository):
    """Runs, their calculations and approvals."""

    async def begin(self, run: SettlementRunRow) -> None:
        """Let a run be the one under way. Raises ConflictProblem while another of the same period is."""
        under_way = ConflictProblem(
            Text(
                f"方案 {run.scheme} 的这个账期已有一次结算在进行，先完成或拒绝它",
                f"A settlement of this period of {run.scheme} is under way: finish or refuse it first",
            )
        )
        with refused(_OPEN, under_way):
            await self.insert(run)

    async def add(self, calculations: Sequence[RunCalculationRow]) -> None:
        """Note what a run books."""
        await self.insert(*calculations)

    async def find(self, run: UUID, *, hold: Hold | None = None) -> SettlementRunRow | None:
        """The run; held until the end of the unit to change it, or so that nobody else does."""
        locking = {"read": hold == "as it is"} if hold is not None else None
        return await self.session.get(SettlementRunRow, run, with_for_update=locking)

    async def search(self, page: PageRequest, *, scheme: str | None = None) -> Page[SettlementRunRow]:
        """Runs, the newest first."""
        statement = select(SettlementRunRow)
        if scheme is not None:
            statement = statement.where(col(SettlementRunRow.scheme) == scheme)
        return await paginate(self.session, statement, _NEWEST_FIRST, page, lambda row: row)

    async def unfinished(
        self, before: datetime, limit: int, after: tuple[datetime, UUID] | None = None
    ) -> list[SettlementRunRow]:
        """Runs asked for before an instant that a workflow has to go on with, behind the one that was asked for
        `after`."""
        row = SettlementRunRow
        statement = select(row).where(col(row.state).in_(("computing", "approved")), col(row.asked_at) < before)
        if after is not None:
            statement = statement.where(tuple_(col(row.asked_at), col(row.id)) > after)
        return list(await self.session.scalars(statement.order_by(col(row.asked_at), col(row.id)).limit(limit)))

    async def calculations(self, run: UUID) -> list[RunCalculationRow]:
        """What the run books, by period."""
        row = RunCalculationRow
        statement = select(row).where(col(row.run) == run).order_by(col(row.origin))
        return list(await self.session.scalars(statement))

    async def before(self, calculation: UUID) -> UUID | None:
        """What a calculation is booked as the difference to."""
        row = RunCalculationRow
        return await self.session.scalar(select(col(row.before)).where(col(row.calculation) == calculation))

    async def last_booked(self, origins: Collection[int]) -> Mapping[int, UUID]:
        """By period, the calculation that was booked for it last."""
        row, run = RunCalculationRow, SettlementRunRow
        statement = (
            select(col(row.origin), col(row.calculation))
            .join(run, col(run.id) == col(row.run))
            .where(col(row.origin).in_(origins), col(run.state) == "booked")
            .order_by(col(run.number))
        )
        return {found.origin: found.calculation for found in await self.session.execute(statement)}

    async def has_booked(self, period: int) -> bool:
        """Whether a run is booked in a period, be it of others' changes only."""
        row = SettlementRunRow
        statement = select(col(row.id)).where(col(row.period) == period, col(row.state) == "booked")
        return (await self.session.scalar(statement.limit(1))) is not None

    async def last_of_scheme(self, scheme: str) -> UUID | None:
        """The calculation of a scheme's own period that was booked last."""
        row, run = RunCalculationRow, SettlementRunRow
        statement = (
            select(col(row.calculation))
            .join(run, col(run.id) == col(row.run))
            .where(col(run.scheme) == scheme, col(run.state) == "booked", col(row.origin) == col(run.period))
            .order_by(col(run.number).desc())
        )
        return await self.session.scalar(statement.limit(1))

    async def versions_booked(self, scheme: str, since: datetime) -> Sequence[tuple[str, date]]:
        """The versions by which something was booked of a scheme since then, each with the first day of the earliest
        period."""
        row, run, calculation = RunCalculationRow, SettlementRunRow, CalculationRow
        statement = (
            select(col(calculation.version), func.min(col(calculation.start)))
            .join(row, col(row.calculation) == col(calculation.id))
            .join(run, col(run.id) == col(row.run))
            .where(col(run.scheme) == scheme, col(run.state) == "booked", col(run.booked_at) >= since)
            .group_by(col(calculation.version))
        )
        return [(version, start) for version, start in await self.session.execute(statement)]

    async def decide(self, run: UUID, login: str, *, approved: bool, note: str | None) -> None:
        """Note what somebody says of a run; what they say again counts anew."""
        values = {"run": run, "login": login, "approved": approved, "note": note, "decided_at": self.now}
        statement = insert(ApprovalRow).values(values)
        changed = {name: statement.excluded[name] for name in ("approved", "note", "decided_at")}
        await self.session.execute(statement.on_conflict_do_update(index_elements=["run", "login"], set_=changed))

    async def approvals(self, run: UUID) -> list[ApprovalRow]:
        """What was said of a run, in order."""
        row = ApprovalRow
        statement = select(row).where(col(row.run) == run).order_by(col(row.decided_at), col(row.login))
        return list(await self.session.scalars(statement))

    async def note_part(self, run: UUID, calculation: UUID, part: int, transfers: int, amount_minor: int) -> None:
        """A part is booked; noted again, the first time counts."""
        values = {
            "run": run,
            "calculation": calculation,
            "part": part,
            "transfers": transfers,
            "amount_minor": amount_minor,
            "booked_at": self.now,
        }
        await self.session.execute(insert(BookedPartRow).values(values).on_conflict_do_nothing())

    async def booked(self, run: UUID) -> Booked:
        """How much of a run is booked."""
        rows = list(await self.session.scalars(select(BookedPartRow).where(col(BookedPartRow.run) == run)))
        transfers, amount = sum(each.transfers for each in rows), sum(each.amount_minor for each in rows)
        return Booked(len(rows), transfers, amount, Counter(each.calculation for each in rows))

    async def is_under_way(self, period: int) -> bool:
        """Whether a run of the period is open."""
        row = SettlementRunRow
        statement = select(col(row.id)).where(
            col(row.period) == period, col(row.state).in_(("computing", "computed", "approved"))
        )
        return (await self.session.scalar(statement.limit(1))) is not None
