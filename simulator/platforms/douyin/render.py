"""The world's orders, refunds and goods as Douyin shows them."""

from __future__ import annotations

from datetime import datetime

from simulator.entities import Buyer, Customer, Goods, Order, OrderLine, OrderStatus, Refund, RefundStatus, Shop
from simulator.platforms.articles import code_of
from simulator.platforms.base import Json
from simulator.platforms.douyin.wire import ADDRESS, PHONE, TEXT, conceal, number, seconds
from simulator.seeding import CHINA
from simulator.trade import EXPRESS
from simulator.world import World

ORDER_WORDS = {
    OrderStatus.UNPAID: 1,
    OrderStatus.PAID: 2,
    OrderStatus.SHIPPED: 3,
    OrderStatus.COMPLETED: 5,
    OrderStatus.CLOSED: 4,
}
REFUNDED_AFTER_SHIPPING = 22
REFUND_WORDS = {
    RefundStatus.REQUESTED: 6,
    RefundStatus.AWAITING_RETURN: 7,
    RefundStatus.RETURNED: 11,
    RefundStatus.REFUNDED: 12,
    RefundStatus.REFUSED: 27,
    RefundStatus.CLOSED: 28,
    RefundStatus.RETURN_REFUSED: 29,
}
# A live room's number is not in the world; one stands for all of an influencer's [U].
ROOM_PREFIX = "73"


def order_status(order: Order) -> int:
    """The platform's number for where an order is."""
    if order.status is OrderStatus.CLOSED and order.refunded_minor:
        return REFUNDED_AFTER_SHIPPING
    return ORDER_WORDS[order.status]


def order(world: World, shop: Shop, row: Order, customer: Customer, buyer: Buyer) -> Json:
    """A shop order of order.searchList and order.orderDetail."""
    phone = conceal(shop.data_key, row.phone or buyer.phone, PHONE, row.id)
    return {
        "shop_id": shop.number,
        "shop_name": shop.name,
        "order_id": row.id,
        "order_level": 2,
        "order_status": order_status(row),
        "main_status": order_status(row),
        "open_id": buyer.buyer_id[4:],
        "doudian_open_id": buyer.buyer_id,
        "create_time": seconds(row.created_at),
        "pay_time": seconds(row.paid_at),
        "ship_time": seconds(row.shipped_at),
        "finish_time": seconds(row.finished_at),
        "update_time": seconds(row.updated_at),
        "order_amount": row.goods_minor,
        "pay_amount": row.paid_minor,
        "post_amount": row.postage_minor,
        "promotion_amount": row.discount_minor,
        "promotion_detail": {
            "shop_discount_detail": {
                "total_amount": row.discount_minor,
                "coupon_info": [
                    {"coupon_id": coupon, "coupon_amount": row.discount_minor} for coupon in row.coupon_ids
                ],
            }
        },
        "cancel_reason": "超时未支付" if row.status is OrderStatus.CLOSED and row.paid_at is None else "",
        "encrypt_post_tel": phone,
        "encrypt_post_receiver": conceal(shop.data_key, customer.name, TEXT, row.id),
        "post_addr": {
            "province": {"id": 33, "name": customer.province},
            "city": {"id": 3301, "name": customer.city},
            "town": {"id": 330106, "name": customer.district},
            "encrypt_detail": conceal(shop.data_key, customer.street, ADDRESS, row.id),
        },
        "logistics_info": _parcels(world, row),
        "sku_order_list": [_line(world, row, line) for line in row.lines],
    }


def refund(world: World, row: Refund) -> Json:
    """An item of afterSale.List."""
    order_row = world.orders.get(row.tid)
    line = next((line for line in order_row.lines if line.oid == row.oid), None) if order_row else None
    return {
        "order_info": {
            "shop_order_id": row.tid,
            "related_order_info": [
                {
                    "sku_order_id": row.oid,
                    "product_id": number(line.item_id) if line else 0,
                    "product_name": line.title if line else "",
                    "pay_amount": line.amount_minor if line else 0,
                }
            ],
        },
        "aftersale_info": {
            "aftersale_id": row.id,
            "related_id": row.oid,
            "aftersale_status": REFUND_WORDS[row.status],
            "aftersale_type": 0 if row.returns_goods else 1,
            "refund_amount": row.amount_minor,
            "refund_post_amount": 0,
            "refund_status": 3 if row.status is RefundStatus.REFUNDED else 1,
            "reason": row.reason,
            "return_logistics_code": row.waybill or "",
            "apply_time": seconds(row.created_at),
            "create_time": seconds(row.created_at),
            "update_time": seconds(row.modified_at),
        },
        "text_part": {"reason_text": row.reason_text},
    }


def goods(rows: list[Goods]) -> Json:
    """An article of product.listV2; its variants are rows of the world."""
    first = rows[0]
    return {
        "product_id": number(first.item_id),
        "name": first.title,
        "status": 0 if any(row.on_sale for row in rows) else 1,
        "check_status": 3,
        "market_price": first.price_minor,
        "discount_price": min(row.price_minor for row in rows),
        "category_detail": {"first_cname": "美妆", "second_cname": first.category},
        "outer_product_id": first.article_code,
        "video_ids": list(first.video_ids),
        "create_time": seconds(first.updated_at),
        "update_time": seconds(max(row.updated_at for row in rows)),
    }


def product(rows: list[Goods]) -> Json:
    """An article of product.detail, with its variants."""
    return {
        **goods(rows),
        "product_id_str": rows[0].item_id,
        "spec_prices": [
            {
                "sku_id": number(row.sku_id),
                "spec_detail_ids": [number(row.sku_id) % 1000],
                "price": row.price_minor,
                "stock_num": row.stock,
                "code": row.code,
            }
            for row in rows
        ],
    }


def settled(row: Order, line: OrderLine) -> Json:
    """A line of the settlement bill: an influencer takes a tenth, the platform six in a thousand [U]."""
    commission = line.amount_minor // 10 if row.influencer_id else 0
    fee = line.amount_minor * 6 // 1000
    return {
        "shop_order_id": row.id,
        "order_id": line.oid,
        "request_no": f"S{line.oid}",
        "settle_time": local(row.finished_at),
        "total_amount": line.amount_minor,
        "commission": commission,
        "platform_service_fee": fee,
        "settle_amount": line.amount_minor - commission - fee,
    }


def local(at: datetime | None) -> str:
    """An instant as the bill writes it, in China."""
    return f"{at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}" if at else ""


def _line(world: World, row: Order, line: OrderLine) -> Json:
    return {
        "order_id": line.oid,
        "parent_order_id": row.id,
        "order_status": order_status(row),
        "product_id": number(line.item_id),
        "product_id_str": line.item_id,
        "product_name": line.title,
        "sku_id": number(line.sku_id),
        "code": code_of(world, row.shop, line.sku_id),
        "spec": [{"name": "规格", "value": line.sku}],
        "item_num": line.count,
        "origin_amount": line.price_minor,
        "sum_amount": line.amount_minor,
        "pay_amount": line.amount_minor,
        "author_id": number(row.influencer_id),
        "room_id": number(f"{ROOM_PREFIX}{number(row.influencer_id):017d}") if row.channel == "live" else 0,
        "video_id": number(row.video_id),
    }


def _parcels(world: World, row: Order) -> list[Json]:
    if not row.waybill:
        return []
    parcel = world.waybills.get(row.waybill)
    name = parcel.express_name if parcel else EXPRESS[7]
    return [
        {
            "tracking_no": row.waybill,
            "company": "shunfeng" if name == EXPRESS[7] else "other",
            "company_name": name,
            "ship_time": seconds(row.shipped_at),
            "product_info": [{"sku_order_id": line.oid, "product_count": line.count} for line in row.lines],
        }
    ]
