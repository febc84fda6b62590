"""Runs: the read model of every execution, and the outbox of those that Temporal does not know yet."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text, and_, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import AutoString, Field, col, select

from domain.access import Scope
from domain.organisation import Placement
from domain.runs import Phase, Run, RunSummary
from storage.effects import UNSETTLED, EffectRow
from storage.encryption import EncryptedJson
from storage.identities import Customers
from storage.paging import Order, Page, PageRequest, paginate
from storage.scoping import ScopedColumns, visible
from storage.tables import Table, instant
from storage.unit_of_work import Repository


class RunRow(ScopedColumns, Table, table=True):
    """One run.

    input_digest: tells a repeated start from another one under the same key. start_due_at: when the outbox tries the
    start (again), NULL once Temporal has it. reported_at: the newest report, by the run's own clock. continuation: what
    the next attempt goes on from. enrolled: whom or what it took in, as `customer:{id}` (`domain.enrolments`). trigger:
    the events that started it. hears_from: since when events that came before the row was there are for it. not_before:
    a start that was planned for later. checked_at: when it was last compared with Temporal. reached_at: since when it,
    or a run that it started, is the one that writes to whom it took in.
    """

    __tablename__ = "runs"
    id: str = Field(primary_key=True)
    namespace: str
    name: str
    version: str
    digest: str
    subject: str
    subjects: list[str] = Field(sa_type=ARRAY(Text), nullable=False)
    listens: list[str] = Field(sa_type=ARRAY(Text), nullable=False)
    customer: str | None = None
    ticket: str | None = None
    phase: Phase = Field(sa_type=AutoString)
    attempt: int = 1
    parent_id: str | None = None
    started_by: str
    input: Any = Field(default=None, sa_type=EncryptedJson("runs.input"), nullable=True)
    input_digest: str
    trigger: list[dict[str, Any]] | None = Field(default=None, sa_type=EncryptedJson("runs.trigger"), nullable=True)
    output: Any = Field(default=None, sa_type=EncryptedJson("runs.output"), nullable=True)
    error: dict[str, Any] | None = Field(default=None, sa_type=EncryptedJson("runs.error"), nullable=True)
    continuation: dict[str, Any] | None = Field(default=None, sa_type=EncryptedJson("runs.continuation"), nullable=True)
    tasks: list[dict[str, Any]] | None = Field(default=None, sa_type=EncryptedJson("runs.tasks"), nullable=True)
    dropped_tasks: int = 0
    enrolled: str | None = None
    created_at: datetime = instant()
    hears_from: datetime = instant()
    not_before: datetime | None = instant(optional=True)
    start_due_at: datetime | None = instant(optional=True)
    start_attempts: int = 0
    start_problem: str | None = None
    started_at: datetime | None = instant(optional=True)
    reported_at: datetime | None = instant(optional=True)
    checked_at: datetime | None = instant(optional=True)
    reached_at: datetime | None = instant(optional=True)
    ended_at: datetime | None = instant(optional=True)

    __table_args__ = (
        Index("ix_runs_created_at_id", "created_at", "id"),
        Index("ix_runs_namespace_name_created_at_id", "namespace", "name", "created_at", "id"),
        Index("ix_runs_customer_created_at_id", "customer", "created_at", "id"),
        Index("ix_runs_ticket_created_at_id", "ticket", "created_at", "id"),
        Index("ix_runs_subjects", "subjects", postgresql_using="gin"),
        Index("ix_runs_open_listens", "listens", postgresql_using="gin", postgresql_where=text("ended_at IS NULL")),
        Index(
            "ix_runs_open_without_subject",
            "listens",
            postgresql_using="gin",
            postgresql_where=text("ended_at IS NULL AND subjects = '{}'"),
        ),
        Index("ix_runs_open_checked_at", "checked_at", postgresql_where=text("ended_at IS NULL")),
        Index("ix_runs_ended_at", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        Index("ix_runs_start_due_at", "start_due_at", postgresql_where=text("start_due_at IS NOT NULL")),
        Index(
            "ix_runs_enrolled_namespace_name_created_at",
            "enrolled",
            "namespace",
            "name",
            "created_at",
            postgresql_where=text("enrolled IS NOT NULL"),
        ),
        Index("ix_runs_parent_id", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
        Index("ix_runs_unit_path_created_at_id", "unit_path", "created_at", "id"),
        Index("ix_runs_account_id_created_at_id", "account_id", "created_at", "id"),
        Index("ix_runs_customer_owner_created_at_id", "customer_owner", "created_at", "id"),
    )


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What a list of runs is narrowed to; every given condition must hold. A customer is found under former ids too.

    unsettled: runs that ended while nobody knew whether an effect of theirs was done on the outside.
    """

    namespace: str | None = None
    name: str | None = None
    version: str | None = None
    phases: tuple[Phase, ...] = ()
    subject: str | None = None
    customer: str | None = None
    ticket: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    unsettled: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that a run should get. started: whether Temporal has the run already. place: where the run belongs."""

    seq: int
    run_id: str
    started: bool
    place: Placement


_NEWEST_FIRST = Order("runs", (RunRow.created_at, RunRow.id))

# A child is started by its parent, a moment after its row is there: it is known to have begun by its first report.
_STARTED = "r.start_due_at IS NULL AND (r.parent_id IS NULL OR r.reported_at IS NOT NULL)"
_SHARING_A_SUBJECT = text(
    """
    SELECT e.seq, r.id, {started} AS started, r.unit_path, r.account_id, r.customer_owner
    FROM events e
    JOIN runs r ON r.subjects && e.subjects AND r.ended_at IS NULL AND r.listens && ARRAY[e.type, '*']::text[]
    WHERE e.seq = ANY(:seqs)
    ORDER BY e.seq
    """.replace("{started}", _STARTED)
)
_MARK_STARTED = text(
    """
    UPDATE runs SET
        start_due_at = NULL,
        start_problem = NULL,
        started_at = coalesce(started_at, :now),
        phase = CASE phase WHEN 'pending' THEN 'running' ELSE phase END
    FROM unnest(CAST(:ids AS text[]), CAST(:attempts AS integer[])) AS taken(id, attempt)
    WHERE runs.id = taken.id AND runs.attempt = taken.attempt
    RETURNING runs.id, runs.phase
    """
)
_LISTENING = """
    SELECT id, {started} AS started, unit_path, account_id, customer_owner
    FROM runs r
    WHERE ended_at IS NULL AND listens && ARRAY[:type, '*']::text[] AND id > :after {condition}
    ORDER BY id LIMIT :size
    """.replace("{started}", _STARTED)
_WITHOUT_SUBJECT = "AND subjects = '{}'"
_ANYBODY_LISTENING = """
    SELECT wanted.type
    FROM unnest(CAST(:types AS text[])) AS wanted(type)
    WHERE EXISTS (
        SELECT 1 FROM runs WHERE ended_at IS NULL AND listens && ARRAY[wanted.type, '*']::text[] {condition}
    )
    """


def summary_of(row: RunRow) -> RunSummary:
    return RunSummary.model_validate(row)


def run_of(row: RunRow) -> Run:
    return Run.model_validate({**summary_of(row).model_dump(), **_recorded(row)})


def _recorded(row: RunRow) -> dict[str, Any]:
    return {
        "input": row.input,
        "output": row.output,
        "error": row.error,
        "tasks": row.tasks or [],
        "dropped_tasks": row.dropped_tasks,
        "start_problem": row.start_problem,
    }


class Runs(Repository):
    """Rows of runs. What a person sees goes through `search` and `find`, which take the scope."""

    async def add(self, rows: Sequence[RunRow]) -> set[str]:
        """Write new runs; the ids of those that were not there before."""
        if not rows:
            return set()
        statement = insert(RunRow).on_conflict_do_nothing().returning(col(RunRow.id))
        values = [row.model_dump() for row in rows]
        return set(await self.session.scalars(statement, values))

    async def row(self, run_id: str, *, for_update: bool = False) -> RunRow | None:
        return await self.session.get(RunRow, run_id, with_for_update=for_update or None)

    async def rows(self, run_ids: Collection[str]) -> dict[str, RunRow]:
        """Those of the runs that exist, by id."""
        found = await self.session.scalars(select(RunRow).where(col(RunRow.id).in_(run_ids)))
        return {row.id: row for row in found}

    async def flow_of(self, run_id: str) -> str | None:
        """The namespace and name of a run's flow."""
        statement = select(col(RunRow.namespace), col(RunRow.name)).where(col(RunRow.id) == run_id)
        row = (await self.session.execute(statement)).first()
        return f"{row.namespace}/{row.name}" if row is not None else None

    async def find(self, run_id: str, scope: Scope, *, for_update: bool = False) -> RunRow | None:
        """The run, if there is one within the scope."""
        statement = select(RunRow).where(RunRow.id == run_id, visible(RunRow, scope))
        if for_update:
            statement = statement.with_for_update()
        return (await self.session.scalars(statement)).first()

    async def search(self, wanted: RunFilter, scope: Scope, page: PageRequest) -> Page[RunSummary]:
        """Runs within the scope, the newest first."""
        statement = select(RunRow).where(visible(RunRow, scope))
        for column, value in (
            (RunRow.namespace, wanted.namespace),
            (RunRow.name, wanted.name),
            (RunRow.version, wanted.version),
            (RunRow.ticket, wanted.ticket),
        ):
            if value is not None:
                statement = statement.where(col(column) == value)
        if wanted.phases:
            statement = statement.where(col(RunRow.phase).in_(wanted.phases))
        # A run keeps the name that its customer had when it began.
        if wanted.customer is not None:
            names = await Customers(self.work).every_name(wanted.customer)
            statement = statement.where(col(RunRow.customer).in_(names))
        if wanted.subject is not None:
            names = await Customers(self.work).every_name(wanted.subject)
            statement = statement.where(col(RunRow.subjects).op("&&")(names))
        if wanted.created_from is not None:
            statement = statement.where(col(RunRow.created_at) >= wanted.created_from)
        if wanted.created_before is not None:
            statement = statement.where(col(RunRow.created_at) < wanted.created_before)
        if wanted.unsettled:
            left = select(col(EffectRow.run_id)).where(UNSETTLED)
            statement = statement.where(col(RunRow.ended_at).is_not(None), col(RunRow.id).in_(left))
        return await paginate(self.session, statement, _NEWEST_FIRST, page, summary_of)

    async def claim_unstarted(self, limit: int, until: datetime) -> list[RunRow]:
        """Runs whose start is due; nobody else gets them before `until`."""
        due = (
            select(RunRow.id)
            .where(col(RunRow.start_due_at) <= self.now)
            .order_by(col(RunRow.start_due_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = (
            update(RunRow)
            .where(col(RunRow.id).in_(due.scalar_subquery()))
            .values(start_due_at=until, start_attempts=RunRow.start_attempts + 1)
            .returning(RunRow)
        )
        return list(await self.session.scalars(statement))

    async def mark_started(self, attempts: Sequence[tuple[str, int]]) -> set[str]:
        """Note that Temporal has these attempts (id, attempt); the ids of those that were cancelled meanwhile."""
        if not attempts:
            return set()
        ids, numbers = zip(*attempts, strict=True)
        parameters = {"ids": list(ids), "attempts": list(numbers), "now": self.now}
        rows = await self.session.execute(_MARK_STARTED, parameters)
        return {run_id for run_id, phase in rows if phase == "cancelled"}

    async def start_failed(self, run_id: str, attempt: int, due_at: datetime, problem: str) -> None:
        """The start of an attempt is tried again at `due_at`."""
        await self.session.execute(
            update(RunRow)
            .where(col(RunRow.id) == run_id, col(RunRow.attempt) == attempt, col(RunRow.start_due_at).is_not(None))
            .values(start_due_at=due_at, start_problem=problem)
        )

    async def claim_silent(self, limit: int, before: datetime) -> list[RunRow]:
        """Open runs that Temporal has, and that nobody looked at since `before`; noted as looked at now."""
        silent = (
            select(RunRow.id)
            .where(
                and_(
                    col(RunRow.ended_at).is_(None),
                    col(RunRow.start_due_at).is_(None),
                    col(RunRow.checked_at) < before,
                )
            )
            .order_by(col(RunRow.checked_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = (
            update(RunRow)
            .where(col(RunRow.id).in_(silent.scalar_subquery()))
            .values(checked_at=self.now)
            .returning(RunRow)
        )
        return list(await self.session.scalars(statement))

    async def sharing_a_subject(self, seqs: Collection[int]) -> list[Delivery]:
        """Which open runs listen for the type of these events and share a subject with them."""
        rows = await self.session.execute(_SHARING_A_SUBJECT, {"seqs": list(seqs)})
        return [Delivery(seq, run_id, started, Placement(*place)) for seq, run_id, started, *place in rows]

    async def listened_types(self, types: Collection[str], *, without_subject: bool) -> set[str]:
        """Those of the types that an open run listens for; with `without_subject`, one that has no subject."""
        condition = _WITHOUT_SUBJECT if without_subject else ""
        statement = text(_ANYBODY_LISTENING.replace("{condition}", condition))
        return set(await self.session.scalars(statement, {"types": sorted(types)})) if types else set()

    async def listening(
        self, seq: int, event_type: str, *, after: str, size: int, without_subject: bool
    ) -> list[Delivery]:
        """Open runs that listen for a type, in order of id; with `without_subject`, those that have no subject."""
        statement = text(_LISTENING.replace("{condition}", _WITHOUT_SUBJECT if without_subject else ""))
        rows = await self.session.execute(statement, {"type": event_type, "after": after, "size": size})
        return [Delivery(seq, run_id, started, Placement(*place)) for run_id, started, *place in rows]
