"""WeChat's token desk and API for one application.

Source: developers.weixin.qq.com, stable access tokens [O].
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from connectors.accounts import Account
from connectors.errors import CodeMeaning, missing_in_answer, raise_for_code
from connectors.http import Link, PlatformHttp
from connectors.tokens import Token, TokenCare, TokenName, grant_of
from connectors.wechat.codes import CODES, TOKEN_CODES
from connectors.wechat.settings import WechatSettings
from domain.problems import CommunicationProblem

BUSY_TRIES = 3
_BUSY_WAIT_S = 0.2
_LONGEST_LIFE_S = 86_400


class WechatApi:
    """Calls at api.weixin.qq.com with the application's token taken care of."""

    def __init__(
        self,
        platform: str,
        account: Account,
        settings: WechatSettings,
        link: Link,
        codes: Mapping[int, CodeMeaning] = CODES,
    ) -> None:
        self.now = link.now
        self._platform = platform
        self._settings = settings
        self._codes = codes
        self._http = PlatformHttp(platform, settings.base_url, link)
        name = TokenName(platform, account.slug, grant=grant_of(settings.app_id, settings.app_secret))
        self._tokens = TokenCare(link.tokens, name, self._fetch_token, link.now)

    async def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """The answer of a reading GET."""
        return await self._read("GET", path, query, None)

    async def read(self, path: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of a POST that changes nothing."""
        return await self._read("POST", path, {}, payload)

    async def change(self, path: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of a POST that changes something; it is sent once."""
        return await self._call("POST", path, {}, payload, effect=True)

    async def _read(
        self, method: str, path: str, query: Mapping[str, str], payload: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        for left in range(BUSY_TRIES - 1, -1, -1):
            try:
                return await self._call(method, path, query, payload, effect=False)
            except CommunicationProblem as problem:
                if left == 0 or problem.problem.as_dict().get("platform_code") != "-1":
                    raise
            await asyncio.sleep(_BUSY_WAIT_S * (BUSY_TRIES - left))
        raise AssertionError("unreachable")

    async def _call(
        self, method: str, path: str, query: Mapping[str, str], payload: Mapping[str, Any] | None, *, effect: bool
    ) -> dict[str, Any]:
        async def once(token: str) -> dict[str, Any]:
            signed = {**query, "access_token": token}
            answer = await self._http.exchange(method, f"/{path}", query=signed, payload=payload, effect=effect)
            return self._accepted(answer, self._codes, effect=effect)

        return await self._tokens.use(once)

    async def _fetch_token(self, old: Token | None) -> Token:
        """The application's token. The desk gives the living one to everybody who asks.

        It only makes another one early when forced to, twenty times a day: so it is forced only for a token that it
        still gives out although it is dead.
        """
        token = await self._ask_for_token(force=False)
        if old is not None and token.value == old.value and self.now() < old.renew_at:
            token = await self._ask_for_token(force=True)
        return token

    async def _ask_for_token(self, *, force: bool) -> Token:
        request = {
            "grant_type": "client_credential",
            "appid": self._settings.app_id,
            "secret": self._settings.app_secret.get_secret_value(),
            "force_refresh": force,
        }
        answer = await self._http.exchange("POST", "/cgi-bin/stable_token", payload=request)
        answer = self._accepted(answer, TOKEN_CODES, effect=False)
        value, life = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(value, str) or isinstance(life, bool) or not isinstance(life, int) or life <= 0:
            raise missing_in_answer(self._platform, "access_token")
        now = self.now()
        life_s = min(life, _LONGEST_LIFE_S)
        return Token(value=value, obtained_at=now, expires_at=now + timedelta(seconds=life_s))

    def _accepted(self, answer: dict[str, Any], codes: Mapping[int, CodeMeaning], *, effect: bool) -> dict[str, Any]:
        code = answer.get("errcode", 0)
        if code != 0:
            raise_for_code(self._platform, str(code), str(answer.get("errmsg", "")), codes, effect=effect)
        return answer
