"""Douyin's token desk, API gateway and signature.

Source: op.jinritemai.com, calling conventions and authorisation [S].
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog

from connectors.accounts import Account
from connectors.douyin.codes import OK, meaning_of
from connectors.douyin.settings import DouyinSettings
from connectors.errors import missing_in_answer, raise_meaning, wrong_shop
from connectors.http import Link, PlatformHttp
from connectors.reading import number_if_told
from connectors.tokens import Token, TokenCare, TokenName, grant_of, refresh_by_any
from domain.problems import AuthenticationProblem

PLATFORM = "douyin"
VERSION = "2"
SIGN_METHOD = "hmac-sha256"
UNVERIFIED = "shop_id"
"""Where the answer of the token desk names the shop that the token is of."""
_LONGEST_LIFE = timedelta(days=30)
log = structlog.get_logger(__name__)


def param_json(params: Mapping[str, Any]) -> str:
    """The parameters as they are signed and sent: keys sorted on every level, compact, nothing escaped, 1.0 as 1."""
    return json.dumps(_plain(params), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def request_sign(app_key: str, method: str, params: str, timestamp: str, app_secret: str) -> str:
    """`sign` of a request; `params` is what `param_json` gave."""
    named = f"app_key{app_key}method{method}param_json{params}timestamp{timestamp}v{VERSION}"
    text = f"{app_secret}{named}{app_secret}"
    return hmac.new(app_secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class DouyinGateway:
    """Calls by method name (`order.searchList`) for one shop, with its token taken care of."""

    def __init__(self, account: Account, link: Link) -> None:
        self.settings = account.parse_settings(DouyinSettings)
        self.now = link.now
        self._slug = account.slug
        self._store = link.tokens
        self._http = PlatformHttp(PLATFORM, self.settings.base_url, link)
        self._tokens = TokenCare(self._store, self.token_of(self.settings.shop_id), self._fetch_token, link.now)

    async def call(self, method: str, params: Mapping[str, Any], *, effect: bool = False) -> Mapping[str, Any]:
        """The `data` of the answer. Raises problems as `connectors.errors` describes them."""

        async def once(token: str) -> Mapping[str, Any]:
            return await self._send(method, params, {"access_token": token}, effect=effect)

        return await self._tokens.use(once)

    async def _send(
        self, method: str, params: Mapping[str, Any], more: Mapping[str, str], *, effect: bool
    ) -> Mapping[str, Any]:
        body = param_json(params)
        timestamp = str(int(self.now().timestamp()))
        secret = self.settings.app_secret.get_secret_value()
        query = {
            "app_key": self.settings.app_key,
            "method": method,
            "timestamp": timestamp,
            "v": VERSION,
            "sign": request_sign(self.settings.app_key, method, body, timestamp, secret),
            "sign_method": SIGN_METHOD,
            **more,
        }
        path = "/" + method.replace(".", "/")
        answer = await self._http.exchange("POST", path, query=query, payload=body.encode(), effect=effect)
        code = answer.get("code")
        if code != OK:
            sub_code = str(answer.get("sub_code") or "")
            number = code if isinstance(code, int) and not isinstance(code, bool) else 0
            said = str(answer.get("sub_msg") or answer.get("msg") or "")
            raise_meaning(PLATFORM, sub_code or number, said, meaning_of(number, sub_code), effect=effect)
        data = answer.get("data")
        if not isinstance(data, Mapping):
            if effect and data is None:
                return {}
            raise missing_in_answer(PLATFORM, "data")
        return data

    async def _fetch_token(self, old: Token | None) -> Token:
        configured = self.settings.refresh_token.get_secret_value() if self.settings.refresh_token else None

        async def refresh(value: str) -> Token:
            params = {"grant_type": "refresh_token", "refresh_token": value}
            return await self._refreshed(await self._send("token.refresh", params, {}, effect=False), old)

        try:
            token = await refresh_by_any(old, configured, refresh)
        except AuthenticationProblem:
            # A shop's own application may always ask anew; another's needs the shop to authorise it again.
            if configured is not None:
                raise
            token = None
        if token is not None:
            return token
        params = {"code": "", "grant_type": "authorization_self", "shop_id": str(self.settings.shop_id)}
        return self._token(await self._send("token.create", params, {}, effect=False))

    def token_of(self, shop: int) -> TokenName:
        """What the token is called that a shop's authorisation gives."""
        given = self.settings
        return TokenName(PLATFORM, self._slug, grant=grant_of(given.app_key, shop, given.refresh_token))

    async def _refreshed(self, data: Mapping[str, Any], old: Token | None) -> Token:
        """The token of an answer that may be another shop's. Raises ConfigurationProblem when the first one is."""
        token, shop = self._token(data), number_if_told(data, UNVERIFIED)
        if shop is None or shop == self.settings.shop_id:
            return token
        if old is not None:
            # What worked until now goes on, whatever shop the platform calls it.
            log.warning("a token is said to be of another shop", account=self._slug, shop_id=shop)
            return token
        # The refresh token is spent by now: what came of it waits for the right shop_id.
        await self._store.save(self.token_of(shop), token)
        raise wrong_shop(PLATFORM, "shop_id", self.settings.shop_id, shop)

    def _token(self, data: Mapping[str, Any]) -> Token:
        value, life, refresh = data.get("access_token"), data.get("expires_in"), data.get("refresh_token")
        if not isinstance(value, str) or isinstance(life, bool) or not isinstance(life, int) or life <= 0:
            raise missing_in_answer(PLATFORM, "access_token")
        now = self.now()
        return Token(
            value=value,
            obtained_at=now,
            expires_at=now + min(timedelta(seconds=life), _LONGEST_LIFE),
            refresh_value=refresh if isinstance(refresh, str) and refresh else None,
        )


def _plain(value: Any) -> Any:
    """Whole numbers as integers, whatever they came as; other fractions as the shortest number that means them."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float | Decimal):
        whole = value == int(value)
        return int(value) if whole else float(value)
    return value
