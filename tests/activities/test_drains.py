"""The drains: a heart that beats however slow the work is, and a stop that does not wait."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from uuid import uuid4

import pytest
from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import OperationalError
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.drains import IDLE_S, Drains, work_for_a_round
from connectors.loading import load_connectors
from connectors.subscribers import Subscribers
from connectors.web.guard import HostGuard, WebSettings
from connectors.webhooks import Verified
from domain.catalog import CATALOG
from domain.problems import Text, UnavailableProblem
from services.erasure import ErasureWorker
from services.inbox import InboxDrained, InboxService
from services.retention import RetentionService
from services.selling import Selling
from services.streams import StreamDelivery
from services.subscriptions import SubscriptionService
from services.tagging import Tagging
from storage.encryption import Keyring
from storage.engine import Database
from tests.clock import SteppedClock
from tests.services.house import House, eventually
from tests.services.test_streams import ADMIN, Receiver, an_event, wanted
from tests.settlements import due_of, payouts_of, settlements_of
from worker import GRACE, end_drains, keep_drains_going
from workflows import messages
from workflows.housekeeping import DrainWorkflow

ANYWHERE = WebSettings(("127.0.0.1",), True)


class SlowInbox(InboxService):
    """Every batch takes longer than a heart may stand still."""

    async def drain(self, limit: int = 200) -> InboxDrained:
        await asyncio.sleep(3)
        return InboxDrained(read=1)


def drains_of(house: House, inbox: InboxService, streams: StreamDelivery | None = None) -> Drains:
    return Drains(
        house.database,
        inbox,
        house.dispatcher,
        house.starter,
        house.reports,
        house.schedules,
        house.pull_schedules,
        house.bill_schedules,
        house.unreconciled,
        due_of(house.database, house.orchestrator),
        RetentionService(house.database),
        Tagging(house.database),
        ErasureWorker(house.database, house.orchestrator),
        streams or StreamDelivery(house.database, Subscribers(WebSettings((), False)), house.masking),
        Selling(house.database),
        settlements_of(house.database, house.orchestrator),
        payouts_of(house.database, house.orchestrator),
    )


async def test_a_slow_batch_does_not_look_like_a_dead_worker(database: Database, temporal: Client) -> None:
    house = House(database, temporal)
    beats: list[float] = []
    stage = ActivityEnvironment()
    stage.on_heartbeat = lambda *_: beats.append(time.monotonic())
    drains = drains_of(house, SlowInbox(database, load_connectors(CATALOG)))
    drain = asyncio.create_task(stage.run(drains.drain, messages.Drain("inbox")))
    await asyncio.sleep(2.5)
    stage.worker_shutdown()
    await drain
    assert len(beats) >= 3
    assert max(later - earlier for earlier, later in itertools.pairwise(beats)) < 2
    await house.close()


async def test_a_drain_without_work_ends_at_once_when_the_worker_stops(database: Database, temporal: Client) -> None:
    house = House(database, temporal)
    drains = drains_of(house, InboxService(database, load_connectors(CATALOG)))
    stage = ActivityEnvironment()
    drain = asyncio.create_task(stage.run(drains.drain, messages.Drain("runs")))
    await asyncio.sleep(1)
    began = time.monotonic()
    stage.worker_shutdown()
    await drain
    assert time.monotonic() - began < 2
    await house.close()


async def test_who_lost_a_deadlock_begins_anew_at_once() -> None:
    environment, tries = ActivityEnvironment(), 0

    async def step() -> None:
        nonlocal tries
        tries += 1
        if tries > 2:
            environment.worker_shutdown()
        elif tries == 2:
            raise UnavailableProblem("deadlock") from OperationalError("SELECT", {}, DeadlockDetected())

    began = time.monotonic()
    await environment.run(work_for_a_round, "tags", step)
    assert (tries, time.monotonic() - began < IDLE_S / 2) == (3, True)


async def test_orders_that_cannot_be_looked_at_keep_no_payout_waiting(
    database: Database, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, stage, swept = House(database, temporal), ActivityEnvironment(), list[str]()
    drains = drains_of(house, InboxService(database, load_connectors(CATALOG)))

    async def breaks(*_: object) -> None:
        stage.worker_shutdown()
        raise UnavailableProblem(Text("库不可用", "away"))

    def noted(name: str) -> Callable[..., Awaitable[int]]:
        async def sweep(*_: object) -> int:
            swept.append(name)
            return 0

        return sweep

    monkeypatch.setattr(Selling, "drain", breaks)
    for name in ("_terms", "_settlements", "_payouts"):
        monkeypatch.setattr(type(getattr(drains, name)), "sweep", noted(name))
    with suppress(UnavailableProblem, ApplicationError):
        await stage.run(drains.drain, messages.Drain("sales"))
    assert swept == ["_terms", "_settlements", "_payouts"]
    await house.close()


async def test_the_drain_of_runs_deletes_what_is_over(
    database: Database, temporal: Client, clock: SteppedClock
) -> None:
    house = House(database, temporal)
    inbox = InboxService(database, load_connectors(CATALOG))
    push = Verified("test", b'{"test": true}', "push-1", clock())
    await inbox.accept("youzan", "shop", push)
    await inbox.drain()
    clock.advance(days=31)
    stage = ActivityEnvironment()
    drain = asyncio.create_task(stage.run(drains_of(house, inbox).drain, messages.Drain("runs")))

    async def is_new_again() -> bool:
        return await inbox.accept("youzan", "shop", push)

    await eventually(is_new_again)
    stage.worker_shutdown()
    await drain
    await house.close()


async def test_streams_go_out_in_a_worker_and_go_on_in_the_next_one(database_url: str, temporal: Client) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=8)
    house = House(database, temporal)
    async with Receiver().serving() as receiver:
        service = SubscriptionService(database, HostGuard(ANYWHERE))
        await service.create(ADMIN, wanted(receiver))
        running = await temporal.start_workflow(
            messages.DRAIN_WORKFLOW,
            messages.Drain("streams"),
            id=f"tandem/drain/streams/{uuid4()}",
            task_queue=messages.FLOWS_QUEUE,
        )
        try:
            for ids in (("a", "b"), ("c", "d")):
                await house.tell(*(an_event(id_) for id_ in ids))
                async with _streaming(house):
                    # A worker that lost its word with the server while it stopped is missed after eight seconds.
                    await eventually(partial(_has, receiver, ids[-1]), seconds=60)
            assert receiver.ids == ["a", "b", "c", "d"]
        finally:
            await running.terminate("the test is over")
    await house.close()
    await database.close()


async def test_lanes_that_are_wanted_no_more_end(temporal: Client) -> None:
    lanes = [messages.Drain("inbox", 100 + lane) for lane in range(3)]
    await keep_drains_going(temporal, lanes[:2])
    await keep_drains_going(temporal, lanes[:2])
    handles = [temporal.get_workflow_handle(f"tandem/drain/inbox/{lane.lane}") for lane in lanes[:2]]
    assert [(await each.describe()).status for each in handles] == [WorkflowExecutionStatus.RUNNING] * 2
    # The third one never ran.
    await end_drains(temporal, lanes[1:])
    ended = [(await each.describe()).status for each in handles]
    assert ended == [WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.TERMINATED]
    await end_drains(temporal, lanes)


async def _has(receiver: Receiver, id_: str) -> bool:
    return id_ in receiver.ids


@asynccontextmanager
async def _streaming(house: House) -> AsyncIterator[None]:
    """The workers of the drains, as `worker.py` makes them."""
    subscribers = Subscribers(ANYWHERE)
    streams = StreamDelivery(house.database, subscribers, house.masking)
    drains = drains_of(house, InboxService(house.database, load_connectors(CATALOG)), streams)
    flows = Worker(
        house.client,
        task_queue=messages.FLOWS_QUEUE,
        workflows=[DrainWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    # With time to end: one that is cancelled in the moment in which it ends by itself is not found any more.
    inbox = Worker(
        house.client, task_queue=messages.INBOX_QUEUE, activities=[drains.drain], graceful_shutdown_timeout=GRACE
    )
    async with flows, inbox:
        yield
    await streams.aclose()
    await subscribers.aclose()
