"""A WeChat Store: a refund that is read and paid."""

from datetime import timedelta
from typing import Any

from connectors.webhooks import WebhookRequest
from tests.connectors.case import Case, Effect, Pushes
from tests.connectors.harness import Outside

STORE = "demo-wechat-store"


async def _subject(world: Outside) -> dict[str, Any]:
    return {"refund_id": (await world.sim.refund(shop=STORE, amount_minor=12900))["id"]}


async def _push(world: Outside) -> WebhookRequest:
    await world.sim.refund(shop=STORE, push=True)
    return (await world.pushes("wechat_store", 1))[0]


CASE = Case(
    platform="wechat_store",
    secrets=("app_secret",),
    first_setting="app_id",
    read="wechat_store.get_refund",
    tested_api="*ec/*",
    subject=_subject,
    effect=Effect(
        call="wechat_store.agree_refund",
        api="channels/ec/aftersale/acceptapply",
        ledger_kind="refund_agreed",
        query_api="channels/ec/aftersale/getaftersaleorder",
    ),
    pushes=Pushes(
        send=_push,
        event="channels_ec_aftersale_update",
        stranger={"app_id": "wx0000000000000000"},
        window=timedelta(minutes=10),
    ),
    lists={
        "channels/ec/order/list/get": "订单",
        "channels/ec/aftersale/getaftersalelist": "退款",
        "channels/ec/product/list/get": "商品与库存",
        "channels/ec/product/get": "商品规格与库存",
    },
    parcels=True,
)
