"""Orders and after-sale applications in Pinduoduo's shape: receivers as ciphertext, blank once the order is shipped.

Names of the buyer's, the group's, the main order's and the coupons' fields are assumed [U].
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from simulator.entities import Goods, Order, OrderStatus, Refund, RefundStatus
from simulator.platforms.articles import code_of
from simulator.platforms.base import PlatformBase
from simulator.platforms.signed_gateway import local
from simulator.platforms.youzan.wire import conceal

Json = dict[str, Any]

REFUND_STATUSES = {
    RefundStatus.REQUESTED: 2,
    RefundStatus.AWAITING_RETURN: 7,
    RefundStatus.RETURNED: 3,
    RefundStatus.REFUSED: 6,
    RefundStatus.RETURN_REFUSED: 6,
    RefundStatus.CLOSED: 11,
    RefundStatus.REFUNDED: 10,
}


def order(platform: PlatformBase, row: Order) -> Json:
    """An order as the increments and order.information.get show it."""
    customer, buyer = platform.who(row)
    key = platform.shop(row.shop).data_key
    is_open = row.shipped_at is None and row.status is not OrderStatus.CLOSED

    def cipher(plain: str) -> str:
        return f"~{conceal(key, plain)}~" if is_open else ""

    return {
        "order_sn": row.id,
        "parent_order_sn": row.parent_id,
        "group_order_id": row.group_id,
        "open_uid": buyer.buyer_id,
        "order_status": 3 if row.finished_at else 2 if row.shipped_at else 1,
        "refund_status": _refund_status(row),
        "group_status": 1,
        "trade_type": 0,
        "pay_amount": _yuan(row.paid_minor),
        "goods_amount": _yuan(row.goods_minor),
        "postage": _yuan(row.postage_minor),
        "discount_amount": _yuan(row.discount_minor),
        "created_time": local(row.created_at),
        "confirm_time": local(row.paid_at),
        "shipping_time": local(row.shipped_at),
        "receive_time": local(row.finished_at),
        "updated_at": local(row.updated_at),
        "receiver_name": cipher(customer.name),
        "receiver_phone": cipher(row.phone),
        "address": cipher(customer.street),
        "province": customer.province if is_open else "",
        "city": customer.city if is_open else "",
        "tracking_number": row.waybill or "",
        "promotion_detail_list": [{"promotion_id": coupon, "promotion_type": 1} for coupon in row.coupon_ids],
        "item_list": [
            {
                "goods_id": int(line.item_id),
                "sku_id": int(line.sku_id),
                "goods_name": line.title,
                "goods_spec": line.sku,
                "outer_id": code_of(platform.world, row.shop, line.sku_id),
                "goods_count": line.count,
                "goods_price": _yuan(line.price_minor),
            }
            for line in row.lines
        ],
    }


def listed_refund(row: Refund, order: Order | None) -> Json:
    """An after-sale application as the increments show it, with the parcel that the order went out in."""
    return {
        "id": int(row.id),
        "order_sn": row.tid,
        "after_sales_type": 3 if row.returns_goods else 2,
        "after_sales_status": REFUND_STATUSES[row.status],
        "refund_amount": str(_yuan(row.amount_minor)),
        "after_sale_reason": row.reason_text,
        "tracking_number": (order and order.waybill) or "",
        "created_time": local(row.created_at),
        "updated_time": local(row.modified_at),
    }


def refund(row: Refund) -> Json:
    """An after-sale application as refund.information.get tells it: types count from 1, and money is in fen [U]."""
    return {
        "id": int(row.id),
        "order_sn": row.tid,
        "after_sales_type": 2 if row.returns_goods else 1,
        "after_sales_status": REFUND_STATUSES[row.status],
        "refund_amount": row.amount_minor,
        "after_sales_reason": row.reason_text,
        "express_no": row.waybill or "",
        "recreated_at": int(row.created_at.timestamp()),
    }


def _refund_status(row: Order) -> int:
    """4: money went back, be it all of it or a part."""
    return 4 if row.status is OrderStatus.CLOSED or row.refunded_minor else 1


def _yuan(amount_minor: int) -> float:
    """Yuan as a JSON number, as this platform writes orders' amounts; refunds' are texts. The shortest digits that
    make a double, which is what JSON writes, are those of the amount, up to 15 of them."""
    return float(Decimal(amount_minor) / 100)


def goods(rows: list[Goods]) -> Json:
    """An article as goods.list.get shows it; its variants are rows of the world."""
    first = rows[0]
    return {
        "goods_id": int(first.item_id),
        "goods_name": first.title,
        "goods_quantity": sum(row.stock for row in rows),
        "is_onsale": int(any(row.on_sale for row in rows)),
        "is_more_sku": int(len(rows) > 1),
        "sku_list": [
            {
                "sku_id": int(row.sku_id),
                "sku_quantity": row.stock,
                "spec": row.sku,
                "outer_id": row.code,
                "outer_goods_id": row.article_code,
                "is_sku_onsale": int(row.on_sale),
            }
            for row in rows
        ],
    }
