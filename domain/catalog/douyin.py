"""What a flow can ask of a Douyin (抖店) shop: read orders and refunds, ship an order, settle a refund.

Source: the platform's order, logistics and after-sale documents.
"""

from datetime import date

from pydantic import Field

from domain.calls import Call, Result
from domain.catalog.platforms import PlatformArguments, platform_queue, reading
from domain.catalog.shop_calls import shop_calls
from domain.money import AmountMinor
from domain.problems import Text

DOUYIN_QUEUE = platform_queue("douyin")


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
    *shop_calls(
        "douyin",
        "抖店",
        "Douyin",
        order={
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
        refund={
            "refund_id": "7017000000000000001",
            "order_id": "6917000000000000001",
            "status": "returned",
            "amount_minor": 12900,
        },
        returns=True,
    ),
    DOUYIN_READ_SETTLEMENT,
)
