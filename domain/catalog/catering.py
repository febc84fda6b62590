"""What a flow can ask of a shop on Meituan (美团) or Ele.me (饿了么): read orders and refunds, settle a refund.

Amounts are integer fen. The buyer's phone is the platform's privacy number or ciphertext, never in clear.
"""

from domain.calls import AnyCall
from domain.catalog.platforms import platform_queue
from domain.catalog.shop_calls import shop_calls

MEITUAN_QUEUE, ELEME_QUEUE = platform_queue("meituan"), platform_queue("eleme")


def _calls(platform: str, zh: str, en: str, order_id: str) -> tuple[AnyCall, ...]:
    return shop_calls(
        platform,
        zh,
        en,
        order={
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
        refund={
            "refund_id": f"{order_id}1",
            "order_id": order_id,
            "status": "requested",
            "amount_minor": 2880,
            "reason": "洒漏",
        },
        ships=False,
    )


MEITUAN_CALLS = _calls("meituan", "美团", "Meituan", "1000000000000000001")
ELEME_CALLS = _calls("eleme", "饿了么", "Ele.me", "8000000000000000001")
