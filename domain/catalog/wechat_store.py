"""What a flow can ask of a WeChat Store (微信小店): read orders and refunds, ship an order, settle a refund.

Source: the platform's order, delivery and after-sale documents.
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

WECHAT_STORE_QUEUE = platform_queue("wechat_store")

WECHAT_STORE_GET_ORDER: Call[OrderArguments, OrderOutput] = reading(
    "wechat_store.get_order",
    Text("读取微信小店订单", "Read a WeChat Store order"),
    OrderArguments,
    OrderOutput,
    {
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
)
WECHAT_STORE_GET_REFUND: Call[RefundOfShopArguments, RefundOutput] = reading(
    "wechat_store.get_refund",
    Text("读取微信小店售后单", "Read a WeChat Store refund"),
    RefundOfShopArguments,
    RefundOutput,
    {"refund_id": "2000000000110001", "order_id": "3705115058471208928", "status": "returned", "amount_minor": 12900},
)
WECHAT_STORE_SHIP_ORDER: Call[ShipOrderArguments, ShipOrderOutput] = changing(
    "wechat_store.ship_order",
    Text("微信小店订单发货", "Ship a WeChat Store order"),
    ShipOrderArguments,
    ShipOrderOutput,
    {"order_id": "3705115058471208928", "waybill": "SF1234567890123", "already": False},
)
WECHAT_STORE_AGREE_RETURN: Call[RefundOfShopArguments, SettledRefundOutput] = changing(
    "wechat_store.agree_return",
    Text("同意微信小店退货申请", "Let the goods of a WeChat Store refund come back"),
    RefundOfShopArguments,
    SettledRefundOutput,
    {"refund_id": "2000000000110001", "status": "awaiting_return", "amount_minor": 12900},
)
WECHAT_STORE_AGREE_REFUND: Call[SettleRefundArguments, SettledRefundOutput] = changing(
    "wechat_store.agree_refund",
    Text("同意微信小店退款", "Agree to a WeChat Store refund"),
    SettleRefundArguments,
    SettledRefundOutput,
    {"refund_id": "2000000000110001", "status": "refunded", "amount_minor": 12900},
)
WECHAT_STORE_REFUSE_REFUND: Call[TurnDownRefundArguments, SettledRefundOutput] = changing(
    "wechat_store.refuse_refund",
    Text("拒绝微信小店退款", "Refuse a WeChat Store refund"),
    TurnDownRefundArguments,
    SettledRefundOutput,
    {"refund_id": "2000000000110001", "status": "refused", "amount_minor": 12900},
)

WECHAT_STORE_CALLS = (
    WECHAT_STORE_GET_ORDER,
    WECHAT_STORE_GET_REFUND,
    WECHAT_STORE_SHIP_ORDER,
    WECHAT_STORE_AGREE_RETURN,
    WECHAT_STORE_AGREE_REFUND,
    WECHAT_STORE_REFUSE_REFUND,
)
