"""What is over goes after its time, what is needed stays, and nobody waits for it."""

import random
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from domain.access import system_actor
from domain.events import Event
from domain.retention import Kind, RetentionPolicy
from domain.runs import key_of_event, run_id_of
from services.access import Access
from services.people import People
from services.retention import RetentionService
from storage.calculation_tables import CalculationRow, Purpose
from storage.calculations import Calculations
from storage.comparisons import Comparisons
from storage.effects import EffectRow, Effects
from storage.engine import Database
from storage.events import EventRow, Events
from storage.human_tasks import NEVER_DUE, HumanTaskCommandRow, HumanTaskRow
from storage.idempotency import IdempotencyKeys
from storage.inbox import Inbox, InboxRow, Push
from storage.login_attempts import LoginAttempts
from storage.runs import RunRow
from storage.tables import Table
from storage.tokens import TokenRow
from storage.trigger_matches import TriggerMatchRow
from storage.unit_of_work import UnitOfWork
from tests.actors import a_user, quick_passwords
from tests.clock import SteppedClock

PROGRAM = system_actor("retention")


def a_run(database: Database, key: str, *, ended: bool = True, parent: str | None = None, **more: Any) -> RunRow:
    now = database.clock()
    return RunRow(
        id=run_id_of("shop", "refund", key),
        namespace="shop",
        name="refund",
        version="1.0.0",
        digest="sha256:0",
        subject="",
        subjects=[],
        listens=[],
        phase="faulted" if ended else "running",
        started_by="root",
        input_digest="",
        created_at=now,
        hears_from=now,
        ended_at=now if ended else None,
        parent_id=parent,
        **more,
    )


def a_task(database: Database, run: RunRow, number: int = 0) -> HumanTaskRow:
    now = database.clock()
    return HumanTaskRow(
        id=f"{run.id}:{number}",
        run_id=run.id,
        name="check",
        reference="/do/0",
        subject="",
        queue="warehouse",
        title="检查",
        form={},
        data={},
        urgency=50,
        due_sort=NEVER_DUE,
        state="completed" if run.ended_at else "ready",
        excluded=[],
        opened_at=now,
        ended_at=run.ended_at,
        changed_at=now,
        changed_by="li",
    )


def an_event(number: str) -> Event:
    return Event(id=number, source="/pos", type="shop.bell")


async def write(database: Database, *rows: Table) -> None:
    async with UnitOfWork(database) as work:
        await Inbox(work).insert(*rows)


async def an_effect(database: Database, run_id: str, key: str, *, moves_money: bool = False) -> None:
    async with UnitOfWork(database) as work:
        await Effects(work).begin(key, "http", "sha256:0", run_id=run_id, moves_money=moves_money)
    async with UnitOfWork(database) as work:
        await Effects(work).finish(key, {})


async def a_push(database: Database, number: str, state: str = "done") -> None:
    async with UnitOfWork(database) as work:
        inbox = Inbox(work)
        await inbox.add(Push("youzan", "shop", number, "trade", b"{}", work.now))
        (stored,) = await inbox.take_waiting(1, ["youzan"])
        if state == "done":
            await inbox.done([stored.id])
        elif state == "quarantined":
            await inbox.quarantine({stored.id: "unreadable"})


async def dispatched(database: Database, *numbers: str) -> list[int]:
    """Events that went to everybody who wanted them."""
    async with UnitOfWork(database) as work:
        events = Events(work)
        await events.add([an_event(number) for number in numbers])
        seqs = [pending.seq for pending in await events.claim(len(numbers), timedelta(0))]
        await events.dispatched(seqs)
    return seqs


async def left(database: Database, row: type[Table]) -> int:
    async with UnitOfWork(database) as work:
        return await work.session.scalar(select(func.count()).select_from(row)) or 0


@pytest.fixture
def retention(database: Database) -> RetentionService:
    return RetentionService(
        database,
        RetentionPolicy(
            inbox_days=10, events_days=20, runs_days=30, effects_days=40, payments_days=200, tokens_days=50
        ),
    )


async def one_of_everything(database: Database) -> None:
    await a_push(database, "1")
    (seq,) = await dispatched(database, "1")
    run = a_run(database, "1")
    task = a_task(database, run)
    command = HumanTaskCommandRow(
        task_id=task.id, key="k", action="complete", actor="li", digest="", version=2, at=database.clock()
    )
    match = TriggerMatchRow(namespace="shop", name="refund", version="1.0.0", keys="", position=0, seq=seq)
    await write(database, run, task)
    await write(database, command, match)
    await an_effect(database, run.id, "message")
    await an_effect(database, run.id, "refund", moves_money=True)
    access = Access(database, "pepper", passwords=quick_passwords())
    await People(database, access).create(PROGRAM, a_user("li"))
    await access.issue_token(PROGRAM, "import", login="li", life=timedelta(days=1))
    async with UnitOfWork(database) as work:
        await LoginAttempts(work).count("somebody", timedelta(minutes=15))
        await Comparisons(work).begin("youzan/shop", "orders", "/", work.now - timedelta(days=2), work.now, {})
        await IdempotencyKeys(work).begin("li", "key", "sha256:0")
        await Calculations(work).add(a_calculation(work.now, "preview"))
        # What was paid by stays, whatever its age.
        await Calculations(work).add(a_calculation(work.now, "settlement"))


def a_calculation(now: datetime, purpose: Purpose) -> CalculationRow:
    return CalculationRow(
        id=uuid4(),
        scheme="s",
        version="1.0.0",
        text_digest="sha256:0",
        cycle="month",
        start=date(2026, 5, 1),
        end=date(2026, 6, 1),
        purpose=purpose,
        state="computed",
        asked_by="qian",
        asked_at=now,
        components=[],
        parts=16,
    )


LAST_DAYS = {
    1: {Kind.LOGIN_ATTEMPTS, Kind.IDEMPOTENCY_KEYS},
    10: {Kind.INBOX},
    20: {Kind.EVENTS},
    30: {Kind.RUNS, Kind.HUMAN_TASKS},
    40: {Kind.EFFECTS},
    # The token was good for a day.
    51: {Kind.TOKENS},
    90: {Kind.CALCULATIONS},
    200: {Kind.PAYMENTS},
    400: {Kind.COMPARISONS},
}


async def test_each_kind_goes_after_its_days_and_not_before(
    database: Database, clock: SteppedClock, retention: RetentionService
) -> None:
    await one_of_everything(database)
    begun = clock()
    for days, kinds in LAST_DAYS.items():
        clock.now = begun + timedelta(days=days, minutes=-1)
        assert (await retention.purge(PROGRAM)).rows == {}
        clock.advance(minutes=2)
        assert {kind for kind, rows in (await retention.due()).items() if rows} == kinds
        assert (await retention.purge(PROGRAM)).rows == dict.fromkeys(kinds, 1)
    assert set().union(*LAST_DAYS.values()) == set(Kind)
    for row in (HumanTaskCommandRow, TriggerMatchRow):
        assert await left(database, row) == 0, "goes with what it belongs to"


async def test_what_is_needed_stays_however_old(
    database: Database, clock: SteppedClock, retention: RetentionService
) -> None:
    async with UnitOfWork(database) as work:
        await Events(work).add([an_event("waits"), an_event("parked")])
        for pending in await Events(work).claim(1, timedelta(0)):
            await Events(work).park(pending.seq, "no such form")
    await a_push(database, "unreadable", "quarantined")
    await a_push(database, "waits", "waiting")
    perpetual = a_run(database, "perpetual", ended=False)
    child = a_run(database, "perpetual/1", parent=perpetual.id)
    await write(database, perpetual, child, a_task(database, perpetual), a_task(database, child))
    for run in (perpetual, child):
        await an_effect(database, run.id, f"message:{run.id}")
    clock.advance(days=2_000)
    assert set((await retention.due()).values()) == {0}
    assert (await retention.purge(PROGRAM)).rows == {}
    async with UnitOfWork(database) as work:
        ended = await work.session.get(RunRow, perpetual.id)
        assert ended is not None
        ended.ended_at = clock()
    clock.advance(days=31)
    await retention.purge(PROGRAM)
    assert [await left(database, row) for row in (RunRow, HumanTaskRow, EffectRow)] == [0, 0, 0]
    assert [await left(database, row) for row in (EventRow, InboxRow)] == [2, 2]


async def test_a_run_that_may_be_taken_up_again_finds_its_effects(
    database: Database, clock: SteppedClock, retention: RetentionService
) -> None:
    """The effects are older than their own days, and the run is not."""
    run = a_run(database, "1", ended=False)
    await write(database, run)
    await an_effect(database, run.id, "message")
    clock.advance(days=60)
    async with UnitOfWork(database) as work:
        row = await work.session.get(RunRow, run.id)
        assert row is not None
        row.phase, row.ended_at = "faulted", clock()
    clock.advance(days=29)
    assert (await retention.purge(PROGRAM)).rows == {}
    clock.advance(days=2)
    assert (await retention.purge(PROGRAM)).rows == {Kind.RUNS: 1, Kind.EFFECTS: 1}


async def test_a_parked_event_does_not_start_its_runs_again(
    database: Database, clock: SteppedClock, retention: RetentionService
) -> None:
    """Another trigger's failure parked it: whoever lets it go again must find the run that it did start."""
    parked = an_event("parked")
    async with UnitOfWork(database) as work:
        await Events(work).add([parked])
        (pending,) = await Events(work).claim(1, timedelta(0))
        await Events(work).park(pending.seq, "no such form")
    started = a_run(database, key_of_event(parked.source, parked.id))
    await write(database, started, a_run(database, "another"), a_task(database, started))
    clock.advance(days=1_000)
    assert (await retention.due())[Kind.RUNS] == 1
    assert (await retention.purge(PROGRAM)).rows == {Kind.RUNS: 1}
    async with UnitOfWork(database) as work:
        assert await work.session.get(RunRow, started.id) is not None
        await Events(work).dispatched([pending.seq])
    assert (await retention.purge(PROGRAM)).rows == {Kind.EVENTS: 1, Kind.RUNS: 1, Kind.HUMAN_TASKS: 1}


async def some_history(database: Database, clock: SteppedClock, seed: int) -> None:
    """A random past of 60 days: families of runs with tasks and effects, events and pushes."""
    dice = random.Random(seed)
    runs: list[RunRow] = []
    for number in range(60):
        clock.advance(hours=dice.randrange(48))
        parent = dice.choice(runs) if runs and dice.random() < 0.5 else None
        run = a_run(database, str(number), ended=dice.random() < 0.8, parent=parent.id if parent else None)
        runs.append(run)
        await write(database, run, *(a_task(database, run, place) for place in range(dice.randrange(4))))
        if dice.random() < 0.7:
            await an_effect(database, run.id, f"effect-{number}", moves_money=dice.random() < 0.3)
        await dispatched(database, *(f"{number}/{place}" for place in range(dice.randrange(1, 4))))
        await a_push(database, str(number), dice.choice(["done", "done", "quarantined"]))


async def test_the_token_of_a_person_who_is_still_there_goes_alone(
    database: Database, clock: SteppedClock, retention: RetentionService
) -> None:
    people = People(database, Access(database, "pepper", passwords=quick_passwords()))
    await people.create(PROGRAM, a_user("li"))
    await Access(database, "pepper").issue_token(PROGRAM, "import", login="li", life=timedelta(days=300))
    clock.advance(days=349)
    await retention.purge(PROGRAM)
    assert await left(database, TokenRow) == 1
    clock.advance(days=2)
    await retention.purge(PROGRAM)
    assert await left(database, TokenRow) == 0


INDEXES = {
    Kind.INBOX: "ix_inbox_done_changed_at",
    Kind.EVENTS: "ix_events_received_at",
    Kind.RUNS: "ix_runs_ended_at",
    Kind.EFFECTS: "ix_effects_moves_money_changed_at",
    Kind.PAYMENTS: "ix_effects_moves_money_changed_at",
    Kind.TOKENS: "ix_tokens_expires_at",
    Kind.LOGIN_ATTEMPTS: "ix_login_attempts_window_started_at",
    Kind.IDEMPOTENCY_KEYS: "ix_idempotency_keys_expires_at",
    Kind.COMPARISONS: "ix_comparisons_compared_at_id",
    Kind.CALCULATIONS: "ix_settlement_calculations_tried",
}
