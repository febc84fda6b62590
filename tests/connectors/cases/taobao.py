"""Taobao: a refund that is read and paid. Its messages are pulled, see `test_taobao.py`."""

from typing import Any

from tests.connectors.case import Case, Effect
from tests.connectors.harness import Outside


async def _subject(world: Outside) -> dict[str, Any]:
    return {"refund_id": (await world.sim.refund(shop="demo-taobao", amount_minor=29900))["id"]}


CASE = Case(
    platform="taobao",
    secrets=("app_secret",),
    first_setting="app_key",
    read="taobao.get_refund",
    subject=_subject,
    effect=Effect(
        call="taobao.agree_refund",
        api="taobao.rp.refunds.agree",
        ledger_kind="refund_agreed",
        query_api="taobao.refund.get",
    ),
    lists={
        "taobao.trades.sold.increment.get": "订单",
        "taobao.refunds.receive.get": "退款",
        "taobao.items.onsale.get": "在售商品",
        "taobao.items.inventory.get": "仓库中的商品",
        "taobao.item.skus.get": "商品规格与库存",
    },
    parcels=True,
)
