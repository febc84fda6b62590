"""Ele.me: a refund of a meal that is read and paid."""

from datetime import timedelta
from typing import Any

from connectors.webhooks import WebhookRequest
from tests.connectors.case import Case, Effect, Pushes
from tests.connectors.harness import Outside


async def _subject(world: Outside) -> dict[str, Any]:
    return {"refund_id": (await world.sim.refund(shop="demo-eleme", amount_minor=2880, returns_goods=False))["id"]}


async def _push(world: Outside) -> WebhookRequest:
    await world.sim.refund(shop="demo-eleme", returns_goods=False, push=True)
    return (await world.pushes("eleme", 1))[0]


CASE = Case(
    platform="eleme",
    secrets=("app_secret",),
    first_setting="app_key",
    read="eleme.get_refund",
    subject=_subject,
    effect=Effect(
        call="eleme.agree_refund",
        api="eleme.order.agreeRefund",
        ledger_kind="refund_agreed",
        query_api="eleme.order.getRefundOrder",
    ),
    pushes=Pushes(
        send=_push,
        event="30",
        stranger={"shop_id": 1},
        window=timedelta(minutes=10),
    ),
    lists={
        "eleme.order.getOrders": "订单",
        "eleme.order.getRefundOrders": "退款",
        "eleme.product.item.queryItemByPage": "菜品与库存",
    },
)
