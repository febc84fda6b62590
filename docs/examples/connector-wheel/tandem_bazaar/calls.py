"""What a flow can ask of a Bazaar shop."""

from pydantic import Field

from domain.calls import Call, Result
from domain.canonical import OrderStatus
from domain.catalog.platforms import (
    EFFECT_DEADLINE_S,
    EFFECT_RETRY,
    READ_DEADLINE_S,
    READ_RETRY,
    PlatformArguments,
    platform_queue,
)
from domain.money import AmountMinor
from domain.problems import Text

QUEUE = platform_queue("bazaar")


class OrderArguments(PlatformArguments):
    """One order of the shop."""

    order_id: str = Field(min_length=1, max_length=64, pattern=r"^\w+$", description="订单号 · The order's number")


class OrderOutput(Result):
    """The order as it is now; amounts in fen."""

    order_id: str
    status: OrderStatus
    paid_minor: AmountMinor
    waybill: str | None = None


class ShipOrderArguments(OrderArguments):
    """The order, and the parcel it went out in."""

    waybill: str = Field(min_length=1, max_length=64, description="运单号 · The parcel's number")


GET_ORDER: Call[OrderArguments, OrderOutput] = Call(
    name="bazaar.get_order",
    title=Text("读取集市订单", "Read a Bazaar order"),
    input=OrderArguments,
    output=OrderOutput,
    queue=QUEUE,
    timeout_s=15,
    deadline_s=READ_DEADLINE_S,
    retry=READ_RETRY,
    example={"order_id": "B1", "status": "paid", "paid_minor": 9900},
)
SHIP_ORDER: Call[ShipOrderArguments, OrderOutput] = Call(
    name="bazaar.ship_order",
    title=Text("集市订单发货", "Ship a Bazaar order"),
    input=ShipOrderArguments,
    output=OrderOutput,
    effect="keyed",
    queue=QUEUE,
    timeout_s=30,
    deadline_s=EFFECT_DEADLINE_S,
    retry=EFFECT_RETRY,
    example={"order_id": "B1", "status": "shipped", "paid_minor": 9900, "waybill": "SF1"},
)

BAZAAR_CALLS = (GET_ORDER, SHIP_ORDER)
