"""Pinduoduo: a refund that is read and paid. Its messages come over a channel, see `test_pinduoduo.py`."""

from typing import Any

from tests.connectors.case import Case, Effect
from tests.connectors.harness import Outside


async def _subject(world: Outside) -> dict[str, Any]:
    return {"refund_id": (await world.sim.refund(shop="demo-pinduoduo", amount_minor=29900))["id"]}


CASE = Case(
    platform="pinduoduo",
    secrets=("client_secret",),
    first_setting="client_id",
    read="pinduoduo.get_refund",
    subject=_subject,
    effect=Effect(
        call="pinduoduo.agree_refund",
        api="pdd.refund.agree",
        ledger_kind="refund_agreed",
        query_api="pdd.refund.information.get",
    ),
    lists={
        "pdd.order.number.list.increment.get": "订单",
        "pdd.refund.list.increment.get": "退款",
        "pdd.goods.list.get": "商品与库存",
    },
    parcels=True,
)
