"""Taobao's gateway (TOP) and its sessions.

Common parameters travel in the query, those of the interface in the body; all of them are signed together.
Source: open.taobao.com docId=101617 (call and signature).
"""

from collections.abc import Mapping
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, Self

from connectors.accounts import Account
from connectors.errors import TokenDied, missing_in_answer, raise_meaning
from connectors.gateway_signing import gateway_signature
from connectors.http import Link, PlatformHttp
from connectors.payloads import parse_json_object
from connectors.reading import CHINA, optional_mapping
from connectors.taobao.codes import SUB_CODES, meaning_of
from connectors.taobao.settings import TaobaoSettings
from connectors.tokens import Token, TokenCare, TokenName, grant_of, refresh_by_any
from domain.problems import AuthenticationProblem, Text

PLATFORM = "taobao"
ROUTER = "/router/rest"
REFRESH = "taobao.top.auth.token.refresh"
# A session without a refresh token lives until the platform says otherwise [U].
_UNTIL_REFUSED = timedelta(days=365)


class TaobaoGateway:
    """Signed calls for one shop, with its session taken care of."""

    def __init__(self, account: Account, link: Link) -> None:
        self.settings = account.parse_settings(TaobaoSettings)
        self.now = link.now
        self._link = link
        self._http = PlatformHttp(PLATFORM, self.settings.base_url, link)
        given = self.settings
        grant = grant_of(given.app_key, given.session, given.refresh_token)
        name = TokenName(PLATFORM, account.slug, grant=grant)
        self.tokens = TokenCare(link.tokens, name, self.fetch_token, link.now)

    def awaited(self) -> Self:
        """The same for what a flow waits for: see `Link.awaited`."""
        found = copy(self)
        found._http = PlatformHttp(PLATFORM, self.settings.base_url, self._link.awaited())
        return found

    async def call(self, method: str, params: Mapping[str, str], *, effect: bool = False) -> Mapping[str, Any]:
        """The answer within its `…_response`. Raises problems as `connectors.errors` describes them."""
        return await self.tokens.use(lambda session: self._exchange(method, params, session, effect=effect))

    async def call_as_application(self, method: str, params: Mapping[str, str]) -> Mapping[str, Any]:
        """As `call`, for what concerns the application and no shop: no session goes along."""
        try:
            return await self._exchange(method, params, None)
        except TokenDied:
            raise _authorise_again() from None

    async def seller_nick(self) -> str:
        """What messages call the shop, as the platform tells it."""
        answer = await self.call("taobao.user.seller.get", {"fields": "user_id,nick"})
        nick = optional_mapping(answer.get("user")).get("nick")
        if not isinstance(nick, str) or not nick:
            raise missing_in_answer(PLATFORM, "nick")
        return nick

    async def fetch_token(self, old: Token | None) -> Token:
        """A new session. Raises AuthenticationProblem when the shop has to authorise again."""
        configured = self.settings.refresh_token
        renewed = await refresh_by_any(old, configured.get_secret_value() if configured else None, self._refresh)
        if renewed is not None:
            return renewed
        given, now = self.settings.session, self.now()
        if given is None or (old is not None and old.value == given.get_secret_value()):
            raise _authorise_again()
        return Token(value=given.get_secret_value(), obtained_at=now, expires_at=now + _UNTIL_REFUSED)

    async def _refresh(self, refresh_token: str) -> Token:
        now = self.now()
        try:
            answer = await self._exchange(REFRESH, {"refresh_token": refresh_token}, None)
        except TokenDied:
            raise _authorise_again() from None
        result = parse_json_object(str(answer.get("token_result", "")).encode())
        value, refresh = result.get("access_token"), result.get("refresh_token")
        if not isinstance(value, str) or not value:
            raise missing_in_answer(PLATFORM, "access_token")
        return Token(
            value=value,
            obtained_at=now,
            expires_at=_expiry(result, now),
            refresh_value=refresh if isinstance(refresh, str) and refresh else refresh_token,
        )

    async def _exchange(
        self, method: str, params: Mapping[str, str], session: str | None, *, effect: bool = False
    ) -> Mapping[str, Any]:
        settings = self.settings
        common = {
            "method": method,
            "app_key": settings.app_key,
            "sign_method": settings.sign_method,
            "timestamp": f"{self.now().astimezone(CHINA):%Y-%m-%d %H:%M:%S}",
            "format": "json",
            "v": "2.0",
        }
        if session is not None:
            common["session"] = session
        secret = settings.app_secret.get_secret_value()
        common["sign"] = gateway_signature(secret, {**common, **params}, settings.sign_method)
        answer = await self._http.exchange("POST", ROUTER, query=common, form=params, effect=effect)
        refusal = answer.get("error_response")
        if isinstance(refusal, Mapping):
            raise_refusal(refusal, effect=effect)
        found = answer.get(f"{method.removeprefix('taobao.').replace('.', '_')}_response")
        if not isinstance(found, Mapping):
            raise missing_in_answer(PLATFORM, f"{method}_response")
        return found


def raise_refusal(refusal: Mapping[str, Any], *, effect: bool) -> NoReturn:
    """Raise what an `error_response` means."""
    code, sub_code = str(refusal.get("code", "")), str(refusal.get("sub_code") or "")
    said = " ".join(str(refusal[name]) for name in ("msg", "sub_code", "sub_msg") if refusal.get(name))
    exact = sub_code if sub_code in SUB_CODES else code
    raise_meaning(PLATFORM, exact, said, meaning_of(code, sub_code), effect=effect)


def _expiry(result: Mapping[str, Any], now: datetime) -> datetime:
    """`expire_time` in Unix milliseconds, else `expires_in` in seconds."""
    until, life = result.get("expire_time"), result.get("expires_in")
    if isinstance(until, int) and not isinstance(until, bool) and until > 0:
        return datetime.fromtimestamp(min(until / 1000, 4_102_444_800), UTC)
    if isinstance(life, int) and not isinstance(life, bool) and life > 0:
        return now + timedelta(seconds=min(life, 4_102_444_800))
    raise missing_in_answer(PLATFORM, "expire_time")


def _authorise_again() -> AuthenticationProblem:
    return AuthenticationProblem(
        Text(
            "店铺授权已失效，请店主重新授权，并在账号设置中更新 session 或 refresh_token",
            "The shop's authorisation is over: have it authorise again and put the new session or refresh_token "
            "into the account's settings",
        ),
        platform=PLATFORM,
        retryable=False,
        outcome="not_done",
    )
