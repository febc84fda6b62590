"""Meituan: signed forms in, signed forms out. All of it is [U], see `simulator.platforms.catering`."""

from __future__ import annotations

import json
from hashlib import md5
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from simulator.entities import Goods, Order, OrderStatus, Push, Refund, RefundStatus, Shop
from simulator.faults import Fault
from simulator.happenings import What
from simulator.platforms.articles import code_of
from simulator.platforms.base import Incoming, Json, PushRequest
from simulator.platforms.catering import ApiError, CateringPlatform, seconds, yuan

PREFIX = "api/v1/"
WINDOW_S = 600
CODES = {"denied": 704, "not_found": 808, "conflict": 809, "invalid": 801}
ORDER_WORDS = {
    OrderStatus.UNPAID: 1,
    OrderStatus.PAID: 4,
    OrderStatus.SHIPPED: 6,
    OrderStatus.COMPLETED: 8,
    OrderStatus.CLOSED: 9,
}
REFUND_WORDS = {
    RefundStatus.REQUESTED: 0,
    RefundStatus.REFUSED: 1,
    RefundStatus.RETURN_REFUSED: 1,
    RefundStatus.REFUNDED: 2,
    RefundStatus.CLOSED: 3,
    RefundStatus.AWAITING_RETURN: 4,
    RefundStatus.RETURNED: 5,
}


class Meituan(CateringPlatform):
    """The platform."""

    name = "meituan"
    retry_delays_s = (5, 30, 120, 600, 1800, 3600)
    refund_id, order_id, total = "refund_id", "order_id", "total_count"
    apis = {
        "get_order": "order/getOrderDetail",
        "list_orders": "order/list",
        "get_refund": "order/refund/get",
        "list_refunds": "order/refund/list",
        "agree": "order/refund/agree",
        "refuse": "order/refund/reject",
        "list_goods": "food/list",
    }

    def router(self) -> APIRouter:
        """POST /api/v1/{interface}."""
        router = APIRouter(prefix=f"/{self.name}", tags=[self.name])
        router.add_api_route("/api/v1/{api:path}", self._call, methods=["POST"])
        return router

    def api_of(self, incoming: Incoming) -> str | None:
        """The interface."""
        return incoming.path.removeprefix(PREFIX) if incoming.path.startswith(PREFIX) else None

    def account_of(self, incoming: Incoming) -> str:
        """The shop of the application."""
        shop = self.shop_of_client(incoming.params.get("app_id", ""))
        return shop.id if shop else ""

    def token_of(self, incoming: Incoming) -> str | None:
        """There are no tokens: every call is signed."""
        return None

    def answer_for(self, fault: Fault) -> Json:
        """Too often, out of order, or not allowed."""
        if fault in (Fault.FORBIDDEN, Fault.UNTRUSTED_IP):
            return _error(704, "无接口权限") if fault is Fault.FORBIDDEN else _error(705, "IP 不在白名单")
        return _error(700, "系统异常") if fault is Fault.BUSY else _error(1026, "调用频率超限")

    def credentials(self, shop: Shop) -> Json:
        """The application and the shop's number."""
        return {"app_id": shop.client_id, "app_secret": shop.client_secret, "shop_id": str(shop.number)}

    def sign(self, push: Push) -> PushRequest:
        """The form with its `sig`."""
        shop = self.shop(push.account)
        form = {
            "app_id": shop.client_id,
            "app_poi_code": str(shop.number),
            "timestamp": str(int(self.wall().timestamp())),
            "message_id": push.message_id,
            "kind": str(push.payload["kind"]),
            "data": json.dumps(push.payload["data"], ensure_ascii=False),
        }
        form["sig"] = signature("", form, "forged" if push.bad_signature else shop.client_secret)
        kind = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}
        return PushRequest(body=urlencode(form).encode(), headers=kind)

    def show_order(self, order: Order) -> Json:
        customer, buyer = self.who(order)
        return {
            "order_id": order.id,
            "status": ORDER_WORDS[order.status],
            "delivery_type": 2 if order.dining == "dine_in" else 0,
            "total": yuan(order.paid_minor),
            "shipping_fee": yuan(order.postage_minor),
            "discount": yuan(order.discount_minor),
            "user_id": buyer.buyer_id,
            "recipient_phone": f"{order.phone[:3]}****{order.phone[-4:]}",
            "recipient_name": buyer.nickname,
            "city_name": customer.city,
            "ctime": seconds(order.created_at),
            "pay_time": seconds(order.paid_at),
            "dispatch_time": seconds(order.shipped_at),
            "finish_time": seconds(order.finished_at),
            "utime": seconds(order.updated_at),
            "detail": [
                {
                    "item_id": line.oid,
                    "app_food_code": line.item_id,
                    "sku_id": line.sku_id,
                    "upc": code_of(self.world, order.shop, line.sku_id),
                    "food_name": line.title,
                    "spec": line.sku,
                    "category_name": line.category,
                    "quantity": line.count,
                    "price": yuan(line.price_minor),
                }
                for line in order.lines
            ],
        }

    def show_refund(self, refund: Refund) -> Json:
        return {
            "refund_id": refund.id,
            "order_id": refund.tid,
            "res_type": REFUND_WORDS[refund.status],
            "money": yuan(refund.amount_minor),
            "reason": refund.reason_text,
            "returns_goods": refund.returns_goods,
            "utime": seconds(refund.modified_at),
        }

    def show_dish(self, rows: list[Goods]) -> Json:
        dish = rows[0]
        return {
            "app_food_code": dish.item_id,
            "name": dish.title,
            "category_name": dish.category,
            "price": yuan(min(row.price_minor for row in rows)),
            "is_sold_out": 0 if any(row.on_sale for row in rows) else 1,
            "upc": dish.article_code,
            "skus": [
                {
                    "sku_id": row.sku_id,
                    "spec": row.sku,
                    "upc": row.code,
                    "price": yuan(row.price_minor),
                    "stock": str(row.stock),
                }
                for row in rows
            ],
        }

    def push_order(self, shop: Shop, what: What, order: Order) -> Push:
        return self.make_push(shop.id, "order", {"kind": "order", "data": self.show_order(order)})

    def push_refund(self, shop: Shop, what: What, refund: Refund) -> Push:
        return self.make_push(shop.id, "refund", {"kind": "refund", "data": self.show_refund(refund)})

    async def _call(self, request: Request, api: str) -> JSONResponse:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        shop = self.shop_of_client(form.get("app_id", ""))
        if shop is None:
            return JSONResponse(_error(702, "app_id 不存在"))
        given = form.pop("sig", "")
        if given != signature(f"/{PREFIX}{api}", form, shop.client_secret):
            return JSONResponse(_error(701, "签名验证错误"))
        if abs(self.wall().timestamp() - int(form.get("timestamp", 0))) > WINDOW_S:
            return JSONResponse(_error(703, "时间戳错误"))
        if form.get("app_poi_code") != str(shop.number):
            return JSONResponse(_error(704, "门店未授权"))
        if not self.quotas.take(f"{shop.id}:{api}", self.world.clock.wall()):
            return JSONResponse(_error(1026, "调用频率超限"))
        try:
            return JSONResponse({"data": self.run(shop, api, form)})
        except ApiError as error:
            return JSONResponse(_error(CODES[error.why], str(error)))


def signature(path: str, pairs: dict[str, str], secret: str) -> str:
    """md5(path?sorted pairs + secret)."""
    query = "&".join(f"{name}={pairs[name]}" for name in sorted(pairs))
    return md5(f"{path}?{query}{secret}".encode(), usedforsecurity=False).hexdigest()


def _error(code: int, message: str) -> dict[str, Any]:
    return {"data": "ng", "error": {"code": code, "msg": message}}
