"""Reading a platform again: everything it has ends up here once, and what differs is counted and mended."""

import asyncio
import contextlib
import json
import time
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
from connectors.accounts import Account, secret_fields
from connectors.loading import load_connectors
from connectors.registry import ConnectorRegistry
from connectors.webhooks import Verified
from connectors.wechat.settings import WechatSettings
from connectors.youzan import pulling as youzan_pulling
from domain.access import Role, Scope
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.catalog.shop_calls import OrderArguments
from domain.events import Event
from domain.privacy import Masking
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
from services.pulls import Pulled, PullService
from services.push_reading import PushReader
from services.quarantine import QuarantineService
from services.stream_readings import StreamReadings
from simulator import trade
from storage.comparisons import ComparisonRow
from storage.encryption import Keyring
from storage.engine import Database
from storage.inbox import Inbox, InboxRow
from storage.paging import PageRequest
from storage.pulls import Streams
from storage.quarantine import QuarantineFilter
from storage.record_comparison import Difference
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
    assert (found.records - 1, found.unread) == (found.missing, 1)
    assert found.missing >= 2
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
            await Inbox(work).quarantine({push_id: "a field that nobody knew yet"})
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


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("UPDATE orders SET status = 'closed' WHERE id = {}", "status"),
        ("UPDATE orders SET paid_minor = paid_minor + 1 WHERE id = {}", "paid_minor"),
        ("UPDATE orders SET identity_id = NULL WHERE id = {}", "buyer"),
        (
            "UPDATE orders SET identity_id = (SELECT min(id) FROM identities WHERE id <> identity_id) WHERE id = {}",
            "buyer",
        ),
        ("UPDATE order_lines SET quantity = quantity + 1 WHERE order_key = {}", "lines"),
        ("UPDATE order_lines SET total_minor = 0 WHERE order_key = {}", "lines"),
        ("DELETE FROM order_lines WHERE order_key = {}", "lines"),
    ],
)
async def test_a_comparison_sees_and_mends_whatever_is_wrong_about_an_order(
    pulls: PullService, live: Database, world: Outside, change: str, part: str
) -> None:
    simulated = world.sim.app.state.world
    for _ in range(3):
        trade.pay(simulated, trade.place_order(simulated, "demo-apparel"))
    await read_all(pulls, "orders")
    await read_with_people(live)
    right = (await pulls.compare(SHOP, "orders")).found
    assert right == Difference(right.records)
    assert right.records >= 3
    async with UnitOfWork(live) as work:
        newest = await work.session.scalar(text("SELECT id FROM orders ORDER BY told_at DESC, id DESC LIMIT 1"))
        await work.session.execute(text(change.format(newest)))
    found = await pulls.compare(SHOP, "orders")
    assert (found.missing, found.differing, found.parts) == (0, 1, {part: 1})
    await read_with_people(live)
    again = await pulls.compare(SHOP, "orders")
    assert (again.records, again.missing, again.differing, again.parts) == (found.records, 0, 0, {})


async def read_with_people(live: Database) -> None:
    inbox = InboxService(live, CONNECTORS, Intake(IdentityService()))
    while (read := await inbox.drain()).read:
        assert read.quarantined == 0


async def test_a_comparison_that_fails_is_told_with_its_reason_and_goes_on_where_it_stopped(
    pulls: PullService, live: Database, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(youzan_pulling, "_REFUNDS", replace(youzan_pulling._REFUNDS, page_size=2))
    for _ in range(6):
        await world.sim.refund(stage="asked")
    await world.break_things({"match": {"api": "youzan.trade.refund.search"}, "fault": "forbidden", "after": 3})
    with pytest.raises(ProblemError):
        await pulls.compare_on(SHOP, "refunds")
    reports = PullReports(live)
    (stopped,) = (await reports.comparisons(ADMIN, PageRequest())).items
    assert (stopped.state, "4301" in (stopped.problem or "")) == ("stopped", True)
    assert stopped.records > 0, "what was compared before counts"
    await world.break_things()
    gone_on = await pulls.compare_on(SHOP, "refunds", pages=1)
    assert gone_on == Pulled(2, 2, more=True), "not from its beginning"
    await pulls.compare(SHOP, "refunds")
    (done,) = (await reports.comparisons(ADMIN, PageRequest())).items
    recent = {refund.id for refund in world.sim.app.state.world.refunds if refund.shop == "demo-apparel"}
    assert (done.id, done.state, done.problem) == (stopped.id, "done", None)
    assert 6 <= done.records == done.missing <= len(recent)


async def test_a_comparison_that_never_ends_is_given_up_by_the_next_nights(
    pulls: PullService, live: Database, world: Outside
) -> None:
    await world.break_things({"match": {"api": "youzan.trade.refund.search"}, "fault": "forbidden"})
    with pytest.raises(ProblemError):
        await pulls.compare_on(SHOP, "refunds")
    async with UnitOfWork(live) as work:
        await work.session.execute(text("UPDATE comparisons SET begun_at = begun_at - interval '21 hours'"))
    await world.break_things()
    assert (await pulls.compare(SHOP, "refunds")).state == "done"
    states = [each.state for each in (await PullReports(live).comparisons(ADMIN, PageRequest())).items]
    assert states == ["done", "failed"]


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
        return told[0] if len(told) >= nights and told[0].state == "done" else None

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
        return [(each.stream, each.state) for each in told] == [("refunds", "done")]

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
