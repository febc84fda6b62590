"""Youzan: token desk, API gateway and pushes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from simulator.entities import Coupon, Order, Push, Refund, RefundStatus, Shop
from simulator.faults import Fault
from simulator.happenings import Happening, What
from simulator.platforms.base import Incoming, Json, PlatformBase, PushRequest
from simulator.platforms.youzan import render, wire
from simulator.platforms.youzan.api import APIS
from simulator.platforms.youzan.call import ApiError, Call, Handler
from simulator.quotas import Limit, Quotas
from simulator.tokens import TokenDesk, TokenState
from simulator.world import World

APP = "app"
NAMES = frozenset(name for name, _version in APIS)
TOKEN_ERRORS = {
    TokenState.MISSING: (4201, "非法的请求凭证"),
    TokenState.UNKNOWN: (4203, "Token 不存在"),
    TokenState.EXPIRED: (4202, "请求凭证过期"),
}
TRADE_EVENTS = {
    What.ORDER_CREATED: "trade_TradeCreate",
    What.ORDER_PAID: "trade_TradePaid",
    What.ORDER_SHIPPED: "trade_TradeSellerShip",
    What.ORDER_COMPLETED: "trade_TradeSuccess",
    What.ORDER_CLOSED: "trade_TradeClose",
}
REFUND_EVENTS = {
    What.REFUND_REQUESTED: "trade_refund_BuyerCreated",
    What.REFUND_RETURN_AGREED: "trade_refund_RefundSellerAgreeReturnGoods",
    What.REFUND_RETURNED: "trade_refund_RefundBuyerReturnGoods",
    What.REFUND_REFUSED: "trade_refund_RefundSellerRefuse",
    What.REFUND_CLOSED: "trade_refund_RefundClosed",
    What.REFUND_REFUNDED: "trade_refund_RefundSuccess",
}
COUPON_EVENT = "COUPON_CUSTOMER_PROMOTION"
COUPON_STATUSES = {What.COUPON_TAKEN: "CARD_TAKE", What.COUPON_USED: "CARD_CONSUME"}
OTHER_TRADE_EVENTS = frozenset({"trade_TradeBuyerPay", "trade_TradePartlySellerShip"})


class Youzan(PlatformBase):
    """The platform; what its API does is pushed as well."""

    name = "youzan"
    # 16 retries from 10 s to 2 h [S]; another page of the same documentation says 4.
    retry_delays_s = (10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._world = world
        self._traced = 0
        self.tokens = TokenDesk(world, self.name, world.settings.youzan_token_s)
        self.quotas = Quotas((Limit(world.settings.youzan_calls_per_second, 1.0, 3.0),))

    def router(self) -> APIRouter:
        """POST /auth/token and POST /api/{name}/{version}."""
        router = APIRouter(prefix=f"/{self.name}", tags=[self.name])
        router.add_api_route("/auth/token", self._token, methods=["POST"])
        router.add_api_route("/api/{name}/{version}", self._call, methods=["POST", "GET"])
        router.add_api_route("/api/{name}", self._no_version, methods=["POST", "GET"])
        return router

    def api_of(self, incoming: Incoming) -> str | None:
        """`auth/token` or the API's dotted name."""
        parts = incoming.path.strip("/").split("/")
        if parts == ["auth", "token"]:
            return "auth/token"
        return parts[1] if len(parts) >= 2 and parts[0] == "api" else None

    def answer_for(self, fault: Fault) -> Json:
        """4101 for too many calls, 5001 for busy, 4301 for a call that is not allowed, from wherever it comes."""
        if fault is Fault.BUSY:
            return self._gateway_error(5001, "系统异常")
        if fault in (Fault.FORBIDDEN, Fault.UNTRUSTED_IP):
            return self._gateway_error(4301, "没有权限")
        return self._gateway_error(4101, "请求太频繁")

    def credentials(self, shop: Shop) -> Json:
        """The shop's own application."""
        return {"client_id": shop.client_id, "client_secret": shop.client_secret, "kdt_id": shop.number}

    def pushes_for(self, happening: Happening) -> list[Push]:
        """What happens to orders, refunds and coupons; which push ends a refund depends on the goods [S]."""
        row, shop = happening.row, self.shop(happening.account)
        if isinstance(row, Order) and happening.what in TRADE_EVENTS:
            return [self._trade_push(shop, TRADE_EVENTS[happening.what], row, happening.at)]
        if isinstance(row, Coupon) and happening.what in COUPON_STATUSES:
            return [self._coupon_push(shop, COUPON_STATUSES[happening.what], row, happening.at)]
        if not isinstance(row, Refund):
            return []
        event = REFUND_EVENTS[happening.what]
        if row.status is RefundStatus.REFUNDED and not row.returns_goods:
            event = "trade_refund_RefundSellerAgree"
        elif row.status is RefundStatus.RETURN_REFUSED:
            event = "trade_refund_RefundSellerRefuseBuyerReturnGoods"
        return [self._refund_push(shop, event, row)]

    def sign(self, push: Push) -> PushRequest:
        """The JSON body with `Event-Sign`, `Event-Type` and `Client-Id`."""
        shop = self.shop(push.account)
        envelope = dict(push.payload)
        if push.attempts > 0:
            envelope["sendCount"] = push.attempts
        body = wire.compact(envelope).encode()
        sign = wire.event_sign(shop.client_id, body, "forged" if push.bad_signature else shop.client_secret)
        headers = {
            "Content-Type": "application/json;charset=UTF-8",
            "Event-Sign": sign,
            "Event-Type": push.event,
            "Client-Id": shop.client_id,
        }
        return PushRequest(body=body, headers=headers)

    def accepts(self, status: int, body: bytes) -> bool:
        """HTTP 2xx with a body that contains `success` [S]."""
        return 200 <= status < 300 and b"success" in body

    def event(self, account: str, event: str, subjects: Mapping[str, str]) -> Push:
        """A refund event (needs refund_id) or a trade event (needs tid, or a refund_id of it)."""
        shop = self.shop(account)
        row = self._world.refunds.get(subjects.get("refund_id", ""))
        if event in OTHER_TRADE_EVENTS.union(TRADE_EVENTS.values()):
            order = self._world.orders.get(subjects.get("tid") or (row.tid if row else ""))
            if order is None or order.shop != account:
                raise LookupError(f"no order of {account} for {event}")
            return self._trade_push(shop, event, order, self._world.clock.now())
        if not event.startswith("trade_refund_"):
            raise ValueError(
                f"unknown event {event!r}: trade_refund_* or one of {', '.join(sorted(TRADE_EVENTS.values()))}"
            )
        if row is None or row.shop != account:
            raise LookupError(f"no refund of {account} for {event}")
        return self._refund_push(shop, event, row)

    def _trade_push(self, shop: Shop, event: str, order: Order, at: datetime) -> Push:
        message = render.trade(self._world, shop, order, at)
        version = int(order.updated_at.timestamp())
        return self._push(shop, event, order.id, message, version, status=render.ORDER_WORDS[order.status])

    def _coupon_push(self, shop: Shop, status: str, row: Coupon, at: datetime) -> Push:
        """A coupon's push has no number of its own [S]; the buyer stands in the envelope."""
        message: Json = {
            "id": row.id,
            "type": COUPON_EVENT,
            "status": status,
            "fans_id": 0,
            "coupon_group_id": row.batch,
            "event_time": wire.local(at),
            **({"order_no": row.order_id} if row.order_id else {}),
        }
        buyer = self._world.buyers.get(row.buyer)
        who = {"yz_open_id": buyer.buyer_id} if buyer else {}
        push = self._push(shop, COUPON_EVENT, row.id, message, int(at.timestamp()), status=status, **who)
        return push.replaced(payload={name: value for name, value in push.payload.items() if name != "msg_id"})

    def _refund_push(self, shop: Shop, event: str, row: Refund) -> Push:
        return self._push(shop, event, row.tid, render.refund_message(row), row.version // 1000)

    def _push(self, shop: Shop, event: str, subject: str, message: Json, version: int, **more: Any) -> Push:
        number = self._world.next("message")
        digest = self._world.token("message", number)
        message_id = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
        msg = wire.url_encoded(wire.compact(message))
        payload = {
            "client_id": shop.client_id,
            "kdt_id": shop.number,
            "root_kdt_id": shop.number,
            "kdt_name": shop.name,
            "id": subject,
            "type": event,
            "msg": msg,
            "msg_id": message_id,
            "version": version,
            "mode": 1,
            "test": False,
            "sign": wire.body_sign(shop.client_id, msg, shop.client_secret),
            **more,
        }
        return self.make_push(shop.id, event, payload, message_id)

    async def _token(self, request: Request) -> JSONResponse:
        if "application/json" not in request.headers.get("content-type", ""):
            return _token_error(1000, "Content type not supported,Please use 'application/json;charset=UTF-8'")
        try:
            params = json.loads(await request.body())
        except ValueError:
            return _token_error(1000, "请求体不是 JSON")
        if not isinstance(params, dict):
            return _token_error(1000, "请求体不是 JSON 对象")
        return self._grant(params)

    def _grant(self, params: Json) -> JSONResponse:
        shop = self.shop_of_client(str(params.get("client_id")))
        if shop is None:
            return _token_error(1103, "Client 不存在")
        if params.get("client_secret") != shop.client_secret:
            return _token_error(1000, "应用信息错误")
        kind = params.get("authorize_type")
        if kind == "silent":
            if str(params.get("grant_id", "")) != str(shop.number):
                return _token_error(1103, "授权关系不存在")
            current = self.tokens.current(shop.id, APP)
            token = current if current and params.get("refresh") is not True else self.tokens.issue(shop.id, APP)
        elif kind == "refresh_token":
            known = self.tokens.by_refresh_token(str(params.get("refresh_token", "")))
            if known is None or known.account != shop.id:
                return _token_error(1004, "授权关系已过期")
            token = self.tokens.issue(shop.id, APP)
        elif kind == "authorization_code":
            return _token_error(1105, "不支持的应用类型")
        else:
            return _token_error(1000, "authorize_type 不正确")
        data = {
            "access_token": token.id,
            "expires": int(token.expires_at.timestamp() * 1000),
            "refresh_token": token.refresh_token,
            "scope": "trade trade_advanced item logistics scrm",
            "authority_id": str(shop.number),
        }
        return JSONResponse({"success": True, "code": 200, "data": data, "message": None})

    async def _no_version(self, name: str) -> JSONResponse:
        return JSONResponse(self._gateway_error(4001, f"非法请求地址 {name}"))

    async def _call(self, request: Request, name: str, version: str) -> JSONResponse:
        handler = APIS.get((name, version))
        if handler is None:
            return JSONResponse(self._gateway_error(4005, "非法的API"))
        params: Any = dict(request.query_params)
        if request.method == "POST":
            kind = request.headers.get("content-type", "")
            if "application/json" not in kind:
                return JSONResponse(self._gateway_error(4007, f"非法的请求姿势，httpMethod:POST, contentType:{kind}"))
            try:
                params = json.loads(await request.body() or b"{}")
            except ValueError:
                return JSONResponse(self._gateway_error(4004, "非法的Content"))
            if not isinstance(params, dict):
                return JSONResponse(self._gateway_error(4004, "非法的Content"))
        state, token = self.tokens.check(request.query_params.get("access_token"))
        if token is None:
            return JSONResponse(self._gateway_error(*TOKEN_ERRORS[state]))
        if not self.quotas.take(f"{token.account}:{name}", self._world.clock.wall()):
            return JSONResponse(self._gateway_error(4101, "请求太频繁"))
        return JSONResponse(self._run(handler, Call(self._world, self.shop(token.account), params)))

    def _run(self, handler: Handler, call: Call) -> Json:
        try:
            data = handler(call)
        except ApiError as error:
            return {
                "trace_id": self._trace(),
                "code": error.code,
                "success": False,
                "data": None,
                "message": error.message,
            }
        return {"trace_id": self._trace(), "code": 200, "success": True, "data": data, "message": "successful"}

    def _gateway_error(self, code: int, message: str) -> Json:
        return {"gw_err_resp": {"trace_id": self._trace(), "err_code": code, "err_msg": message}}

    def _trace(self) -> str:
        self._traced += 1
        return f"yz7-{self._world.token('trace', self._traced)[:20]}"


def _token_error(code: int, message: str) -> JSONResponse:
    return JSONResponse({"success": False, "code": code, "data": None, "message": message})
