"""The first reading of a shop: in windows that the platform takes, none of which holds more than it shows; and how many
requests it takes, for a platform counts them, and we go slowly in bulk."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.events import rfc3339
from tests.connectors.cases import CASES
from tests.connectors.harness import CONNECTORS, Outside
from tests.connectors.pulls import events_of, pull_all, pull_once

PULLED = [each.platform for each in CASES if hasattr(CONNECTORS[each.platform].client, "streams")]


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


@pytest.mark.parametrize("platform", PULLED)
async def test_the_past_is_asked_for_in_windows_that_the_platform_takes(world: Outside, platform: str) -> None:
    client, now = await world.open(platform), datetime.now(UTC)
    for stream in client.streams:
        position: Any = {"since": rfc3339(now - stream.reaches_back - timedelta(days=9))}
        # Windows grow where little is told: so many are enough for the widest.
        for _ in range(12):
            page = await pull_once(client, stream.name, position, now)
            position = page.cursor
            if not page.more:
                break


async def test_youzan_is_asked_for_no_more_refunds_of_a_window_than_it_shows(world: Outside) -> None:
    refunds, now = world.sim.app.state.world.refunds, datetime.now(UTC)
    first = refunds.get((await world.sim.refund())["id"])
    made = {f"{first.id}{number:04d}" for number in range(3_050)}
    for number, name in enumerate(sorted(made)):
        at = now - timedelta(days=10) + timedelta(seconds=number)
        refunds.seed(first.replaced(id=name, created_at=at, modified_at=at))
    records, _ = await pull_all(await world.open("youzan"), "refunds", now - timedelta(days=20), until=now)
    assert made - {json.loads(record.payload)["refund_id"] for record in records} == set()
