"""Pinduoduo's orders and after-sale applications as Tandem's, for answers and pulled records alike.

Receivers are ciphertext, and blank once the order is shipped: blank means that nothing is said, not that it is gone.
"""

from collections.abc import Mapping
from typing import Any

from connectors.reading import (
    china_time,
    fen,
    merchant_code,
    objects,
    optional_fen,
    optional_text,
    pieces,
    state_of,
    text,
    whole_number,
)
from domain.canonical import Buyer, Delivery, OrderLine, OrderStatus, RefundStatus
from domain.catalog.shop_calls import OrderOutput, RefundOutput

# Whether and under which names shops are told the buyer, the group, its main order and coupons is in no document at
# hand [U].
BUYER_FIELD = "open_uid"
GROUP_FIELD = "group_order_id"
PARENT_FIELD = "parent_order_sn"
COUPONS_FIELD = "promotion_detail_list"

ORDER_STATUSES: Mapping[str, OrderStatus] = {"1": "paid", "2": "shipped", "3": "completed"}
_GROUP_OPEN, _GROUP_FAILED = 0, 2
_REFUNDED = 4
# 4 and 5: the money is on its way, and nobody can stop it any more. 14 is not in any document at hand [U].
REFUND_STATUSES: Mapping[str, RefundStatus] = {
    "2": "requested",
    "3": "requested",
    "4": "refunded",
    "5": "refunded",
    "6": "refused",
    "7": "awaiting_return",
    "8": "requested",
    "9": "refused",
    "10": "refunded",
    "11": "closed",
    "12": "closed",
    "13": "closed",
    "14": "returned",
    # Exchanges, repairs and what is sent once more: no money goes back [S].
    "15": "unknown",
    "16": "unknown",
    "17": "unknown",
    "18": "unknown",
    "21": "unknown",
    "22": "unknown",
    "24": "unknown",
    "25": "unknown",
    "27": "unknown",
    "32": "unknown",
}
_RETURNS_GOODS: Mapping[int, bool] = {2: False, 3: True}


def read_order(order: Mapping[str, Any]) -> OrderOutput:
    """`order_info` of order.information.get and the rows of the increments."""
    tracking = optional_text(order, "tracking_number", limit=64)
    status = _order_status(order)
    return OrderOutput(
        order_id=text(order, "order_sn"),
        status=status,
        paid_minor=fen(order, "pay_amount"),
        postage_minor=optional_fen(order, "postage"),
        discount_minor=optional_fen(order, "discount_amount"),
        lines=_lines(order),
        buyer=Buyer(buyer_id=optional_text(order, BUYER_FIELD, limit=128)),
        delivery=_delivery(order),
        waybills=(tracking,) if tracking else (),
        coupon_ids=_coupons(order),
        parent_order_id=optional_text(order, PARENT_FIELD, limit=64),
        group_id=optional_text(order, GROUP_FIELD, limit=64),
        created_at=china_time(order, "created_time"),
        paid_at=china_time(order, "confirm_time"),
        shipped_at=china_time(order, "shipping_time"),
        completed_at=china_time(order, "receive_time"),
        updated_at=china_time(order, "updated_at"),
    )


def read_refund(row: Mapping[str, Any]) -> RefundOutput:
    """One row of the after-sale increments, also of refund.information.get."""
    parcel = optional_text(row, "tracking_number", limit=64)
    status = state_of(REFUND_STATUSES, row, "after_sales_status", "unknown")
    return RefundOutput(
        refund_id=text(row, "id"),
        order_id=text(row, "order_sn"),
        # One number for both refusals: with a parcel on its way back, it is the goods that were refused.
        status="return_refused" if status == "refused" and parcel else status,
        amount_minor=fen(row, "refund_amount"),
        reason=optional_text(row, "after_sale_reason"),
        returns_goods=_RETURNS_GOODS.get(whole_number(row, "after_sales_type", -1)),
        return_waybill=parcel,
        created_at=china_time(row, "created_time"),
        updated_at=china_time(row, "updated_time"),
    )


def _order_status(order: Mapping[str, Any]) -> OrderStatus:
    """An open group's orders are not sold yet; a failed group's and a refunded order are over."""
    if whole_number(order, "refund_status", 0) == _REFUNDED:
        return "closed"
    group = whole_number(order, "group_status", 1)
    if group == _GROUP_FAILED:
        return "closed"
    if group == _GROUP_OPEN:
        return "unpaid"
    return state_of(ORDER_STATUSES, order, "order_status", "unknown")


def _lines(order: Mapping[str, Any]) -> tuple[OrderLine, ...]:
    """Articles; they have no number of their own, so their place is one."""
    lines = []
    for place, row in enumerate(objects(order, "item_list"), start=1):
        price, count = fen(row, "goods_price"), pieces(row, "goods_count")
        lines.append(
            OrderLine(
                line_id=str(place),
                item_id=optional_text(row, "goods_id", limit=64),
                sku_id=optional_text(row, "sku_id", limit=64),
                title=text(row, "goods_name", limit=512),
                sku=optional_text(row, "goods_spec"),
                merchant_code=merchant_code(row, "outer_id", "outer_goods_id"),
                quantity=count,
                price_minor=price,
                total_minor=price * count,
            )
        )
    return tuple(lines)


def _coupons(order: Mapping[str, Any]) -> tuple[str, ...]:
    found = (optional_text(row, "promotion_id", limit=128) for row in objects(order, COUPONS_FIELD))
    return tuple(number for number in found if number)


def _delivery(order: Mapping[str, Any]) -> Delivery | None:
    known = Delivery(
        province=optional_text(order, "province", limit=64),
        city=optional_text(order, "city", limit=64),
        name_ciphertext=optional_text(order, "receiver_name"),
        phone_ciphertext=optional_text(order, "receiver_phone"),
        address_ciphertext=optional_text(order, "address"),
        receiver_ciphertext=optional_text(order, "open_address_id"),
    )
    return known if known != Delivery() else None
