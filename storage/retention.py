"""What is over and may go: found by an index on when it ended, deleted in batches that pass over what others hold.

Nothing that is still needed is over: an event in the outbox, a push that waits or is in quarantine, a run whose parent
is there, the effects of a run that is there.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Text,
    all_,
    delete,
    exists,
    func,
    inspect,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import Field, col

from domain.retention import Kind
from storage.calculation_tables import CalculationRow
from storage.comparisons import ComparisonRow
from storage.effects import EffectRow
from storage.events import EventOutboxRow, EventRow
from storage.human_tasks import HumanTaskCommandRow, HumanTaskRow
from storage.idempotency import IdempotencyKeyRow
from storage.inbox import InboxRow
from storage.login_attempts import LoginAttemptRow
from storage.runs import RunRow
from storage.tables import Table, instant
from storage.tokens import TokenRow
from storage.unit_of_work import Repository

Condition = ColumnElement[bool]


class PurgeRow(Table, table=True):
    """How many rows of a kind were deleted so far, and when last."""

    __tablename__ = "purges"
    kind: str = Field(primary_key=True)
    rows: int = Field(sa_type=BigInteger)
    purged_at: datetime = instant()


@dataclass(frozen=True, slots=True)
class _Over:
    """Rows that are over. since: when they ended; among: which rows of the table count; needed: which of them stay."""

    row: type[Table]
    since: Mapped[datetime]
    among: tuple[Condition, ...] = ()
    needed: Condition | None = None

    def conditions(self, before: datetime) -> list[Condition]:
        kept = () if self.needed is None else (~self.needed,)
        return [self.since < before, *self.among, *kept]


_OF_A_RUN = exists().where(col(RunRow.id) == col(EffectRow.run_id))
_OVER: Mapping[Kind, _Over] = {
    Kind.INBOX: _Over(
        # Written out: a parameter would hide the partial index from a prepared statement.
        InboxRow,
        col(InboxRow.changed_at),
        (col(InboxRow.state) == literal_column("'done'"),),
    ),
    Kind.EVENTS: _Over(
        EventRow, col(EventRow.received_at), needed=exists().where(col(EventOutboxRow.seq) == col(EventRow.seq))
    ),
    Kind.EFFECTS: _Over(EffectRow, col(EffectRow.changed_at), (col(EffectRow.moves_money).is_(False),), _OF_A_RUN),
    Kind.PAYMENTS: _Over(EffectRow, col(EffectRow.changed_at), (col(EffectRow.moves_money).is_(True),), _OF_A_RUN),
    Kind.TOKENS: _Over(TokenRow, col(TokenRow.expires_at)),
    Kind.LOGIN_ATTEMPTS: _Over(LoginAttemptRow, col(LoginAttemptRow.window_started_at)),
    Kind.IDEMPOTENCY_KEYS: _Over(IdempotencyKeyRow, col(IdempotencyKeyRow.expires_at)),
    Kind.COMPARISONS: _Over(ComparisonRow, col(ComparisonRow.compared_at)),
    Kind.CALCULATIONS: _Over(
        CalculationRow,
        col(CalculationRow.asked_at),
        (col(CalculationRow.purpose).in_([literal_column(f"'{each}'") for each in ("preview", "what-if", "repeat")]),),
    ),
}


# A batch walks along an index until it is full, however many rows are due. The planner expects that hardly any of them
# may go, and would sort, or hash, whole tables for each batch.
_NEVER = ("hashjoin", "mergejoin", "sort", "bitmapscan", "seqscan")
_BY_INDEX = text("SELECT " + ", ".join(f"set_config('enable_{way}', 'off', true)" for way in _NEVER))


@dataclass(frozen=True, slots=True)
class DeletedRuns:
    """What one batch of runs took with it."""

    runs: int
    human_tasks: int


class Retention(Repository):
    """Due rows of each kind. `before`: what ended before this instant may go."""

    async def delete(self, kind: Kind, before: datetime, limit: int) -> int:
        """Delete the longest over, at most so many; how many. Not for runs: see `delete_runs`."""
        await self.session.execute(_BY_INDEX)
        over = _OVER[kind]
        keys = inspect(over.row).primary_key
        chosen = (
            select(*keys)
            .where(*over.conditions(before))
            .order_by(over.since)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("chosen")
        )
        statement = delete(over.row).where(*(key == chosen.c[key.name] for key in keys)).returning(keys[0])
        return len((await self.session.scalars(statement, execution_options={"synchronize_session": False})).all())

    async def delete_runs(self, before: datetime, held: Collection[str], limit: int) -> DeletedRuns:
        """Delete ended runs with their human tasks, at most so many rows together, one run at least.

        held: keys of runs (`domain.runs`) that stay.
        """
        await self.session.execute(_BY_INDEX)
        tasks = select(func.count()).where(col(HumanTaskRow.run_id) == col(RunRow.id)).scalar_subquery()
        commands = (
            select(func.count())
            .join_from(HumanTaskCommandRow, HumanTaskRow)
            .where(col(HumanTaskRow.run_id) == col(RunRow.id))
            .scalar_subquery()
        )
        sizes = await self.session.execute(
            select(col(RunRow.id), 1 + tasks + commands)
            .where(_is_root(RunRow), *_ended(RunRow, before, held))
            .order_by(col(RunRow.ended_at))
            .limit(limit)
            .with_for_update(skip_locked=True, of=RunRow)
        )
        chosen = _first(((run_id, size) for run_id, size in sizes), limit)
        gone = await self._delete_by(HumanTaskRow, col(HumanTaskRow.run_id), chosen)
        await self._delete_by(RunRow, col(RunRow.id), chosen)
        return DeletedRuns(len(chosen), gone)

    async def due(self, before: Mapping[Kind, datetime], held: Collection[str]) -> dict[Kind, int]:
        """How many rows of each kind would go, one batch after the other. Reads every one of them."""
        await self.session.execute(text("SET LOCAL statement_timeout = 0"))
        runs = _due_runs(before[Kind.RUNS], held)
        statements = {
            Kind.RUNS: select(func.count()).select_from(runs),
            Kind.HUMAN_TASKS: select(func.count()).join_from(HumanTaskRow, runs, col(HumanTaskRow.run_id) == runs.c.id),
        }
        for kind, over in _OVER.items():
            statements[kind] = select(func.count()).select_from(over.row).where(*over.conditions(before[kind]))
        for kind in (Kind.EFFECTS, Kind.PAYMENTS):
            # Those of runs that go first, beside those whose run is gone.
            over = _OVER[kind]
            of_due_runs = select(func.count()).join_from(over.row, runs, col(EffectRow.run_id) == runs.c.id)
            of_due_runs = of_due_runs.where(over.since < before[kind], *over.among)
            statements[kind] = select(statements[kind].scalar_subquery() + of_due_runs.scalar_subquery())
        return {kind: await self.session.scalar(statements[kind]) or 0 for kind in Kind}

    async def oldest(self) -> dict[Kind, datetime]:
        """When the longest kept row of each kind ended that has any; cheap on a large installation."""
        moments = {kind: select(func.min(over.since)).where(*over.among) for kind, over in _OVER.items()} | {
            Kind.RUNS: select(func.min(col(RunRow.ended_at)))
        }
        found = {kind: await self.session.scalar(moment) for kind, moment in moments.items()}
        return {kind: moment for kind, moment in found.items() if moment is not None}

    async def undispatched(self, before: datetime, limit: int) -> list[tuple[str, str]]:
        """Source and id of events that came before an instant and are still in the outbox."""
        statement = (
            select(col(EventRow.source), col(EventRow.event_id))
            .join_from(EventOutboxRow, EventRow)
            .where(col(EventRow.received_at) < before)
            .limit(limit)
        )
        return [(source, event_id) for source, event_id in await self.session.execute(statement)]

    async def count(self, kind: Kind, rows: int) -> None:
        """Add to what was deleted so far."""
        new = insert(PurgeRow).values(kind=kind, rows=rows, purged_at=self.now)
        await self.session.execute(
            new.on_conflict_do_update(
                index_elements=[col(PurgeRow.kind)],
                set_={"rows": col(PurgeRow.rows) + new.excluded.rows, "purged_at": self.now},
            )
        )

    async def counted(self) -> dict[Kind, int]:
        """How many rows of each kind were deleted so far."""
        found = await self.session.execute(select(col(PurgeRow.kind), col(PurgeRow.rows)))
        return {Kind(kind): rows for kind, rows in found}

    async def _delete_by(self, row: type[Table], column: Any, run_ids: Collection[str]) -> int:
        statement = delete(row).where(column.in_(run_ids)).returning(column)
        return len((await self.session.scalars(statement, execution_options={"synchronize_session": False})).all())


def _due_runs(before: datetime, held: Collection[str]) -> CTE:
    """The ids of runs that may go: those without a parent, then children of those that go."""
    due = select(col(RunRow.id)).where(_is_root(RunRow), *_ended(RunRow, before, held)).cte("due", recursive=True)
    child = aliased(RunRow)
    children = select(col(child.id)).join_from(child, due, col(child.parent_id) == due.c.id)
    return due.union_all(children.where(*_ended(child, before, held)))


def _is_root(run: Any) -> Condition:
    """Whether no parent of the run is there."""
    parent = aliased(RunRow)
    return ~exists().where(col(parent.id) == run.parent_id)


def _ended(run: Any, before: datetime, held: Collection[str]) -> list[Condition]:
    conditions: list[Condition] = [run.ended_at < before]
    if held:
        # The fourth part of a run's id, and of its children's: see `domain.runs.run_id_of`.
        conditions.append(func.split_part(run.id, "/", 4) != all_(literal(list(held), ARRAY(Text))))
    return conditions


def _first(sizes: Iterable[tuple[str, int]], limit: int) -> list[str]:
    """The first ids whose sizes together stay below the limit; at least one."""
    chosen: list[str] = []
    room = limit
    for run_id, size in sizes:
        if chosen and size > room:
            break
        chosen.append(run_id)
        room -= size
    return chosen
