"""Pinduoduo's orders and after-sale applications as Tandem's, for answers and pulled records alike.

Receivers are ciphertext, and blank once the order is shipped: blank means that nothing is said, not that it is gone.
"""

from collections.abc import Mapping
from typing import Any

from connectors.reading import (
    anomaly,
    china_time,
    fen,
    merchant_code,
    objects,
    optional_fen,
    optional_mapping,
    optional_text,
    pieces,
    state_of,
    text,
    whole_number,
)
from domain.canonical import Buyer, Delivery, OrderLine, OrderStatus, RefundStatus
from domain.catalog.shop_calls import OrderOutput, RefundOutput
from domain.problems import Text

# Whether and under which names shops are told the buyer, the group, its main order and coupons is in no document at
# hand [U].
BUYER_FIELD = "open_uid"
GROUP_FIELD = "group_order_id"
PARENT_FIELD = "parent_order_sn"
COUPONS_FIELD = "promotion_detail_list"

ORDER_STATUSES: Mapping[str, OrderStatus] = {"1": "paid", "2": "shipped", "3": "completed"}
_GROUP_OPEN, _GROUP_FAILED = 0, 2
_REFUNDED = 4
_WAITS_FOR_THE_SHOP = "3"
"""Goods and money are asked for."""
PARCEL_BACK = "express_no"
"""The parcel that goods come back in, by the name of refund.information.get [S]."""
REFUNDED = "tandem.refunded_minor"
"""How much of an order went back, added by whoever reads one of which something did: the order does not tell."""
# Exchanged, repaired or sent once more, under way or over: no money goes back, so as a refund it is closed.
_EXCHANGES: Mapping[str, RefundStatus] = {
    "14": "closed",
    "15": "closed",
    "16": "closed",
    "17": "closed",
    "18": "closed",
    "21": "closed",
    "22": "closed",
    "24": "closed",
    "25": "closed",
    "27": "closed",
    "32": "closed",
}
# The list of `after_sales_status` as the interfaces document it [S].
REFUND_STATUSES: Mapping[str, RefundStatus] = {
    **_EXCHANGES,
    # Nobody asks for anything.
    "0": "closed",
    "2": "requested",
    # Also once the goods were sent back, see `_refund_status`.
    "3": "requested",
    # 4 and 5: the money is on its way, and nobody can stop it any more.
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
    # Agreed: paid once the buyer refused the parcel (31), or the shop called it back (33).
    "31": "awaiting_return",
    "33": "awaiting_return",
}
# `after_sales_type` counts from 2 in the increments, and from 1 in refund.information.get [S].
_LISTED_RETURN = 3
_LISTED_RETURNS: Mapping[int, bool] = {2: False, _LISTED_RETURN: True}
_TOLD_RETURNS: Mapping[int, bool] = {1: False, 2: True}
# Exchanged or sent once more; by itself, 5 is a repair [S].
_LISTED_EXCHANGES = frozenset({4, 5})
TOLD_EXCHANGES = frozenset({3, 4, 5})


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
        delivery=read_delivery(order),
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


def read_listed_refund(row: Mapping[str, Any]) -> RefundOutput:
    """One row of the after-sale increments.

    Its `tracking_number` is the order's own parcel [S]. Where goods may have come back, whoever reads the row adds
    `PARCEL_BACK`, see `lacks_parcel`.
    """
    parcel = optional_text(row, PARCEL_BACK, limit=64)
    return RefundOutput(
        refund_id=text(row, "id"),
        order_id=text(row, "order_sn"),
        status="closed" if is_exchange(row) else _refund_status(row, parcel),
        amount_minor=fen(row, "refund_amount"),
        reason=optional_text(row, "after_sale_reason"),
        returns_goods=_LISTED_RETURNS.get(whole_number(row, "after_sales_type", -1)),
        return_waybill=parcel,
        created_at=china_time(row, "created_time"),
        updated_at=china_time(row, "updated_time"),
    )


def lacks_parcel(row: Any) -> str | None:
    """The number of an application that waits for the shop, or was refused, whose row of the increments does not tell
    whether the goods came back; None for any other."""
    said = optional_mapping(row)
    state = str(said.get("after_sales_status"))
    is_open = state == _WAITS_FOR_THE_SHOP or REFUND_STATUSES.get(state) == "refused"
    returns = str(said.get("after_sales_type")) == str(_LISTED_RETURN)
    return str(said["id"]) if is_open and returns and said.get("id") and said.get("order_sn") else None


def is_exchange(row: Mapping[str, Any]) -> bool:
    """Whether a row of the increments asks for something else than money. What was withdrawn is closed like any, and
    what was paid is paid."""
    return _is_of(_LISTED_EXCHANGES, row)


def read_refund(found: Mapping[str, Any]) -> RefundOutput:
    """The answer of refund.information.get: other names than the increments', an amount in fen, no time of change [S].

    That whole numbers of money are fen there is said nowhere [U]; taken wrongly, no amount is the approved one.
    """
    amount = whole_number(found, "refund_amount")
    if amount < 0:
        raise anomaly("refund_amount", Text("不能为负", "must not be negative"))
    parcel = optional_text(found, PARCEL_BACK, limit=64)
    return RefundOutput(
        refund_id=text(found, "id"),
        order_id=text(found, "order_sn"),
        status="closed" if _is_of(TOLD_EXCHANGES, found) else _refund_status(found, parcel),
        amount_minor=amount,
        reason=optional_text(found, "after_sales_reason"),
        returns_goods=_TOLD_RETURNS.get(whole_number(found, "after_sales_type", -1)),
        return_waybill=parcel,
    )


def _is_of(kinds: frozenset[int], said: Mapping[str, Any]) -> bool:
    """Whether goods or work are asked for, by the state or by the kind of an application that is neither withdrawn nor
    paid."""
    if optional_text(said, "after_sales_status") in _EXCHANGES:
        return True
    status = state_of(REFUND_STATUSES, said, "after_sales_status", "unknown")
    return status not in ("closed", "refunded") and whole_number(said, "after_sales_type", -1) in kinds


def _refund_status(said: Mapping[str, Any], parcel: str | None) -> RefundStatus:
    """One number stands for two states: with a parcel on its way back, an application that waits for the shop is one
    whose goods were sent back [U], and a refusal is of the goods."""
    status = state_of(REFUND_STATUSES, said, "after_sales_status", "unknown")
    if parcel and optional_text(said, "after_sales_status") == _WAITS_FOR_THE_SHOP:
        return "returned"
    return "return_refused" if status == "refused" and parcel else status


def lacks_refunded(row: Any) -> str | None:
    """The number of an order of which money went back, whose row does not tell whether all of it did; None for any
    other."""
    said = optional_mapping(row)
    is_refunded = str(said.get("refund_status")) == str(_REFUNDED)
    return str(said["order_sn"]) if is_refunded and said.get("order_sn") and REFUNDED not in said else None


def _order_status(order: Mapping[str, Any]) -> OrderStatus:
    """Whoever joins a group has paid, though nothing is sent before it is full. Over is the order of a group that did
    not fill, and one of which all went back; where nobody knows how much did, one that was never sent."""
    status = state_of(ORDER_STATUSES, order, "order_status", "unknown")
    if whole_number(order, "refund_status", 0) == _REFUNDED:
        # Nothing is no answer where something did: the applications run behind.
        refunded = whole_number(order, REFUNDED, 0)
        if refunded >= fen(order, "pay_amount") if refunded > 0 else status == "paid":
            return "closed"
    group = whole_number(order, "group_status", 1)
    if group == _GROUP_FAILED:
        return "closed"
    return "paid" if group == _GROUP_OPEN else status


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


def read_delivery(order: Mapping[str, Any]) -> Delivery | None:
    """Where an order goes, as ciphertext; None once the platform has blanked it."""
    known = Delivery(
        province=optional_text(order, "province", limit=64),
        city=optional_text(order, "city", limit=64),
        name_ciphertext=optional_text(order, "receiver_name"),
        phone_ciphertext=optional_text(order, "receiver_phone"),
        address_ciphertext=optional_text(order, "address"),
        receiver_ciphertext=optional_text(order, "open_address_id"),
    )
    return known if known != Delivery() else None
