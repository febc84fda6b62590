"""Orders and refunds in Taobao's shape: personal data masked, the receiver as an OAID."""

from __future__ import annotations

import json
from typing import Any

from simulator.entities import Goods, Order, OrderStatus, Refund, RefundStatus
from simulator.platforms.articles import code_of
from simulator.platforms.base import PlatformBase
from simulator.platforms.categories import number_of
from simulator.platforms.signed_gateway import local, masked, yuan

Json = dict[str, Any]

STATUSES = {
    OrderStatus.UNPAID: "WAIT_BUYER_PAY",
    OrderStatus.PAID: "WAIT_SELLER_SEND_GOODS",
    OrderStatus.SHIPPED: "WAIT_BUYER_CONFIRM_GOODS",
    OrderStatus.COMPLETED: "TRADE_FINISHED",
    OrderStatus.CLOSED: "TRADE_CLOSED",
}
REFUND_STATUSES = {
    RefundStatus.REQUESTED: "WAIT_SELLER_AGREE",
    RefundStatus.AWAITING_RETURN: "WAIT_BUYER_RETURN_GOODS",
    RefundStatus.RETURNED: "WAIT_SELLER_CONFIRM_GOODS",
    RefundStatus.REFUSED: "SELLER_REFUSE_BUYER",
    RefundStatus.RETURN_REFUSED: "SELLER_REFUSE_BUYER",
    RefundStatus.CLOSED: "CLOSED",
    RefundStatus.REFUNDED: "SUCCESS",
}


def trade(platform: PlatformBase, order: Order) -> Json:
    """A trade as fullinfo and the increments show it."""
    customer, buyer = platform.who(order)
    return {
        "tid": order.id,
        "tid_str": order.id,
        "status": STATUSES[order.status],
        "type": "fixed",
        "payment": yuan(order.paid_minor),
        "post_fee": yuan(order.postage_minor),
        "discount_fee": yuan(order.discount_minor),
        "total_fee": yuan(order.goods_minor),
        "created": local(order.created_at),
        "modified": local(order.updated_at),
        **_moments(order),
        "buyer_nick": masked(buyer.nickname),
        "buyer_open_uid": buyer.buyer_id,
        "oaid": "1" + platform.world.token("oaid", order.shop, customer.id, order.id)[:40],
        "receiver_name": masked(customer.name),
        "receiver_mobile": "*******" + order.phone[-4:],
        "receiver_address": "**路**号",
        "receiver_state": customer.province,
        "receiver_city": customer.city,
        "trade_attr": json.dumps({"vip88": "1"} if order.membership == "88VIP" else {}),
        "promotion_details": {
            "promotion_detail": [
                {"id": order.id, "promotion_id": coupon, "promotion_name": "店铺券", "discount_fee": "0.00"}
                for coupon in order.coupon_ids
            ]
        },
        "orders": {
            "order": [
                {
                    "oid": line.oid,
                    "num_iid": int(line.item_id),
                    "sku_id": line.sku_id,
                    "cid": number_of(line.category),
                    "title": line.title,
                    "sku_properties_name": f"规格:{line.sku}",
                    "outer_sku_id": code_of(platform.world, order.shop, line.sku_id),
                    "num": line.count,
                    "price": yuan(line.price_minor),
                    "total_fee": yuan(line.amount_minor),
                    "payment": yuan(line.amount_minor),
                    "status": STATUSES[order.status],
                    **({"invoice_no": order.waybill, "logistics_company": "顺丰速运"} if order.waybill else {}),
                }
                for line in order.lines
            ]
        },
    }


def refund(platform: PlatformBase, row: Refund) -> Json:
    """A refund as refund.get and the list show it."""
    order = platform.world.orders.get(row.tid)
    return {
        "refund_id": row.id,
        "tid": row.tid,
        "oid": row.oid,
        "status": REFUND_STATUSES[row.status],
        "refund_fee": yuan(row.amount_minor),
        "reason": row.reason_text,
        "has_good_return": row.returns_goods,
        "sid": row.waybill or "",
        "created": local(row.created_at),
        "modified": local(row.modified_at),
        "refund_version": row.version,
        "refund_phase": "onsale",
        "buyer_open_uid": platform.who(order)[1].buyer_id if order else "",
    }


def _moments(order: Order) -> Json:
    moments = {"pay_time": order.paid_at, "consign_time": order.shipped_at, "end_time": order.finished_at}
    return {name: local(at) for name, at in moments.items() if at is not None}


def item(rows: list[Goods]) -> Json:
    """An article as the lists of goods show it; its variants are rows of the world."""
    first = rows[0]
    return {
        "num_iid": int(first.item_id),
        "title": first.title,
        "cid": number_of(first.category),
        "price": yuan(min(row.price_minor for row in rows)),
        "num": sum(row.stock for row in rows),
        "outer_id": first.article_code,
        "modified": local(max(row.updated_at for row in rows)),
    }


def sku(row: Goods) -> Json:
    """A variant as item.skus.get shows it."""
    return {
        "sku_id": int(row.sku_id),
        "num_iid": int(row.item_id),
        "price": yuan(row.price_minor),
        "quantity": row.stock,
        "outer_id": row.code,
        "properties_name": f"1:2:规格:{row.sku}",
        "status": "normal" if row.on_sale else "delete",
    }
