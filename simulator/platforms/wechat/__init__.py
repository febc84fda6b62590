"""What WeChat's applications have in common: the stable-token desk, error codes, callbacks in safe mode.

Source: developers.weixin.qq.com, stable access tokens and message encryption [O]; the callback cipher is WeCom's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar
from xml.sax.saxutils import escape

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from simulator.entities import Push, Shop
from simulator.faults import Fault
from simulator.platforms.base import Incoming, Json, PlatformBase, PushRequest
from simulator.platforms.wecom import crypto
from simulator.quotas import Limit, Quotas
from simulator.tokens import TokenState
from simulator.world import World

APP = "app"
FORCED_APART = timedelta(seconds=30)
FORCED_A_DAY = 20
TOKENS_ASKED = (Limit(10_000, 60.0, 60.0), Limit(500_000, 86_400.0, 3600.0))
"""How often the desk may be asked; how long a breach blocks is not documented [U]."""
TOKEN_ERRORS = {TokenState.MISSING: 41001, TokenState.UNKNOWN: 40001, TokenState.EXPIRED: 42001}
MESSAGES = {
    0: "ok",
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40003: "invalid openid",
    40013: "invalid appid",
    40037: "invalid template_id",
    40097: "invalid args",
    40125: "invalid appsecret",
    41001: "access_token missing",
    42001: "access_token expired",
    43004: "require subscribe",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower",
    45015: "response out of time limit or subscription is canceled",
    47001: "data format error",
    48001: "api unauthorized",
}


class ErrCode(Exception):
    """A refusal: HTTP 200 with an errcode."""

    def __init__(self, code: int, hint: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.hint = hint


def answer(code: int = 0, hint: str = "", **more: Any) -> Json:
    """An answer's body; `errmsg` carries the code's words and a hint."""
    words = MESSAGES.get(code, "unknown")
    return {"errcode": code, "errmsg": f"{words} {hint}".strip(), **more}


@dataclass(frozen=True)
class Call:
    """One call: the account of its token, the query or the JSON body."""

    platform: PlatformBase
    world: World
    shop: Shop
    params: Json

    def text(self, name: str) -> str:
        """A non-empty string parameter. ErrCode 40097 otherwise."""
        value = self.params.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise ErrCode(40097, f"{name} is needed")
        return str(value)

    def record(self, kind: str, subjects: Mapping[str, str], *, code: int = 0, amount_minor: int | None = None) -> None:
        """Writes an effect, or with a `code` an attempt, down in the ledger."""
        self.world.ledger.record(
            kind,
            self.platform.name,
            self.shop.id,
            request=self.params,
            subjects=subjects,
            code=code,
            amount_minor=amount_minor,
        )


Handler = Callable[[Call], Json]


class WechatPlatform(PlatformBase):
    """An application at api.weixin.qq.com: its interfaces are `apis`, by method and path."""

    retry_delays_s = (5.0, 5.0, 5.0)  # 3 retries; their spacing is not documented [U]
    limits = (Limit(10_000, 60.0, 60.0),)
    apis: ClassVar[Mapping[str, tuple[str, Handler]]] = {}

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._forced: dict[str, list[datetime]] = {}
        self._desk = Quotas(TOKENS_ASKED)

    def router(self) -> APIRouter:
        """POST /cgi-bin/stable_token, the older GET /cgi-bin/token, and everything in `apis`."""
        router = APIRouter(prefix=f"/{self.name}", tags=[self.name])
        router.add_api_route("/cgi-bin/stable_token", self._token, methods=["POST"])
        router.add_api_route("/cgi-bin/token", self._older_token, methods=["GET"])
        router.add_api_route("/{api:path}", self._call, methods=["GET", "POST"])
        return router

    def api_of(self, incoming: Incoming) -> str | None:
        """`cgi-bin/stable_token`, `cgi-bin/user/get` …"""
        return incoming.path.strip("/") or None

    def answer_for(self, fault: Fault) -> Json:
        """-1, 45011, 48001 or 45009; 40164 names the address that is not on the list."""
        if fault is Fault.UNTRUSTED_IP:
            return answer(40164, "invalid ip 203.0.113.9, not in whitelist")
        return answer({Fault.BUSY: -1, Fault.CONCURRENCY: 45011, Fault.FORBIDDEN: 48001}.get(fault, 45009))

    def credentials(self, shop: Shop) -> Json:
        """The application and the keys of its callbacks."""
        return {
            "app_id": shop.client_id,
            "app_secret": shop.client_secret,
            "token": shop.callback_token,
            "encoding_aes_key": shop.encoding_aes_key,
        }

    def sign(self, push: Push) -> PushRequest:
        """The callback as XML with <Encrypt>; time and nonce are of now, and the plain signature comes along."""
        shop = self.shop(push.account)
        salt = bytes.fromhex(self.world.token("salt", push.id, push.attempts)[:32])
        encrypted = crypto.encrypt(shop.encoding_aes_key, xml(push.payload).encode(), shop.client_id, salt)
        body = xml({"ToUserName": push.payload.get("ToUserName", ""), "Encrypt": encrypted}).encode()
        token = "forged" if push.bad_signature else shop.callback_token
        query = self._signed(push.id, push.attempts, token)
        sealed = crypto.signature(token, query["timestamp"], query["nonce"], encrypted)
        query |= {"openid": str(push.payload.get("FromUserName", "")), "encrypt_type": "aes", "msg_signature": sealed}
        return PushRequest(body=body, headers={"Content-Type": "text/xml"}, query=query)

    def verification(self, account: str) -> tuple[dict[str, str], str]:
        """The query of the GET that checks the address, in plain also in safe mode, and the text to answer."""
        number = self.world.next("verification")
        echo = str(int(self.world.token("echo", number)[:15], 16))
        return {**self._signed("verification", number, self.shop(account).callback_token), "echostr": echo}, echo

    def accepts(self, status: int, body: bytes) -> bool:
        """HTTP 200 with an empty body, `success`, or a passive answer."""
        text = body.strip()
        return status == 200 and (text in (b"", b"success") or text.startswith(b"<xml"))

    def callback(self, account: str, event: str, sender: str, fields: Mapping[str, Any], kind: str = "event") -> Push:
        """A callback with the envelope that all of them have."""
        shop = self.shop(account)
        payload = {
            "ToUserName": "gh_" + self.world.token("gh", account)[:12],
            "FromUserName": sender,
            "CreateTime": int(self.wall().timestamp()),
            "MsgType": kind,
            **({"Event": event} if kind == "event" else {}),
            **fields,
        }
        return self.make_push(shop.id, event, payload)

    @staticmethod
    def _at(push: Push, moment: datetime) -> Push:
        """The callback as of the moment it tells of, which for replayed history is not now."""
        return push.replaced(payload={**push.payload, "CreateTime": int(moment.timestamp())})

    async def _token(self, request: Request) -> JSONResponse:
        try:
            params = json.loads(await request.body() or b"{}")
        except ValueError:
            return JSONResponse(answer(47001))
        if not isinstance(params, dict):
            return JSONResponse(answer(47001))
        return self._granted(params, force=params.get("force_refresh") is True)

    async def _older_token(self, request: Request) -> JSONResponse:
        """The older desk, which gives another token to everybody who asks; the one before dies [O]."""
        return self._granted(dict(request.query_params), force=True, spared=True)

    def _granted(self, params: Mapping[str, Any], *, force: bool, spared: bool = False) -> JSONResponse:
        if params.get("grant_type") != "client_credential":
            return JSONResponse(answer(40097, "grant_type"))
        if not self._desk.take(str(params.get("appid")), self.world.clock.wall()):
            return JSONResponse(answer(45011))
        shop = self.shop_of_client(str(params.get("appid")))
        if shop is None or shop.platform != self.name:
            return JSONResponse(answer(40013))
        if params.get("secret") != shop.client_secret:
            return JSONResponse(answer(40125))
        token = self.tokens.current(shop.id, APP)
        if token is None or force:
            if token is not None and not spared and not self._may_force(shop.id):
                return JSONResponse(answer(45011))
            token = self.tokens.issue(shop.id, APP)
        left = int((token.expires_at - self.world.clock.now()).total_seconds())
        return JSONResponse({"access_token": token.id, "expires_in": max(left, 1)})

    def _may_force(self, account: str) -> bool:
        now = self.world.clock.now()
        recent = [at for at in self._forced.get(account, []) if now - at < timedelta(days=1)]
        if len(recent) >= FORCED_A_DAY or (recent and now - recent[-1] < FORCED_APART):
            return False
        self._forced[account] = [*recent, now]
        return True

    async def _call(self, request: Request, api: str) -> JSONResponse:
        try:
            return JSONResponse(await self._run(request, api))
        except ErrCode as refusal:
            return JSONResponse(answer(refusal.code, refusal.hint))

    async def _run(self, request: Request, api: str) -> Json:
        if api not in self.apis:
            raise ErrCode(48001, api)
        method, handler = self.apis[api]
        if request.method != method:
            raise ErrCode(40097, f"require {method}")
        state, token = self.tokens.check(request.query_params.get("access_token"))
        if token is None:
            raise ErrCode(TOKEN_ERRORS[state])
        if not self.quotas.take(f"{token.account}:{api}", self.world.clock.wall()):
            raise ErrCode(45009)
        params: Any = {name: value for name, value in request.query_params.items() if name != "access_token"}
        if method == "POST":
            try:
                params = json.loads(await request.body() or b"{}")
            except ValueError:
                raise ErrCode(47001) from None
            if not isinstance(params, dict):
                raise ErrCode(47001)
        return handler(Call(self, self.world, self.shop(token.account), params))

    def _signed(self, name: str, number: int, token: str) -> dict[str, str]:
        timestamp = str(int(self.wall().timestamp()))
        nonce = str(int(self.world.token("nonce", name, number)[:8], 16))
        return {
            "signature": crypto.signature(token, timestamp, nonce, ""),
            "timestamp": timestamp,
            "nonce": nonce,
        }


def xml(fields: Mapping[str, Any], root: str = "xml") -> str:
    """The XML that WeChat writes: numbers plain, text in CDATA, objects as elements."""
    parts = []
    for name, value in fields.items():
        if isinstance(value, Mapping):
            parts.append(xml(value, escape(name)))
            continue
        shown = str(value) if isinstance(value, int) else f"<![CDATA[{str(value).replace(']]>', ']]]]><![CDATA[>')}]]>"
        parts.append(f"<{escape(name)}>{shown}</{escape(name)}>")
    return f"<{root}>{''.join(parts)}</{root}>"
