"""The ERP port: a shipping order that is read, and one that is made."""

from datetime import timedelta
from typing import Any

from connectors.connection_report import ConnectionFault
from connectors.webhooks import WebhookRequest
from simulator.platforms.erp import ErpOrder
from tests.connectors.case import Case, Effect, Pushes
from tests.connectors.harness import Outside

LINES = [{"sku": "DT-001-M", "quantity": 1, "title": "羊毛大衣"}]


async def _subject(world: Outside) -> dict[str, Any]:
    """An order that somebody else has had sent once already."""
    simulated = world.sim.app.state.world
    number = simulated.next("tests")
    now = simulated.clock.now()
    order = ErpOrder(
        id=f"ERP{number}",
        account="demo-erp",
        order_id=f"69{number:017d}",
        shop="douyin/demo-douyin",
        lines=tuple(LINES),
        state="shipped",
        waybill=f"SF{number:013d}",
        company="顺丰速运",
        version=int(now.timestamp() * 1000),
        changed_at=now,
    )
    simulated.shelf("erp_order", ErpOrder).put(order)
    return {"order_id": order.order_id}


async def _push(world: Outside) -> WebhookRequest:
    goods = next(iter(world.sim.app.state.world.goods))
    subjects = {"shop": goods.shop, "sku_id": goods.sku_id}
    wanted = {"platform": "erp", "account": "demo-erp", "event": "stock", "subjects": subjects}
    await world.sim.admin("POST", "/push", json=wanted)
    return (await world.pushes("erp", 1))[0]


CASE = Case(
    platform="erp",
    secrets=("secret",),
    first_setting="client_id",
    read="erp.get_shipping_order",
    faults={"forbidden": ConnectionFault.PERMISSION},
    subject=_subject,
    effect=Effect(
        call="erp.create_shipping_order",
        api="shipping-orders",
        ledger_kind="shipping_order_created",
        query_api="shipping-orders",
        more={"shop": "douyin/demo-douyin", "lines": LINES},
        spends=False,
    ),
    pushes=Pushes(
        send=_push,
        event="stock",
        stranger={"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        window=timedelta(minutes=5),
    ),
    tokens=False,
    lists={"waybills": "运单", "stock": "库存"},
)
