"""What a flow can ask of a Taobao or Tmall (淘宝/天猫) shop: read orders and refunds, ship an order, settle a refund.

Source: the open platform's trade, logistics and refund documents.
"""

from domain.catalog.platforms import platform_queue
from domain.catalog.shop_calls import shop_calls

TAOBAO_QUEUE = platform_queue("taobao")
TAOBAO_CALLS = shop_calls(
    "taobao",
    "淘宝/天猫",
    "Taobao",
    order={
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
    refund={
        "refund_id": "160000000000001",
        "order_id": "2610000000000000001",
        "status": "returned",
        "amount_minor": 25900,
    },
)
