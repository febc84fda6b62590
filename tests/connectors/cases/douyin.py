"""Douyin: a refund that is read and paid."""

from typing import Any

from connectors.webhooks import WebhookRequest
from tests.connectors.case import Case, Effect, Pushes
from tests.connectors.harness import Outside

SHOP = "demo-douyin"


async def _subject(world: Outside) -> dict[str, Any]:
    return {"refund_id": (await world.sim.refund(shop=SHOP, amount_minor=12900))["id"]}


async def _push(world: Outside) -> WebhookRequest:
    await world.sim.refund(shop=SHOP, push=True)
    return (await world.pushes("douyin", 1))[0]


CASE = Case(
    platform="douyin",
    secrets=("app_secret",),
    first_setting="app_key",
    read="douyin.get_refund",
    subject=_subject,
    effect=Effect(
        call="douyin.agree_refund", api="afterSale.Operate", ledger_kind="refund_agreed", query_api="afterSale.List"
    ),
    pushes=Pushes(send=_push, event="2*", stranger={"shop_id": 1}),
    lists={
        "order.searchList": "订单",
        "afterSale.List": "退款",
        "product.listV2": "商品与库存",
        "product.detail": "商品规格与库存",
    },
    parcels=True,
)
