"""What a flow can ask of a shop on Meituan (美团) or Ele.me (饿了么): read orders and refunds, settle a refund.

Amounts are integer fen. The buyer's phone is the platform's privacy number or ciphertext, never in clear.
"""

from domain.calls import AnyCall, Call
from domain.catalog.platforms import platform_queue
from domain.catalog.shop_calls import (
    OrderArguments,
    OrderOutput,
    RefundOfShopArguments,
    RefundOutput,
    SettledRefundOutput,
    SettleRefundArguments,
    TurnDownRefundArguments,
    changing,
    reading,
)
from domain.problems import Text

MEITUAN_QUEUE, ELEME_QUEUE = platform_queue("meituan"), platform_queue("eleme")


def _calls(platform: str, zh: str, en: str, order_id: str) -> tuple[AnyCall, ...]:
    refund_id = f"{order_id}1"
    get_order: Call[OrderArguments, OrderOutput] = reading(
        f"{platform}.get_order",
        Text(f"读取{zh}订单", f"Read a {en} order"),
        OrderArguments,
        OrderOutput,
        {
            "order_id": order_id,
            "status": "paid",
            "paid_minor": 3180,
            "postage_minor": 300,
            "lines": [
                {
                    "line_id": "1",
                    "item_id": "2008000000",
                    "title": "招牌小炒黄牛肉饭",
                    "sku": "微辣",
                    "quantity": 1,
                    "price_minor": 2880,
                    "total_minor": 2880,
                }
            ],
            "buyer": {"buyer_id": "EXAMPLE-eater"},
        },
    )
    get_refund: Call[RefundOfShopArguments, RefundOutput] = reading(
        f"{platform}.get_refund",
        Text(f"读取{zh}退款单", f"Read a {en} refund"),
        RefundOfShopArguments,
        RefundOutput,
        {"refund_id": refund_id, "order_id": order_id, "status": "requested", "amount_minor": 2880, "reason": "洒漏"},
    )
    agree_refund: Call[SettleRefundArguments, SettledRefundOutput] = changing(
        f"{platform}.agree_refund",
        Text(f"同意{zh}退款", f"Agree to a {en} refund"),
        SettleRefundArguments,
        SettledRefundOutput,
        {"refund_id": refund_id, "status": "refunded", "amount_minor": 2880},
    )
    refuse_refund: Call[TurnDownRefundArguments, SettledRefundOutput] = changing(
        f"{platform}.refuse_refund",
        Text(f"拒绝{zh}退款", f"Refuse a {en} refund"),
        TurnDownRefundArguments,
        SettledRefundOutput,
        {"refund_id": refund_id, "status": "refused", "amount_minor": 2880},
    )
    return (get_order, get_refund, agree_refund, refuse_refund)


MEITUAN_CALLS = _calls("meituan", "美团", "Meituan", "1000000000000000001")
ELEME_CALLS = _calls("eleme", "饿了么", "Ele.me", "8000000000000000001")
