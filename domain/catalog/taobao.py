"""What a flow can ask of a Taobao or Tmall (淘宝/天猫) shop: read orders and refunds, ship an order, settle a refund.

Source: the open platform's trade, logistics and refund documents.
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

TAOBAO_QUEUE = platform_queue("taobao")

TAOBAO_GET_ORDER: Call[OrderArguments, OrderOutput] = reading(
    "taobao.get_order",
    Text("读取淘宝/天猫订单", "Read a Taobao order"),
    OrderArguments,
    OrderOutput,
    {
        "order_id": "2610000000000000001",
        "status": "paid",
        "paid_minor": 25900,
        "lines": [
            {
                "line_id": "2610000000000000001",
                "item_id": "600000000001",
                "title": "高腰直筒牛仔裤",
                "sku": "深蓝 28",
                "quantity": 1,
                "price_minor": 25900,
                "total_minor": 25900,
            }
        ],
        "buyer": {"buyer_id": "AAEXAMPLE-open-uid"},
        "membership": "88VIP",
    },
)
TAOBAO_GET_REFUND: Call[RefundOfShopArguments, RefundOutput] = reading(
    "taobao.get_refund",
    Text("读取淘宝/天猫退款单", "Read a Taobao refund"),
    RefundOfShopArguments,
    RefundOutput,
    {"refund_id": "160000000000001", "order_id": "2610000000000000001", "status": "returned", "amount_minor": 25900},
)
TAOBAO_SHIP_ORDER: Call[ShipOrderArguments, ShipOrderOutput] = changing(
    "taobao.ship_order",
    Text("淘宝/天猫订单发货", "Ship a Taobao order"),
    ShipOrderArguments,
    ShipOrderOutput,
    {"order_id": "2610000000000000001", "waybill": "SF1234567890123", "already": False},
)
TAOBAO_AGREE_REFUND: Call[SettleRefundArguments, SettledRefundOutput] = changing(
    "taobao.agree_refund",
    Text("同意淘宝/天猫退款", "Agree to a Taobao refund"),
    SettleRefundArguments,
    SettledRefundOutput,
    {"refund_id": "160000000000001", "status": "refunded", "amount_minor": 25900},
)
TAOBAO_REFUSE_REFUND: Call[TurnDownRefundArguments, SettledRefundOutput] = changing(
    "taobao.refuse_refund",
    Text("拒绝淘宝/天猫退款", "Refuse a Taobao refund"),
    TurnDownRefundArguments,
    SettledRefundOutput,
    {"refund_id": "160000000000001", "status": "refused", "amount_minor": 25900},
)

TAOBAO_CALLS = (
    TAOBAO_GET_ORDER,
    TAOBAO_GET_REFUND,
    TAOBAO_SHIP_ORDER,
    TAOBAO_AGREE_REFUND,
    TAOBAO_REFUSE_REFUND,
)
