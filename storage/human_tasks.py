"""Human tasks: the row that owns a person's step, its version, and the commands that were given under a key."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, Index, SmallInteger, Text, and_, or_, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlmodel import AutoString, Field, col, select

from domain.access import Scope
from domain.human_tasks import OPEN_STATES, Standing, State
from storage.encryption import EncryptedJson, EncryptedText
from storage.identities import Customers
from storage.paging import Order, Page, PageRequest, paginate
from storage.scoping import ScopedColumns, visible
from storage.tables import Table, instant
from storage.unit_of_work import Repository

NEVER_DUE = datetime(9999, 12, 31, tzinfo=UTC)
HIGHEST_PRIORITY = 100
_MOST_OF_A_RUN = 100


class HumanTaskRow(ScopedColumns, Table, table=True):
    """One step of a person.

    form: the JSON Schema as it was when the task opened. urgency: 100 minus the priority, so that lists go up.
    due_sort: the due time, or a far future. version: grows with every change people can see. changed_by: who made it.
    """

    __tablename__ = "human_tasks"
    id: str = Field(primary_key=True)
    run_id: str
    name: str
    reference: str
    subject: str
    queue: str
    title: str = Field(sa_type=EncryptedText("human_tasks.title"))
    form_name: str | None = None
    form: dict[str, Any] = Field(sa_type=JSONB)
    data: dict[str, Any] = Field(sa_type=EncryptedJson("human_tasks.data"))
    urgency: int = Field(sa_type=SmallInteger)
    due_at: datetime | None = instant(optional=True)
    due_sort: datetime = instant()
    state: State = Field(sa_type=AutoString)
    before_suspension: State | None = Field(default=None, sa_type=AutoString)
    assignee: str | None = None
    excluded: list[str] = Field(sa_type=ARRAY(Text), nullable=False)
    draft: dict[str, Any] | None = Field(default=None, sa_type=EncryptedJson("human_tasks.draft"), nullable=True)
    output: dict[str, Any] | None = Field(default=None, sa_type=EncryptedJson("human_tasks.output"), nullable=True)
    comment: str | None = Field(default=None, sa_type=EncryptedText("human_tasks.comment"), nullable=True)
    version: int = 1
    opened_at: datetime = instant()
    claimed_at: datetime | None = instant(optional=True)
    started_at: datetime | None = instant(optional=True)
    ended_at: datetime | None = instant(optional=True)
    changed_at: datetime = instant()
    changed_by: str

    __table_args__ = (
        Index(
            "ix_human_tasks_open_queue",
            "queue",
            "urgency",
            "due_sort",
            "id",
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(
            "ix_human_tasks_open_assignee",
            "assignee",
            "urgency",
            "due_sort",
            "id",
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_human_tasks_urgency_due_sort_id", "urgency", "due_sort", "id"),
        Index("ix_human_tasks_run_id", "run_id"),
        Index("ix_human_tasks_subject", "subject"),
        Index("ix_human_tasks_unit_path", "unit_path"),
        Index("ix_human_tasks_account_id", "account_id"),
        Index("ix_human_tasks_customer_owner", "customer_owner"),
    )

    @property
    def standing(self) -> Standing:
        return Standing(
            state=self.state,
            queue=self.queue,
            assignee=self.assignee,
            excluded=frozenset(self.excluded),
            before_suspension=self.before_suspension,
        )


class HumanTaskCommandRow(Table, table=True):
    """A command that was carried out under a key: the same key again changes nothing."""

    __tablename__ = "human_task_commands"
    task_id: str = Field(primary_key=True, sa_column_args=[ForeignKey("human_tasks.id", ondelete="CASCADE")])
    key: str = Field(primary_key=True)
    action: str
    actor: str
    digest: str
    version: int
    at: datetime = instant()


class HumanTaskSummary(BaseModel):
    """One task in a list."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    run_id: str
    name: str
    reference: str
    subject: str
    queue: str
    title: str
    priority: int
    due_at: datetime | None
    overdue_s: int
    state: State
    assignee: str | None
    version: int
    opened_at: datetime
    claimed_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    changed_at: datetime
    changed_by: str
    unit_path: str
    account_id: str | None
    customer_owner: str | None


class HumanTask(HumanTaskSummary):
    """One task with its form and what was filled in. `version` is its ETag.

    masked: whether personal data is masked in title, data, draft, output and comment.
    """

    form_name: str | None
    form: dict[str, Any]
    data: dict[str, Any]
    draft: dict[str, Any] | None
    output: dict[str, Any] | None
    comment: str | None
    excluded: tuple[str, ...]
    masked: bool = True


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """What a list of tasks is narrowed to.

    mine: the login whose tasks to show. queues: show tasks of these. With both, a task in either list is shown. queue:
    of those, only tasks of this one. open: only tasks that have not ended. subject: a customer under former ids too.
    """

    mine: str | None = None
    queues: Collection[str] | None = None
    queue: str | None = None
    states: tuple[State, ...] = ()
    open: bool = True
    run_id: str | None = None
    subject: str | None = None
    overdue_at: datetime | None = None


_MOST_URGENT_FIRST = Order(
    "human-tasks", (HumanTaskRow.urgency, HumanTaskRow.due_sort, HumanTaskRow.id), descending=False
)


class HumanTasks(Repository):
    """Rows of tasks. What a person sees goes through `search` and `find`, which take the scope."""

    async def add(self, row: HumanTaskRow) -> bool:
        """Open a task unless it is there; whether it is new."""
        statement = insert(HumanTaskRow).values(**row.model_dump()).on_conflict_do_nothing()
        inserted = await self.session.scalar(statement.returning(col(HumanTaskRow.id)))
        return inserted is not None

    async def row(self, task_id: str, *, for_update: bool = False) -> HumanTaskRow | None:
        return await self.session.get(HumanTaskRow, task_id, with_for_update=for_update or None)

    async def find(self, task_id: str, scope: Scope, *, for_update: bool = False) -> HumanTaskRow | None:
        """The task, if there is one within the scope."""
        statement = select(HumanTaskRow).where(HumanTaskRow.id == task_id, visible(HumanTaskRow, scope))
        if for_update:
            statement = statement.with_for_update()
        return (await self.session.scalars(statement)).first()

    async def search(self, wanted: TaskFilter, scope: Scope, page: PageRequest) -> Page[HumanTaskRow]:
        """Tasks within the scope: highest priority first, then the earliest due."""
        statement = select(HumanTaskRow).where(visible(HumanTaskRow, scope))
        people = []
        if wanted.mine is not None:
            people.append(col(HumanTaskRow.assignee) == wanted.mine)
        if wanted.queues is not None:
            people.append(col(HumanTaskRow.queue).in_(sorted(wanted.queues)))
        if people:
            statement = statement.where(or_(*people))
        if wanted.queue is not None:
            statement = statement.where(HumanTaskRow.queue == wanted.queue)
        if wanted.states:
            statement = statement.where(col(HumanTaskRow.state).in_(wanted.states))
        if wanted.open:
            statement = statement.where(col(HumanTaskRow.ended_at).is_(None))
        if wanted.run_id is not None:
            statement = statement.where(HumanTaskRow.run_id == wanted.run_id)
        if wanted.subject is not None:
            names = await Customers(self.work).every_name(wanted.subject)
            statement = statement.where(col(HumanTaskRow.subject).in_(names))
        if wanted.overdue_at is not None:
            statement = statement.where(
                and_(col(HumanTaskRow.due_sort) < wanted.overdue_at, col(HumanTaskRow.ended_at).is_(None))
            )
        return await paginate(self.session, statement, _MOST_URGENT_FIRST, page, lambda row: row)

    async def open_of_run(self, run_id: str) -> list[HumanTaskRow]:
        """The tasks of a run that have not ended, locked."""
        statement = (
            select(HumanTaskRow)
            .where(HumanTaskRow.run_id == run_id, col(HumanTaskRow.state).in_(OPEN_STATES))
            .order_by(col(HumanTaskRow.id))
            .with_for_update()
        )
        return list(await self.session.scalars(statement))

    async def of_run(self, run_id: str) -> list[HumanTaskRow]:
        """The tasks of a run, the newest first, no more than anybody looks at."""
        statement = select(HumanTaskRow).where(HumanTaskRow.run_id == run_id)
        newest_first = statement.order_by(col(HumanTaskRow.opened_at).desc(), col(HumanTaskRow.id))
        return list(await self.session.scalars(newest_first.limit(_MOST_OF_A_RUN)))

    async def command(self, task_id: str, key: str) -> HumanTaskCommandRow | None:
        return await self.session.get(HumanTaskCommandRow, (task_id, key))

    async def remember(self, command: HumanTaskCommandRow) -> None:
        await self.insert(command)
