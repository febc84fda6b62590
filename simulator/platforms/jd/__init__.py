"""JD: gateway and token desk. It pushes nothing.

Names of fields follow public notes [S], error numbers are assumed [U]. What a shop may refund
itself are orders that were not shipped; the simulator lets it answer every refund. Goods that come back are listed as
service orders, everything else as refund applications.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from simulator.entities import Shop
from simulator.faults import Fault
from simulator.platforms.base import Incoming, Json
from simulator.platforms.jd.api import APIS, ApiError
from simulator.platforms.signed_gateway import Call, SignedGateway, sent_params, wrapped_md5
from simulator.quotas import Limit
from simulator.tokens import TokenState

APP = "app"
UNSIGNED = frozenset({"sign", "format", "sign_method"})
TOKEN_ERRORS = {
    TokenState.MISSING: (16, "缺少access_token参数"),
    TokenState.UNKNOWN: (19, "无效access_token"),
    TokenState.EXPIRED: (19, "access_token已过期"),
}


class Jd(SignedGateway):
    """The platform."""

    name = "jd"
    token_s = 30 * 24 * 3600
    clock_tolerance = timedelta(minutes=6)
    limits = (Limit(500, 1.0, 1.0),)

    def router(self) -> APIRouter:
        """POST /routerjson and POST /oauth2/refresh_token."""
        router = APIRouter(prefix=f"/{self.name}", tags=[self.name])
        router.add_api_route("/routerjson", self._call, methods=["POST", "GET"])
        router.add_api_route("/oauth2/refresh_token", self._refresh, methods=["POST", "GET"])
        return router

    def api_of(self, incoming: Incoming) -> str | None:
        """The interface's name, or `oauth2/refresh_token`."""
        if incoming.path.strip("/") == "oauth2/refresh_token":
            return "oauth2/refresh_token"
        return super().api_of(incoming)

    def accounts(self, base_url: str) -> list[Json]:
        """Tokens are given out at an address of their own."""
        return [{**account, "oauth_url": f"{base_url}/{self.name}"} for account in super().accounts(base_url)]

    def answer_for(self, fault: Fault) -> Json:
        """65 when busy, 2 for too many calls, 22 and 3 for what the application may not do."""
        if fault in (Fault.FORBIDDEN, Fault.UNTRUSTED_IP):
            return _refusal(*((22, "无权限调用此接口") if fault is Fault.FORBIDDEN else (3, "请求被禁止")))
        if fault is Fault.BUSY:
            return _refusal(65, "平台连接后端服务处理超时")
        return _refusal(2, "限制时间内调用次数超限")

    def credentials(self, shop: Shop) -> Json:
        """The shop's application and the refresh token of its authorisation."""
        return {"app_key": shop.client_id, "app_secret": shop.client_secret, "refresh_token": shop.refresh_token}

    async def _call(self, request: Request) -> JSONResponse:
        params = await sent_params(request)
        method = params.get("method", "")
        refusal = self._refused(method, params)
        if refusal is not None:
            return JSONResponse(_refusal(*refusal))
        state, token = self.tokens.check(params.get(self.authorised_by))
        if token is None:
            return JSONResponse(_refusal(*TOKEN_ERRORS[state]))
        if self.shop(token.account).client_id != params.get("app_key"):
            return JSONResponse(_refusal(*TOKEN_ERRORS[TokenState.UNKNOWN]))
        if not self.quotas.take(f"{token.account}:{method}", self.world.clock.wall()):
            return JSONResponse(_refusal(2, "限制时间内调用次数超限"))
        handler, result = APIS[method]
        try:
            found = handler(self, Call(self.world, self.shop(token.account), _asked(params)))
        except ValueError:
            return JSONResponse(_refusal(11, "无效数据格式"))
        except ApiError as error:
            found = {"apiResult": {"success": False, "numberCode": error.code, "chineseErrCode": error.message}}
        return JSONResponse({f"{method.replace('.', '_')}_responce": {result: found, "code": "0"}})

    def _refused(self, method: str, params: Mapping[str, str]) -> tuple[int, str] | None:
        if method not in APIS:
            return 13, "不存在的方法名"
        shop = self.shop_of_client(params.get("app_key", ""))
        if shop is None:
            return 20, "无效app_key"
        if not self._is_timely(params.get("timestamp", "")):
            return 8, "非法的时间戳参数"
        signed = {name: value for name, value in params.items() if name not in UNSIGNED}
        if params.get("sign") != wrapped_md5(shop.client_secret, signed):
            return 10, "无效签名"
        return None

    def _is_timely(self, text: str) -> bool:
        try:
            at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f%z")
        except ValueError:
            return False
        return self.is_near(at)

    async def _refresh(self, request: Request) -> JSONResponse:
        params = await sent_params(request)
        shop = self.shop_of_client(params.get("app_key", ""))
        if shop is None or params.get("app_secret") != shop.client_secret:
            return JSONResponse({"code": 1001, "msg": "app_key或app_secret不正确"})
        refresh = params.get("refresh_token", "")
        known = self.tokens.by_refresh_token(refresh)
        if refresh != shop.refresh_token and (known is None or known.account != shop.id):
            return JSONResponse({"code": 1004, "msg": "refresh_token无效或已过期"})
        token = self.tokens.issue(shop.id, APP)
        life = int((token.expires_at - token.issued_at).total_seconds())
        return JSONResponse(
            {
                "access_token": token.id,
                "expires_in": life,
                "refresh_token": token.refresh_token,
                "scope": "snsapi_base",
                "open_id": self.world.token("vender", shop.id)[:32],
                "uid": str(shop.number),
                "time": int(self.wall().timestamp() * 1000),
                "token_type": "bearer",
                "code": 0,
            }
        )


def _asked(params: Mapping[str, str]) -> dict[str, str]:
    """The interface's parameters as texts. ValueError when they are no JSON object."""
    asked = json.loads(params.get("360buy_param_json", "{}"))
    if not isinstance(asked, dict):
        raise ValueError("no JSON object")
    return {name: str(value) for name, value in asked.items() if value is not None}


def _refusal(code: int, message: str) -> Json:
    return {"error_response": {"code": str(code), "zh_desc": message, "en_desc": message}}
