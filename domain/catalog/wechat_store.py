"""What a flow can ask of a WeChat Store (微信小店): read orders and refunds, ship an order, settle a refund.

Source: the platform's order, delivery and after-sale documents.
"""

from domain.catalog.platforms import platform_queue
from domain.catalog.shop_calls import shop_calls

WECHAT_STORE_QUEUE = platform_queue("wechat_store")
WECHAT_STORE_CALLS = shop_calls(
    "wechat_store",
    "微信小店",
    "WeChat Store",
    order={
        "order_id": "3705115058471208928",
        "status": "paid",
        "paid_minor": 12900,
        "lines": [
            {
                "line_id": "10000076089602-468985577",
                "item_id": "10000076089602",
                "sku_id": "468985577",
                "title": "冻干猫粮",
                "quantity": 1,
                "price_minor": 12900,
                "total_minor": 12900,
            }
        ],
        "buyer": {"openid": "oEXAMPLE-openid", "unionid": "oEXAMPLE-unionid"},
        "channel": "live",
    },
    refund={
        "refund_id": "2000000000110001",
        "order_id": "3705115058471208928",
        "status": "returned",
        "amount_minor": 12900,
    },
    returns=True,
)
