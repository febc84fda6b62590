"""Reading a platform again: everything it has ends up here once, and what differs is counted and mended."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select
from temporalio.client import (
    Client,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.pulls import PullActivities
from connectors.accounts import Account, secret_fields
from connectors.loading import load_connectors
from connectors.registry import ConnectorRegistry
from connectors.wechat.settings import WechatSettings
from domain.access import Role, Scope
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.catalog.shop_calls import OrderArguments
from domain.problems import (
    AuthorizationProblem,
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
    UnavailableProblem,
)
from services.accounts import PlatformAccounts
from services.connections import Connections
from services.identities import IdentityService
from services.inbox import InboxService
from services.intake import Intake
from services.pacing import AccountPacer
from services.pull_reports import PullReports
from services.pull_schedules import PullSchedules
from services.pulls import PullService
from services.stream_readings import StreamReadings
from simulator import trade
from storage.encryption import Keyring
from storage.engine import Database
from storage.inbox import InboxRow
from storage.paging import PageRequest
from storage.pulls import StreamRow, Streams
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


async def test_a_stream_that_has_nothing_new_is_written_down_a_few_times_a_minute(
    pulls: PullService, live: Database
) -> None:
    async def seen() -> StreamRow:
        (row,) = (await PullReports(live).streams(ADMIN, PageRequest(), account_id=SHOP)).items
        return row

    await read_all(pulls, "refunds")
    await read_all(pulls, "refunds")
    first = await seen()
    await pulls.pull(SHOP, "refunds")
    assert await seen() == first, "nothing came, and it was written a moment ago"
    async with UnitOfWork(live) as work:
        await work.session.execute(text("UPDATE streams SET pulled_at = pulled_at - interval '16 seconds'"))
    await pulls.pull(SHOP, "refunds")
    later = await seen()
    assert later.pulled_at > first.pulled_at
    assert (later.reached_at or first.pulled_at) >= (first.reached_at or later.pulled_at)


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


async def read_with_people(live: Database) -> None:
    inbox = InboxService(live, CONNECTORS, Intake(IdentityService()))
    while (read := await inbox.drain()).read:
        assert read.quarantined == 0


async def test_a_big_pull_keeps_to_its_accounts_rate_and_keeps_no_call_waiting(
    live: Database, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders of a WeChat Store are read one by one, which no rate of a queue sees."""
    simulated = world.sim.app.state.world
    with simulated.bulletin.quiet():
        orders = [trade.pay(simulated, trade.place_order(simulated, "demo-wechat-store")) for _ in range(30)]
    connector = CONNECTORS["wechat_store"]
    monkeypatch.setattr(type(connector), "requests_per_second", 20.0)
    link = replace(world.link, pacer=AccountPacer(live))
    account = await world.account("wechat_store")
    await PlatformAccounts(live, CONNECTORS).connect(ADMIN, _as_new(account))
    store = PullService(live, CONNECTORS, Connections(live), link)
    name = f"wechat_store/{account.slug}"
    began = time.monotonic()
    reading = asyncio.create_task(store.compare(name, "orders"))
    await asyncio.sleep(1.0)
    asked = time.monotonic()
    client = connector.open(account, link.paced(name, connector.requests_per_second))
    order = await client.get_order(OrderArguments(order_id=orders[0].id))
    waited = time.monotonic() - asked
    compared = await reading
    took = time.monotonic() - began
    assert order.order_id == orders[0].id
    assert compared.records >= 30
    # Ten a second in bulk, a second of them booked ahead.
    assert took >= compared.records / 10 - 1.5, f"{compared.records} orders within {took:.1f} s"
    assert waited < 1.5


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


async def test_what_a_fast_clock_passed_over_is_read_when_it_is_right_again(
    pulls: PullService, live: Database, world: Outside
) -> None:
    await read_all(pulls, "orders")
    fast = replace(world.link, now=lambda: datetime.now(UTC) + timedelta(hours=3))
    await PullService(live, CONNECTORS, Connections(live), fast).pull(SHOP, "orders")
    simulated = world.sim.app.state.world
    order = trade.pay(simulated, trade.place_order(simulated, "demo-apparel"))
    await read_all(pulls, "orders")
    await drained(live)
    assert await one(live, f"SELECT count(*) FROM orders WHERE order_id = '{order.id}'") == (1,)


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
    assert await schedules.sync() == 2 * len(pulls.streams_of("youzan"))
    assert (await temporal.get_schedule_handle(identity).describe()).schedule.policy.overlap.name == "SKIP"
    older = PullSchedules(live, temporal, ConnectorRegistry())
    assert await older.sync() == 0, "a process that does not know the platform"
    await temporal.get_schedule_handle(identity).describe()
    await PlatformAccounts(live, CONNECTORS).set_active(ADMIN, SHOP, False)

    async def is_gone() -> bool:
        """Temporal's list may be some moments behind, so it is asked again, as the worker does."""
        assert await older.sync() == 0
        try:
            await temporal.get_schedule_handle(identity).describe()
        except RPCError:
            return True
        return False

    await eventually(is_gone)


async def test_taobaos_messages_are_read_within_the_minute_and_never_compared(live: Database, temporal: Client) -> None:
    shop = NewAccount(
        platform="taobao",
        slug="tmall",
        name="天猫店",
        unit_path="/",
        settings={"app_key": "k"},
        credentials={"app_secret": "s", "session": "s"},
    )
    await PlatformAccounts(live, CONNECTORS).connect(ADMIN, shop)
    await PullSchedules(live, temporal, CONNECTORS).sync()
    every = [await _strikes(temporal, f"stream/pull/taobao/tmall/{stream}") for stream in ("messages", "orders")]
    assert every == [timedelta(seconds=30), timedelta(minutes=5)]
    with pytest.raises(RPCError):
        await temporal.get_schedule_handle("stream/compare/taobao/tmall/messages").describe()
    assert await _strikes(temporal, "stream/compare/taobao/tmall/orders") == timedelta(days=1)
    with pytest.raises(ConflictProblem, match="is a queue"):
        await StreamReadings(live, temporal, CONNECTORS).ask(ADMIN, "taobao/tmall", "messages", "compare")


async def test_a_schedule_that_an_earlier_release_made_strikes_as_often_as_it_should_by_now(
    pulls: PullService, live: Database, temporal: Client
) -> None:
    schedules, identity = PullSchedules(live, temporal, CONNECTORS), f"stream/pull/{SHOP}/orders"
    await schedules.sync()

    def hourly(found: ScheduleUpdateInput) -> ScheduleUpdate:
        found.description.schedule.spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(hours=1))])
        return ScheduleUpdate(found.description.schedule)

    handle = temporal.get_schedule_handle(identity)
    await handle.update(hourly)
    await handle.pause(note="looked into")

    async def is_mended() -> bool:
        """Temporal's list may be some moments behind, so it is asked again, as the worker does."""
        await schedules.sync()
        return await _strikes(temporal, identity) == timedelta(minutes=5)

    await eventually(is_mended)
    assert (await handle.describe()).schedule.state.paused, "a pause is a person's word"
    await handle.unpause()


async def _strikes(temporal: Client, identity: str) -> timedelta:
    (interval,) = (await temporal.get_schedule_handle(identity).describe()).schedule.spec.intervals
    return interval.every


async def test_the_workflow_reads_to_the_end_on_the_platforms_own_queue(
    pulls: PullService, live: Database, world: Outside, temporal: Client
) -> None:
    await world.break_things({"match": {"api": "youzan.trade.refund.search"}, "fault": "5xx", "times": 1})
    # A queue of this test's own: what schedules of other tests began waits in the platform's.
    pull = StreamPull(SHOP, "refunds", "platform.pull-test")
    flows = Worker(temporal, task_queue="pull-test", workflows=[PullWorkflow])
    platform = Worker(temporal, task_queue=pull.queue, activities=[PullActivities(pulls).pull])
    async with flows, platform:
        progress = await temporal.execute_workflow(
            PULL_WORKFLOW, pull, id=f"pull-test/{SHOP}", task_queue="pull-test", result_type=PullProgress
        )
    truth = [refund for refund in world.sim.app.state.world.refunds if refund.shop == "demo-apparel"]
    assert (progress.records, progress.more) == (len(truth), False)


async def test_a_stream_is_read_and_compared_when_somebody_asks(
    pulls: PullService, live: Database, world: Outside, temporal: Client
) -> None:
    readings = StreamReadings(live, temporal, CONNECTORS)
    with contextlib.suppress(RPCError):
        # Of an earlier test.
        await temporal.get_schedule_handle(f"stream/compare/{SHOP}/refunds").delete()
    with pytest.raises(UnavailableProblem):
        await readings.ask(ADMIN, SHOP, "refunds", "compare")
    await PullSchedules(live, temporal, CONNECTORS).sync()
    flows = Worker(temporal, task_queue=FLOWS_QUEUE, workflows=[PullWorkflow])
    platform = Worker(temporal, task_queue="platform.youzan", activities=[PullActivities(pulls).pull])

    async def compared() -> bool:
        told = (await PullReports(live).comparisons(ADMIN, PageRequest(), account_id=SHOP)).items
        return ("refunds", "done") in [(each.stream, each.state) for each in told]

    async with flows, platform:
        await readings.ask(ADMIN, SHOP, "refunds", "compare")
        await eventually(compared)
    with pytest.raises(NotFoundProblem):
        await readings.ask(ADMIN, SHOP, "chats", "pull")
    with pytest.raises(NotFoundProblem):
        await readings.ask(an_actor("li", Role.ADMIN, scope=Scope.of_accounts("jd/other")), SHOP, "refunds", "pull")
    with pytest.raises(AuthorizationProblem):
        await readings.ask(an_actor("li", Role.OPS), SHOP, "refunds", "pull")
    await PlatformAccounts(live, CONNECTORS).set_active(ADMIN, SHOP, False)
    with pytest.raises(ConflictProblem):
        await readings.ask(ADMIN, SHOP, "refunds", "pull")


def _as_new(account: Account) -> NewAccount:
    secrets = secret_fields(WechatSettings)
    shown = {name: value for name, value in account.settings.items() if name not in secrets}
    credentials = {name: str(value) for name, value in account.settings.items() if name in secrets}
    return NewAccount(
        platform=account.platform,
        slug=account.slug,
        name="双擎小店",
        unit_path="/",
        settings=shown,
        credentials=credentials,
    )


async def _is_idle(schedule: ScheduleHandle) -> bool:
    return not (await schedule.describe()).info.running_actions
