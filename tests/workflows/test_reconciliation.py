"""Bills taken and reconciled by the clock, on a real server: days that are due, one that fails, schedules."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.reconciliation import BillActivities, ReconciliationActivities
from connectors.registry import ConnectorRegistry
from services.bill_schedules import BillSchedules
from services.bills import BillReader, Taken
from storage.paging import PageRequest
from tests.clock import SteppedClock
from tests.connectors.harness import CONNECTORS
from tests.services.reconciling import PAY, QIAN, Desk, desk, seed, simulator
from workflows import messages
from workflows.reconciliation import ReconciliationWorkflow

__all__ = ["desk", "simulator"]
QUEUE = "platform.wechat_pay"


class Unlucky(BillReader):
    """One day cannot be read, whatever is tried."""

    bad: date

    async def take_day(self, account_id: str, day: date) -> Sequence[Taken]:
        if day == self.bad:
            raise ApplicationError("shifted", non_retryable=True)
        return await super().take_day(account_id, day)


@asynccontextmanager
async def working(temporal: Client, desk: Desk, reader: BillReader) -> AsyncIterator[None]:
    runner = UnsandboxedWorkflowRunner()
    settling = Worker(
        temporal,
        task_queue=messages.SETTLEMENT_QUEUE,
        workflows=[ReconciliationWorkflow],
        activities=ReconciliationActivities(desk.reconciliation, desk.unreconciled).all,
        workflow_runner=runner,
    )
    paying = Worker(temporal, task_queue=QUEUE, activities=[BillActivities(reader).take])
    async with settling, paying:
        yield


async def run(temporal: Client) -> list[str]:
    found: list[str] = await temporal.execute_workflow(
        messages.RECONCILIATION_WORKFLOW,
        messages.AccountBills(PAY, QUEUE),
        id=f"bills/{uuid4()}",
        task_queue=messages.SETTLEMENT_QUEUE,
    )
    return found


async def test_missed_days_are_caught_up_with_and_one_that_fails_is_due_again(desk: Desk, temporal: Client) -> None:
    await seed(desk)
    await desk.change("UPDATE accounts SET created_at = created_at - interval '4 days'")
    due = await desk.unreconciled.due(PAY)
    unlucky = Unlucky(desk.database, CONNECTORS, desk.reader._connections, desk.world.link)
    unlucky.bad = due[1]
    async with working(temporal, desk, unlucky):
        with pytest.raises(WorkflowFailureError) as failed:
            await run(temporal)
    assert due[1].isoformat() in str(failed.value.cause)
    assert await desk.unreconciled.due(PAY) == [due[1]]
    async with working(temporal, desk, desk.reader):
        assert await run(temporal) == [due[1].isoformat()]
        assert await run(temporal) == []
    assert {each.day for each in (await desk.bills.list(QIAN, PageRequest(200))).items} == set(due)
    assert await desk.open_breaks() == []


async def test_each_merchant_has_a_schedule_until_it_is_disconnected(
    desk: Desk, temporal: Client, clock: SteppedClock
) -> None:
    schedules = BillSchedules(desk.database, temporal, CONNECTORS)
    assert await schedules.sync() == 1
    assert await schedules.sync() == 1
    shown = await temporal.get_schedule_handle(f"bills/{PAY}").describe()
    first, second = shown.info.next_action_times[:2]
    assert first.minute in range(30, 46)
    assert abs(second - first - timedelta(days=1)) <= timedelta(minutes=15)
    await desk.change("UPDATE accounts SET active = false")
    assert await BillSchedules(desk.database, temporal, ConnectorRegistry()).sync() == 0, "an older process leaves it"
    await temporal.get_schedule_handle(f"bills/{PAY}").describe()
    assert await schedules.sync() == 0
    listed = [each.id async for each in await temporal.list_schedules()]
    assert f"bills/{PAY}" not in listed
