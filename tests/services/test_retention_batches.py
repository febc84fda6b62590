"""Deleting in batches: several at once, within their time, by an index."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text

from domain.ids import derived_id
from domain.retention import Kind
from services.retention import RetentionService
from storage.audit import AuditEntryRow
from storage.effects import EffectRow
from storage.engine import Database
from storage.retention import Retention
from storage.runs import RunRow
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.test_retention import (
    INDEXES,
    PROGRAM,
    a_run,
    a_task,
    an_effect,
    left,
    one_of_everything,
    retention,
    some_history,
    write,
)

__all__ = ["retention"]


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_counted_is_what_is_deleted_in_batches_of_any_size(
    database: Database, clock: SteppedClock, retention: RetentionService, seed: int
) -> None:
    await some_history(database, clock, seed)
    clock.advance(days=random.Random(seed).randrange(5, 40))
    due = await retention.due()
    assert due[Kind.RUNS] > 5
    purged = await retention.purge(PROGRAM, batch=7)
    assert purged.complete
    assert purged.rows == {kind: rows for kind, rows in due.items() if rows}
    assert set((await retention.due()).values()) == {0}
    async with UnitOfWork(database) as work:
        assert await Retention(work).counted() == purged.rows
        entries = list(await work.session.scalars(select(AuditEntryRow)))
        orphans = await work.session.scalar(
            text("SELECT count(*) FROM human_tasks t WHERE NOT EXISTS (SELECT FROM runs r WHERE r.id = t.run_id)")
        )
    assert {(entry.actor, entry.action) for entry in entries} == {("system:retention", "retention.purge")}
    assert {entry.target for entry in entries} == {"inbox", "events", "runs"} | {
        kind.value for kind in (Kind.EFFECTS, Kind.PAYMENTS) if due[kind]
    }
    assert len(entries) >= sum(due[kind] for kind in (Kind.INBOX, Kind.EVENTS)) / 7
    assert orphans == 0


async def test_a_batch_counts_the_tasks_of_its_runs(database: Database, clock: SteppedClock) -> None:
    small, large, last = (a_run(database, key) for key in ("small", "large", "last"))
    await write(database, small, large, last, *(a_task(database, large, place) for place in range(20)))
    for days, run in enumerate((small, large, last), 1):
        async with UnitOfWork(database) as work:
            row = await work.session.get(RunRow, run.id)
            assert row is not None
            row.ended_at = clock() - timedelta(days=10 - days)

    async def batch() -> tuple[int, int]:
        async with UnitOfWork(database) as work:
            gone = await Retention(work).delete_runs(clock(), (), 10)
        return gone.runs, gone.human_tasks

    assert [await batch() for _ in range(4)] == [(1, 0), (1, 20), (1, 0), (0, 0)]


async def test_several_may_purge_at_once_and_what_somebody_holds_is_passed_over(
    database: Database, clock: SteppedClock, retention: RetentionService
) -> None:
    held, *others = (a_run(database, str(number)) for number in range(40))
    await write(database, held, *others)
    for number in range(40):
        await an_effect(database, others[0].id, f"effect-{number}")
    clock.advance(days=100)
    async with UnitOfWork(database) as work:
        row = await work.session.get(RunRow, held.id, with_for_update=True)
        assert row is not None
        async with asyncio.timeout(5):
            purged = await asyncio.gather(*(retention.purge(PROGRAM, batch=9) for _ in range(3)))
        assert sum(each.rows.get(Kind.RUNS, 0) for each in purged) == 39
        # Taken up again while it was held.
        row.ended_at = None
    assert (await retention.purge(PROGRAM)).rows.get(Kind.RUNS) is None
    assert await left(database, RunRow) == 1
    assert await left(database, EffectRow) == 0


async def test_no_batch_begins_when_the_time_is_up(
    database: Database, clock: SteppedClock, retention: RetentionService
) -> None:
    await one_of_everything(database)
    clock.advance(days=1_000)
    assert (await retention.purge(PROGRAM, budget_s=0)).rows == {}
    purged = await retention.purge(PROGRAM, budget_s=60)
    assert set(purged.rows) == set(Kind)
    assert purged.complete


@pytest.mark.parametrize(("kind", "index"), INDEXES.items())
async def test_due_rows_are_found_by_an_index(database: Database, clock: SteppedClock, kind: Kind, index: str) -> None:
    statements: list[tuple[str, Sequence[Any]]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        statements.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    async with UnitOfWork(database) as work:
        if kind is Kind.RUNS:
            await Retention(work).delete_runs(clock(), [derived_id("event", "a", "b")], 1_000)
        else:
            await Retention(work).delete(kind, clock(), 1_000)
        connection = await work.session.connection()
        plans = [
            "\n".join((await connection.exec_driver_sql("EXPLAIN " + statement, parameters)).scalars())
            for statement, parameters in list(statements)
            if "set_config" not in statement
        ]
    found, *_ = plans
    assert f"using {index}" in found, found
    assert "Index Cond" in found.split(f"using {index}")[1].split("->")[0], found
    assert "Sort" not in found, found
    assert not [plan for plan in plans if "Seq Scan" in plan], plans
