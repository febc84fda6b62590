"""Every shop's goods are read as they stand: with the merchant's codes, and how many of each are left."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest

from connectors.goods_lists import EVERY, GOODS
from connectors.single_reads import UNREAD_KIND
from domain.events import Event
from simulator import trade
from tests.connectors.harness import CONNECTORS, Outside, connector, perform
from tests.connectors.names import forget_names
from tests.connectors.pulls import events_of, pull_all

LISTING = sorted(name for name, each in CONNECTORS.items() if GOODS in getattr(each.client, "streams", ()))


def told(events: Iterable[Event], name: str, field: str) -> dict[str, Any]:
    """What the events say of each variant."""
    of_kind = (event.data for event in events if event.type == f"tandem.{name}")
    return {data["sku_id"]: data[field] for data in of_kind if data["sku_id"]}


def test_every_shop_with_a_list_of_goods_is_here() -> None:
    assert LISTING == ["douyin", "eleme", "jd", "meituan", "pinduoduo", "taobao", "wechat_store", "youzan"]


@pytest.mark.parametrize("platform", LISTING)
async def test_goods_come_with_codes_and_stock_and_again_when_they_are_sold(world: Outside, platform: str) -> None:
    account = await world.account(platform)
    goods = world.sim.app.state.world.goods.having(shop=account.slug)
    client, now = await world.open(platform), datetime.now(UTC)
    records, position = await pull_all(client, "goods", until=now)
    events = events_of(records, account)
    assert told(events, "goods.updated", "merchant_code") == {row.sku_id: row.code for row in goods}
    assert told(events, "goods.updated", "price_minor").keys() == {row.sku_id for row in goods}
    assert told(events, "stock.changed", "available") == {row.sku_id: row.stock for row in goods}
    assert {event.data["item_id"] for event in events} == {row.item_id for row in goods}
    assert all(row.title in " ".join(event.data.get("title", "") for event in events) for row in goods)
    sold = goods[0]
    trade.set_stock(world.sim.app.state.world, sold, 0)
    assert await pull_all(client, "goods", cursor=position, until=now + EVERY / 2) == ([], position)
    # The pass began a moment after `now`.
    again, _ = await pull_all(client, "goods", cursor=position, until=now + EVERY + timedelta(seconds=10))
    newest = events_of(again, account)
    assert told(newest, "stock.changed", "available")[sold.sku_id] == 0
    assert {each.id for each in newest}.isdisjoint({each.id for each in events}), "another moment, another event"


@pytest.mark.parametrize("platform", LISTING)
async def test_a_list_of_several_pages_is_read_to_its_end(
    world: Outside, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await world.open(platform)
    if platform in ("eleme", "meituan"):
        monkeypatch.setattr(client, "_wire", replace(client._wire, page_size=1))
    elif platform == "douyin":
        module = import_module("connectors.douyin.goods")
        monkeypatch.setattr(module, "PAGE_SIZE", 1)
        monkeypatch.setattr(module, "_ALL", replace(module._ALL, page_size=1))
    else:
        monkeypatch.setattr(import_module(f"connectors.{platform}.goods"), "_PAGE_SIZE", 1)
    account = await world.account(platform)
    records, _ = await pull_all(client, "goods", until=datetime.now(UTC))
    goods = world.sim.app.state.world.goods.having(shop=account.slug)
    assert told(events_of(records, account), "stock.changed", "available").keys() == {row.sku_id for row in goods}


@pytest.mark.parametrize("platform", LISTING)
async def test_lines_of_orders_name_the_merchant_s_code(world: Outside, platform: str) -> None:
    simulated, account = world.sim.app.state.world, await world.account(platform)
    order = trade.pay(simulated, trade.place_order(simulated, account.slug))
    code = simulated.goods.get(f"{order.shop}/{order.lines[0].sku_id}").code
    call = "youzan.get_trade" if platform == "youzan" else f"{platform}.get_order"
    found = await perform(await world.open(platform), call, order_id=order.id)
    assert [line.merchant_code for line in found.lines] == [code]


@pytest.mark.parametrize(
    ("platform", "api"),
    [
        ("douyin", "product.detail"),
        ("pinduoduo", "pdd.goods.detail.get"),
        ("wechat_store", "channels/ec/product/get"),
        ("youzan", "youzan.item.get"),
    ],
)
async def test_an_article_that_the_platform_does_not_tell_stops_no_other(
    world: Outside, monkeypatch: pytest.MonkeyPatch, platform: str, api: str
) -> None:
    forget_names(monkeypatch)
    account = await world.account(platform)
    articles = {row.item_id for row in world.sim.app.state.world.goods.having(shop=account.slug)}
    await world.break_things({"match": {"platform": platform, "api": api}, "fault": "forbidden", "times": 1})
    records, _ = await pull_all(connector(platform).open(account, world.link), "goods", until=datetime.now(UTC))
    aside = [json.loads(each.payload)["number"] for each in records if each.kind == UNREAD_KIND]
    events = events_of([each for each in records if each.kind != UNREAD_KIND], account)
    assert {event.data["item_id"] for event in events} | set(aside) == articles
    nameless = {each.data["item_id"] for each in events if "title" in each.data and not each.data["category"]}
    # Pinduoduo's list tells all of it but the category.
    assert (len(aside), len(nameless)) == ((0, 1) if platform == "pinduoduo" else (1, 0))
