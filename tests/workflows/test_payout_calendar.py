"""Batches of many chunks and of many days, on a server that jumps over waiting time: nobody waits for somebody else."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.payouts import PayoutActivities
from domain.settlement.payees import NewPayee, NewPayoutDetails
from domain.settlement.periods import period_of
from services import paying
from services.calculations import CalculationSteps
from services.orchestrator import Orchestrator
from services.payees import PayeeRegister
from services.paying import Paying
from services.payout_planning import PARTS, PayoutPlanning
from services.payout_rails import PayoutOrder, RailAnswer
from services.payout_starts import PayoutStarts
from services.payouts import PayoutService
from storage import payout_chunks
from storage.engine import Database
from storage.payees import Payees
from storage.payout_batches import PayoutBatches, PayoutBatchRow
from storage.payouts import PayoutRow, Payouts
from storage.settlement_periods import SettlementPeriods
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.services.test_settlement_runs import QIAN
from tests.time_skipping import time_skipping_server
from workflows import messages, payouts
from workflows.payouts import PayingWorkflow, PayoutChunkWorkflow, PayoutPlanWorkflow

SHANGHAI = ZoneInfo("Asia/Shanghai")
LATE = timedelta(hours=23)


class Patient:
    """A rail whose payees confirm: some at once, some (`late`) after 23 hours. asked: when each was first asked for."""

    certain_after_s: float | None = 480.0
    forgets = True

    def __init__(self, clock: SteppedClock, late: Sequence[str] = ()) -> None:
        self.asked: dict[str, datetime] = {}
        self.late = set(late)
        self._clock = clock

    async def pay(self, order: PayoutOrder, *, resumed: bool) -> RailAnswer:
        self.asked.setdefault(order.number, self._clock.now)
        return await self.ask(order)

    async def ask(self, order: PayoutOrder) -> RailAnswer:
        waited = self._clock.now - self.asked[order.number]
        if order.number in self.late and waited < LATE:
            return RailAnswer("awaiting_user", rail_number=order.number)
        return RailAnswer("paid", rail_number=order.number)


class OnTime(Paying):
    """Its database has the time of the workflows."""

    def __init__(self, database: Database, clock: SteppedClock, env: WorkflowEnvironment, rail: Patient) -> None:
        super().__init__(database, {"wechat-pay": rail}, longest_pause_s=7_200.0)
        self._clock, self._env = clock, env

    async def pay_chunk(self, *chunk: Any) -> Any:
        self._clock.now = max(self._clock.now, await self._env.get_current_time())
        return await super().pay_chunk(*chunk)

    async def to_follow(self, *sought: Any) -> Any:
        self._clock.now = max(self._clock.now, await self._env.get_current_time())
        return await super().to_follow(*sought)


async def a_batch(database: Database, days: Sequence[date]) -> tuple[UUID, list[str]]:
    """A batch that was approved and reserved, with a payout on each of these days; their numbers."""
    codes = [f"D{number:04}" for number in range(len(days))]
    people = [NewPayee(code=code, name=code, role="promoter", details=NewPayoutDetails(openid=code)) for code in codes]
    await PayeeRegister(database).put(QIAN, people)
    numbers = [f"P{uuid4().hex[:31]}" for _ in days]
    async with UnitOfWork(database) as work:
        start, end = period_of("month", days[0])
        period = await SettlementPeriods(work).open("promoters", "month", start, end, "CNY")
        batch = PayoutBatchRow(
            id=uuid4(), scheme="promoters", currency="CNY", period=period.id, day=days[0], state="paying", terms={},
            asked_by="qian", asked_at=work.now,
        )  # fmt: skip
        await PayoutBatches(work).add(batch)
        rows = await Payees(work).rows(codes)
        await Payouts(work).insert(
            *(
                PayoutRow(
                    batch=batch.id, part=0, number=number, payee=rows[code].id, rail="wechat-pay", amount_minor=100,
                    offset_minor=0, currency="CNY", state="reserved", pay_on=day, next_at=work.now,
                    created_at=work.now, changed_at=work.now,
                )
                for code, number, day in zip(codes, numbers, days, strict=True)
            )
        )  # fmt: skip
    return batch.id, numbers


@asynccontextmanager
async def working(env: WorkflowEnvironment, database: Database, rails: Paying) -> AsyncIterator[None]:
    activities = PayoutActivities(PayoutPlanning(database), rails)
    settling = Worker(
        env.client,
        task_queue=messages.SETTLEMENT_QUEUE,
        workflows=[PayoutPlanWorkflow, PayingWorkflow, PayoutChunkWorkflow],
        activities=[each for each in activities.all if each != activities.pay_chunk],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=2,
    )
    queue, following = messages.PAYOUTS_QUEUE, activities.following
    followers = Worker(env.client, task_queue=queue, activities=following, max_concurrent_activities=2)
    async with settling, followers:
        yield


async def paid(env: WorkflowEnvironment, database: Database, batch: UUID) -> None:
    """Let the batch be followed to its end."""
    starts = PayoutStarts(database, Orchestrator(env.client), PayoutService(database, CalculationSteps(database)))
    async with UnitOfWork(database) as work:
        row = await PayoutBatches(work).find(batch)
    assert row is not None
    await starts._go_on(row)
    # Only the result of a workflow that was started lets the server jump.
    await env.client.execute_workflow(
        messages.PAYING_WORKFLOW,
        messages.PayoutBatch(str(batch), PARTS),
        id=f"payouts/pay/{batch}",
        task_queue=messages.SETTLEMENT_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )


async def states(database: Database) -> dict[str, int]:
    async with UnitOfWork(database) as work:
        rows = await work.session.execute(text("SELECT state, count(*) FROM payouts GROUP BY state"))
        return {row[0]: row[1] for row in rows}


@pytest.fixture
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A server of its own: others have jumped over centuries by then, which no calendar has."""
    async with time_skipping_server() as environment:
        yield environment


@pytest.fixture
async def now(time_skipping: WorkflowEnvironment, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The time of the server. Who waits is asked about every few hours, so that weeks take seconds."""
    monkeypatch.setattr(paying, "_PAUSES", {**paying._PAUSES, "awaiting_user": (7_200.0, 7_200.0)})
    monkeypatch.setattr(payout_chunks, "LOOKED_FOR_WORD", timedelta(hours=2))
    monkeypatch.setattr(payouts, "LONGEST_WAIT", timedelta(hours=12))
    clock.now = await time_skipping.get_current_time()
    return clock.now


async def test_payees_who_take_a_day_to_confirm_hold_up_nobody(
    database: Database, clock: SteppedClock, time_skipping: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch,
    now: datetime,
) -> None:  # fmt: skip
    monkeypatch.setattr(paying, "CHUNK", 3)
    today = now.astimezone(SHANGHAI).date()
    batch, numbers = await a_batch(database, [today] * 60)
    rail = Patient(clock, late=numbers[::3])
    async with working(time_skipping, database, OnTime(database, clock, time_skipping, rail)):
        await paid(time_skipping, database, batch)
    assert len(rail.asked) == 60
    assert max(rail.asked.values()) - min(rail.asked.values()) < timedelta(minutes=5), "20 chunks, all at once"
    assert await states(database) == {"paid": 60}


async def test_a_calendar_of_forty_days_is_followed_to_its_end(
    database: Database, clock: SteppedClock, time_skipping: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch,
    now: datetime,
) -> None:  # fmt: skip
    monkeypatch.setattr(paying, "CHUNK", 2)
    today = now.astimezone(SHANGHAI).date()
    # Payees of a part have all sorts of days, as plans cut by payee make them.
    days = [today + timedelta(days=(number * 7) % 40) for number in range(80)]
    batch, numbers = await a_batch(database, days)
    early = today + timedelta(days=20)
    rail = Patient(clock, late=[number for number, day in zip(numbers, days, strict=True) if day < early][::4])
    async with working(time_skipping, database, OnTime(database, clock, time_skipping, rail)):
        await paid(time_skipping, database, batch)
    assert await states(database) == {"paid": 80}
    for number, day in zip(numbers, days, strict=True):
        begins = max(datetime.combine(day, datetime.min.time(), SHANGHAI), now)
        assert timedelta() <= rail.asked[number] - begins < timedelta(minutes=5), "as soon as its day begins"
