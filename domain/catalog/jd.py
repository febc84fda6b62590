"""What a flow can ask of a JD (京东) shop: read orders and refunds, ship an order, settle a refund.

Refunds are those of orders that were not shipped yet. Source: the open platform's order and refund documents.
"""

from domain.calls import Call
from domain.catalog.platforms import platform_queue
from domain.catalog.shop_calls import (
    OrderArguments,
    OrderOutput,
    RefundOfShopArguments,
    RefundOutput,
    SettledRefundOutput,
    SettleRefundArguments,
    ShipOrderArguments,
    ShipOrderOutput,
    TurnDownRefundArguments,
    changing,
    reading,
)
from domain.problems import Text

JD_QUEUE = platform_queue("jd")

JD_GET_ORDER: Call[OrderArguments, OrderOutput] = reading(
    "jd.get_order",
    Text("读取京东订单", "Read a JD order"),
    OrderArguments,
    OrderOutput,
    {
        "order_id": "289000000001",
        "status": "paid",
        "paid_minor": 25900,
        "lines": [
            {
                "line_id": "289000000001",
                "item_id": "10030000001",
                "title": "主动降噪蓝牙耳机",
                "quantity": 1,
                "price_minor": 25900,
                "total_minor": 25900,
            }
        ],
        "buyer": {"buyer_id": "jd_EXAMPLE"},
    },
)
JD_GET_REFUND: Call[RefundOfShopArguments, RefundOutput] = reading(
    "jd.get_refund",
    Text("读取京东退款单", "Read a JD refund"),
    RefundOfShopArguments,
    RefundOutput,
    {"refund_id": "2026112300001", "order_id": "289000000001", "status": "requested", "amount_minor": 25900},
)
JD_SHIP_ORDER: Call[ShipOrderArguments, ShipOrderOutput] = changing(
    "jd.ship_order",
    Text("京东订单发货", "Ship a JD order"),
    ShipOrderArguments,
    ShipOrderOutput,
    {"order_id": "289000000001", "waybill": "SF1234567890123", "already": False},
)
JD_AGREE_REFUND: Call[SettleRefundArguments, SettledRefundOutput] = changing(
    "jd.agree_refund",
    Text("同意京东退款", "Agree to a JD refund"),
    SettleRefundArguments,
    SettledRefundOutput,
    {"refund_id": "2026112300001", "status": "refunded", "amount_minor": 25900},
)
JD_REFUSE_REFUND: Call[TurnDownRefundArguments, SettledRefundOutput] = changing(
    "jd.refuse_refund",
    Text("拒绝京东退款", "Refuse a JD refund"),
    TurnDownRefundArguments,
    SettledRefundOutput,
    {"refund_id": "2026112300001", "status": "refused", "amount_minor": 25900},
)

JD_CALLS = (
    JD_GET_ORDER,
    JD_GET_REFUND,
    JD_SHIP_ORDER,
    JD_AGREE_REFUND,
    JD_REFUSE_REFUND,
)
