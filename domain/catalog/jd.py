"""What a flow can ask of a JD (京东) shop: read orders and refunds, ship an order, settle a refund.

Refunds are those of orders that were not shipped yet. Source: the open platform's order and refund documents.
"""

from domain.catalog.platforms import platform_queue
from domain.catalog.shop_calls import shop_calls

JD_QUEUE = platform_queue("jd")
JD_CALLS = shop_calls(
    "jd",
    "京东",
    "JD",
    order={
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
    refund={"refund_id": "2026112300001", "order_id": "289000000001", "status": "requested", "amount_minor": 25900},
)
