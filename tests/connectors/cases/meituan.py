"""Meituan: a refund of a meal that is read and paid."""

from datetime import timedelta
from typing import Any

from connectors.webhooks import WebhookRequest
from tests.connectors.case import Case, Effect, Pushes
from tests.connectors.harness import Outside


async def _subject(world: Outside) -> dict[str, Any]:
    return {"refund_id": (await world.sim.refund(shop="demo-meituan", amount_minor=2880, returns_goods=False))["id"]}


async def _push(world: Outside) -> WebhookRequest:
    await world.sim.refund(shop="demo-meituan", returns_goods=False, push=True)
    return (await world.pushes("meituan", 1))[0]


CASE = Case(
    platform="meituan",
    secrets=("app_secret",),
    first_setting="app_id",
    read="meituan.get_refund",
    subject=_subject,
    effect=Effect(
        call="meituan.agree_refund",
        api="order/refund/agree",
        ledger_kind="refund_agreed",
        query_api="order/refund/get",
    ),
    pushes=Pushes(
        send=_push,
        event="refund",
        stranger={"shop_id": "1"},
        window=timedelta(minutes=10),
    ),
    tokens=False,
    lists={"order/list": "订单", "order/refund/list": "退款", "food/list": "菜品与库存"},
)
