"""Reading a platform again: everything it has ends up here once, and what differs is counted and mended."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select
from temporalio.client import Client, ScheduleHandle
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
from domain.privacy import Masking
from domain.problems import NotFoundProblem, ProblemError
from services.accounts import PlatformAccounts
from services.connections import Connections
from services.inbox import InboxService
from services.pull_reports import PullReports
from services.pull_schedules import PullSchedules
from services.pulls import PullService
from services.push_reading import PushReader
from services.quarantine import QuarantineService
from storage.encryption import Keyring
from storage.engine import Database
from storage.inbox import Inbox, InboxRow
from storage.paging import PageRequest
from storage.pulls import ComparisonRow, Streams
from storage.quarantine import QuarantineFilter
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.connectors.harness import Outside, outside
from tests.services.house import eventually
from workflows.housekeeping import PullWorkflow
from workflows.messages import FLOWS_QUEUE, PULL_WORKFLOW, PullProgress, StreamPull

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


async def _newest_refunds(live: Database, world: Outside, pulls: PullService, count: int) -> list[int]:
    """So many refunds that were read just now: the numbers of their pushes."""
    for _ in range(count):
        await world.sim.refund(stage="asked")
    await read_all(pulls, "refunds")
    await drained(live)
    async with UnitOfWork(live) as work:
        return list(await work.session.scalars(select(InboxRow.id).order_by(col(InboxRow.id).desc()).limit(count)))


async def _lose(live: Database, push_id: int, change: str = "DELETE FROM refunds WHERE {}") -> None:
    """Let the refund of a push be gone, or be changed."""
    async with UnitOfWork(live) as work:
        row = await work.session.get_one(InboxRow, push_id)
        refund = json.loads(row.payload)["refund_id"]
        await work.session.execute(text(change.format("refund_id = :refund")), {"refund": refund})


async def test_a_comparison_mends_what_was_misread_at_the_same_version(
    pulls: PullService, live: Database, world: Outside
) -> None:
    misread = await _newest_refunds(live, world, pulls, 3)
    for push_id in misread:
        # As a parser reads it that has a bug, whose word would always win the tie.
        change = (
            "UPDATE refunds SET amount_minor = amount_minor + 1, version_tie = {0}, detail_version_tie = {0} WHERE {1}"
        )
        await _lose(live, push_id, change.format(2**31 - 1, "{}"))
    truth = await one(live, "SELECT sum(amount_minor) - 3 FROM refunds")
    assert (await pulls.compare(SHOP, "refunds")).differing == 3
    await drained(live)
    again = await pulls.compare(SHOP, "refunds")
    assert (again.missing, again.differing) == (0, 0)
    assert await one(live, "SELECT sum(amount_minor) FROM refunds") == truth
    assert await one(live, "SELECT count(*) FROM inbox WHERE state <> 'done'") == (0,)


async def test_a_comparison_reads_again_what_was_put_aside_but_overrules_no_correction(
    pulls: PullService, live: Database, world: Outside
) -> None:
    aside, away, corrected = await _newest_refunds(live, world, pulls, 3)
    for push_id in (aside, away, corrected):
        await _lose(live, push_id)
    async with UnitOfWork(live) as work:
        for push_id in (aside, away, corrected):
            await Inbox(work).quarantine(push_id, "a field that nobody knew yet")
    quarantine = QuarantineService(live, PushReader(CONNECTORS), Masking())
    await quarantine.put_away(ADMIN, QuarantineFilter(ids=[away]), "tests of the shop")
    new = await quarantine.correct(ADMIN, corrected, {"reason": "corrected"}, "as agreed", whole=False)
    await drained(live)
    await _lose(live, new)
    assert (await pulls.compare(SHOP, "refunds")).missing == 3
    assert await one(live, "SELECT count(*) FROM inbox WHERE state = 'waiting'") == (2,)
    await drained(live)
    assert await one(live, "SELECT count(*) FROM inbox WHERE state = 'quarantined'") == (0,)
    assert (await pulls.compare(SHOP, "refunds")).missing == 1
    assert await one(live, "SELECT count(*) FROM inbox WHERE state = 'waiting'") == (0,), "a person's word holds"


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


async def test_each_night_a_stream_is_compared_and_what_it_lacked_is_told(
    pulls: PullService, live: Database, world: Outside, temporal: Client
) -> None:
    await world.sim.refund(stage="asked")
    await PullSchedules(live, temporal, CONNECTORS).sync()
    night = temporal.get_schedule_handle(f"stream/compare/{SHOP}/refunds")

    async def found(nights: int) -> ComparisonRow | None:
        told = (await PullReports(live).comparisons(ADMIN, PageRequest(), account_id=SHOP)).items
        return told[0] if len(told) >= nights else None

    flows = Worker(temporal, task_queue=FLOWS_QUEUE, workflows=[PullWorkflow])
    platform = Worker(temporal, task_queue="platform.youzan", activities=[PullActivities(pulls).pull])
    async with flows, platform:
        await night.trigger()
        first = await eventually(partial(found, 1))
        assert (first.stream, first.differing) == ("refunds", 0)
        assert first.missing == first.records > 0, "nothing was read before"
        await drained(live)
        # A stroke while the one before is still at work is left out.
        await eventually(partial(_is_idle, night))
        await night.trigger()
        second = await eventually(partial(found, 2))
        assert (second.records, second.accuracy) == (first.records, 1)


async def _is_idle(schedule: ScheduleHandle) -> bool:
    return not (await schedule.describe()).info.running_actions
