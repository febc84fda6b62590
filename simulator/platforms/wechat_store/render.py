"""Orders, refunds and articles in a WeChat Store's shape."""

from __future__ import annotations

from datetime import datetime

from simulator.entities import Goods, Order, OrderLine, OrderStatus, Refund, RefundStatus
from simulator.platforms.articles import code_of
from simulator.platforms.base import Json
from simulator.platforms.categories import TOP, number_of
from simulator.platforms.wechat import Call

LISTED, DELISTED = 5, 11
ORDER_WORDS = {
    OrderStatus.UNPAID: 10,
    OrderStatus.PAID: 20,
    OrderStatus.SHIPPED: 30,
    OrderStatus.COMPLETED: 100,
    OrderStatus.CLOSED: 250,
}
REFUNDED = 200
SCENES = {"live": 2, "short_video": 3}
REFUND_WORDS = {
    RefundStatus.REQUESTED: "MERCHANT_PROCESSING",
    RefundStatus.AWAITING_RETURN: "USER_WAIT_RETURN",
    RefundStatus.RETURNED: "MERCHANT_WAIT_RECEIPT",
    RefundStatus.REFUSED: "MERCHANT_REJECT_REFUND",
    RefundStatus.RETURN_REFUSED: "MERCHANT_REJECT_RETURN",
    RefundStatus.CLOSED: "USER_CANCELD",
    RefundStatus.REFUNDED: "MERCHANT_REFUND_SUCCESS",
}


def order(call: Call, row: Order) -> Json:
    """An order as channels/ec/order/get shows it."""
    customer, buyer = call.platform.who(row)
    closed = REFUNDED if row.status is OrderStatus.CLOSED and row.refunded_minor else ORDER_WORDS[row.status]
    parcels = [
        {
            "waybill_id": row.waybill,
            "delivery_id": "SF",
            "delivery_name": "顺丰速运",
            "delivery_time": seconds(row.shipped_at),
            "deliver_type": 1,
            "product_infos": [_product(line.item_id, line.sku_id, line.count) for line in row.lines],
        }
    ]
    return {
        "order_id": row.id,
        "status": closed,
        "openid": buyer.openid,
        "unionid": customer.unionid,
        "create_time": seconds(row.created_at),
        "update_time": seconds(row.updated_at),
        "order_detail": {
            "product_infos": [
                {
                    "product_id": line.item_id,
                    "sku_id": line.sku_id,
                    "sku_cnt": line.count,
                    "title": line.title,
                    "sale_price": line.price_minor,
                    "real_price": line.amount_minor,
                    "estimate_price": line.amount_minor,
                    "sku_code": code_of(call.world, row.shop, line.sku_id),
                    "sku_attrs": [{"attr_key": "规格", "attr_value": line.sku}],
                }
                for line in row.lines
            ],
            "price_info": {
                "product_price": row.goods_minor,
                "order_price": row.paid_minor,
                "freight": row.postage_minor,
                "discounted_price": row.discount_minor,
                "is_discounted": row.discount_minor > 0,
            },
            "pay_info": {"pay_time": seconds(row.paid_at), "transaction_id": f"42{row.id}" if row.paid_at else ""},
            "delivery_info": {
                "address_info": {
                    "province_name": customer.province,
                    "city_name": customer.city,
                    "county_name": customer.district,
                    "user_name": f"{customer.name[0]}**",
                    "tel_number": f"{row.phone[:3]}****{row.phone[-4:]}",
                },
                "delivery_product_info": parcels if row.waybill else [],
            },
            "coupon_info": {"user_coupon_id": row.coupon_ids[0] if row.coupon_ids else ""},
            "ext_info": {
                "order_scene": SCENES.get(row.channel, 1),
                "confirm_receipt_time": seconds(row.finished_at if row.status is OrderStatus.COMPLETED else None),
            },
            "source_infos": [_source(row, line) for line in row.lines] if row.influencer_id else [],
        },
    }


def refund(call: Call, row: Refund) -> Json:
    """A refund as channels/ec/aftersale/getaftersaleorder shows it."""
    order = call.world.orders.get(row.tid)
    customer, buyer = call.platform.who(order) if order is not None else (None, None)
    line = next((line for line in order.lines if line.oid == row.oid), None) if order is not None else None
    return {
        "after_sale_order_id": row.id,
        "order_id": row.tid,
        "status": REFUND_WORDS[row.status],
        "type": "RETURN" if row.returns_goods else "REFUND",
        "openid": buyer.openid if buyer else "",
        "unionid": customer.unionid if customer else "",
        "reason": "QUALITY_ISSUES",
        "reason_text": row.reason_text,
        "details": {"desc": row.reason_text},
        "product_info": _product(line.item_id, line.sku_id, line.count) if line else {},
        "refund_info": {"amount": row.amount_minor},
        "return_info": {"waybill_id": row.waybill or "", "delivery_id": "SF" if row.waybill else ""},
        "create_time": seconds(row.created_at),
        "update_time": seconds(row.modified_at),
    }


def article(rows: list[Goods]) -> Json:
    """An article as channels/ec/product/get shows it; its variants are rows of the world."""
    first = rows[0]
    return {
        "product_id": first.item_id,
        "out_product_id": first.article_code,
        "title": first.title,
        "cats": [{"cat_id": str(number)} for number in (number_of(TOP), number_of(first.category))],
        "status": LISTED if any(row.on_sale for row in rows) else DELISTED,
        "min_price": min(row.price_minor for row in rows),
        "skus": [
            {
                "sku_id": row.sku_id,
                "out_sku_id": row.code,
                "sku_code": row.code,
                "sale_price": row.price_minor,
                "stock_num": row.stock,
                "status": LISTED if row.on_sale else DELISTED,
                "sku_attrs": [{"attr_key": "规格", "attr_value": row.sku}],
            }
            for row in rows
        ],
    }


def seconds(at: datetime | None) -> int:
    """Unix seconds; 0 for what has not happened."""
    return int(at.timestamp()) if at else 0


def _source(row: Order, line: OrderLine) -> Json:
    """Who showed an article of an order."""
    return {
        "sku_id": line.sku_id,
        "account_type": 1,
        "account_id": row.influencer_id,
        "account_nickname": "",
        "content_type": SCENES.get(row.channel, 0),
        "content_id": row.video_id,
    }


def _product(item_id: str, sku_id: str, count: int) -> Json:
    return {"product_id": item_id, "sku_id": sku_id, "product_cnt": count}
