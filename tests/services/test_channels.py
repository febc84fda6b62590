"""Pinduoduo's messages over its channel: kept, acknowledged, and heard again after everything that breaks."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.channels import ChannelActivities
from connectors.channels import Listens
from connectors.loading import load_connectors
from connectors.webhooks import Refusal
from connectors.websocket import open_websocket
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.problems import AuthenticationProblem, Text, UnavailableProblem
from runtime.ports import free_port
from services.accounts import PlatformAccounts
from services.channels import ChannelService
from services.connections import Connections
from services.inbox import InboxService
from services.pulls import PullService
from simulator import trade
from simulator.platforms.pinduoduo.channel import PddMessage, frame
from storage.encryption import Keyring
from storage.engine import Database
from storage.inbox import Inbox, Push
from storage.paging import PageRequest
from storage.quarantine import Quarantine, QuarantineFilter
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.connectors.harness import Outside, outside
from tests.simulator.harness import eventually
from workflows.housekeeping import DrainWorkflow
from workflows.messages import DRAIN_WORKFLOW, Drain

ADMIN = an_actor("root")
CONNECTORS = load_connectors(Catalog())
SHOP = "demo-pinduoduo"
SECRETS = ("client_secret", "refresh_token")


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as world:
        world.link = replace(world.link, answer_timeout_s=10)
        yield world


@pytest.fixture
async def live(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=8)
    yield database
    await database.close()


@pytest.fixture
def channels(live: Database) -> ChannelService:
    return ChannelService(live, CONNECTORS, Connections(live), InboxService(live, CONNECTORS))


async def connected(live: Database, world: Outside, slug: str = SHOP, **changes: Any) -> None:
    account = await world.account("pinduoduo", **changes)
    shown = {name: value for name, value in account.settings.items() if name not in SECRETS}
    hidden = {name: str(account.settings[name]) for name in SECRETS}
    new = NewAccount(platform="pinduoduo", slug=slug, name="拼多多", unit_path="/", settings=shown, credentials=hidden)
    await PlatformAccounts(live, CONNECTORS).connect(ADMIN, new)


def sold(world: Outside, count: int = 1) -> None:
    state = world.sim.app.state.world
    for _ in range(count):
        trade.pay(state, trade.place_order(state, SHOP))


def unacknowledged(world: Outside) -> int:
    return len(world.sim.app.state.world.shelf("pdd_message", PddMessage).having(shop=SHOP))


async def kept(live: Database) -> int:
    async with UnitOfWork(live) as work:
        return int(await work.session.scalar(text("SELECT count(*) FROM inbox WHERE platform = 'pinduoduo'")) or 0)


async def test_messages_are_kept_and_acknowledged_over_a_real_socket(
    channels: ChannelService, live: Database, world: Outside
) -> None:
    await connected(live, world)
    sold(world, 3)
    listening = asyncio.ensure_future(channels.listen("pinduoduo", 60))

    async def all_there() -> bool:
        return await kept(live) == 3 and unacknowledged(world) == 0

    await eventually(all_there, 20)
    sold(world)

    async def the_next_one_too() -> bool:
        return await kept(live) == 4 and unacknowledged(world) == 0

    await eventually(the_next_one_too, 20)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_it_listens_for_as_long_as_it_was_asked(channels: ChannelService, live: Database, world: Outside) -> None:
    assert await channels.listen("pinduoduo", 60) == 0, "nobody is connected"
    await connected(live, world)
    began = asyncio.get_running_loop().time()
    assert await channels.listen("pinduoduo", 0.3) == 1
    assert asyncio.get_running_loop().time() - began < 10


async def test_a_shop_whose_number_is_not_known_is_left_to_pulling(
    channels: ChannelService, live: Database, world: Outside
) -> None:
    await connected(live, world, mall_id=None)
    assert await channels.listen("pinduoduo", 60) == 0


async def test_messages_of_a_shop_that_is_not_connected_are_refused_once_and_its_past_is_read_later(
    channels: ChannelService, live: Database, world: Outside
) -> None:
    mall = (await world.account("pinduoduo")).settings["mall_id"]
    await connected(live, world, mall_id=1)
    sold(world, 3)
    with capture_logs() as logged:
        listening = asyncio.ensure_future(channels.listen("pinduoduo", 60))

        async def all_acknowledged() -> bool:
            return unacknowledged(world) == 0

        await eventually(all_acknowledged, 20)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert await kept(live) == 0
    counted = [each["owners"] for each in logged if each["event"] == "pushes refused"]
    assert counted == [{str(mall): 3}]
    assert [each["reason"] for each in logged if each["event"] == "push refused"] == ["wrong-receiver"]
    later = replace(world.link, now=lambda: datetime.now(UTC) + timedelta(minutes=4))
    pulls = PullService(live, CONNECTORS, Connections(live), later)
    assert (await pulls.compare(f"pinduoduo/{SHOP}", "orders")).missing >= 3


async def test_a_shop_whose_quarantine_is_full_closes_the_channel_for_no_other(live: Database, world: Outside) -> None:
    await connected(live, world)
    state, mall = world.sim.app.state.world, (await world.account("pinduoduo")).settings["mall_id"]
    full = InboxService(live, CONNECTORS, most_quarantined=1)
    async with UnitOfWork(live) as work:
        bad = Push("pinduoduo", "closed-shop", "1", "pdd_trade_TradeConfirmed", b"no frame", datetime.now(UTC))
        await Inbox(work).add(bad)
    assert (await full.drain()).quarantined == 1
    # Two shops of one application share its channel.
    await connected(live, world, slug="closed-shop", mall_id=mall + 1)
    messages = state.shelf("pdd_message", PddMessage)
    topic, content = "pdd_trade_TradeConfirmed", {"tid": "261123-1"}
    body = frame(900_001, mall + 1, topic, content, datetime.now(UTC))
    messages.put(PddMessage(id="of-the-closed-shop", shop=SHOP, body=body))
    sold(world, 2)
    counted: list[Refusal] = []
    channels = ChannelService(live, CONNECTORS, Connections(live), full)
    listening = asyncio.ensure_future(channels.listen("pinduoduo", 60, counted.append))

    async def the_others_are_there() -> bool:
        return unacknowledged(world) == 1

    await eventually(the_others_are_there, 20)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert (await kept(live), [row.id for row in messages]) == (3, ["of-the-closed-shop"])
    assert counted == [Refusal.UNAVAILABLE]


async def test_a_frame_that_cannot_be_read_is_in_quarantine_until_it_is_corrected(
    channels: ChannelService, live: Database, world: Outside
) -> None:
    await connected(live, world)
    state, mall = world.sim.app.state.world, (await world.account("pinduoduo")).settings["mall_id"]
    good = frame(900_002, mall, "pdd_trade_TradeConfirmed", {"tid": "261123-2"}, datetime.now(UTC))
    odd = {**good, "message": {**good["message"], "mallID": None}}
    state.shelf("pdd_message", PddMessage).put(PddMessage(id="odd", shop=SHOP, body=odd))
    sold(world)
    counted: list[Refusal] = []
    inbox = InboxService(live, CONNECTORS)

    async def heard_and_not_acknowledged() -> bool:
        return bool(counted) and unacknowledged(world) == 1

    for _ in range(2):
        counted.clear()
        listening = asyncio.ensure_future(channels.listen("pinduoduo", 60, counted.append))
        await eventually(heard_and_not_acknowledged, 20)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        assert counted == [Refusal.UNREADABLE]
    assert await kept(live) == 2, "it comes again over each connection, and is kept once"
    assert (await inbox.drain()).quarantined == 1
    async with UnitOfWork(live) as work:
        (aside,) = (await Quarantine(work).page(QuarantineFilter(), PageRequest())).items
    assert "mallID" in str(aside.reason)
    async with UnitOfWork(live) as work:
        corrected = replace(aside.push, payload=json.dumps(good).encode(), dedupe_key="corrected")
        await Quarantine(work).replace(await Quarantine(work).require(aside.id), corrected, "corrected")
    assert (await inbox.drain()).quarantined == 0
    assert (await orders(live))["261123-2"] == "paid"


async def test_a_worker_listens_and_another_one_goes_on(
    channels: ChannelService, live: Database, world: Outside, temporal: Client
) -> None:
    await connected(live, world)
    queue = CONNECTORS["pinduoduo"].queue
    activities = [ChannelActivities(channels, {queue: "pinduoduo"}).listen]
    flows = Worker(
        temporal, task_queue="channel-test", workflows=[DrainWorkflow], workflow_runner=UnsandboxedWorkflowRunner()
    )

    async def all_there() -> bool:
        return unacknowledged(world) == 0

    async with flows:
        drain = await temporal.start_workflow(
            DRAIN_WORKFLOW, Drain("channels", queue=queue), id="channel-test", task_queue="channel-test"
        )
        for count in (1, 2):
            async with Worker(temporal, task_queue=queue, activities=activities):
                sold(world)
                await eventually(all_there, 20)
            assert await kept(live) == count
        await drain.terminate()


async def test_a_platform_that_goes_away_is_asked_ever_more_seldom_and_nothing_is_missed(
    channels: ChannelService, live: Database, world: Outside
) -> None:
    await connected(live, world)
    sold(world)
    listening = asyncio.ensure_future(channels.listen("pinduoduo", 120))

    async def the_first() -> bool:
        return await kept(live) == 1 and unacknowledged(world) == 0

    await eventually(the_first, 20)
    rule = {"match": {"platform": "pinduoduo"}, "fault": "down", "for_s": 3600}
    await world.break_things(rule)

    async def refused() -> int:
        (down,) = (await world.sim.admin("GET", "/faults"))["rules"]
        return int(down["hit"])

    async def cut_and_refused() -> bool:
        return await refused() >= 3

    await eventually(cut_and_refused, 20)
    at_first = await refused()
    sold(world, 3)
    await asyncio.sleep(4)
    assert await refused() - at_first <= 1, "the pauses grow: 1, 2, 4 seconds"
    assert await kept(live) == 1
    assert unacknowledged(world) == 3
    await world.sim.admin("POST", "/advance", json={"seconds": 3600})

    async def all_there() -> bool:
        return await kept(live) == 4 and unacknowledged(world) == 0

    await eventually(all_there, 40)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_a_message_that_was_overtaken_changes_nothing_and_one_that_was_lost_is_read_again(
    channels: ChannelService, live: Database, world: Outside
) -> None:
    await connected(live, world)
    topic = {"platform": "pinduoduo", "api": "pdd_trade_TradeConfirmed"}
    await world.break_things(
        {"match": topic, "fault": "drop_push", "times": 1},
        {"match": topic, "fault": "reorder_push", "seconds": 1, "times": 1},
        {"match": {**topic, "api": "pdd_trade_TradeSellerShip"}, "fault": "duplicate_push"},
    )
    state = world.sim.app.state.world
    lost = trade.pay(state, trade.place_order(state, SHOP))
    overtaken = trade.pay(state, trade.place_order(state, SHOP))
    trade.ship(state, overtaken, "SF1")
    listening = asyncio.ensure_future(channels.listen("pinduoduo", 60))

    async def heard() -> bool:
        return await kept(live) == 2 and unacknowledged(world) == 0

    await eventually(heard, 20)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    rules = (await world.sim.admin("GET", "/faults"))["rules"]
    assert [rule["hit"] for rule in rules] == [1, 1, 1], "each fault struck"
    later = replace(world.link, now=lambda: datetime.now(UTC) + timedelta(minutes=4))
    pulls = PullService(live, CONNECTORS, Connections(live), later)
    inbox = InboxService(live, CONNECTORS)
    await inbox.drain()
    assert await orders(live) == {overtaken.id: "shipped"}
    assert (await pulls.compare(f"pinduoduo/{SHOP}", "orders")).missing >= 1
    while (drained := await inbox.drain()).read:
        assert drained.quarantined == 0
    found = await orders(live)
    assert (found[lost.id], found[overtaken.id]) == ("paid", "shipped")


async def orders(live: Database) -> dict[str, str]:
    async with UnitOfWork(live) as work:
        return {row[0]: row[1] for row in await work.session.execute(text("SELECT order_id, status FROM orders"))}


async def test_who_is_not_let_in_and_who_is_not_there(world: Outside) -> None:
    account = await world.account("pinduoduo", client_secret="0" * 32)
    connector = CONNECTORS["pinduoduo"]
    assert isinstance(connector, Listens)
    refused = connector.channel(account)
    with pytest.raises(AuthenticationProblem, match="client_secret") as refusal:
        await _open(refused.address(world.sim.app.state.world.clock.now()))
    assert "0000" not in str(refusal.value)
    with pytest.raises(UnavailableProblem):
        await _open(f"ws://127.0.0.1:{free_port()}/message")


async def _open(address: str) -> None:
    async with open_websocket(address):
        raise AssertionError("it should not open")


async def test_a_broken_channel_is_opened_again(
    channels: ChannelService, live: Database, world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connected(live, world)
    times = []
    real = channels._listen_once

    async def shaky(platform: str, application: Any, count: Any) -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) == 1:
            raise UnavailableProblem(Text("断开", "broken"))
        await real(platform, application, count)

    monkeypatch.setattr(channels, "_listen_once", shaky)
    sold(world)
    listening = asyncio.ensure_future(channels.listen("pinduoduo", 60))

    async def heard() -> bool:
        return await kept(live) == 1

    await eventually(heard, 20)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert len(times) == 2
    assert times[1] - times[0] >= 1.0
