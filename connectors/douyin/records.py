"""Douyin's orders, refunds and goods as Tandem's, for answers, pages and pushes alike.

Source: the answers of order.searchList, order.orderDetail, afterSale.List and product.listV2 [S].
"""

from collections.abc import Iterator, Mapping
from typing import Any

from connectors.reading import (
    mapping,
    merchant_code,
    optional_mapping,
    optional_minor,
    optional_text,
    pieces,
    said_by_all,
    state_of,
    text,
    unix_time,
)
from domain.canonical import Buyer, Delivery, OrderLine, OrderStatus, RefundStatus
from domain.catalog.shop_calls import OrderOutput, RefundOutput

ORDER_STATUSES: Mapping[str, OrderStatus] = {
    "1": "unpaid",
    "103": "unpaid",
    "105": "paid",
    "2": "paid",
    "101": "paid",
    "3": "shipped",
    "5": "completed",
    "4": "closed",
    "21": "closed",
    "22": "closed",
    "39": "closed",
}
# Exchanged, under way or over: no money goes back, so as a refund it is closed [S].
_EXCHANGES: Mapping[str, RefundStatus] = {"3": "closed", "8": "closed", "13": "closed", "14": "closed"}
REFUND_STATUSES: Mapping[str, RefundStatus] = {
    **_EXCHANGES,
    "6": "requested",
    "7": "awaiting_return",
    "11": "returned",
    "12": "refunded",
    "27": "refused",
    "28": "closed",
    "29": "return_refused",
    # Cancelled by the system [S].
    "51": "closed",
    # Begun, over: these leave open where the refund stands [S].
    "0": "unknown",
    "53": "unknown",
}
# aftersale_type: 0 goods and money, 1 money after shipping, 2 money before, 3 exchange, 6 a price that fell, 7 another
# parcel, 8 repair [S].
_RETURNS_GOODS = {"0": True, "1": False, "2": False, "3": True}
_NO_REFUNDS = frozenset({"3", "7", "8"})


def search_index(ciphertext: str | None) -> str | None:
    """The part of a ciphertext that is equal for equal texts of one shop, by which the platform lets one search.

    It stands between the first two marks: `$index$cipher$1$$`, `#index#cipher#1#`, `~index~cipher~1~` [S].
    """
    if not ciphertext or ciphertext[0] not in "$#~":
        return None
    index = ciphertext[1:].partition(ciphertext[0])[0]
    return index or None


def read_order(order: Mapping[str, Any]) -> OrderOutput:
    """An order of a list or of a detail answer."""
    rows = [mapping(row, "sku_order_list") for row in _rows(order, "sku_order_list")]
    # A gift has nobody who sold it.
    sold = [row for row in rows if optional_minor(row, "pay_amount")] or rows
    parcels = [mapping(row, "logistics_info") for row in _rows(order, "logistics_info")]
    shipped = [moment for parcel in parcels if (moment := unix_time(parcel, "ship_time"))]
    return OrderOutput(
        order_id=text(order, "order_id"),
        status=state_of(ORDER_STATUSES, order, "order_status", "unknown"),
        paid_minor=optional_minor(order, "pay_amount"),
        postage_minor=optional_minor(order, "post_amount"),
        discount_minor=optional_minor(order, "promotion_amount"),
        lines=tuple(_line(row) for row in rows),
        buyer=Buyer(
            buyer_id=optional_text(order, "doudian_open_id", limit=128) or optional_text(order, "open_id", limit=128)
        ),
        delivery=_delivery(order),
        waybills=tuple(number for parcel in parcels if (number := optional_text(parcel, "tracking_no", limit=64))),
        channel=said_by_all([_channel(row) for row in sold]),
        influencer_id=said_by_all([_number(row, "author_id") for row in sold]),
        video_id=said_by_all([_number(row, "video_id") for row in sold]),
        coupon_ids=tuple(_coupons(order)),
        created_at=unix_time(order, "create_time"),
        paid_at=unix_time(order, "pay_time"),
        shipped_at=unix_time(order, "ship_time") or min(shipped, default=None),
        completed_at=unix_time(order, "finish_time"),
        updated_at=unix_time(order, "update_time"),
        close_reason=optional_text(order, "cancel_reason"),
    )


def read_refund(item: Mapping[str, Any]) -> RefundOutput:
    """A refund of afterSale.List."""
    detail = mapping(item.get("aftersale_info"), "aftersale_info")
    order = optional_mapping(item.get("order_info"))
    order_id = optional_text(order, "shop_order_id", limit=64) or optional_text(order, "order_id", limit=64)
    lines = [mapping(row, "related_order_info") for row in _rows(order, "related_order_info")]
    line_ids = [
        optional_text(line, "order_id", limit=64) or optional_text(line, "sku_order_id", limit=64) for line in lines
    ]
    reason = optional_text(optional_mapping(item.get("text_part")), "reason_text")
    return RefundOutput(
        refund_id=text(detail, "aftersale_id"),
        order_id=order_id or text(detail, "related_id"),
        status=refund_status(detail, "unknown"),
        amount_minor=optional_minor(detail, "refund_amount"),
        reason=reason,
        returns_goods=_RETURNS_GOODS.get(str(detail.get("aftersale_type"))),
        return_waybill=optional_text(detail, "return_logistics_code", limit=64),
        line_ids=tuple(line_id for line_id in line_ids if line_id),
        created_at=unix_time(detail, "apply_time") or unix_time(detail, "create_time"),
        updated_at=unix_time(detail, "update_time"),
    )


def refund_status(said: Mapping[str, Any], unsaid: RefundStatus) -> RefundStatus:
    """Where a refund stands, `unsaid` where no state is given; an exchange or a repair is closed as a refund."""
    status = state_of(REFUND_STATUSES, said, "aftersale_status", unsaid)
    return "closed" if is_exchange(said, unsaid) else status


def is_exchange(said: Mapping[str, Any], unsaid: RefundStatus = "unknown") -> bool:
    """Whether something else than money is asked for. What was withdrawn is closed like any refund."""
    state = optional_text(said, "aftersale_status") or ""
    if state in _EXCHANGES:
        return True
    return asks_no_money(said) and REFUND_STATUSES.get(state, unsaid) != "closed"


def asks_no_money(said: Mapping[str, Any]) -> bool:
    """Whether it is of a kind that is never paid."""
    return str(said.get("aftersale_type")) in _NO_REFUNDS


def returns_goods(kind: Any) -> bool | None:
    """Whether a refund of this `aftersale_type` brings the goods back."""
    return _RETURNS_GOODS.get(str(kind))


def _line(row: Mapping[str, Any]) -> OrderLine:
    specs = [str(pair["value"]) for pair in _rows(row, "spec") if isinstance(pair, Mapping) and pair.get("value")]
    quantity = pieces(row, "item_num")
    return OrderLine(
        line_id=text(row, "order_id"),
        item_id=_number(row, "product_id_str") or _number(row, "product_id"),
        sku_id=_number(row, "sku_id"),
        title=text(row, "product_name", limit=512),
        sku=" ".join(specs) or None,
        merchant_code=merchant_code(row, "code", "out_sku_id"),
        quantity=quantity,
        price_minor=optional_minor(row, "origin_amount") or 0,
        total_minor=optional_minor(row, "pay_amount") or 0,
    )


def _delivery(order: Mapping[str, Any]) -> Delivery | None:
    address = optional_mapping(order.get("post_addr"))
    if not address:
        return None
    return Delivery(
        province=_place(address, "province"),
        city=_place(address, "city"),
        name_ciphertext=optional_text(order, "encrypt_post_receiver"),
        phone_ciphertext=optional_text(order, "encrypt_post_tel"),
        address_ciphertext=optional_text(address, "encrypt_detail"),
    )


def _place(address: Mapping[str, Any], part: str) -> str | None:
    return optional_text(optional_mapping(address.get(part)), "name", limit=64)


def _channel(row: Mapping[str, Any]) -> str | None:
    """Where a line's goods were shown: a live room, a short video; None for the shop itself."""
    if _number(row, "room_id"):
        return "live"
    return "short_video" if _number(row, "video_id") else None


def _number(row: Mapping[str, Any], field: str) -> str | None:
    """An id; the platform writes 0 for none."""
    value = optional_text(row, field, limit=64)
    return None if value == "0" else value


def _coupons(order: Mapping[str, Any]) -> Iterator[str]:
    promotion = optional_mapping(order.get("promotion_detail"))
    for payer in ("shop_discount_detail", "platform_discount_detail", "kol_discount_detail"):
        for coupon in _rows(optional_mapping(promotion.get(payer)), "coupon_info"):
            number = _number(mapping(coupon, "coupon_info"), "coupon_id")
            if number:
                yield number


def _rows(source: Mapping[str, Any], field: str) -> list[Any]:
    value = source.get(field)
    return value if isinstance(value, list) else []
