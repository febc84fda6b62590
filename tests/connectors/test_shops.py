"""One table, shop by check: what shipping an order and settling a refund mean whatever the platform."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.catalog import CATALOG
from domain.problems import ConflictProblem, NotFoundProblem, ProblemError, ValidationProblem
from simulator import trade
from simulator.entities import Order
from tests.connectors.harness import Outside, connector, perform
from tests.connectors.pulls import events_of, pull_all


@dataclass(frozen=True)
class Shop:
    """shipping: its name on the wire. company: a carrier's code, where the platform is told of parcels.

    refused: what a refund is whose goods had come back already, after it was refused. order, refund: what the platform
    calls the state of each.
    """

    platform: str
    shipping: str = ""
    company: str = ""
    refused: str = "return_refused"
    order: str = "status"
    refund: str = "status"

    def call(self, name: str) -> str:
        return f"{self.platform}.{name}"


SHOPS = (
    Shop("douyin", "order.logisticsAdd", "shunfeng", order="order_status", refund="aftersale_status"),
    Shop("eleme", refund="refundStatus"),
    Shop("jd", "jingdong.pop.order.shipment", "2087", refused="refused", order="orderState"),
    Shop("meituan", refund="res_type"),
    Shop("pinduoduo", "pdd.logistics.online.send", "44", order="order_status", refund="after_sales_status"),
    Shop("taobao", "taobao.logistics.offline.send", "SF"),
    Shop("wechat_store", "channels/ec/order/delivery/send", "SF"),
    Shop("youzan"),
)


def having(call: str) -> Any:
    """Those shops that know a call."""
    return pytest.mark.parametrize(
        "shop", [shop for shop in SHOPS if shop.call(call) in CATALOG], ids=lambda shop: shop.platform
    )


async def order_of(world: Outside, shop: Shop) -> Order:
    """An order that is not paid."""
    return trade.place_order(world.sim.app.state.world, (await world.account(shop.platform)).slug)


async def refund_of(world: Outside, shop: Shop, **more: Any) -> dict[str, str]:
    made = await world.sim.refund(shop=(await world.account(shop.platform)).slug, **more)
    return {"refund_id": made["id"]}


def test_every_platform_that_settles_refunds_is_in_the_table() -> None:
    platforms = {name.removesuffix(".refuse_refund") for name in CATALOG if name.endswith(".refuse_refund")}
    assert {shop.platform for shop in SHOPS} == platforms
    shipping = {name.removesuffix(".ship_order") for name in CATALOG if name.endswith(".ship_order")}
    assert {shop.platform for shop in SHOPS if shop.shipping} == shipping - {"erp"}


@having("ship_order")
@pytest.mark.parametrize("fault", [None, "timeout_after", "timeout_before", "5xx", "busy"])
async def test_an_order_is_shipped_once_whatever_fails(world: Outside, shop: Shop, fault: str | None) -> None:
    client = await world.open(shop.platform)
    order = trade.pay(world.sim.app.state.world, await order_of(world, shop)).id
    if fault:
        match = {"platform": shop.platform, "api": shop.shipping}
        await world.break_things({"match": match, "fault": fault, "times": 2, "seconds": 1})
    parcel = {"order_id": order, "waybill": "SF1234567890123", "company": shop.company}
    shipped = await perform(client, shop.call("ship_order"), **parcel)
    assert (shipped.waybill, shipped.already) == ("SF1234567890123", fault == "timeout_after")
    assert (await perform(client, shop.call("ship_order"), key="again", **parcel)).already is True
    assert await world.effects(kind="shipped", tid=order) == 1
    with pytest.raises(ConflictProblem, match="SF1234567890123"):
        await perform(client, shop.call("ship_order"), key="other", **{**parcel, "waybill": "SF2"})


@having("ship_order")
async def test_what_is_not_paid_is_not_shipped(world: Outside, shop: Shop) -> None:
    order = (await order_of(world, shop)).id
    parcel = {"order_id": order, "waybill": "SF1", "company": shop.company}
    # Pinduoduo tells nobody of orders that are not paid.
    with pytest.raises((ConflictProblem, NotFoundProblem)):
        await perform(await world.open(shop.platform), shop.call("ship_order"), **parcel)
    assert await world.effects(kind="shipped", tid=order) == 0


@having("get_order")
async def test_an_order_that_is_not_there_is_final(world: Outside, shop: Shop) -> None:
    with pytest.raises(NotFoundProblem) as error:
        await perform(await world.open(shop.platform), shop.call("get_order"), order_id="1")
    assert error.value.problem.as_dict()["retryable"] is False


@having("get_refund")
async def test_a_refund_that_is_not_there_is_final(world: Outside, shop: Shop) -> None:
    # Youzan tells a number that cannot be from one that is nobody's.
    with pytest.raises((NotFoundProblem, ValidationProblem)) as error:
        await perform(await world.open(shop.platform), shop.call("get_refund"), refund_id="1")
    assert error.value.problem.as_dict()["retryable"] is False


@pytest.mark.parametrize("shop", SHOPS, ids=lambda shop: shop.platform)
@pytest.mark.parametrize("thing", ["order", "refund"])
async def test_a_row_in_a_state_nobody_knows_is_refused_by_its_word(world: Outside, shop: Shop, thing: str) -> None:
    # Later, so that what was made a moment ago is listed already.
    now = datetime.now(UTC) + timedelta(minutes=2)
    link, account = replace(world.link, now=lambda: now), await world.account(shop.platform)
    client = connector(shop.platform).open(account, link)
    await refund_of(world, shop, stage="asked", returns_goods=False)
    stream = next(each.name for each in client.streams if each.name.startswith(thing))
    records, _ = await pull_all(client, stream, now - timedelta(minutes=15), until=now + timedelta(minutes=5))
    assert events_of(records[:1], account)
    word = getattr(shop, thing)
    spoiled = replace(records[0], payload=json.dumps(_with(json.loads(records[0].payload), word, "ABDUCTED")).encode())
    with pytest.raises(ValidationProblem, match="ABDUCTED") as error:
        events_of([spoiled], account)
    assert error.value.problem.as_dict()["field"] == word


def _with(value: Any, name: str, word: str) -> Any:
    """What was read, with this word wherever a member has that name."""
    if isinstance(value, list):
        return [_with(each, name, word) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: word if key == name else _with(each, name, word) for key, each in value.items()}


@having("agree_return")
async def test_goods_come_back_before_the_money_goes(world: Outside, shop: Shop) -> None:
    client, refund = await world.open(shop.platform), await refund_of(world, shop, stage="asked")
    with pytest.raises(ConflictProblem):
        await perform(client, shop.call("agree_refund"), **refund)
    assert (await perform(client, shop.call("agree_return"), **refund)).status == "awaiting_return"
    assert (await perform(client, shop.call("agree_return"), key="again", **refund)).already is True
    assert (await perform(client, shop.call("get_refund"), **refund)).status == "awaiting_return"
    assert await world.effects(kind="refund_agreed", **refund) == 0


@having("agree_refund")
async def test_no_money_goes_while_the_buyer_still_has_the_goods(world: Outside, shop: Shop) -> None:
    if shop.platform == "jd":
        pytest.skip("only refunds of orders that were not shipped are settled there")
    client, state = await world.open(shop.platform), world.sim.app.state.world
    refund = await refund_of(world, shop, stage="asked")
    row = state.refunds.get(refund["refund_id"])
    for status in ("requested", "awaiting_return"):
        with pytest.raises(ConflictProblem, match=status) as error:
            await perform(client, shop.call("agree_refund"), **refund, key=status)
        assert error.value.problem.as_dict()["outcome"] == "not_done"
        assert await world.effects(kind="refund_agreed", **refund) == 0
        if status == "requested":
            row = trade.agree_return(state, row, row.version)
    trade.send_back(state, row)
    assert (await perform(client, shop.call("agree_refund"), **refund, key="returned")).status == "refunded"
    assert await world.effects(kind="refund_agreed", **refund) == 1


@having("agree_refund")
async def test_only_the_approved_amount_is_paid(world: Outside, shop: Shop) -> None:
    client = await world.open(shop.platform)
    refund = await refund_of(world, shop, amount_minor=60000, returns_goods=False)
    with pytest.raises(ConflictProblem, match=r"¥600\.00, approved was ¥500\.00") as error:
        await perform(client, shop.call("agree_refund"), **refund, amount_minor=50000)
    assert error.value.problem.as_dict()["retryable"] is False
    assert await world.effects(kind="refund_agreed", **refund) == 0
    assert (await perform(client, shop.call("agree_refund"), **refund, amount_minor=60000)).status == "refunded"
    assert await world.effects(kind="refund_agreed", **refund) == 1


@having("agree_refund")
async def test_a_refusal_is_certain_only_once_the_refund_was_read(world: Outside, shop: Shop) -> None:
    client, refund = await world.open(shop.platform), await refund_of(world, shop, returns_goods=False)
    await perform(client, shop.call("get_refund"), **refund)
    certain = []
    for readings in (0, 1):
        rule = {"match": {"platform": shop.platform}, "fault": "forbidden", "after": readings}
        await world.break_things(rule)
        with pytest.raises(ProblemError) as error:
            await perform(client, shop.call("agree_refund"), **refund)
        certain.append(error.value.problem.as_dict().get("asked_first", False))
    assert certain == [False, True], "an earlier attempt may have paid it: only the refund itself tells"


@having("refuse_refund")
@pytest.mark.parametrize("returns_goods", [True, False])
async def test_a_refund_is_refused_once_and_not_paid_after(world: Outside, shop: Shop, returns_goods: bool) -> None:
    client = await world.open(shop.platform)
    refund = await refund_of(world, shop, returns_goods=returns_goods)
    refused = await perform(client, shop.call("refuse_refund"), **refund, reason="商品已拆封")
    assert (refused.status, refused.already) == (shop.refused if returns_goods else "refused", False)
    again = await perform(client, shop.call("refuse_refund"), key="again", **refund, reason="商品已拆封")
    assert again.already is True
    assert await world.effects(kind="refund_refused", **refund) == 1
    with pytest.raises(ConflictProblem, match="refused"):
        await perform(client, shop.call("agree_refund"), key="paying", **refund)
