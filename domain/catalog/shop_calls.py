"""What flows ask of shops on any platform: read an order or a refund, ship an order, settle a refund.

Amounts are integer fen. Personal data stays the platform's ciphertext.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field

from domain.calls import AnyCall, Call, Result
from domain.canonical import LONGEST_ORDER_ID, Buyer, Delivery, OrderLine, OrderStatus, RefundStatus
from domain.catalog.platforms import PlatformArguments, changing, reading
from domain.money import AmountMinor
from domain.problems import Text


class OrderArguments(PlatformArguments):
    """One order of the shop."""

    order_id: str = Field(min_length=1, max_length=LONGEST_ORDER_ID, description="订单号 · The order's number")


class OrderOutput(Result):
    """An order as the platform has it now. waybills: of the parcels that were sent. See `OrderData` for the rest."""

    order_id: str
    status: OrderStatus
    paid_minor: AmountMinor | None = None
    postage_minor: AmountMinor | None = None
    discount_minor: AmountMinor | None = None
    currency: str = "CNY"
    lines: tuple[OrderLine, ...] = ()
    buyer: Buyer = Buyer()
    delivery: Delivery | None = None
    waybills: tuple[str, ...] = ()
    channel: str | None = None
    influencer_id: str | None = None
    video_id: str | None = None
    membership: str | None = None
    parent_order_id: str | None = None
    group_id: str | None = None
    coupon_ids: tuple[str, ...] = ()
    created_at: AwareDatetime | None = None
    paid_at: AwareDatetime | None = None
    shipped_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None
    close_reason: str | None = None


class RefundOfShopArguments(PlatformArguments):
    """One refund of the shop."""

    refund_id: str = Field(min_length=1, max_length=64, description="售后单号 · The refund's number")


class RefundOutput(Result):
    """A refund as the platform has it now.

    status: `requested` → (`awaiting_return` → `returned`) → `refunded`; or `refused`, `return_refused`, `closed`.
    return_waybill: of the parcel that the buyer sends back.
    """

    refund_id: str
    order_id: str
    status: RefundStatus
    amount_minor: AmountMinor | None = None
    currency: str = "CNY"
    reason: str | None = None
    returns_goods: bool | None = None
    return_waybill: str | None = None
    line_ids: tuple[str, ...] = ()
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None


class ShipOrderArguments(OrderArguments):
    """The order that was given to a carrier, and its parcel."""

    waybill: str = Field(
        min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$", description="运单号 · The parcel's number"
    )
    company: str = Field(
        min_length=1,
        max_length=64,
        description="平台的快递公司编码；抖店也认名称 · The carrier's code on this platform; Douyin takes names",
    )


class ShipOrderOutput(Result):
    """The order after it was shipped; `already` when the platform knew this parcel before."""

    order_id: str
    waybill: str
    already: bool = False


class SettleRefundArguments(RefundOfShopArguments):
    """The refund to pay back. With `amount_minor` it is paid only while the platform still has that very amount."""

    amount_minor: AmountMinor | None = Field(
        default=None,
        gt=0,
        description="批准的金额（分），与平台不符则拒绝 · The approved amount in fen; another amount is refused",
    )


class TurnDownRefundArguments(RefundOfShopArguments):
    """The refund to refuse, and why: the buyer reads it."""

    reason: str = Field(
        min_length=1, max_length=200, description="拒绝原因，买家可见 · The reason, which the buyer reads"
    )


class RefundOfOrderArguments(RefundOfShopArguments):
    """One refund of a shop whose platform asks for its order as well."""

    order_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=LONGEST_ORDER_ID,
        description="退款单的订单号，请填写：平台可能要求 · The refund's order; name it, the platform may insist",
    )


class SettleRefundOfOrderArguments(RefundOfOrderArguments, SettleRefundArguments):
    """The refund to pay back, and its order."""


class TurnDownRefundOfOrderArguments(RefundOfOrderArguments, TurnDownRefundArguments):
    """The refund to refuse, and its order."""


class SettledRefundOutput(Result):
    """The refund after the call; `already` when an earlier attempt or a colleague had done it."""

    refund_id: str
    status: RefundStatus
    amount_minor: AmountMinor | None = None
    already: bool = False


def shop_calls(
    platform: str,
    zh: str,
    en: str,
    *,
    order: Mapping[str, Any],
    refund: Mapping[str, Any],
    ships: bool = True,
    returns: bool = False,
    by_order: bool = False,
) -> tuple[AnyCall, ...]:
    """What every shop platform is asked for: an order, a refund, shipping, settling.

    order, refund: examples of the two. ships: whether the shop tells the platform a parcel. returns: whether letting
    goods come back is a step of its own. by_order: whether the platform asks for the order of a refund.
    """
    one, settle, turn_down = (
        (RefundOfOrderArguments, SettleRefundOfOrderArguments, TurnDownRefundOfOrderArguments)
        if by_order
        else (RefundOfShopArguments, SettleRefundArguments, TurnDownRefundArguments)
    )
    of_refund = {"refund_id": refund["refund_id"], "amount_minor": refund["amount_minor"]}
    get_order: Call[OrderArguments, OrderOutput] = reading(
        f"{platform}.get_order", Text(f"读取{zh}订单", f"Read a {en} order"), OrderArguments, OrderOutput, order
    )
    get_refund: Call[RefundOfShopArguments, RefundOutput] = reading(
        f"{platform}.get_refund",
        Text(f"读取{zh}退款单", f"Read a {en} refund"),
        one,
        RefundOutput,
        refund,
    )
    ship_order: Call[ShipOrderArguments, ShipOrderOutput] = changing(
        f"{platform}.ship_order",
        Text(f"{zh}订单发货", f"Ship a {en} order"),
        ShipOrderArguments,
        ShipOrderOutput,
        {"order_id": order["order_id"], "waybill": "SF1234567890123", "already": False},
    )

    def settling(name: str, title: Text, arguments: type[BaseModel], status: RefundStatus) -> AnyCall:
        return changing(f"{platform}.{name}", title, arguments, SettledRefundOutput, {**of_refund, "status": status})

    agree_return = settling(
        "agree_return",
        Text(f"同意{zh}退货申请", f"Let the goods of a {en} refund come back"),
        one,
        "awaiting_return",
    )
    agree_refund = settling("agree_refund", Text(f"同意{zh}退款", f"Agree to a {en} refund"), settle, "refunded")
    refuse_refund = settling("refuse_refund", Text(f"拒绝{zh}退款", f"Refuse a {en} refund"), turn_down, "refused")
    shipping = (ship_order,) if ships else ()
    returning = (agree_return,) if returns else ()
    return (get_order, get_refund, *shipping, *returning, agree_refund, refuse_refund)
