"""Orders, refunds and buyers in Youzan's shape."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from simulator.entities import Buyer, Coupon, Customer, Goods, Order, OrderStatus, Refund, RefundStatus, Shop, Waybill
from simulator.platforms.articles import code_of
from simulator.platforms.categories import number_of
from simulator.platforms.youzan import wire
from simulator.trade import trace
from simulator.world import World

Json = dict[str, Any]

NOT_RETURNED = frozenset({"彩妆", "眼部护理"})
ORDER_WORDS = {
    OrderStatus.UNPAID: "WAIT_BUYER_PAY",
    OrderStatus.PAID: "WAIT_SELLER_SEND_GOODS",
    OrderStatus.SHIPPED: "WAIT_BUYER_CONFIRM_GOODS",
    OrderStatus.COMPLETED: "TRADE_SUCCESS",
    OrderStatus.CLOSED: "TRADE_CLOSED",
}
STATUS_TEXT = {
    OrderStatus.UNPAID: "待支付",
    OrderStatus.PAID: "待发货",
    OrderStatus.SHIPPED: "已发货",
    OrderStatus.COMPLETED: "已完成",
    OrderStatus.CLOSED: "已关闭",
}
REFUND_WORDS = {
    RefundStatus.REQUESTED: "WAIT_SELLER_AGREE",
    RefundStatus.AWAITING_RETURN: "WAIT_BUYER_RETURN_GOODS",
    RefundStatus.RETURNED: "WAIT_SELLER_CONFIRM_GOODS",
    RefundStatus.REFUSED: "SELLER_REFUSE_BUYER",
    RefundStatus.RETURN_REFUSED: "SELLER_REFUSE_BUYER_RETURN_GOODS",
    RefundStatus.CLOSED: "CLOSED",
    RefundStatus.REFUNDED: "SUCCESS",
}
REFUND_STATES = {
    RefundStatus.REQUESTED: 1,
    RefundStatus.REFUSED: 10,
    RefundStatus.AWAITING_RETURN: 20,
    RefundStatus.RETURNED: 30,
    RefundStatus.RETURN_REFUSED: 40,
    RefundStatus.CLOSED: 50,  # [U] the published enumeration is cut off after 40
    RefundStatus.REFUNDED: 60,  # [U]
}
RETURN_ADDRESS = "浙江省杭州市余杭区仓前街道双擎退货仓"


def trade(world: World, shop: Shop, order: Order, at: datetime | None = None) -> Json:
    """`data` of youzan.trade.get, also the message of a trade push; without refunds made after `at`."""
    at = at or world.clock.now()
    customer, buyer = world.customers.get(order.customer_id), world.buyers.get(order.buyer)
    return {
        "full_order_info": {
            "order_info": _order_info(order),
            "buyer_info": _buyer(shop, customer, buyer),
            "address_info": _address(shop, customer, order),
            "pay_info": {
                "total_fee": wire.yuan(order.goods_minor),
                "post_fee": wire.yuan(order.postage_minor),
                "payment": wire.yuan(order.paid_minor),
                "real_payment": wire.yuan(order.paid_minor),
                "deduction_pay": 0,
                "deduction_real_pay": 0,
                "transaction": [],
                "outer_transactions": [],
                "phase_payments": [],
            },
            "orders": [
                {
                    "oid": line.oid,
                    "item_id": int(line.item_id),
                    "sku_id": int(line.sku_id),
                    "title": line.title,
                    "sku_properties_name": wire.compact([{"k": "规格", "v": line.sku}]),
                    "num": line.count,
                    "price": wire.yuan(line.price_minor),
                    "total_fee": wire.yuan(line.amount_minor),
                    "payment": wire.yuan(line.amount_minor),
                    "discount_price": wire.yuan(line.price_minor),
                    "outer_item_id": code_of(world, order.shop, line.sku_id).rpartition("-")[0],
                    "outer_sku_id": code_of(world, order.shop, line.sku_id),
                    "item_type": 0,
                    "is_present": False,
                    "buyer_messages": "",
                }
                for line in order.lines
            ],
            "remark_info": {"buyer_message": "", "trade_memo": ""},
            "source_info": {
                "is_offline_order": False,
                "source": {"platform": "wx", "wx_entrance": "direct_buy"},
            },
        },
        "order_promotion": {
            "item": [],
            "order": [_coupon_spent(order, coupon) for coupon in order.coupon_ids],
            "item_discount_fee": "0.00",
            "order_discount_fee": wire.yuan(order.discount_minor),
            "adjust_fee": "0.00",
        },
        "refund_order": [
            {
                "refund_id": refund.id,
                "refund_type": 1,
                "refund_state": REFUND_STATES[refund.status],
                "refund_fee": wire.yuan(refund.amount_minor),
                "refund_time": wire.local(refund.succeeded_at),
                "oids": [refund.oid],
            }
            for refund in world.refunds.having(tid=order.id)
            if refund.created_at <= at
        ],
        "delivery_order": [
            {
                "express_state": 1,
                "express_type": 1,
                "oids": [line.oid for line in order.lines],
                "dists": [
                    {
                        "dist_id": f"D{order.id[1:]}",
                        "create_time": wire.local(order.shipped_at),
                        "express_info": {"express_id": 7, "express_no": order.waybill or ""},
                    }
                ],
            }
        ]
        if order.shipped_at
        else [],
    }


def refund(world: World, shop: Shop, row: Refund) -> Json:
    """`data` of youzan.trade.refund.get 3.0.1."""
    waybill = world.waybills.get(row.waybill) if row.waybill else None
    shown: Json = {
        "refund_id": row.id,
        "kdt_id": shop.number,
        "tid": row.tid,
        "oid": row.oid,
        "status": REFUND_WORDS[row.status],
        "cs_status": 1,
        "return_goods": row.returns_goods,
        "demand": 2 if row.returns_goods else 1,
        "refund_type": "BUYER_APPLY_REFUND",
        "reason": row.reason,
        "desc": row.reason_text,
        "refund_fee": wire.yuan(row.amount_minor),
        "version": row.version,
        "created": wire.local(row.created_at),
        "modified": wire.local(row.modified_at),
        "refund_success_time": wire.local(row.succeeded_at),
    }
    if waybill is not None:
        shown["logistics"] = {
            "logistics_no": waybill.id,
            "company_code": str(waybill.express_id),
            "receiver": wire.conceal(shop.data_key, "退货仓"),
            "mobile": wire.conceal(shop.data_key, "13800000000"),
            "telephone": "",
            "address": wire.conceal(shop.data_key, RETURN_ADDRESS),
        }
    return shown


def refund_row(shop: Shop, row: Refund) -> Json:
    """One row of youzan.trade.refund.search."""
    return {
        "refund_id": row.id,
        "kdt_id": shop.number,
        "tid": row.tid,
        "oid": row.oid,
        "status": REFUND_WORDS[row.status],
        "return_goods": row.returns_goods,
        "reason": row.reason,
        "refund_fee": wire.yuan(row.amount_minor),
        "version": row.version,
        "created": wire.local(row.created_at),
        "modified": wire.local(row.modified_at),
    }


def refund_message(row: Refund) -> Json:
    """The message of a trade_refund_* push, as captured ones look [S]."""
    return {
        "update_time": wire.local(row.modified_at),
        "refund_type": "REFUND_AND_RETURN" if row.returns_goods else "REFUND_ONLY",
        "refund_reason_desc": row.reason_text,
        "refunded_fee": wire.yuan(row.amount_minor),
        "refund_reason": str(row.reason),
        "refund_id": row.id,
        "version": row.version,
        "oids": row.oid,
        "tid": row.tid,
    }


def parcel(world: World, shop: Shop, waybill: Waybill) -> Json:
    """`data` of youzan.logistics.goodsexpress.get: `data` inside is a JSON string of the stations, newest first."""
    stations = trace(world, waybill)
    states = {1: 1, 2: 0, 3: 0, 4: 5, 5: 3}
    return {
        "id": int(world.token("express", waybill.id)[:8], 16),
        "kdt_id": shop.number,
        "express_id": waybill.express_id,
        "com": str(waybill.express_id),
        "name": waybill.express_name,
        "nu": waybill.id,
        "status": "1" if stations else "0",
        "state": 2 if waybill.fate == "stuck" else states.get(len(stations), 0),
        "ep_condition": "",
        "message": "ok",
        "created_time": int(stations[-1][0].timestamp()) if stations else 0,
        "data": wire.compact([{"time": wire.local(at), "context": text} for at, text in reversed(stations)]),
    }


def user(shop: Shop, customer: Customer, buyer: Buyer) -> Json:
    """One entry of youzan.users.info.query's `user_list`."""
    return {
        "primitive_info": {
            "yz_open_id": buyer.buyer_id,
            "nick_name": wire.conceal(shop.data_key, customer.name),
            "gender": customer.gender,
            "platform_type": 2,
        },
        "mobile_info": {"mobile_encrypted": wire.conceal(shop.data_key, buyer.phone), "country_code": "+86"},
        "wechat_info": {"union_id": customer.unionid, "open_id": buyer.openid, "wechat_type": 2},
    }


def _order_info(order: Order) -> Json:
    refund_state = 0
    if order.refunded_minor:
        refund_state = 12 if order.refunded_minor >= order.paid_minor else 2
    return {
        "tid": order.id,
        "status": ORDER_WORDS[order.status],
        "status_str": STATUS_TEXT[order.status],
        "type": 0,
        "created": wire.local(order.created_at),
        "update_time": wire.local(order.updated_at),
        "pay_time": wire.local(order.paid_at),
        "consign_time": wire.local(order.shipped_at),
        "success_time": wire.local(order.finished_at),
        "refund_state": refund_state,
        "express_type": 0,
        "close_type": 2 if order.status is OrderStatus.CLOSED else 0,
        "pay_type": 10,
        "is_retail_order": False,
        "order_tags": {"is_member": True, "is_secured_transactions": True, "is_refund": bool(order.refunded_minor)},
        "order_extra": {"is_from_cart": "false", "is_points_order": "0"},
    }


def _coupon_spent(order: Order, coupon: str) -> Json:
    return {
        "promotion_type": "coupon",
        "sub_promotion_type": "card",
        "promotion_title": "店铺券",
        "promotion_type_name": "优惠券",
        "promotion_id": int(order.id[-12:]),
        "coupon_id": coupon,
        "discount_fee": wire.yuan(order.discount_minor),
    }


def _buyer(shop: Shop, customer: Customer | None, buyer: Buyer | None) -> Json:
    if customer is None or buyer is None:
        return {}
    return {
        "yz_open_id": buyer.buyer_id,
        "outer_user_id": buyer.openid,
        "buyer_phone": wire.conceal(shop.data_key, buyer.phone),
        "fans_nickname": wire.conceal(shop.data_key, customer.name),
        "fans_type": 1,
    }


def _address(shop: Shop, customer: Customer | None, order: Order) -> Json:
    if customer is None:
        return {}
    return {
        "receiver_name": wire.conceal(shop.data_key, customer.name),
        "receiver_tel": wire.conceal(shop.data_key, order.phone),
        "delivery_province": customer.province,
        "delivery_city": customer.city,
        "delivery_district": customer.district,
        "delivery_address": wire.conceal(shop.data_key, customer.street),
        "delivery_postal_code": "",
        "address_extra": wire.compact({"areaCode": "330106", "lon": 0.0, "lat": 0.0}),
        "self_fetch_info": "",
    }


def item(rows: list[Goods]) -> Json:
    """An article as the lists of goods show it; its variants are rows of the world."""
    first = rows[0]
    return {
        "item_id": int(first.item_id),
        "alias": f"a{first.item_id}",
        "title": first.title,
        "price": min(row.price_minor for row in rows),
        "quantity": sum(row.stock for row in rows),
        "item_no": first.article_code,
        "cid": number_of(first.category),
        "item_type": 0,
        "created_time": wire.local(first.updated_at),
        "update_time": wire.local(max(row.updated_at for row in rows)),
    }


def sku(row: Goods) -> Json:
    """A variant as youzan.item.get shows it."""
    return {
        "sku_id": int(row.sku_id),
        "item_id": int(row.item_id),
        "price": row.price_minor,
        "quantity": row.stock,
        "item_no": row.code,
        "properties_name_json": wire.compact([{"k": "规格", "v": row.sku}]),
    }


def item_detail(rows: list[Goods]) -> Json:
    """An article as youzan.item.itemdetail.get shows it; what was on somebody's skin does not come back."""
    comes_back = rows[0].category not in NOT_RETURNED
    return {
        "item_id": int(rows[0].item_id),
        "title": rows[0].title,
        "unconditional_return_mark": wire.compact({"is_support_unconditional_return": comes_back}),
        "barter_mark": wire.compact({"support_barter": int(comes_back)}),
        "skus": [sku(row) for row in rows],
    }


def coupon_group(shop: Shop, row: Coupon) -> Json:
    """A coupon as the shop gives it out, after one of those that were taken."""
    return {
        "id": row.batch,
        "kdt_id": shop.number,
        "group_type": 7,
        "title": f"满{row.threshold_minor // 100}减{row.value_minor // 100}",
        "preferential_type": 1,
        "denominations": row.value_minor,
        "condition": row.threshold_minor,
        "date_type": 2,
        "fixed_term": (row.expires_at - row.taken_at).days,
        "fixed_begin_term": 0,
    }


def coupon_log(world: World, row: Coupon) -> Json:
    """A coupon in somebody's hands."""
    buyer = world.buyers.get(row.buyer)
    is_used = row.state == "used"
    return {
        "promocard_id": row.id,
        "title": f"满{row.threshold_minor // 100}减{row.value_minor // 100}",
        "taked_at": wire.local(row.taken_at),
        "is_used": int(is_used),
        "used_at": wire.local(row.updated_at) if is_used else "",
        "used_in_order_no": row.order_id if is_used else "",
        "yz_open_id": buyer.buyer_id if buyer else "",
    }
