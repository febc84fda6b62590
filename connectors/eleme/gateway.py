"""Ele.me's token desk and signed calls for one shop."""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NoReturn

from pydantic import Field, SecretStr

from connectors.accounts import ADDRESS, Account, AccountSettings
from connectors.eleme.wire import PLATFORM, UNVERIFIED
from connectors.errors import http_refusal, missing_in_answer, raise_meaning, unreadable_answer
from connectors.http import Link, PlatformHttp, retry_after
from connectors.tokens import Token, TokenCare, TokenName, grant_of
from domain.ids import derived_id


class ElemeSettings(AccountSettings):
    """One shop and the application that acts for it."""

    app_key: str = Field(min_length=1, max_length=64, description="应用的 Key · The application's key")
    app_secret: SecretStr = Field(min_length=1, description="应用的 Secret · The application's secret")
    shop_id: int = Field(gt=0, description="平台的店铺编号 · The platform's number of the shop")
    base_url: str = Field(default=UNVERIFIED.base_url, pattern=r"^https?://[^\s?#]+$", description=ADDRESS)


def call_sign(action: str, token: str, fields: Mapping[str, Any], secret: str) -> str:
    """md5 of action, token, the fields sorted by name as `name=JSON`, and the secret, in capital hex [U]."""
    joined = "".join(f"{name}={_json(fields[name])}" for name in sorted(fields))
    return _md5(f"{action}{token}{joined}{secret}")


def push_sign(fields: Mapping[str, Any], secret: str) -> str:
    """md5 of a push's fields sorted by name as `name=value`, and the secret, in capital hex [U]."""
    joined = "".join(f"{name}={fields[name]}" for name in sorted(fields))
    return _md5(f"{joined}{secret}")


class ElemeGateway:
    """See `connectors.catering.client.Gateway`."""

    def __init__(self, account: Account, link: Link) -> None:
        self.settings = account.parse_settings(ElemeSettings)
        self._link = link
        self._http = PlatformHttp(PLATFORM, self.settings.base_url, link)
        given = self.settings
        grant = grant_of(given.app_key, given.app_secret)
        name = TokenName(PLATFORM, account.slug, grant=grant)
        self.tokens = TokenCare(link.tokens, name, self.fetch_token, link.now)

    async def call(self, api: str, params: Mapping[str, Any], *, effect: bool = False) -> Any:
        async def once(token: str) -> Any:
            now = self._link.now()
            metas = {"app_key": self.settings.app_key, "timestamp": int(now.timestamp())}
            fields = {**params, "shopId": self.settings.shop_id}
            secret = self.settings.app_secret.get_secret_value()
            request = {
                "nop": "1.0.0",
                "id": derived_id(api, now.isoformat(), _json(fields)),
                "action": api,
                "token": token,
                "metas": metas,
                "params": fields,
                "signature": call_sign(api, token, {**fields, **metas}, secret),
            }
            answer = await self._ask(UNVERIFIED.call_path, _json(request).encode(), effect=effect)
            if "result" not in answer:
                raise missing_in_answer(PLATFORM, "result")
            return answer["result"]

        return await self.tokens.use(once)

    async def fetch_token(self, old: Token | None) -> Token:
        """A new token. Raises AuthenticationProblem when the application is refused."""
        secret = self.settings.app_secret.get_secret_value()
        basic = base64.b64encode(f"{self.settings.app_key}:{secret}".encode()).decode()
        answer = await self._ask(
            UNVERIFIED.sign_in_path,
            b"grant_type=client_credentials&scope=all",
            headers={"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"},
        )
        token, life = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or isinstance(life, bool) or not isinstance(life, int) or life <= 0:
            raise missing_in_answer(PLATFORM, "access_token")
        now = self._link.now()
        return Token(token, now, now + timedelta(seconds=min(life, 31_536_000)))

    async def _ask(
        self, path: str, body: bytes, *, effect: bool = False, headers: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        """The object of an answer that holds no error."""
        status, answered, content = await self._http.send("POST", path, {}, body, effect=effect, headers=headers)
        try:
            answer = json.loads(content, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and answer.get("error"):
            self._refuse(answer, effect=effect)
        if status != 200:
            raise http_refusal(PLATFORM, status, effect=effect, retry_after_s=retry_after(answered, self._link))
        if not isinstance(answer, dict):
            raise unreadable_answer(PLATFORM, effect=effect)
        return answer

    @staticmethod
    def _refuse(answer: Mapping[str, Any], *, effect: bool) -> NoReturn:
        error = answer["error"]
        code, said = (error.get("code"), error.get("message")) if isinstance(error, Mapping) else (error, "")
        raise_meaning(PLATFORM, str(code), str(said or ""), UNVERIFIED.codes.get(str(code)), effect=effect)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)
