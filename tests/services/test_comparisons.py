"""What a comparison mends is right when it is compared again, on every platform: it sees no differences of its own
making."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.accounts import secret_fields
from connectors.loading import load_connectors
from domain.accounts import NewAccount
from domain.calls import Catalog
from services.accounts import PlatformAccounts
from services.connections import Connections
from services.identities import IdentityService
from services.inbox import InboxService
from services.intake import Intake
from services.pulls import PullService
from simulator import trade
from storage.encryption import Keyring
from storage.engine import Database
from tests.actors import an_actor
from tests.connectors.harness import Outside, outside

CONNECTORS = load_connectors(Catalog())
SHOPS = {
    "youzan": ("orders", "refunds"),
    "taobao": ("orders", "refunds"),
    "jd": ("orders", "orders_created", "refunds_requested", "refunds_checked", "aftersales_changed"),
    "pinduoduo": ("orders", "refunds"),
    "douyin": ("orders", "refunds", "goods"),
    "wechat_store": ("orders", "refunds"),
    "meituan": ("orders", "refunds"),
    "eleme": ("orders", "refunds"),
}


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[Outside]:
    async with outside() as running:
        # Later than any list lags, so that what was made a moment ago is not left for the next time.
        running.link = replace(running.link, now=lambda: datetime.now(UTC) + timedelta(minutes=4))
        yield running


@pytest.fixture
async def live(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=8)
    yield database
    await database.close()


@pytest.mark.parametrize("platform", SHOPS)
async def test_what_was_mended_is_right(live: Database, world: Outside, platform: str) -> None:
    account = await world.account(platform)
    simulated = world.sim.app.state.world
    with simulated.bulletin.quiet():
        for number in range(4):
            order = trade.pay(simulated, trade.place_order(simulated, account.slug))
            if number % 2:
                trade.request_refund(simulated, order)
    secrets = secret_fields(CONNECTORS[platform].settings)
    shown = {name: value for name, value in account.settings.items() if name not in secrets}
    hidden = {name: str(value) for name, value in account.settings.items() if name in secrets}
    new = NewAccount(platform=platform, slug=account.slug, name="店", unit_path="/", settings=shown, credentials=hidden)
    await PlatformAccounts(live, CONNECTORS).connect(an_actor("root"), new)
    pulls = PullService(live, CONNECTORS, Connections(live), world.link)
    name, missing = f"{platform}/{account.slug}", 0
    for stream in SHOPS[platform]:
        missing += (await pulls.compare(name, stream)).missing
    assert missing >= 4
    inbox = InboxService(live, CONNECTORS, Intake(IdentityService()))
    while (read := await inbox.drain()).read:
        assert read.quarantined == 0
    for stream in SHOPS[platform]:
        again = await pulls.compare(name, stream)
        assert (again.state, again.missing, again.differing, again.unread, again.parts) == ("done", 0, 0, 0, {}), stream
