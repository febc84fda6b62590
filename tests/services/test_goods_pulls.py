"""A shop's goods and an ERP's stock, read from the simulator, meet by the merchant's codes."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

import pytest
from sqlalchemy import text

from connectors.goods_lists import EVERY
from connectors.loading import load_connectors
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.catalog.goods import GoodsCheckArguments
from services.accounts import PlatformAccounts
from services.connections import Connections
from services.goods import GoodsService
from services.inbox import InboxService
from services.pulls import PullService
from simulator.trade import set_stock
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.connectors.harness import Outside, outside

CONNECTORS = load_connectors(Catalog())
SHOP, WAREHOUSE = "youzan/demo-apparel", "erp/demo-erp"
SECRETS = {"client_secret", "secret"}


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[Outside]:
    async with outside() as running:
        yield running


@pytest.fixture
async def pulls(database: Database, world: Outside) -> PullService:
    for platform in ("youzan", "erp"):
        account = await world.account(platform)
        settings = dict(account.settings)
        credentials = {name: str(settings.pop(name)) for name in SECRETS & settings.keys()}
        new = NewAccount(
            platform=platform, slug=account.slug, name=account.slug, settings=settings, credentials=credentials
        )
        await PlatformAccounts(database, CONNECTORS).connect(an_actor("root"), new)
    return PullService(database, CONNECTORS, Connections(database), world.link)


async def read(database: Database, pulls: PullService, account_id: str, stream: str) -> int:
    """How many records were new to the inbox."""
    missed, more = 0, True
    while more:
        pulled = await pulls.pull(account_id, stream)
        missed, more = missed + pulled.missed, pulled.more
    inbox = InboxService(database, CONNECTORS)
    while (drained := await inbox.drain()).read:
        assert drained.quarantined == 0
    return missed


async def test_what_the_erp_sells_out_is_no_longer_sellable_in_the_shop(
    database: Database, pulls: PullService, world: Outside
) -> None:
    simulated = world.sim.app.state.world
    goods = simulated.goods.having(shop="demo-apparel")
    articles = {row.item_id for row in goods}
    assert await read(database, pulls, SHOP, "goods") == len(articles)
    sold = goods[0]
    asked = GoodsCheckArguments(platform="youzan", account="demo-apparel", item_id=sold.item_id, sku_id=sold.sku_id)
    before = await GoodsService(database).check(asked)
    assert (before.sellable, before.available) == (True, sold.stock)
    set_stock(simulated, sold, 0)
    assert await read(database, pulls, WAREHOUSE, "stock") > 0
    assert (await GoodsService(database).check(asked)).sellable is False
    set_stock(simulated, sold, 40)


async def test_goods_that_are_as_they_were_stay_out_of_the_inbox(
    database: Database, pulls: PullService, world: Outside
) -> None:
    simulated = world.sim.app.state.world
    assert await read(database, pulls, SHOP, "goods") > 0
    later = replace(world.link, now=lambda: datetime.now(UTC) + EVERY)
    again = PullService(database, CONNECTORS, Connections(database), later)
    assert (await again.pull(SHOP, "goods")).missed == 0, "nothing was sold"
    sold = simulated.goods.having(shop="demo-apparel")[0]
    set_stock(simulated, sold, sold.stock - 1)
    later = replace(world.link, now=lambda: datetime.now(UTC) + 2 * EVERY + timedelta(minutes=1))
    again = PullService(database, CONNECTORS, Connections(database), later)
    assert await read(database, again, SHOP, "goods") == 1
    compared = await again.compare(SHOP, "goods")
    assert (compared.missing, compared.differing) == (0, 0)
    async with UnitOfWork(database) as work:
        await work.session.execute(text("DELETE FROM goods WHERE sku_id = ''"))
    compared = await again.compare(SHOP, "goods")
    assert compared.missing == len({row.item_id for row in simulated.goods.having(shop="demo-apparel")})


async def test_an_article_that_cannot_be_read_is_set_aside_once_however_often_it_is_listed(
    database: Database, pulls: PullService, world: Outside
) -> None:
    simulated = world.sim.app.state.world
    article = simulated.goods.having(shop="demo-apparel")[0]
    rows = [row for row in simulated.goods.having(shop="demo-apparel") if row.item_id == article.item_id]
    for row in rows:
        simulated.goods.change(row, title="长" * 600)
    try:
        await pull_all(pulls)
        later = replace(world.link, now=lambda: datetime.now(UTC) + EVERY + timedelta(minutes=1))
        await pull_all(PullService(database, CONNECTORS, Connections(database), later))
    finally:
        for row in rows:
            simulated.goods.change(simulated.goods.get(row.id), title=row.title)
    while (await InboxService(database, CONNECTORS).drain()).read:
        pass
    async with UnitOfWork(database) as work:
        aside = await work.session.scalars(text("SELECT reason FROM inbox WHERE state = 'quarantined'"))
    assert len(list(aside)) == 1, "it is set aside once"


async def readings(database: Database, world: Outside) -> AsyncIterator[int]:
    """The shop's list of goods, read whole once for each step, as often as it is read by itself."""
    for number in count():
        ahead = number * (EVERY + timedelta(seconds=1))
        link = replace(world.link, now=partial(_in, ahead))
        yield await read(database, PullService(database, CONNECTORS, Connections(database), link), SHOP, "goods")


def _in(time: timedelta) -> datetime:
    return datetime.now(UTC) + time


async def pull_all(pulls: PullService) -> None:
    while (await pulls.pull(SHOP, "goods")).more:
        pass


async def test_an_article_that_two_readings_name_no_more_is_not_on_sale_until_one_does(
    database: Database, pulls: PullService, world: Outside
) -> None:
    goods = world.sim.app.state.world.goods
    gone = goods.having(shop="demo-apparel")[0]
    rows = [row for row in goods.having(shop="demo-apparel") if row.item_id == gone.item_id]
    asked = GoodsCheckArguments(platform="youzan", account="demo-apparel", item_id=gone.item_id, sku_id=gone.sku_id)
    reading = readings(database, world)

    async def sellable() -> bool:
        """After one more reading of the list."""
        await anext(reading)
        return (await GoodsService(database).check(asked)).sellable

    assert await sellable()
    assert await sellable()
    for row in rows:
        goods.change(row, shop="demo-beauty")
    try:
        assert await sellable(), "a list may be short for once"
        assert not await sellable()
        kept = goods.having(shop="demo-apparel")[0]
        other = asked.model_copy(update={"item_id": kept.item_id, "sku_id": kept.sku_id})
        assert (await GoodsService(database).check(other)).sellable
    finally:
        for row in rows:
            goods.change(goods.get(row.id), shop="demo-apparel")
    assert await sellable()


async def test_a_variant_that_two_readings_name_no_more_is_not_on_sale_while_its_article_stays(
    database: Database, pulls: PullService, world: Outside
) -> None:
    goods = world.sim.app.state.world.goods
    articles: dict[str, list[str]] = {}
    for row in goods.having(shop="demo-apparel"):
        articles.setdefault(row.item_id, []).append(row.id)
    gone, kept = next(rows for rows in articles.values() if len(rows) > 1)[:2]
    reading = readings(database, world)

    async def sellable(row_id: str) -> bool:
        """As the list says that was read last."""
        row = goods.get(row_id)
        asked = GoodsCheckArguments(platform="youzan", account="demo-apparel", item_id=row.item_id, sku_id=row.sku_id)
        return (await GoodsService(database).check(asked)).sellable

    await anext(reading)
    await anext(reading)
    assert await sellable(gone)
    goods.change(goods.get(gone), shop="demo-beauty")
    try:
        await anext(reading)
        assert await sellable(gone), "a list may be short for once"
        await anext(reading)
        assert not await sellable(gone)
        assert await sellable(kept)
    finally:
        goods.change(goods.get(gone), shop="demo-apparel")
    await anext(reading)
    assert await sellable(gone)
