"""Douyin shops: token desk, API gateway and pushes."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from simulator.entities import Order, Push, Refund, Shop
from simulator.faults import Fault
from simulator.happenings import Happening, What
from simulator.platforms.base import Incoming, Json, PlatformBase, PushRequest
from simulator.platforms.douyin import render, wire
from simulator.platforms.douyin.api import APIS, ApiError, Call
from simulator.quotas import Limit
from simulator.tokens import TokenState

APP = "app"
CLOCK_TOLERANCE_S = 600
OK = 10000
PROBE = "0"
ORDER_TAGS = {
    What.ORDER_CREATED: ("100", "create_time"),
    What.ORDER_PAID: ("101", "pay_time"),
    What.ORDER_SHIPPED: ("102", "update_time"),
    What.ORDER_COMPLETED: ("103", "complete_time"),
    What.ORDER_CLOSED: ("106", "cancel_time"),
}
REFUND_TAGS = {
    What.REFUND_REQUESTED: ("200", "apply_time"),
    What.REFUND_RETURN_AGREED: ("202", "agree_time"),
    What.REFUND_RETURNED: ("203", "return_time"),
    What.REFUND_REFUSED: ("204", "refuse_time"),
    What.REFUND_REFUNDED: ("206", "success_time"),
    What.REFUND_CLOSED: ("207", "close_time"),
}
TOKEN_ERRORS = {
    TokenState.MISSING: "isv.access-token-no-existed",
    TokenState.UNKNOWN: "isv.access-token-no-existed",
    TokenState.EXPIRED: "isv.access-token-expired",
}


class Douyin(PlatformBase):
    """The platform; what its API does is pushed as well."""

    name = "douyin"
    retry_delays_s = (10.0, 30.0, 60.0, 300.0, 600.0)  # spacing and number are not documented to us [U]
    token_s = 7 * 24 * 3600
    limits = (Limit(500, 1.0, 1.0),)

    def router(self) -> APIRouter:
        """POST /{module}/{action} for everything."""
        router = APIRouter(prefix=f"/{self.name}", tags=[self.name])
        router.add_api_route("/{module}/{action}", self._call, methods=["POST"])
        return router

    def api_of(self, incoming: Incoming) -> str | None:
        """`token.create`, `order.searchList` …"""
        parts = incoming.path.strip("/").split("/")
        return ".".join(parts) if len(parts) == 2 else None

    def answer_for(self, fault: Fault) -> Json:
        """20000 for busy, 30002 for too many calls, 30001 for what the application may not do."""
        if fault in (Fault.FORBIDDEN, Fault.UNTRUSTED_IP):
            word = "isv.app-permissions-insufficient" if fault is Fault.FORBIDDEN else "isv.ip-not-in-white-list"
            return _refusal(30001, f"{word}:1", "没有权限")
        if fault is Fault.BUSY:
            return _refusal(20000, "isp.service-error", "系统繁忙")
        return _refusal(30002, "isv.app-call-limited:1", "调用频率超限")

    def credentials(self, shop: Shop) -> Json:
        """The shop's own application."""
        return {"app_key": shop.client_id, "app_secret": shop.client_secret, "shop_id": shop.number}

    def pushes_for(self, happening: Happening) -> list[Push]:
        """What happens to orders and refunds."""
        row, shop = happening.row, self.shop(happening.account)
        if isinstance(row, Order) and happening.what in ORDER_TAGS:
            return [self._order_push(shop, *ORDER_TAGS[happening.what], row, happening.at)]
        if isinstance(row, Refund) and happening.what in REFUND_TAGS:
            return [self._refund_push(shop, *REFUND_TAGS[happening.what], row)]
        return []

    def sign(self, push: Push) -> PushRequest:
        """A list with one message, signed by the headers `app-id` and `event-sign`."""
        shop = self.shop(push.account)
        body = wire.compact([push.payload]).encode()
        secret = "forged" if push.bad_signature else shop.client_secret
        headers = {
            "Content-Type": "application/json",
            "app-id": shop.client_id,
            "event-sign": wire.event_sign(shop.client_id, body, secret),
        }
        return PushRequest(body=body, headers=headers)

    def accepts(self, status: int, body: bytes) -> bool:
        """HTTP 200 with code 0."""
        try:
            answer = json.loads(body)
        except ValueError:
            return False
        return status == 200 and isinstance(answer, dict) and answer.get("code") == 0

    def event(self, account: str, event: str, subjects: Mapping[str, str]) -> Push:
        """A push by its tag: `0` the probe, 1.. about an order (tid), 2.. about a refund (refund_id)."""
        shop = self.shop(account)
        if event == PROBE:
            return self._push(shop, PROBE, f"{self.wall():%Y-%m-%d %H:%M:%S}", message_id="0")
        order, refund = (
            self.world.orders.get(subjects.get("tid", "")),
            self.world.refunds.get(subjects.get("refund_id", "")),
        )
        for tag, moment in ORDER_TAGS.values():
            if tag == event and order is not None and order.shop == account:
                return self._order_push(shop, tag, moment, order, self.world.clock.now())
        for tag, moment in REFUND_TAGS.values():
            if tag == event and refund is not None and refund.shop == account:
                return self._refund_push(shop, tag, moment, refund)
        raise LookupError(f"no push {event!r} about {dict(subjects)} of {account}")

    def _order_push(self, shop: Shop, tag: str, moment: str, row: Order, at: datetime) -> Push:
        moments = {
            "create_time": row.created_at,
            "pay_time": row.paid_at,
            "update_time": row.updated_at,
            "complete_time": row.finished_at,
            "cancel_time": row.updated_at if row.status.value == "closed" else at,
        }
        message: Json = {
            "p_id": row.id,
            "s_ids": [line.oid for line in row.lines],
            "shop_id": shop.number,
            "order_status": render.order_status(row),
            "order_type": 0,
            "biz": 2,
            moment: wire.seconds(moments[moment] or at),
        }
        if moment == "pay_time":
            message |= {"pay_type": 2, "pay_amount": row.paid_minor}
        if moment == "cancel_time":
            message["cancel_reason"] = "退款" if row.refunded_minor else "超时未支付"
        if moment == "update_time" and row.waybill:
            message["logistics_msg"] = {"express_company_id": "shunfeng", "logistics_code": row.waybill}
        return self._push(shop, tag, message)

    def _refund_push(self, shop: Shop, tag: str, moment: str, row: Refund) -> Push:
        message = {
            "p_id": row.tid,
            "s_id": row.oid,
            "shop_id": shop.number,
            "aftersale_id": row.id,
            "aftersale_status": render.REFUND_WORDS[row.status],
            "aftersale_type": 0 if row.returns_goods else 1,
            "refund_amount": row.amount_minor,
            "refund_post_amount": 0,
            "reason_code": row.reason,
            moment: wire.seconds(row.modified_at),
        }
        return self._push(shop, tag, message)

    def _push(self, shop: Shop, tag: str, data: Any, message_id: str | None = None) -> Push:
        number = self.world.next("douyin_message")
        message_id = message_id or f"{int(self.world.token('douyin', number)[:15], 16):018d}"
        written = data if isinstance(data, str) else wire.compact(data)
        return self.make_push(shop.id, tag, {"tag": tag, "msg_id": message_id, "data": written}, f"douyin-{number}")

    async def _call(self, request: Request, module: str, action: str) -> JSONResponse:
        body = (await request.body()).decode("utf-8", "replace")
        try:
            return JSONResponse(self._run(f"{module}.{action}", dict(request.query_params), body))
        except ApiError as error:
            return JSONResponse(_refusal(error.code, error.sub_code, error.message))

    def _run(self, method: str, query: Mapping[str, str], body: str) -> Json:
        shop, params = self._signed(method, query, body)
        if method == "token.create":
            return self._create_token(shop, params)
        if method == "token.refresh":
            return self._refresh_token(shop, params)
        handler = APIS.get(method)
        if handler is None:
            raise ApiError(40004, "isv.parameter-invalid:7", f"no method {method}")
        state, token = self.tokens.check(query.get("access_token"))
        if token is None:
            raise ApiError(40003, TOKEN_ERRORS[state], "授权失效")
        if token.account != shop.id:
            raise ApiError(40003, "isv.shop-unauthorized", "店铺未授权")
        if not self.quotas.take(f"{shop.id}:{method}", self.world.clock.wall()):
            raise ApiError(30002, "isv.app-call-limited:1", "调用频率超限")
        return _answer(handler(Call(self, self.world, shop, params)))

    def _signed(self, method: str, query: Mapping[str, str], body: str) -> tuple[Shop, Json]:
        shop = self.shop_of_client(query.get("app_key", ""))
        if shop is None:
            raise ApiError(40003, "isv.app-key-invalid", "app_key 不存在")
        timestamp = query.get("timestamp", "")
        if not timestamp.isdigit() or abs(int(timestamp) - self.wall().timestamp()) > CLOCK_TOLERANCE_S:
            raise ApiError(40003, "isv.timestamp-invalid", "请求时间戳不在有效期内")
        expected = wire.request_sign(shop.client_id, method, body, timestamp, query.get("v", ""), shop.client_secret)
        given = query.get("sign", "")
        if query.get("sign_method") != "hmac-sha256" or query.get("method") != method or query.get("v") != "2":
            raise ApiError(40003, "isv.sign-invalid", "签名参数不正确")
        if not hmac.compare_digest(given.encode(), expected.encode()) or not wire.is_sorted(body):
            raise ApiError(40003, "isv.sign-invalid", "签名校验失败，请检查 app_secret")
        params = json.loads(body)
        if not isinstance(params, dict):
            raise ApiError(40004, "isv.parameter-invalid:8", "the parameters must be an object")
        return shop, params

    def _create_token(self, shop: Shop, params: Json) -> Json:
        if params.get("grant_type") != "authorization_self" or str(params.get("shop_id")) != str(shop.number):
            raise ApiError(40003, "isv.shop-unauthorized", "店铺未授权")
        return self._granted(shop, self.tokens.current(shop.id, APP) or self.tokens.issue(shop.id, APP))

    def _refresh_token(self, shop: Shop, params: Json) -> Json:
        known = self.tokens.by_refresh_token(str(params.get("refresh_token", "")))
        if known is None or known.account != shop.id:
            raise ApiError(40003, "isv.refresh-token-expired", "refresh_token 已失效")
        return self._granted(shop, self.tokens.issue(shop.id, APP))

    def _granted(self, shop: Shop, token: Any) -> Json:
        left = int((token.expires_at - self.world.clock.now()).total_seconds())
        return _answer(
            {
                "access_token": token.id,
                "expires_in": max(left, 1),
                "refresh_token": token.refresh_token,
                "scope": "SCOPE",
                "shop_id": shop.number,
                "shop_name": shop.name,
            }
        )


def _answer(data: Json) -> Json:
    return {"code": OK, "msg": "success", "sub_code": "", "sub_msg": "", "data": data, "log_id": "sim"}


def _refusal(code: int, sub_code: str, message: str) -> Json:
    return {"code": code, "msg": message, "sub_code": sub_code, "sub_msg": message, "data": None, "log_id": "sim"}
