"""How many requests the first reading of a shop takes: a platform counts them, and we go slowly in bulk."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.connectors.harness import Outside
from tests.connectors.pulls import events_of, pull_all


@pytest.mark.parametrize(
    ("platform", "api", "days", "most"),
    [
        ("taobao", "taobao.trades.sold.increment.get", 90, 110),
        ("jd", "jingdong.pop.order.enSearch", 180, 20),
        ("youzan", "youzan.trades.sold.get", 730, 40),
        ("douyin", "order.searchList", 90, 25),
        ("meituan", "order/list", 90, 100),
    ],
)
async def test_the_past_of_a_quiet_shop_takes_few_requests(
    world: Outside, platform: str, api: str, days: int, most: int
) -> None:
    client, account, now = await world.open(platform), await world.account(platform), datetime.now(UTC)
    await world.break_things({"match": {"platform": platform, "api": api}, "fault": "slow", "seconds": 0})
    records, _ = await pull_all(client, "orders", now - timedelta(days=days), until=now)
    (asked,) = (await world.sim.admin("GET", "/faults"))["rules"]
    read = {event.subject for event in events_of(records, account)}
    orders = world.sim.app.state.world.orders.having(shop=account.slug)
    since = now - timedelta(days=days - 1)
    wanted = {f"order:{order.id}" for order in orders if order.updated_at > since}
    assert wanted
    assert wanted - read == set()
    assert 0 < asked["hit"] <= most
