"""Ele.me: a token desk, signed JSON in, signed JSON out. All of it is [U], see `simulator.platforms.catering`."""

from __future__ import annotations

import base64
import json
from hashlib import md5
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from simulator.entities import Goods, Order, OrderStatus, Push, Refund, RefundStatus, Shop
from simulator.faults import Fault
from simulator.happenings import What
from simulator.platforms.articles import code_of
from simulator.platforms.base import Incoming, Json, PushRequest
from simulator.platforms.catering import ApiError, CateringPlatform, seconds, yuan
from simulator.tokens import TokenState

APP = "app"
WINDOW_S = 600
CODES = {
    "denied": "ACCESS_DENIED",
    "not_found": "NOT_FOUND",
    "conflict": "STATE_CHANGED",
    "invalid": "VALIDATION_FAILED",
}
ORDER_WORDS = {
    OrderStatus.UNPAID: "pending",
    OrderStatus.PAID: "valid",
    OrderStatus.SHIPPED: "delivering",
    OrderStatus.COMPLETED: "settled",
    OrderStatus.CLOSED: "invalid",
}
REFUND_WORDS = {
    RefundStatus.REQUESTED: "applied",
    RefundStatus.AWAITING_RETURN: "returning",
    RefundStatus.RETURNED: "returned",
    RefundStatus.REFUSED: "rejected",
    RefundStatus.RETURN_REFUSED: "rejected",
    RefundStatus.REFUNDED: "successful",
    RefundStatus.CLOSED: "cancelled",
}
ORDER_TYPES = {
    What.ORDER_CREATED: 10,
    What.ORDER_PAID: 12,
    What.ORDER_SHIPPED: 53,
    What.ORDER_COMPLETED: 18,
    What.ORDER_CLOSED: 14,
}
REFUND_TYPES = {
    What.REFUND_REQUESTED: 30,
    What.REFUND_CLOSED: 31,
    What.REFUND_REFUSED: 32,
    What.REFUND_REFUNDED: 33,
    What.REFUND_RETURN_AGREED: 34,
    What.REFUND_RETURNED: 35,
}


class Eleme(CateringPlatform):
    """The platform."""

    name = "eleme"
    retry_delays_s = (10, 30, 60, 300, 600)
    token_s = 86_400
    authorised_by = "token"
    refund_id, order_id, total = "refundId", "orderId", "total"
    apis = {
        "get_order": "eleme.order.getOrder",
        "list_orders": "eleme.order.getOrders",
        "get_refund": "eleme.order.getRefundOrder",
        "list_refunds": "eleme.order.getRefundOrders",
        "agree": "eleme.order.agreeRefund",
        "refuse": "eleme.order.disagreeRefund",
        "list_goods": "eleme.product.item.queryItemByPage",
    }

    def router(self) -> APIRouter:
        """POST /token and POST /api/v1."""
        router = APIRouter(prefix=f"/{self.name}", tags=[self.name])
        router.add_api_route("/token", self._token, methods=["POST"])
        router.add_api_route("/api/v1", self._call, methods=["POST"])
        return router

    def api_of(self, incoming: Incoming) -> str | None:
        """`token`, or the action within the body."""
        if incoming.path == "token":
            return "token"
        return incoming.params.get("action") if incoming.path == "api/v1" else None

    def answer_for(self, fault: Fault) -> Json:
        """Too often, out of order, or not allowed."""
        if fault in (Fault.FORBIDDEN, Fault.UNTRUSTED_IP):
            return _error("ACCESS_DENIED" if fault is Fault.FORBIDDEN else "IP_NOT_ALLOWED", "没有权限")
        if fault is Fault.BUSY:
            return _error("SERVER_ERROR", "系统异常")
        return _error("EXCEED_LIMIT", "调用频率超限")

    def credentials(self, shop: Shop) -> Json:
        """The application and the shop's number."""
        return {"app_key": shop.client_id, "app_secret": shop.client_secret, "shop_id": shop.number}

    def sign(self, push: Push) -> PushRequest:
        """The JSON body with its `signature`."""
        shop = self.shop(push.account)
        body: Json = {
            "appId": int(shop.client_id),
            "requestId": push.message_id,
            "type": push.payload["type"],
            "shopId": shop.number,
            "userId": shop.number,
            "timestamp": int(self.wall().timestamp() * 1000),
            "message": json.dumps(push.payload["data"], ensure_ascii=False),
        }
        joined = "".join(f"{name}={body[name]}" for name in sorted(body))
        body["signature"] = _md5(joined + ("forged" if push.bad_signature else shop.client_secret))
        return PushRequest(
            body=json.dumps(body, ensure_ascii=False).encode(), headers={"Content-Type": "application/json"}
        )

    def show_order(self, order: Order) -> Json:
        customer, buyer = self.who(order)
        return {
            "orderId": order.id,
            "status": ORDER_WORDS[order.status],
            "orderBusinessType": 1 if order.dining == "dine_in" else 0,
            "totalPrice": yuan(order.paid_minor),
            "deliverFee": yuan(order.postage_minor),
            "activityTotal": yuan(order.discount_minor),
            "userId": buyer.buyer_id,
            "phone": f"{order.phone[:3]}****{order.phone[-4:]}",
            "consignee": buyer.nickname,
            "cityName": customer.city,
            "createdAt": seconds(order.created_at),
            "activeAt": seconds(order.paid_at),
            "deliverAt": seconds(order.shipped_at),
            "completedAt": seconds(order.finished_at),
            "updatedAt": seconds(order.updated_at),
            "groups": [
                {
                    "id": line.oid,
                    "extendCode": line.item_id,
                    "skuId": line.sku_id,
                    "barCode": code_of(self.world, order.shop, line.sku_id),
                    "name": line.title,
                    "spec": line.sku,
                    "categoryName": line.category,
                    "quantity": line.count,
                    "price": yuan(line.price_minor),
                }
                for line in order.lines
            ],
        }

    def show_refund(self, refund: Refund) -> Json:
        return {
            "refundId": refund.id,
            "orderId": refund.tid,
            "refundStatus": REFUND_WORDS[refund.status],
            "totalPrice": yuan(refund.amount_minor),
            "reason": refund.reason_text,
            "returnsGoods": refund.returns_goods,
            "updatedAt": seconds(refund.modified_at),
        }

    def show_dish(self, rows: list[Goods]) -> Json:
        dish = rows[0]
        return {
            "extendCode": dish.item_id,
            "name": dish.title,
            "categoryName": dish.category,
            "price": yuan(min(row.price_minor for row in rows)),
            "isValid": 1 if any(row.on_sale for row in rows) else 0,
            "barCode": dish.article_code,
            "specs": [
                {
                    "specId": row.sku_id,
                    "name": row.sku,
                    "barCode": row.code,
                    "price": yuan(row.price_minor),
                    "stock": row.stock,
                }
                for row in rows
            ],
        }

    def push_order(self, shop: Shop, what: What, order: Order) -> Push:
        kind = ORDER_TYPES.get(what, 12)
        return self.make_push(shop.id, str(kind), {"type": kind, "data": self.show_order(order)})

    def push_refund(self, shop: Shop, what: What, refund: Refund) -> Push:
        kind = REFUND_TYPES.get(what, 30)
        return self.make_push(shop.id, str(kind), {"type": kind, "data": self.show_refund(refund)})

    async def _token(self, request: Request) -> JSONResponse:
        try:
            basic = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode()
        except ValueError:
            basic = ""
        client_id, _, secret = basic.partition(":")
        shop = self.shop_of_client(client_id)
        if shop is None or secret != shop.client_secret:
            return JSONResponse({"error": "invalid_client", "error_description": "应用信息错误"}, 401)
        token = self.tokens.current(shop.id, APP) or self.tokens.issue(shop.id, APP)
        life = int((token.expires_at - self.world.clock.now()).total_seconds())
        return JSONResponse({"access_token": token.id, "token_type": "bearer", "expires_in": max(life, 1)})

    async def _call(self, request: Request) -> JSONResponse:
        try:
            body = json.loads(await request.body())
            action, metas, params = str(body["action"]), dict(body["metas"]), dict(body["params"])
            skew_s = abs(self.wall().timestamp() - int(metas["timestamp"]))
        except (ValueError, KeyError, TypeError):
            return JSONResponse(_error("VALIDATION_FAILED", "请求体不正确"))
        state, token = self.tokens.check(body.get("token"))
        if token is None:
            return JSONResponse(_error("UNAUTHORIZED", "token 过期" if state is TokenState.EXPIRED else "token 无效"))
        shop = self.shop(token.account)
        fields = {**params, **metas}
        joined = "".join(f"{name}={_compact(fields[name])}" for name in sorted(fields))
        if body.get("signature") != _md5(f"{action}{token.id}{joined}{shop.client_secret}"):
            return JSONResponse(_error("SIGNATURE_ERROR", "签名错误"))
        if skew_s > WINDOW_S:
            return JSONResponse(_error("TIMESTAMP_ERROR", "时间戳错误"))
        if params.get("shopId") != shop.number:
            return JSONResponse(_error("ACCESS_DENIED", "门店未授权"))
        if not self.quotas.take(f"{shop.id}:{action}", self.world.clock.wall()):
            return JSONResponse(_error("EXCEED_LIMIT", "调用频率超限"))
        try:
            return JSONResponse({"nop": "1.0.0", "id": body.get("id"), "result": self.run(shop, action, params)})
        except ApiError as error:
            return JSONResponse(_error(CODES[error.why], str(error)))


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest().upper()


def _error(code: str, message: str) -> dict[str, Any]:
    return {"nop": "1.0.0", "result": None, "error": {"code": code, "message": message}}
