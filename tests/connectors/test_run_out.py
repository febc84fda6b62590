"""From every shop's own words to the tag 断粮: the order and the goods are read as the platform tells them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from services.category_filling import CategoryFilling
from services.definition_sources import SourceText
from services.identities import IdentityService
from services.intake import Arrival, Intake
from services.tagging import Tagging
from simulator import trade
from storage.article_categories import ArticleCategories
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.connectors.harness import CONNECTORS, Outside, connector
from tests.connectors.names import forget_names
from tests.connectors.pulls import events_of, pull_all
from tests.services.test_tagging import publish

HOUR = timedelta(hours=1)
RULE = Path("definitions/tags/replenishment.yaml")
SHOPS = sorted(
    name
    for name, each in CONNECTORS.items()
    if name not in ("erp", "wechat_pay") and any(s.name == "orders" for s in getattr(each.client, "streams", ()))
)


def test_every_shop_is_here() -> None:
    assert SHOPS == ["douyin", "eleme", "jd", "meituan", "pinduoduo", "taobao", "wechat_store", "youzan"]


@pytest.mark.parametrize("platform", SHOPS)
async def test_who_bought_cat_food_a_month_ago_has_run_out_of_it(
    world: Outside, database: Database, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    forget_names(monkeypatch)
    await publish(database, SourceText(RULE.name, RULE.read_text("utf-8")))
    account = await world.account(platform)
    simulated = world.sim.app.state.world
    for row in simulated.goods.having(shop=account.slug):
        simulated.goods.change(row, category="猫粮")
    order = trade.pay(simulated, trade.place_order(simulated, account.slug))
    # Later than any list lags, and within what signatures allow.
    later = datetime.now(UTC) + timedelta(minutes=5)
    client = connector(platform).open(account, replace(world.link, now=lambda: later))
    streams = [stream.name for stream in client.streams if stream.name in ("orders", "goods")]
    tagging = Tagging(database)
    for stream in streams:
        # The order first: what kind of goods it is of may come to be known later.
        records, _ = await pull_all(client, stream, since=order.created_at - HOUR, until=later)
        async with UnitOfWork(database) as work:
            arrivals = [Arrival.of(event, work.now) for event in events_of(records, account)]
            await Intake(IdentityService(), tagging).take_in(work, arrivals)
    await _follow(database, tagging)
    async with UnitOfWork(database) as work:
        lines = text("SELECT category FROM order_lines JOIN orders ON orders.id = order_key WHERE order_id = :order")
        assert set(await work.session.scalars(lines, {"order": order.id})) == {"猫粮"}
    clock.advance(days=29)
    assert (await tagging.check_due()).gained == 0
    clock.advance(days=1, minutes=10)
    assert (await tagging.check_due()).gained == 1
    async with UnitOfWork(database) as work:
        held = list(await work.session.scalars(text("SELECT tag FROM customer_tags WHERE held")))
    assert held == ["断粮"]


async def _follow(database: Database, tagging: Tagging) -> None:
    while True:
        async with UnitOfWork(database) as work:
            if not await ArticleCategories(work).any_behind():
                return
        await CategoryFilling(database, tagging).fill()
