"""Reading a platform again: everything it has ends up here once, and what differs is counted and mended."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.pulls import PullActivities
from connectors.accounts import Account
from connectors.loading import load_connectors
from connectors.registry import ConnectorRegistry
from connectors.webhooks import Verified
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.events import Event
from domain.problems import NotFoundProblem, ProblemError
from services.accounts import PlatformAccounts
from services.connections import Connections
from services.inbox import InboxService
from services.pull_schedules import PullSchedules
from services.pulls import PullService
from storage.encryption import Keyring
from storage.engine import Database
from storage.pulls import Streams
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.connectors.harness import Outside, outside
from workflows.housekeeping import PullWorkflow
from workflows.messages import PULL_WORKFLOW, PullProgress, StreamPull

ADMIN = an_actor("root")
SHOP = "youzan/demo-apparel"
CONNECTORS = load_connectors(Catalog())


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[Outside]:
    async with outside() as running:
        # Two minutes later, so that what was made a moment ago is not left for the next time.
        running.link = replace(running.link, answer_timeout_s=10, now=lambda: datetime.now(UTC) + timedelta(minutes=2))
        yield running


@pytest.fixture
async def live(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=8)
    yield database
    await database.close()


@pytest.fixture
async def pulls(live: Database, world: Outside) -> PullService:
    account = await world.account("youzan")
    shown = dict(account.settings)
    secret = {"client_secret": str(shown.pop("client_secret"))}
    new = NewAccount(
        platform="youzan", slug="demo-apparel", name="双擎服饰", unit_path="/", settings=shown, credentials=secret
    )
    await PlatformAccounts(live, CONNECTORS).connect(ADMIN, new)
    return PullService(live, CONNECTORS, Connections(live), world.link)


async def read_all(pulls: PullService, stream: str) -> tuple[int, int]:
    records = missed = 0
    while True:
        pulled = await pulls.pull(SHOP, stream)
        records, missed = records + pulled.records, missed + pulled.missed
        if not pulled.more:
            return records, missed


async def drained(live: Database) -> None:
    inbox = InboxService(live, CONNECTORS)
    while (read := await inbox.drain()).read:
        assert read.quarantined == 0


async def one(live: Database, statement: str) -> tuple[Any, ...]:
    async with UnitOfWork(live) as work:
        return tuple((await work.session.execute(text(statement))).one())


async def test_a_year_is_read_once_and_matches_the_platform(pulls: PullService, live: Database, world: Outside) -> None:
    truth = [order for order in world.sim.app.state.world.orders if order.shop == "demo-apparel"]
    records, missed = await read_all(pulls, "orders")
    assert (records, missed) == (len(truth), len(truth))
    await drained(live)
    found = await one(live, "SELECT count(*), sum(paid_minor) FROM orders")
    assert found == (len(truth), sum(order.paid_minor for order in truth))
    assert await read_all(pulls, "orders") == (0, 0)


async def test_a_comparison_counts_what_is_missing_or_differs_and_the_inbox_mends_it(
    pulls: PullService, live: Database, world: Outside
) -> None:
    for _ in range(4):
        await world.sim.refund(stage="asked")
    await read_all(pulls, "refunds")
    await drained(live)
    assert (await pulls.compare(SHOP, "refunds")).missing == 0
    async with UnitOfWork(live) as work:
        await work.session.execute(
            text(
                "UPDATE refunds SET amount_minor = 1, version = 0, detail_version = 0 "
                "WHERE id = (SELECT id FROM refunds ORDER BY told_at DESC, id LIMIT 1)"
            )
        )
        await work.session.execute(
            text(
                "DELETE FROM refunds WHERE id = "
                "(SELECT id FROM refunds WHERE version > 0 ORDER BY told_at DESC, id LIMIT 1)"
            )
        )
        await work.session.execute(text("DELETE FROM inbox"))
    found = await pulls.compare(SHOP, "refunds")
    assert (found.missing, found.differing) == (1, 1)
    await drained(live)
    again = await pulls.compare(SHOP, "refunds")
    assert (again.records, again.missing, again.differing) == (found.records, 0, 0)


async def test_a_row_that_a_connector_chokes_on_stops_neither_pull_nor_comparison(
    pulls: PullService, live: Database, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await world.sim.refund(stage="asked")
    youzan = CONNECTORS["youzan"]
    real, choked = youzan.to_events, list[str]()

    def chokes(record: Verified, account: Account) -> list[Event]:
        if not choked:
            choked.append(record.dedupe_key)
        if record.dedupe_key in choked:
            raise TypeError("'int' object is not iterable")
        return real(record, account)

    monkeypatch.setattr(type(youzan), "to_events", lambda _, record, account: chokes(record, account))
    found = await pulls.compare(SHOP, "refunds")
    assert found.records == found.missing >= 2
    assert (await InboxService(live, CONNECTORS).drain()).quarantined == 1
    async with UnitOfWork(live) as work:
        reasons = list(await work.session.scalars(text("SELECT reason FROM inbox WHERE state = 'quarantined'")))
    assert [reason.partition(":")[0] for reason in reasons] == ["TypeError"]
    assert (await pulls.compare(SHOP, "refunds")).missing == 0


async def test_why_a_stream_stopped_is_remembered_until_it_goes_on(
    pulls: PullService, live: Database, world: Outside
) -> None:
    await world.break_things({"match": {"api": "youzan.trades.sold.get"}, "fault": "quota", "times": 1})
    with pytest.raises(ProblemError):
        await pulls.pull(SHOP, "orders")
    async with UnitOfWork(live) as work:
        row = await Streams(work).stand(SHOP, "orders")
        assert row is not None
        assert "4101" in (row.problem or "")
    await pulls.pull(SHOP, "orders")
    async with UnitOfWork(live) as work:
        row = await Streams(work).stand(SHOP, "orders")
        assert row is not None
        assert (row.problem, row.reached_at is not None) == (None, True)


async def test_a_stream_that_nobody_knows_is_said_so(pulls: PullService) -> None:
    with pytest.raises(NotFoundProblem, match="orders, refunds"):
        await pulls.pull(SHOP, "chats")


async def test_a_shop_that_was_connected_is_scheduled_at_once(
    pulls: PullService, live: Database, temporal: Client
) -> None:
    schedules = PullSchedules(live, temporal, CONNECTORS)
    accounts = PlatformAccounts(live, CONNECTORS)
    read = f"stream/pull/{SHOP}/orders"
    await schedules.follow()
    await temporal.get_schedule_handle(read).describe()
    await accounts.set_active(ADMIN, SHOP, False)
    await schedules.follow()
    with pytest.raises(RPCError):
        await temporal.get_schedule_handle(read).describe()


async def test_schedules_follow_the_accounts(pulls: PullService, live: Database, temporal: Client) -> None:
    schedules = PullSchedules(live, temporal, CONNECTORS)
    identity = f"stream/pull/{SHOP}/orders"
    assert await schedules.sync() == 4
    assert (await temporal.get_schedule_handle(identity).describe()).schedule.policy.overlap.name == "SKIP"
    older = PullSchedules(live, temporal, ConnectorRegistry())
    assert await older.sync() == 0, "a process that does not know the platform"
    await temporal.get_schedule_handle(identity).describe()
    await PlatformAccounts(live, CONNECTORS).set_active(ADMIN, SHOP, False)
    assert await older.sync() == 0
    with pytest.raises(RPCError):
        await temporal.get_schedule_handle(identity).describe()


async def test_the_workflow_reads_to_the_end_on_the_platforms_own_queue(
    pulls: PullService, live: Database, world: Outside, temporal: Client
) -> None:
    await world.break_things({"match": {"api": "youzan.trade.refund.search"}, "fault": "5xx", "times": 1})
    pull = StreamPull(SHOP, "refunds", "platform.youzan")
    flows = Worker(temporal, task_queue="pull-test", workflows=[PullWorkflow])
    platform = Worker(temporal, task_queue="platform.youzan", activities=[PullActivities(pulls).pull])
    async with flows, platform:
        progress = await temporal.execute_workflow(
            PULL_WORKFLOW, pull, id=f"pull-test/{SHOP}", task_queue="pull-test", result_type=PullProgress
        )
    truth = [refund for refund in world.sim.app.state.world.refunds if refund.shop == "demo-apparel"]
    assert (progress.records, progress.more) == (len(truth), False)
