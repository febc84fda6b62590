"""A WeChat Store's orders and refunds as Tandem's. Source: the answers of ec/order/get and ec/aftersale [S]."""

from collections.abc import Iterator, Mapping, Sequence
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
    "10": "unpaid",
    "12": "paid",
    "13": "paid",
    # Waits to be redeemed at the shop.
    "17": "paid",
    "20": "paid",
    "21": "paid",
    "30": "shipped",
    "100": "completed",
    "200": "closed",
    "250": "closed",
}
# Of exchanges and second parcels: no money goes back, so as a refund they are closed.
_EXCHANGES: Mapping[str, RefundStatus] = {
    "USER_WAIT_RECEIPT": "closed",
    "MERCHANT_REJECT_EXCHANGE": "closed",
    "MERCHANT_REJECT_RESHIP": "closed",
    "MERCHANT_EXCHANGE_SUCCESS": "closed",
}
REFUND_STATUSES: Mapping[str, RefundStatus] = {
    **_EXCHANGES,
    "MERCHANT_PROCESSING": "requested",
    "USER_WAIT_CONFIRM": "requested",
    "USER_WAIT_CONFIRM_UPDATE": "requested",
    "USER_WAIT_HANDLE_MERCHANT_AFTER_SALE": "requested",
    "USER_WAIT_RETURN": "awaiting_return",
    "MERCHANT_WAIT_RECEIPT": "returned",
    "MERCHANT_REJECT_REFUND": "refused",
    "MERCHANT_REJECT_RETURN": "refused",
    "MERCHANT_REFUND_SUCCESS": "refunded",
    "MERCHANT_RETURN_SUCCESS": "refunded",
    "USER_CANCELD": "closed",
    "USER_CANCELED": "closed",
    "RETURN_CLOSED": "closed",
    "MERCHANT_FAIL": "closed",
    "MERCHANT_REFUND_RETRY_FAIL": "closed",
    # Somebody is late or steps in, or a payment is on its way: where the refund stands, these leave as it was.
    "MERCHANT_OVERDUE_REFUND": "unknown",
    "PLATFORM_REFUNDING": "unknown",
    "PLATFORM_REFUND_FAIL": "unknown",
    "WAIT_PACKAGE_INTERCEPT": "unknown",
    "PLATFORM_PROCESSING": "unknown",
}
# Where the buyer came from, by `order_scene` [U].
_CHANNELS = {"2": "live", "3": "short_video", "4": "share", "5": "shop_window", "6": "article"}
_RETURNS_GOODS = {"RETURN": True, "EXCHANGE": True, "REFUND": False}
_NO_REFUNDS = frozenset({"EXCHANGE", "RESHIP"})


def read_order(order: Mapping[str, Any]) -> OrderOutput:
    """`order` of ec/order/get. The receiver's name and number stay away."""
    detail = mapping(order.get("order_detail"), "order_detail")
    price = optional_mapping(detail.get("price_info"))
    payment = optional_mapping(detail.get("pay_info"))
    delivery = optional_mapping(detail.get("delivery_info"))
    extra = optional_mapping(detail.get("ext_info"))
    lines = tuple(_line(mapping(row, "product_infos")) for row in _rows(detail, "product_infos"))
    sources = _sources(detail, lines)
    sellers = [optional_text(each, "account_id", limit=64) for each in sources]
    videos = [optional_text(each, "content_id", limit=64) for each in sources]
    parcels = [mapping(row, "delivery_product_info") for row in _rows(delivery, "delivery_product_info")]
    sent = [moment for parcel in parcels if (moment := unix_time(parcel, "delivery_time"))]
    channel = _CHANNELS.get(str(extra.get("order_scene")))
    return OrderOutput(
        order_id=text(order, "order_id"),
        status=state_of(ORDER_STATUSES, order, "status", "unknown"),
        paid_minor=optional_minor(price, "order_price"),
        postage_minor=optional_minor(price, "freight"),
        discount_minor=optional_minor(price, "discounted_price"),
        lines=lines,
        buyer=Buyer(openid=optional_text(order, "openid", limit=64), unionid=optional_text(order, "unionid", limit=64)),
        delivery=_place(optional_mapping(delivery.get("address_info"))),
        waybills=tuple(number for parcel in parcels if (number := optional_text(parcel, "waybill_id", limit=64))),
        channel=channel,
        influencer_id=said_by_all(sellers) if sources else optional_text(extra, "finder_id", limit=64),
        video_id=said_by_all(videos) if channel == "short_video" else None,
        coupon_ids=tuple(_coupons(detail)),
        created_at=unix_time(order, "create_time"),
        paid_at=unix_time(payment, "pay_time"),
        shipped_at=min(sent, default=None),
        completed_at=unix_time(extra, "confirm_receipt_time"),
        updated_at=unix_time(order, "update_time"),
    )


def read_refund(refund: Mapping[str, Any]) -> RefundOutput:
    """`after_sale_order` of ec/aftersale."""
    money = optional_mapping(refund.get("refund_info"))
    product = optional_mapping(refund.get("product_info"))
    line = _line_id(product)
    status = state_of(REFUND_STATUSES, refund, "status", "unknown")
    return RefundOutput(
        refund_id=text(refund, "after_sale_order_id"),
        order_id=text(refund, "order_id"),
        status="closed" if is_exchange(refund) else status,
        amount_minor=optional_minor(money, "amount"),
        reason=optional_text(optional_mapping(refund.get("details")), "desc") or optional_text(refund, "reason_text"),
        returns_goods=_RETURNS_GOODS.get(str(refund.get("type"))),
        return_waybill=optional_text(optional_mapping(refund.get("return_info")), "waybill_id", limit=64),
        line_ids=(line,) if line else (),
        created_at=unix_time(refund, "create_time"),
        updated_at=unix_time(refund, "update_time"),
    )


def is_exchange(refund: Mapping[str, Any]) -> bool:
    """Whether goods go to the buyer once more, and no money. One that was withdrawn is closed like any refund."""
    status = optional_text(refund, "status") or ""
    if status in _EXCHANGES:
        return True
    return str(refund.get("type")) in _NO_REFUNDS and REFUND_STATUSES.get(status) != "closed"


def products_of(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a parcel of the whole order holds, as delivery/send wants it."""
    rows = _rows(optional_mapping(order.get("order_detail")), "product_infos")
    return [
        {"product_id": row.get("product_id"), "sku_id": row.get("sku_id"), "product_cnt": row.get("sku_cnt")}
        for row in rows
        if isinstance(row, Mapping)
    ]


def _sources(detail: Mapping[str, Any], lines: Sequence[OrderLine]) -> list[Mapping[str, Any]]:
    """Where each article came from, an empty one where nobody showed it; nothing where the order tells no sources.

    A source names its article by `sku_id`, or none does and each article has one [U]. A gift has nobody who sold it.
    """
    told = [optional_mapping(each) for each in _rows(detail, "source_infos")]
    if not told:
        return []
    sold = [line.sku_id for line in lines if line.total_minor] or [line.sku_id for line in lines]
    named = [(sku, each) for each in told if (sku := optional_text(each, "sku_id", limit=64)) not in (None, "0")]
    if not named:
        if len(told) == len(lines):
            told = [each for each, line in zip(told, lines, strict=True) if line.sku_id in sold]
        return [*told, *({} for _ in sold[len(told) :])]
    return [found for wanted in sold for found in ([each for sku, each in named if sku == wanted] or [{}])]


def _line(row: Mapping[str, Any]) -> OrderLine:
    quantity = pieces(row, "sku_cnt")
    price = optional_minor(row, "sale_price") or 0
    total = optional_minor(row, "estimate_price")
    attributes = [optional_mapping(each) for each in _rows(row, "sku_attrs")]
    names = [value for each in attributes if (value := optional_text(each, "attr_value", limit=64))]
    return OrderLine(
        line_id=_line_id(row) or text(row, "sku_id"),
        item_id=optional_text(row, "product_id", limit=64),
        sku_id=optional_text(row, "sku_id", limit=64),
        title=text(row, "title", limit=512),
        sku=" ".join(names) or None,
        merchant_code=merchant_code(row, "sku_code", "out_sku_id"),
        quantity=quantity,
        price_minor=price,
        total_minor=price * quantity if total is None else total,
    )


def _line_id(row: Mapping[str, Any]) -> str | None:
    """The platform numbers no lines; within an order an article and its variant name one."""
    item, sku = optional_text(row, "product_id", limit=31), optional_text(row, "sku_id", limit=31)
    return f"{item}-{sku}" if item and sku else None


def _place(address: Mapping[str, Any]) -> Delivery | None:
    if not address:
        return None
    return Delivery(
        province=optional_text(address, "province_name", limit=64), city=optional_text(address, "city_name", limit=64)
    )


def _coupons(detail: Mapping[str, Any]) -> Iterator[str]:
    number = optional_text(optional_mapping(detail.get("coupon_info")), "user_coupon_id", limit=64)
    if number and number != "0":
        yield number


def _rows(source: Mapping[str, Any], field: str) -> list[Any]:
    value = source.get(field)
    return value if isinstance(value, list) else []
