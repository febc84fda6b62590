"""What a flow can ask of a Douyin (抖店) shop: read orders and refunds, ship an order, settle a refund.

Source: the platform's order, logistics and after-sale documents.
"""

from datetime import date

from pydantic import Field

from domain.calls import Call, Result
from domain.catalog.platforms import PlatformArguments, platform_queue
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
from domain.money import AmountMinor
from domain.problems import Text

DOUYIN_QUEUE = platform_queue("douyin")

DOUYIN_GET_ORDER: Call[OrderArguments, OrderOutput] = reading(
    "douyin.get_order",
    Text("读取抖店订单", "Read a Douyin order"),
    OrderArguments,
    OrderOutput,
    {
        "order_id": "6917000000000000001",
        "status": "paid",
        "paid_minor": 12900,
        "lines": [
            {
                "line_id": "6917000000000000001",
                "item_id": "3550000000000000001",
                "title": "冻干猫粮",
                "quantity": 1,
                "price_minor": 12900,
                "total_minor": 12900,
            }
        ],
        "buyer": {"buyer_id": "1@#EXAMPLE"},
        "channel": "live",
        "influencer_id": "70000001",
    },
)
DOUYIN_GET_REFUND: Call[RefundOfShopArguments, RefundOutput] = reading(
    "douyin.get_refund",
    Text("读取抖店售后单", "Read a Douyin refund"),
    RefundOfShopArguments,
    RefundOutput,
    {
        "refund_id": "7017000000000000001",
        "order_id": "6917000000000000001",
        "status": "returned",
        "amount_minor": 12900,
    },
)
DOUYIN_SHIP_ORDER: Call[ShipOrderArguments, ShipOrderOutput] = changing(
    "douyin.ship_order",
    Text("抖店订单发货", "Ship a Douyin order"),
    ShipOrderArguments,
    ShipOrderOutput,
    {"order_id": "6917000000000000001", "waybill": "SF1234567890123", "already": False},
)
DOUYIN_AGREE_RETURN: Call[RefundOfShopArguments, SettledRefundOutput] = changing(
    "douyin.agree_return",
    Text("同意抖店退货申请", "Let the goods of a Douyin refund come back"),
    RefundOfShopArguments,
    SettledRefundOutput,
    {"refund_id": "7017000000000000001", "status": "awaiting_return", "amount_minor": 12900},
)
DOUYIN_AGREE_REFUND: Call[SettleRefundArguments, SettledRefundOutput] = changing(
    "douyin.agree_refund",
    Text("同意抖店退款", "Agree to a Douyin refund"),
    SettleRefundArguments,
    SettledRefundOutput,
    {"refund_id": "7017000000000000001", "status": "refunded", "amount_minor": 12900},
)
DOUYIN_REFUSE_REFUND: Call[TurnDownRefundArguments, SettledRefundOutput] = changing(
    "douyin.refuse_refund",
    Text("拒绝抖店退款", "Refuse a Douyin refund"),
    TurnDownRefundArguments,
    SettledRefundOutput,
    {"refund_id": "7017000000000000001", "status": "refused", "amount_minor": 12900},
)


class SettlementArguments(PlatformArguments):
    """One day in China."""

    day: date = Field(description="结算日期 · The day on which it was settled")


class SettlementOutput(Result):
    """What was settled on a day, in figures. commission_minor: what the influencers get, fee_minor: the platform."""

    day: date
    lines: int
    orders: int
    settled_minor: AmountMinor
    commission_minor: AmountMinor
    fee_minor: AmountMinor


DOUYIN_READ_SETTLEMENT: Call[SettlementArguments, SettlementOutput] = reading(
    "douyin.read_settlement",
    Text("读取抖店结算账单", "Read what Douyin settled"),
    SettlementArguments,
    SettlementOutput,
    {
        "day": "2026-11-22",
        "lines": 130,
        "orders": 120,
        "settled_minor": 1_268_000,
        "commission_minor": 158_000,
        "fee_minor": 7_600,
    },
)

DOUYIN_CALLS = (
    DOUYIN_GET_ORDER,
    DOUYIN_GET_REFUND,
    DOUYIN_SHIP_ORDER,
    DOUYIN_AGREE_RETURN,
    DOUYIN_AGREE_REFUND,
    DOUYIN_REFUSE_REFUND,
    DOUYIN_READ_SETTLEMENT,
)
