"""Orders, refunds and parcels as rows."""

from collections import Counter
from datetime import datetime
from typing import Any

from domain.canonical import OrderData, RefundData, ShipmentData

Row = tuple[tuple[str, ...], dict[str, Any]]

SOLD_BY = ("channel", "influencer_id", "video_id")
"""What tells who sold an order."""
NOBODY = ""
"""Who sold it, where a telling says that nobody did; None is not said."""


def order_row(data: OrderData, at: datetime) -> Row:
    """Key and values of an order. Platforms blank the receiver after shipping; nothing said keeps what was known."""
    delivery = data.delivery
    receiver = delivery.model_dump(exclude_none=True, exclude={"province", "city"}) if delivery else {}
    return (data.account_id, data.order_id), {
        "status": data.status,
        "currency": data.currency,
        "paid_minor": data.paid_minor,
        "postage_minor": data.postage_minor,
        "discount_minor": data.discount_minor,
        "created_at": data.created_at,
        "paid_at": data.paid_at or (data.occurred_at if data.status == "paid" else None),
        "shipped_at": data.shipped_at,
        "completed_at": data.completed_at,
        "told_at": data.occurred_at or at,
        "parent_order_id": data.parent_order_id,
        "group_id": data.group_id,
        **{name: getattr(data, name) or (NOBODY if data.says_who_sold else None) for name in SOLD_BY},
        "membership": data.membership,
        "dining": data.dining,
        "province": delivery.province if delivery else None,
        "city": delivery.city if delivery else None,
        "close_reason": data.close_reason,
        "coupon_ids": list(data.coupon_ids),
        "buyer": data.buyer.model_dump(exclude_none=True) or None,
        "receiver": receiver or None,
    }


def order_line_rows(data: OrderData) -> list[dict[str, Any]]:
    """The articles of an order; of lines under one id, each further one gets a number."""
    seen: Counter[str] = Counter()
    return [
        {
            "line_id": _told_apart(line.line_id, seen),
            "item_id": line.item_id,
            "sku_id": line.sku_id,
            "title": line.title,
            "sku": line.sku,
            "category": line.category,
            "quantity": line.quantity,
            "price_minor": line.price_minor,
            "total_minor": line.total_minor,
        }
        for line in data.lines
    ]


def _told_apart(line_id: str, seen: Counter[str]) -> str:
    seen[line_id] += 1
    return line_id if seen[line_id] == 1 else f"{line_id}#{seen[line_id]}"


def refund_row(data: RefundData, at: datetime) -> Row:
    """Key and values of a refund."""
    told_at = data.occurred_at or at
    return (data.account_id, data.refund_id), {
        "order_id": data.order_id,
        "status": data.status,
        "amount_minor": data.amount_minor,
        "currency": data.currency,
        "reason": data.reason,
        "returns_goods": data.returns_goods,
        "line_ids": list(data.line_ids),
        "requested_at": told_at if data.status == "requested" else None,
        "refunded_at": told_at if data.status == "refunded" else None,
        "told_at": told_at,
    }


def shipment_row(data: ShipmentData, at: datetime) -> Row:
    """Key and values of a parcel."""
    return (data.account_id, data.waybill, data.order_id), {
        "order_account": data.order_account,
        "company": data.company,
        "state": data.state,
        "told_at": data.occurred_at or at,
    }
