"""JD: a refund application that is read and agreed to."""

from typing import Any

from tests.connectors.case import Case, Effect
from tests.connectors.harness import Outside


async def _subject(world: Outside) -> dict[str, Any]:
    return {"refund_id": (await world.sim.refund(shop="demo-jd", amount_minor=29900))["id"]}


CASE = Case(
    platform="jd",
    secrets=("app_secret",),
    first_setting="app_key",
    read="jd.get_refund",
    tested_api="jingdong.*",
    subject=_subject,
    effect=Effect(
        call="jd.agree_refund",
        api="jingdong.pop.afs.refundapply.replyRefund",
        ledger_kind="refund_agreed",
        query_api="jingdong.pop.afs.soa.refundapply.queryPageList",
    ),
    lists={
        "jingdong.pop.order.enSearch": "订单",
        "jingdong.pop.afs.soa.refundapply.queryPageList": "退款申请",
        "jingdong.asc.serviceAndRefund.view": "售后退款",
        "jingdong.asc.sync.list": "售后服务单",
        "jingdong.sku.read.searchSkuList": "商品与库存",
    },
    parcels=True,
)
