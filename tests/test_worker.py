"""What the worker process serves: every platform on a queue of its own, no faster than that platform allows."""

import asyncio
import contextlib
import time
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.binding import Activity, CallBinder
from activities.platforms import platform_activities
from connectors.http import Link
from connectors.loading import load_connectors
from connectors.registry import Connector
from domain.catalog import CATALOG
from runtime.application import Application
from runtime.embedded import EmbeddedTemporal
from runtime.settings import Settings
from services.connections import Connections
from services.direct_messages import DirectMessages
from storage.engine import Database
from tests.workflows.observing import new_id
from worker import _maker, _makers
from workflows.messages import QUEUES

CALLS = 30
RATE = 5.0


@pytest.fixture
async def client(temporal_server: EmbeddedTemporal) -> Client:
    """A client whose workers are nobody else's."""
    return await temporal_server.client()


@workflow.defn
class _Rush:
    @workflow.run
    async def run(self, queue: str) -> None:
        calls = (
            workflow.execute_activity("ask", task_queue=queue, start_to_close_timeout=timedelta(seconds=10))
            for _ in range(CALLS)
        )
        await asyncio.gather(*calls)


async def test_every_platform_has_a_queue_of_its_own_with_its_rate(database: Database, client: Client) -> None:
    application = Application(Settings(_env_file=None), database, client, load_connectors(CATALOG))
    async with contextlib.AsyncExitStack() as stack:
        makers = await _makers(application, stack)
        served = {queue: make().config(active_config=False) for queue, make in makers.items()}
    calling = [connector for connector in application.connectors.values() if connector.calls]
    assert len({connector.queue for connector in calling}) == len(calling)
    for connector in calling:
        config = served[connector.queue]
        assert config.get("max_task_queue_activities_per_second") == connector.requests_per_second
        assert not config.get("workflows")
    assert {*QUEUES} <= served.keys()
    assert served["flows"].get("max_task_queue_activities_per_second") is None


async def test_a_rush_of_calls_reaches_a_platform_at_its_rate_and_delays_no_other(client: Client) -> None:
    begun: dict[str, list[float]] = {}

    @activity.defn(name="ask")
    async def ask() -> None:
        begun.setdefault(activity.info().task_queue, []).append(time.monotonic())

    slow, quick, flows = (f"test/{name}/{new_id()}" for name in ("slow", "quick", "flows"))
    runner = UnsandboxedWorkflowRunner()
    async with (
        Worker(client, task_queue=flows, workflows=[_Rush], workflow_runner=runner),
        _maker(client, slow, [ask], RATE)(),
        _maker(client, quick, [ask], None)(),
    ):
        asked = time.monotonic()
        await asyncio.gather(
            *(client.execute_workflow(_Rush.run, queue, id=new_id(), task_queue=flows) for queue in (slow, quick))
        )
    assert len(begun[slow]) == len(begun[quick]) == CALLS
    # The first second may bring as many at once; what is left comes at the rate, however late a busy worker begins it.
    assert begun[slow][-1] - asked > (CALLS - RATE) / RATE * 0.8
    assert begun[quick][-1] < begun[slow][-1]


async def test_a_platform_that_hangs_holds_no_connection_of_another(
    database: Database, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    links: dict[str, Link] = {}

    def noting(
        connector: Connector, binder: CallBinder, connections: Connections, messages: DirectMessages, link: Link
    ) -> list[Activity]:
        links[connector.platform] = link
        return platform_activities(connector, binder, connections, messages, link)

    monkeypatch.setattr("worker.platform_activities", noting)
    application = Application(Settings(_env_file=None), database, client, load_connectors(CATALOG))
    async with contextlib.AsyncExitStack() as stack:
        await _makers(application, stack)
    assert set(links) == set(application.connectors)
    assert len({id(link.http) for link in links.values()}) == len(links)
