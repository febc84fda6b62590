"""Taobao and Tmall: gateway, sessions and message service."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from simulator.entities import Goods, Order, Push, Refund, Shop
from simulator.faults import Fault
from simulator.happenings import Happening, What
from simulator.platforms.base import Json
from simulator.platforms.signed_gateway import (
    Call,
    MessageGateway,
    china_time,
    keyed_hash,
    local,
    sent_params,
    wrapped_md5,
    yuan,
)
from simulator.platforms.taobao.api import OF_APPLICATIONS, OF_SHOPS, ApiError
from simulator.platforms.taobao.messages import Messages
from simulator.quotas import Limit
from simulator.tokens import TokenState
from simulator.world import World

APP = "app"
REFRESH = "taobao.top.auth.token.refresh"
ORDER_TOPICS = {
    What.ORDER_CREATED: "taobao_trade_TradeCreate",
    What.ORDER_PAID: "taobao_trade_TradeBuyerPay",
    What.ORDER_SHIPPED: "taobao_trade_TradeSellerShip",
    What.ORDER_COMPLETED: "taobao_trade_TradeSuccess",
    What.ORDER_CLOSED: "taobao_trade_TradeClose",
}
REFUND_TOPICS = {
    What.REFUND_REQUESTED: "taobao_refund_RefundCreated",
    What.REFUND_RETURN_AGREED: "taobao_refund_RefundSellerAgreeAgreement",
    What.REFUND_RETURNED: "taobao_refund_RefundBuyerReturnGoods",
    What.REFUND_REFUSED: "taobao_refund_RefundSellerRefuseAgreement",
    What.REFUND_CLOSED: "taobao_refund_RefundClosed",
    What.REFUND_REFUNDED: "taobao_refund_RefundSuccess",
}
STOCK_TOPIC = "taobao_item_ItemStockChanged"
SESSION_ERRORS = {
    TokenState.MISSING: ApiError(26, "Missing session"),
    TokenState.UNKNOWN: ApiError(27, "Invalid session", "sessionkey-not-generated-by-server"),
    TokenState.EXPIRED: ApiError(27, "Invalid session", "session-expired"),
}


class Taobao(MessageGateway):
    """The platform; what happens is told by messages that the application fetches."""

    name = "taobao"
    token_s = 30 * 24 * 3600
    authorised_by = "session"
    limits = (Limit(500, 1.0, 1.0),)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.messages = Messages(world)

    def router(self) -> APIRouter:
        """POST /router/rest."""
        router = APIRouter(prefix=f"/{self.name}", tags=[self.name])
        router.add_api_route("/router/rest", self._call, methods=["POST", "GET"])
        return router

    def answer_for(self, fault: Fault) -> Json:
        """15 when busy, 7 for too many calls, 11 for what the application may not do."""
        if fault is Fault.FORBIDDEN:
            return _refusal(ApiError(11, "Insufficient ISV Permissions", "isv.permission-api-package-limit"))
        if fault is Fault.UNTRUSTED_IP:
            return _refusal(ApiError(11, "Insufficient ISV Permissions", "isv.permission-ip-whitelist-limit"))
        if fault is Fault.BUSY:
            return _refusal(ApiError(15, "Remote service error", "isp.service-unavailable", "服务暂不可用"))
        return _refusal(ApiError(7, "App Call Limited", "accesscontrol.limited-by-api-access-count"))

    def credentials(self, shop: Shop) -> Json:
        """The shop's application and the refresh token of its authorisation."""
        return {"app_key": shop.client_id, "app_secret": shop.client_secret, "refresh_token": shop.refresh_token}

    def pushes_for(self, happening: Happening) -> list[Push]:
        """The message of a happening, which waits to be fetched."""
        told = self._message(happening)
        return [self._told(happening.account, *told)] if told is not None else []

    def leave(self, push: Push) -> None:
        """The message waits in the shop's queue."""
        self.messages.put(push)

    def _told(self, account: str, topic: str, content: Json) -> Push:
        number = str(4_160_000_000_000_000_000 + self.world.next("tmc"))
        shop = self.shop(account)
        body = {
            "id": int(number),
            "topic": topic,
            "user_id": shop.number,
            "user_nick": shop.name,
            "pub_app_key": "12497914",
            "pub_time": local(self.wall()),
            "content": json.dumps(content, ensure_ascii=False),
        }
        return self.make_push(shop.id, topic, body, number)

    def _message(self, happening: Happening) -> tuple[str, Json] | None:
        row, seller = happening.row, self.shop(happening.account).name
        if isinstance(row, Order) and happening.what in ORDER_TOPICS:
            content: Json = {"tid": _number(row.id), "seller_nick": seller, "payment": yuan(row.paid_minor)}
            return ORDER_TOPICS[happening.what], {**content, "buyer_open_uid": self.who(row)[1].buyer_id}
        if isinstance(row, Refund) and happening.what in REFUND_TOPICS:
            content = {"refund_id": row.id, "tid": _number(row.tid), "oid": row.oid, "seller_nick": seller}
            more = {"refund_fee": yuan(row.amount_minor), "modified": local(row.modified_at)}
            return REFUND_TOPICS[happening.what], {**content, **more}
        if isinstance(row, Goods):
            return STOCK_TOPIC, {"num_iid": int(row.item_id), "sku_id": row.sku_id, "quantity": row.stock}
        return None

    async def _call(self, request: Request) -> JSONResponse:
        params = await sent_params(request)
        method = params.get("method", "")
        try:
            shop = self._check(params)
            if method == REFRESH:
                found = self._refresh(shop, params.get("refresh_token", ""))
            elif method in OF_APPLICATIONS:
                found = OF_APPLICATIONS[method](self, Call(self.world, shop, params))
            else:
                found = self._for_shop(method, shop, params)
        except ApiError as error:
            return JSONResponse(_refusal(error))
        return JSONResponse({f"{method.removeprefix('taobao.').replace('.', '_')}_response": found})

    def _check(self, params: dict[str, str]) -> Shop:
        """The application's shop, once name, time and signature are right."""
        method = params.get("method", "")
        if method != REFRESH and method not in OF_SHOPS and method not in OF_APPLICATIONS:
            raise ApiError(22, "Invalid method")
        shop = self.shop_of_client(params.get("app_key", ""))
        if shop is None:
            raise ApiError(29, "Invalid app Key")
        at = china_time(params.get("timestamp", ""))
        if at is None or not self.is_near(at):
            raise ApiError(31, "Invalid timestamp")
        sent = {name: value for name, value in params.items() if name != "sign"}
        way = params.get("sign_method", "md5")
        if way == "md5":
            expected = wrapped_md5(shop.client_secret, sent)
        else:
            expected = keyed_hash(shop.client_secret, sent, {"hmac": "md5", "hmac-sha256": "sha256"}.get(way, "md5"))
        if params.get("sign") != expected:
            raise ApiError(25, "Invalid signature")
        return shop

    def _for_shop(self, method: str, shop: Shop, params: dict[str, str]) -> Json:
        state, token = self.tokens.check(params.get(self.authorised_by))
        if token is None:
            raise SESSION_ERRORS[state]
        if not self.quotas.take(f"{token.account}:{method}", self.world.clock.wall()):
            raise ApiError(7, "App Call Limited", "accesscontrol.limited-by-api-access-count")
        if token.account != shop.id:
            # A session is one application's; with another application's key it is nothing.
            raise SESSION_ERRORS[TokenState.UNKNOWN]
        return OF_SHOPS[method](self, Call(self.world, shop, params))

    def _refresh(self, shop: Shop, refresh_token: str) -> Json:
        known = self.tokens.by_refresh_token(refresh_token)
        if refresh_token != shop.refresh_token and (known is None or known.account != shop.id):
            raise ApiError(15, "Remote service error", "isv.refresh-token-invalid", "refresh_token 无效")
        token = self.tokens.issue(shop.id, APP)
        result = {
            "access_token": token.id,
            "refresh_token": token.refresh_token,
            "expire_time": int(token.expires_at.timestamp() * 1000),
            "expires_in": int(self.token_s),
            "token_type": "Bearer",
            "taobao_user_nick": shop.name,
        }
        return {"token_result": json.dumps(result, ensure_ascii=False)}


def _number(order_id: str) -> int | str:
    """As messages tell it; an encrypted number of Tmall is a text."""
    return int(order_id) if order_id.isdigit() else order_id


def _refusal(error: ApiError) -> Json:
    body: Json = {"code": error.code, "msg": error.message, "request_id": "15oz1example"}
    if error.sub_code:
        body |= {"sub_code": error.sub_code, "sub_msg": error.sub_message}
    return {"error_response": body}
