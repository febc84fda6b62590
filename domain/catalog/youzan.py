"""What a flow can ask of a Youzan (有赞) shop: read trades and refunds, follow a return parcel, settle a refund.

Amounts are integer fen. Personal data (names, phones, addresses) stays the platform's ciphertext.
Source: the platform's trade and after-sale documents.
"""

from typing import Literal

from pydantic import AwareDatetime, Field

from domain.calls import Call, Result
from domain.canonical import Buyer, Delivery, OrderLine, OrderStatus, RefundStatus
from domain.catalog.platforms import PlatformArguments, changing, platform_queue, reading
from domain.money import AmountMinor
from domain.problems import Text

YOUZAN_QUEUE = platform_queue("youzan")


class RefundArguments(PlatformArguments):
    """One refund of the shop."""

    refund_id: str = Field(min_length=1, max_length=64, description="退款单号 · The refund's number")


class ReturnParcel(Result):
    """The parcel a buyer sends back."""

    waybill: str
    company_code: str | None = None
    company: str | None = None


class GetRefundOutput(Result):
    """A refund as the platform has it now.

    status: `requested` → (`awaiting_return` → `returned`) → `refunded`; or `refused`, `return_refused`, `closed`.
    version: the platform's own optimistic lock, given back when agreeing or refusing.
    """

    refund_id: str
    order_id: str
    status: RefundStatus
    amount_minor: AmountMinor
    currency: str = "CNY"
    reason: str | None = None
    returns_goods: bool = False
    parcel: ReturnParcel | None = None
    version: int | None = None
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None


YOUZAN_GET_REFUND: Call[RefundArguments, GetRefundOutput] = reading(
    "youzan.get_refund",
    Text("读取有赞退款单", "Read a Youzan refund"),
    RefundArguments,
    GetRefundOutput,
    {
        "refund_id": "202611230001",
        "order_id": "E20261123000100001",
        "status": "returned",
        "amount_minor": 29900,
        "currency": "CNY",
        "reason": "尺码不合适",
        "returns_goods": True,
        "parcel": {"waybill": "SF1234567890123", "company_code": "7", "company": "顺丰速运"},
        "version": 3,
    },
)


class TradeArguments(PlatformArguments):
    """One order of the shop."""

    order_id: str = Field(min_length=1, max_length=64, description="订单号 · The order's number")


class GetTradeOutput(Result):
    """An order as the platform has it now. discount_minor: off all of it. waybills: of the parcels that were sent. See
    `OrderData` for the rest."""

    order_id: str
    status: OrderStatus
    paid_minor: AmountMinor
    postage_minor: AmountMinor = 0
    discount_minor: AmountMinor | None = None
    currency: str = "CNY"
    lines: tuple[OrderLine, ...] = ()
    buyer: Buyer
    delivery: Delivery | None = None
    waybills: tuple[str, ...] = ()
    coupon_ids: tuple[str, ...] = ()
    created_at: AwareDatetime | None = None
    paid_at: AwareDatetime | None = None
    shipped_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None


YOUZAN_GET_TRADE: Call[TradeArguments, GetTradeOutput] = reading(
    "youzan.get_trade",
    Text("读取有赞订单", "Read a Youzan order"),
    TradeArguments,
    GetTradeOutput,
    {
        "order_id": "E20261123000100001",
        "status": "shipped",
        "paid_minor": 29900,
        "lines": [
            {
                "line_id": "1",
                "title": "羊毛大衣",
                "sku": "M 驼色",
                "quantity": 1,
                "price_minor": 29900,
                "total_minor": 29900,
            }
        ],
        "buyer": {"buyer_id": "yzEXAMPLE0001", "unionid": "oEXAMPLE-unionid", "openid": "oEXAMPLE-openid"},
    },
)


class TrackWaybillOutput(Result):
    """Where the return parcel is.

    state: `none` (the buyer has not sent it, or the carrier does not know it yet), `in_transit`, `signed`.
    last_trace: the carrier's latest words.
    """

    state: Literal["none", "in_transit", "signed"]
    waybill: str | None = None
    company: str | None = None
    last_trace: str | None = None
    last_trace_at: AwareDatetime | None = None


YOUZAN_TRACK_WAYBILL: Call[RefundArguments, TrackWaybillOutput] = reading(
    "youzan.track_waybill",
    Text("查询退货物流", "Follow a return parcel"),
    RefundArguments,
    TrackWaybillOutput,
    {"state": "signed", "waybill": "SF1234567890123", "company": "顺丰速运", "last_trace": "已签收"},
)


class AgreeRefundArguments(RefundArguments):
    """The refund to pay back. With `amount_minor` it is paid only while the platform still has that very amount."""

    amount_minor: AmountMinor | None = Field(
        default=None,
        gt=0,
        description="批准的金额（分），与平台不符则拒绝 · The approved amount in fen; another amount is refused",
    )


class AgreeRefundOutput(Result):
    """The refund after it was paid back; `already` when an earlier attempt or a colleague had done it."""

    refund_id: str
    status: RefundStatus
    amount_minor: AmountMinor
    refunded_at: AwareDatetime | None = None
    already: bool = False


YOUZAN_AGREE_REFUND: Call[AgreeRefundArguments, AgreeRefundOutput] = changing(
    "youzan.agree_refund",
    Text("同意有赞退款", "Agree to a Youzan refund"),
    AgreeRefundArguments,
    AgreeRefundOutput,
    {"refund_id": "202611230001", "status": "refunded", "amount_minor": 29900, "already": False},
)


class RefuseRefundArguments(RefundArguments):
    """The refund to refuse, and why: the buyer reads it."""

    reason: str = Field(
        min_length=1, max_length=200, description="拒绝原因，买家可见 · The reason, which the buyer reads"
    )


class RefuseRefundOutput(Result):
    """The refund after it was refused; `already` when it had been refused before."""

    refund_id: str
    status: RefundStatus
    already: bool = False


YOUZAN_REFUSE_REFUND: Call[RefuseRefundArguments, RefuseRefundOutput] = changing(
    "youzan.refuse_refund",
    Text("拒绝有赞退款", "Refuse a Youzan refund"),
    RefuseRefundArguments,
    RefuseRefundOutput,
    {"refund_id": "202611230001", "status": "refused", "already": False},
)


class ReturnRuleArguments(PlatformArguments):
    """One article of the shop."""

    item_id: str = Field(min_length=1, max_length=64, description="商品编号 · The article's number")


class ReturnRuleOutput(Result):
    """What the shop lets buyers do with an article they do not want. NULL: the platform does not say.

    unconditional: it may be sent back without a reason, for so many `days`. exchangeable: it may be exchanged.
    """

    item_id: str
    unconditional: bool | None = None
    days: int | None = None
    exchangeable: bool | None = None


YOUZAN_GET_RETURN_RULE: Call[ReturnRuleArguments, ReturnRuleOutput] = reading(
    "youzan.get_return_rule",
    Text("读取有赞商品退货规则", "Read the return rule of a Youzan article"),
    ReturnRuleArguments,
    ReturnRuleOutput,
    {"item_id": "2001000000", "unconditional": True, "days": 7, "exchangeable": True},
)

YOUZAN_CALLS = (
    YOUZAN_GET_REFUND,
    YOUZAN_GET_TRADE,
    YOUZAN_TRACK_WAYBILL,
    YOUZAN_GET_RETURN_RULE,
    YOUZAN_AGREE_REFUND,
    YOUZAN_REFUSE_REFUND,
)
