"""Pinduoduo: gateway, tokens and message channel."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, WebSocket
from fastapi.responses import JSONResponse

from simulator.entities import Order, Push, Refund, Shop
from simulator.faults import Fault
from simulator.happenings import Happening, What
from simulator.platforms.base import Incoming, Json
from simulator.platforms.pinduoduo.api import APIS, ApiError
from simulator.platforms.pinduoduo.authorisations import is_superseded, spend
from simulator.platforms.pinduoduo.channel import Channel, channel_signature, frame
from simulator.platforms.signed_gateway import Call, MessageGateway, sent_params, unix, wrapped_md5, yuan
from simulator.quotas import Limit, Quotas
from simulator.tokens import TokenState
from simulator.world import World

APP = "app"
CREATE, REFRESH = "pdd.pop.auth.token.create", "pdd.pop.auth.token.refresh"
DECRYPT_OFTEN, DECRYPT_DAY = Limit(1, 10.0, 0.0), Limit(100, 86_400.0, 0.0)
WRONG_SIGNATURE = 4001
CHANNEL = "message"
ORDER_TOPICS = {
    What.ORDER_PAID: "pdd_trade_TradeConfirmed",
    What.ORDER_SHIPPED: "pdd_trade_TradeSellerShip",
    What.ORDER_COMPLETED: "pdd_trade_TradeSuccess",
}
REFUND_TOPICS = {
    What.REFUND_REQUESTED: "pdd_refund_RefundCreated",
    What.REFUND_RETURN_AGREED: "pdd_refund_RefundAgreeAgreement",
    What.REFUND_RETURNED: "pdd_refund_RefundBuyerReturnGoods",
    What.REFUND_CLOSED: "pdd_refund_RefundClosed",
}
TOKEN_ERRORS = {
    TokenState.MISSING: ApiError(10001, "access_token不能为空"),
    TokenState.UNKNOWN: ApiError(20032, "access_token错误"),
    TokenState.EXPIRED: ApiError(10019, "access_token已过期"),
}


class Pinduoduo(MessageGateway):
    """The platform; what happens is told over a channel that the application opens."""

    name = "pinduoduo"
    token_s = 24 * 3600
    method_parameter = "type"
    limits = (Limit(500, 1.0, 1.0),)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.channel = Channel(world)
        self._often, self._daily = Quotas((DECRYPT_OFTEN,)), Quotas((DECRYPT_DAY,))

    def router(self) -> APIRouter:
        """POST /api/router, and the websocket /message/{client_id}/{ms}/{signature}."""
        router = APIRouter(prefix=f"/{self.name}", tags=[self.name])
        router.add_api_route("/api/router", self._call, methods=["POST"])
        router.add_api_websocket_route("/message/{client_id}/{milliseconds}/{signature}", self._listen)
        return router

    def answer_for(self, fault: Fault) -> Json:
        """52103 when busy, 70031 for too many calls, 30000 and 20005 for what the application may not do."""
        if fault is Fault.FORBIDDEN:
            return _refusal(ApiError(30000, "没有调用此 target 接口权限"))
        if fault is Fault.UNTRUSTED_IP:
            return _refusal(ApiError(20005, "ip无权限访问接口，请加入白名单"))
        if fault is Fault.BUSY:
            return _refusal(ApiError(52103, "服务暂时不可用"))
        return _refusal(ApiError(70031, "调用过于频繁，请调整调用频率"))

    def accounts(self, base_url: str) -> list[Json]:
        """As of every platform, and where the message channel is."""
        channel_url = f"ws{base_url.removeprefix('http')}/{self.name}"
        return [{**account, "channel_url": channel_url} for account in super().accounts(base_url)]

    def credentials(self, shop: Shop) -> Json:
        """The shop's application and the refresh token of its authorisation."""
        return {
            "client_id": shop.client_id,
            "client_secret": shop.client_secret,
            "refresh_token": shop.refresh_token,
            "mall_id": shop.number,
        }

    def pushes_for(self, happening: Happening) -> list[Push]:
        """The message of a happening, which waits for the channel."""
        told = self._message(happening)
        if told is None:
            return []
        topic, content = told
        shop, number = self.shop(happening.account), 480_000_000 + self.world.next("pdd-message")
        body = frame(number, shop.number, topic, {"mall_id": shop.number, **content}, self.wall())
        return [self.make_push(shop.id, topic, body, str(number))]

    def leave(self, push: Push) -> None:
        """The message goes over the channel, or waits until it is opened."""
        self.channel.tell(push)

    def api_of(self, incoming: Incoming) -> str | None:
        """The interface's name, `message` for the channel."""
        return CHANNEL if _names_channel(incoming) else super().api_of(incoming)

    def account_of(self, incoming: Incoming) -> str:
        """The account of the token, for the channel that of the application."""
        if not _names_channel(incoming):
            return super().account_of(incoming)
        shop = self.shop_of_client(incoming.path.split("/")[1])
        return shop.id if shop else ""

    def refuse_decryption(self, account: str) -> ApiError | None:
        """Why a decryption is refused now, if it is."""
        now = self.now()
        if not self._often.take(account, now):
            return ApiError(70033, "解密接口调用过于频繁")
        if not self._daily.take(account, now):
            return ApiError(70036, "解密接口今天的调用次数已用完")
        return None

    def _message(self, happening: Happening) -> tuple[str, Json] | None:
        row = happening.row
        if isinstance(row, Order) and happening.what in ORDER_TOPICS:
            return ORDER_TOPICS[happening.what], {"tid": row.id}
        if not isinstance(row, Refund):
            return None
        topic = REFUND_TOPICS.get(happening.what)
        # A refund of money only is agreed to and paid in one.
        if happening.what is What.REFUND_REFUNDED and not row.returns_goods:
            topic = "pdd_refund_RefundAgreeAgreement"
        if topic is None:
            return None
        return topic, {
            "tid": row.tid,
            "refund_id": row.id,
            "refund_fee": yuan(row.amount_minor),
            "bill_type": 2 if row.returns_goods else 1,
            "modified": int(row.modified_at.timestamp()),
        }

    async def _listen(self, socket: WebSocket, client_id: str, milliseconds: str, signature: str) -> None:
        shop = self.shop_of_client(client_id)
        at = unix(milliseconds[:-3])
        if (
            shop is None
            or at is None
            or not self.is_near(at)
            or signature != channel_signature(client_id, milliseconds, shop.client_secret)
        ):
            await socket.close(WRONG_SIGNATURE)
            return
        await socket.accept()
        await self.channel.serve(socket, shop.id)

    async def _call(self, request: Request) -> JSONResponse:
        params = await sent_params(request)
        kind = params.get("type", "")
        try:
            shop = self._check(kind, params)
            if kind in (CREATE, REFRESH):
                granted = self._grant(kind, shop, params)
                return JSONResponse({f"{kind.removeprefix('pdd.').replace('.', '_')}_response": granted})
            state, token = self.tokens.check(params.get(self.authorised_by))
            if token is None:
                raise TOKEN_ERRORS[state]
            if token.account != shop.id:
                raise TOKEN_ERRORS[TokenState.UNKNOWN]
            self._count(token.account, kind)
            handler, response = APIS[kind]
            found = handler(self, Call(self.world, shop, params))
        except ApiError as error:
            return JSONResponse(_refusal(error))
        return JSONResponse({response: found})

    def _check(self, kind: str, params: Mapping[str, str]) -> Shop:
        if kind not in APIS and kind not in (CREATE, REFRESH):
            raise ApiError(10017, "type不存在")
        shop = self.shop_of_client(params.get("client_id", ""))
        if shop is None:
            raise ApiError(10018, "client_id不存在")
        at = unix(params.get("timestamp", ""))
        if at is None or not self.is_near(at):
            raise ApiError(10020, "timestamp已过期")
        signed = {name: value for name, value in params.items() if name != "sign"}
        if params.get("sign") != wrapped_md5(shop.client_secret, signed):
            raise ApiError(20004, "签名sign校验失败")
        return shop

    def _count(self, account: str, kind: str) -> None:
        if not self.quotas.take(f"{account}:{kind}", self.world.clock.wall()):
            raise ApiError(70031, "调用过于频繁，请调整调用频率")

    def _grant(self, kind: str, shop: Shop, params: Mapping[str, str]) -> Json:
        if kind == CREATE:
            if not spend(self.world, shop.id, params.get("code", "")):
                raise ApiError(50001, "业务服务错误", "code-invalid")
        else:
            refresh = params.get("refresh_token", "")
            living = self.tokens.by_refresh_token(refresh)
            is_seeded = refresh == shop.refresh_token and not is_superseded(self.world, shop.id)
            if not is_seeded and (living is None or living.account != shop.id):
                raise ApiError(50001, "业务服务错误", "refresh-token-invalid")
        token = self.tokens.issue(shop.id, APP)
        return {
            "access_token": token.id,
            "refresh_token": token.refresh_token,
            "expires_at": int(token.expires_at.timestamp()),
            "expires_in": int((token.expires_at - token.issued_at).total_seconds()),
            "owner_id": str(shop.number),
            "owner_name": shop.name,
            "scope": ["pdd.order.number.list.increment.get"],
        }


def _names_channel(incoming: Incoming) -> bool:
    return incoming.path.startswith(f"{CHANNEL}/")


def _refusal(error: ApiError) -> Json:
    body: Json = {"error_code": error.code, "error_msg": error.message, "request_id": "15444412001"}
    if error.sub_code:
        body |= {"sub_code": error.sub_code, "sub_msg": error.message}
    return {"error_response": body}
