"""Youzan: a refund that is read and paid."""

from typing import Any

from connectors.connection_report import ConnectionFault
from connectors.webhooks import WebhookRequest
from tests.connectors.case import Case, Effect, Pushes
from tests.connectors.harness import Outside


async def _subject(world: Outside) -> dict[str, Any]:
    return {"refund_id": (await world.sim.refund(amount_minor=29900))["id"]}


async def _push(world: Outside) -> WebhookRequest:
    await world.sim.refund(push=True)
    return (await world.pushes("youzan", 1))[0]


CASE = Case(
    platform="youzan",
    secrets=("client_secret",),
    first_setting="client_id",
    read="youzan.get_refund",
    tested_api="youzan.*",
    faults={"untrusted_ip": ConnectionFault.PERMISSION},
    subject=_subject,
    effect=Effect(
        call="youzan.agree_refund",
        api="youzan.trade.refund.agree",
        ledger_kind="refund_agreed",
        query_api="youzan.trade.refund.get",
    ),
    pushes=Pushes(send=_push, event="trade_refund_*", stranger={"kdt_id": 1}, useless=("trade_TradeMemoModified",)),
    lists={
        "youzan.trades.sold.get": "订单",
        "youzan.trade.refund.search": "退款",
        "youzan.items.onsale.get": "在售商品",
        "youzan.items.inventory.get": "仓库中的商品",
        "youzan.item.get": "商品规格与库存",
        "youzan.ump.coupon.search": "优惠券",
        "youzan.ump.coupon.consume.fetchlogs.get": "优惠券",
    },
    parcels=True,
)
