"""What people do beside buying, from the platform that tells of it to the tag: coupons, carts and chats."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client, ScheduleHandle
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.pulls import PullActivities
from connectors.accounts import secret_fields
from connectors.loading import load_connectors
from connectors.webhooks import WebhookRequest
from domain.accounts import NewAccount
from domain.calls import Catalog
from services.accounts import PlatformAccounts
from services.connections import Connections
from services.identities import IdentityService
from services.inbox import InboxService
from services.intake import Intake
from services.pulls import PullService
from services.tagging import Tagging
from storage.encryption import Keyring
from storage.engine import Database
from storage.inbox import Inbox
from storage.unit_of_work import UnitOfWork
from tests.activities.test_drains import drains_of
from tests.actors import an_actor
from tests.connectors.harness import Outside, outside
from tests.services.house import House as Services
from tests.services.house import eventually
from tests.services.test_tagging import SHIPPED, publish
from workflows.housekeeping import PullWorkflow
from workflows.messages import FLOWS_QUEUE, Drain

ADMIN = an_actor("root")
CONNECTORS = load_connectors(Catalog())
EVERYWHERE = "c000001"
"""Somebody who has an account on every platform."""


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Outside]:
    async with outside() as world:
        world.link = replace(world.link, answer_timeout_s=10)
        world.receiver.answer = "success"
        yield world


@pytest.fixture
async def world(running: Outside) -> Outside:
    await running.be_new()
    return running


class House:
    """A Tandem with the shipped tags, whose clock can be ahead of the world's."""

    def __init__(self, database_url: str, world: Outside) -> None:
        self.ahead = timedelta()
        keys = Keyring({"k1": b"1" * 32})
        self.database = Database(database_url, keys, pool_size=8, clock=lambda: datetime.now(UTC) + self.ahead)
        self.tagging = Tagging(self.database)
        self.inbox = InboxService(self.database, CONNECTORS, Intake(IdentityService(), self.tagging))
        self.world = world

    async def connect(self, platform: str, **changes: Any) -> str:
        account, connector = await self.world.account(platform, **changes), CONNECTORS[platform]
        secrets = secret_fields(connector.settings)
        shown = {name: value for name, value in account.settings.items() if name not in secrets}
        hidden = {name: str(value) for name, value in account.settings.items() if name in secrets}
        new = NewAccount(
            platform=platform, slug=account.slug, name=platform, unit_path="/", settings=shown, credentials=hidden
        )
        return (await PlatformAccounts(self.database, CONNECTORS).connect(ADMIN, new)).id

    async def hears(self, platform: str, count: int, **changes: Any) -> None:
        """Take the platform's next pushes in, the last first, each of them twice."""
        account = await self.world.account(platform, **changes)
        requests = await self.world.pushes(platform, count)
        assert len(requests) == count, "it was pushed"
        self.world.receiver.pushes.clear()
        for request in requests[::-1] * 2:
            verified = CONNECTORS[platform].verify(request, account)
            assert CONNECTORS[platform].uses(verified.kind), verified.kind
            await self.inbox.accept(platform, account.slug, verified)
        await self.drain()

    @property
    def pull_service(self) -> PullService:
        return PullService(self.database, CONNECTORS, Connections(self.database), self.world.link)

    async def pulls(self, account: str, stream: str) -> int:
        pulled = await self.pull_service.pull(account, stream)
        await self.drain()
        return pulled.missed

    async def drain(self) -> None:
        while (read := await self.inbox.drain()).read:
            assert read.quarantined == 0

    async def is_behind(self) -> bool:
        async with UnitOfWork(self.database) as work:
            return await Inbox(work).has_waiting(["wecom"])

    async def later(self, **time: float) -> None:
        """So much time passes here, and tags are looked at that time alone changes."""
        self.ahead += timedelta(**time)
        await self.tagging.check_due()

    async def rows(self, kind: str) -> list[tuple[Any, ...]]:
        told = "SELECT name, state, channel, amount_minor FROM interactions WHERE kind = :kind ORDER BY key"
        async with UnitOfWork(self.database) as work:
            return [tuple(row) for row in await work.session.execute(text(told), {"kind": kind})]

    async def tags(self) -> list[str]:
        async with UnitOfWork(self.database) as work:
            return list(
                await work.session.scalars(text("SELECT tag FROM customer_tags WHERE held AND customer_id IS NOT NULL"))
            )

    async def happens(self, does: str, **more: Any) -> dict[str, Any]:
        doing = {"customer_id": EVERYWHERE, "does": does, **more}
        done: dict[str, Any] = await self.world.sim.admin("POST", "/doings", json=doing)
        return done


@pytest.fixture
async def house(database_url: str, world: Outside) -> AsyncIterator[House]:
    house = House(database_url, world)
    await publish(house.database, *SHIPPED)
    yield house
    await house.database.close()


@pytest.mark.parametrize(("platform", "shop"), [("youzan", "demo-apparel"), ("wechat_store", "demo-wechat-store")])
async def test_a_coupon_taken_live_is_pushed_and_makes_hesitating_until_it_is_used(
    house: House, platform: str, shop: str
) -> None:
    live = {"live_coupons": [f"{shop}-1000"]}
    await house.connect(platform, **live)
    coupon = await house.happens("take_coupon", shop=shop, source="live", value_minor=1000)
    await house.happens("take_coupon", shop=shop, source="shop", value_minor=500)
    await house.hears(platform, 2, **live)
    assert sorted(await house.rows("coupon"), key=str) == [
        (f"{shop}-1000", "taken", "live", None),
        (f"{shop}-500", "taken", None, None),
    ]
    assert await house.tags() == []
    await house.later(days=3)
    assert await house.tags() == ["犹豫型"]
    used = await house.world.sim.admin("POST", f"/coupons/{coupon['id']}/spend", json={"order_id": "E1"})
    assert used["state"] == "used"
    await house.hears(platform, 1, **live)
    assert (f"{shop}-1000", "used", "live", None) in await house.rows("coupon")
    assert await house.tags() == []


async def test_a_coupon_that_runs_out_is_told_by_a_wechat_store_alone(house: House) -> None:
    await house.connect("wechat_store")
    coupon = await house.happens("take_coupon", shop="demo-wechat-store")
    await house.world.sim.admin("POST", f"/coupons/{coupon['id']}/spend", json={})
    await house.hears("wechat_store", 2)
    assert await house.rows("coupon") == [("demo-wechat-store-1000", "expired", None, None)]


async def test_a_cart_of_the_site_is_told_and_makes_waiting_until_it_is_emptied(house: House) -> None:
    await house.connect("site")
    goods = (await house.world.sim.admin("GET", "/goods", params={"shop": "demo-apparel"}))["goods"][0]
    cart = await house.happens("fill_cart", shop="demo-site", sku_ids=[goods["sku_id"]])
    await house.hears("site", 1)
    assert await house.rows("cart") == [(None, "open", None, goods["price_minor"])]
    assert await house.tags() == []
    await house.later(minutes=31)
    assert await house.tags() == ["加购未买"]
    await house.world.sim.admin("POST", f"/carts/{cart['id']}/end", json={})
    await house.hears("site", 1)
    assert await house.rows("cart") == [(None, "cleared", None, goods["price_minor"])]
    assert await house.tags() == []


ASKED = ("有优惠吗", "最近有没有优惠券", "能便宜一点吗，打折吗")


async def test_what_a_follower_writes_to_the_account_is_pushed_and_says_what_they_look_for(house: House) -> None:
    await house.connect("official_account")
    await house.happens("follow", account="demo-official-account")
    for words in ASKED:
        await house.happens("write", account="demo-official-account", text=words)
    await house.hears("official_account", 4)
    assert await house.rows("chat") == [("in", "text", None, None)] * 3
    assert await house.tags() == ["促销敏感"]


async def test_what_a_contact_writes_to_a_member_is_fetched_from_the_archive(house: House) -> None:
    corp = await house.connect("wecom")
    house.world.sim.app.state.world.chats.clear()
    friend = await house.world.sim.friend()
    for words in ASKED:
        await house.world.sim.admin(
            "POST", "/doings", json={"customer_id": friend["id"], "does": "chat", "text": words}
        )
    said = {"customer_id": friend["id"], "does": "chat", "text": "有的，满减券发您了", "direction": "out"}
    await house.world.sim.admin("POST", "/doings", json=said)
    (told, *_) = await house.world.pushes("wecom", 4)
    account = await house.world.account("wecom")
    verified = CONNECTORS["wecom"].verify(told, account)
    assert (verified.kind, CONNECTORS["wecom"].to_events(verified, account)) == ("msgaudit_notify", [])
    assert await house.pulls(corp, "chats") == 4
    assert await house.pulls(corp, "chats") == 0, "read on from the last one"
    assert sorted(row[0] for row in await house.rows("chat")) == ["in", "in", "in", "out"]
    assert await house.tags() == ["促销敏感"]


async def test_a_corp_without_an_archive_has_no_chats_and_no_error(house: House) -> None:
    corp = await house.connect("wecom", archive_url=None, archive_secret=None)
    assert await house.pulls(corp, "chats") == 0
    assert await house.rows("chat") == []


async def _chats(house: House, count: int) -> list[WebhookRequest]:
    """So many chats are said; what the platform pushes of them."""
    house.world.receiver.pushes.clear()
    friend = await house.world.sim.friend()
    for number in range(count):
        doing = {"customer_id": friend["id"], "does": "chat", "text": f"第 {number} 句"}
        await house.world.sim.admin("POST", "/doings", json=doing)
    return await house.world.pushes("wecom", count)


async def _accepts(house: House, request: WebhookRequest) -> bool:
    account = await house.world.account("wecom")
    return await house.inbox.accept("wecom", account.slug, CONNECTORS["wecom"].verify(request, account))


def _has_chats(house: House, count: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return len(await house.rows("chat")) == count

    return look


@asynccontextmanager
async def _draining(services: Services, house: House) -> AsyncIterator[None]:
    stage = ActivityEnvironment()
    drain = asyncio.create_task(stage.run(drains_of(services, house.inbox).drain, Drain("inbox")))
    yield
    stage.worker_shutdown()
    await drain


@asynccontextmanager
async def _working(house: House, temporal: Client) -> AsyncIterator[ScheduleHandle]:
    """The workers, the drain, and the schedule of the corp's chats, whose strokes do not come."""
    corp = await house.connect("wecom")
    services = Services(house.database, temporal)
    await services.pull_schedules.sync()
    schedule = temporal.get_schedule_handle(f"stream/pull/{corp}/chats")
    await schedule.pause()
    flows = Worker(temporal, task_queue=FLOWS_QUEUE, workflows=[PullWorkflow])
    platform = Worker(temporal, task_queue="platform.wecom", activities=[PullActivities(house.pull_service).pull])
    async with flows, platform, _draining(services, house):
        yield schedule
    await PlatformAccounts(house.database, CONNECTORS).set_active(ADMIN, corp, False)
    await services.pull_schedules.sync()
    await services.close()


async def test_a_chat_is_here_within_seconds_of_the_push_that_says_there_is_one(house: House, temporal: Client) -> None:
    house.world.sim.app.state.world.chats.clear()
    async with _working(house, temporal):
        (told,) = await _chats(house, 1)
        assert await _accepts(house, told)
        await eventually(_has_chats(house, 1), seconds=10)
        await _chats(house, 1)
        assert not await _accepts(house, told), "one of the same second looks the same"
        await eventually(_has_chats(house, 2), seconds=10)


async def test_twenty_pushes_in_a_moment_make_few_readings(house: House, temporal: Client) -> None:
    house.world.sim.app.state.world.chats.clear()
    async with _working(house, temporal) as schedule:
        before = (await schedule.describe()).info.num_actions
        pushed, began = await _chats(house, 20), time.monotonic()
        for told in pushed:
            await _accepts(house, told)
            # Longer than what the drain takes together.
            await asyncio.sleep(0.12)
        await eventually(_has_chats(house, 20), seconds=10)
        await asyncio.sleep(3)
        # One a second, for as long as the drain may have been behind.
        seconds = time.monotonic() - began
        assert 1 <= (await schedule.describe()).info.num_actions - before <= 2 + seconds < 15
        (told,) = await _chats(house, 1)
        await _accepts(house, told)
        await eventually(_has_chats(house, 21), seconds=10)


async def test_while_temporal_is_away_pushes_are_read_and_chats_come_in_their_turn(house: House) -> None:
    corp = await house.connect("wecom")
    house.world.sim.app.state.world.chats.clear()
    (told,) = await _chats(house, 1)
    away = Services(house.database, await Client.connect("127.0.0.1:1", lazy=True))
    began = time.monotonic()
    async with _draining(away, house):
        await _accepts(house, told)

        async def is_read() -> bool:
            return not await house.is_behind()

        await eventually(is_read)
        assert time.monotonic() - began < 2
        await asyncio.sleep(0.5)
    assert await house.pulls(corp, "chats") == 1
