"""What a flow can ask of a Pinduoduo (拼多多) shop: read orders and refunds, ship an order, settle a refund,
read a receiver in clear.

Source: the open platform's trade, logistics and refund documents.
"""

from domain.calls import Call, Result
from domain.catalog.platforms import EFFECT_DEADLINE_S, EFFECT_RETRY, platform_queue
from domain.catalog.shop_calls import OrderArguments, shop_calls
from domain.problems import Text

PINDUODUO_QUEUE = platform_queue("pinduoduo")


class DecryptReceiverOutput(Result):
    """Who an order goes to, in clear; what the platform did not give out is null."""

    order_id: str
    name: str | None = None
    phone: str | None = None
    address: str | None = None


# The platform allows one in ten seconds and a hundred a day. Whoever waits has a slot and is told when it comes, so the
# call waits as long as an effect may.
PINDUODUO_DECRYPT_RECEIVER: Call[OrderArguments, DecryptReceiverOutput] = Call(
    name="pinduoduo.decrypt_receiver",
    title=Text("解密拼多多收件人", "Decrypt the receiver of a Pinduoduo order"),
    input=OrderArguments,
    output=DecryptReceiverOutput,
    queue=PINDUODUO_QUEUE,
    timeout_s=30,
    deadline_s=EFFECT_DEADLINE_S,
    retry=EFFECT_RETRY,
    grants=frozenset({"admin"}),
    example={
        "order_id": "261123-000000000000001",
        "name": "王芳",
        "phone": "13800138000",
        "address": "滨江路 1 号",
    },
)

PINDUODUO_CALLS = (
    *shop_calls(
        "pinduoduo",
        "拼多多",
        "Pinduoduo",
        order={
            "order_id": "261123-000000000000001",
            "status": "paid",
            "paid_minor": 7990,
            "lines": [
                {
                    "line_id": "261123-000000000000001",
                    "item_id": "40040000001",
                    "title": "每日坚果 750g",
                    "sku": "30包",
                    "quantity": 1,
                    "price_minor": 7990,
                    "total_minor": 7990,
                }
            ],
            "buyer": {"buyer_id": "pddEXAMPLE0001"},
            "group_id": "g-EXAMPLE-1",
        },
        refund={
            "refund_id": "2026112300001",
            "order_id": "261123-000000000000001",
            "status": "returned",
            "amount_minor": 7990,
        },
        by_order=True,
    ),
    PINDUODUO_DECRYPT_RECEIVER,
)
