"""Youzan's token desk and API gateway.

Source: open.youzanyun.com, authorisation and gateway documents.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from connectors.accounts import Account
from connectors.errors import CodeMeaning, missing_in_answer, raise_for_code, wrong_shop
from connectors.http import Link, PlatformHttp
from connectors.reading import number_if_told
from connectors.tokens import Token, TokenCare, TokenName, grant_of
from connectors.youzan.codes import BUSINESS_CODES, GATEWAY_CODES, TOKEN_CODES
from connectors.youzan.settings import YouzanSettings
from domain.problems import AuthenticationProblem

PLATFORM = "youzan"
UNVERIFIED = "authority_id"
"""Where the answer of the token desk names the shop that the token is of."""

log = structlog.get_logger(__name__)


class YouzanGateway:
    """Calls of `/api/{name}/{version}` for one shop, with its token taken care of."""

    def __init__(self, account: Account, link: Link) -> None:
        self.settings = account.parse_settings(YouzanSettings)
        self.now = link.now
        self._http = PlatformHttp(PLATFORM, self.settings.base_url, link)
        self._slug = account.slug
        self._store = link.tokens
        self._proof = grant_of(self.settings.client_id, self.settings.client_secret)
        self.tokens = TokenCare(self._store, self.token_of(self.settings.kdt_id), self.fetch_token, link.now)

    async def call(
        self,
        api: str,
        version: str,
        params: Mapping[str, Any],
        *,
        effect: bool = False,
        codes: Mapping[int, CodeMeaning] = BUSINESS_CODES,
    ) -> Mapping[str, Any]:
        """The `data` of the answer. Raises problems as `connectors.errors` describes them."""

        async def once(token: str) -> Mapping[str, Any]:
            answer = await self._http.exchange(
                "POST", f"/api/{api}/{version}", query={"access_token": token}, payload=params, effect=effect
            )
            _raise_if_refused(answer, effect=effect)
            if answer.get("success") is not True:
                raise_for_code(PLATFORM, str(answer.get("code")), str(answer.get("message", "")), codes, effect=effect)
            data = answer.get("data")
            if not isinstance(data, Mapping):
                raise missing_in_answer(PLATFORM, "data")
            return data

        return await self.tokens.use(once)

    async def prove_secret(self) -> None:
        """Fetch a token with the client_secret, unless the present one was fetched with it: calls do not need it, only
        pushes and the next token do. Raises AuthenticationProblem for a wrong one; the present token stays then.

        Of a token from before proofs were kept nobody knows; the workers' chain is not spent on finding that out."""
        token = await self.tokens.current()
        if token.proves not in (None, self._proof):
            await self.tokens.replace(token)

    async def fetch_token(self, old: Token | None) -> Token:
        """A new token. Raises AuthenticationProblem when the shop or the application is refused."""
        given = self.settings.refresh_token
        if given is None:
            # `refresh` asks for another token than the present one, which dies.
            return self._token(
                await self._granted(
                    {"authorize_type": "silent", "grant_id": self.settings.kdt_id, "refresh": old is not None}
                )
            )
        known = old.refresh_value if old is not None else None
        if known and known != given.get_secret_value():
            try:
                return await self._refreshed(known, old)
            except AuthenticationProblem:
                # The shop was authorised anew: what was known died, and what was entered since is good.
                pass
        return await self._refreshed(given.get_secret_value(), old)

    def token_of(self, shop: int) -> TokenName:
        """What the token is called that a shop's authorisation gives."""
        given = self.settings
        return TokenName(PLATFORM, self._slug, grant=grant_of(given.client_id, shop, given.refresh_token))

    async def _refreshed(self, refresh_token: str, old: Token | None) -> Token:
        """A token of whichever shop authorised. Raises ConfigurationProblem when the first one is not the account's."""
        data = await self._granted({"authorize_type": "refresh_token", "refresh_token": refresh_token})
        token, shop = self._token(data), number_if_told(data, UNVERIFIED)
        if shop is None or shop == self.settings.kdt_id:
            return token
        if old is not None:
            # What worked until now goes on, whatever shop the platform calls it: it may name a chain's head office.
            log.warning("a token is said to be of another shop", account=self._slug, kdt_id=shop)
            return token
        # The refresh token is spent by now: what came of it waits for the right kdt_id.
        await self._store.save(self.token_of(shop), token)
        raise wrong_shop(PLATFORM, "kdt_id", self.settings.kdt_id, shop)

    async def _granted(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the token desk answered."""
        settings = self.settings
        application = {"client_id": settings.client_id, "client_secret": settings.client_secret.get_secret_value()}
        answer = await self._http.exchange("POST", "/auth/token", payload={**application, **request})
        _raise_if_refused(answer, effect=False)
        if answer.get("success") is not True:
            raise_for_code(PLATFORM, str(answer.get("code")), str(answer.get("message", "")), TOKEN_CODES, effect=False)
        data = answer.get("data")
        if not isinstance(data, Mapping) or not isinstance(data.get("access_token"), str):
            raise missing_in_answer(PLATFORM, "access_token")
        return data

    def _token(self, data: Mapping[str, Any]) -> Token:
        refresh = data.get("refresh_token")
        now = self.now()
        return Token(
            value=data["access_token"],
            obtained_at=now,
            expires_at=_expiry(data.get("expires"), now),
            refresh_value=refresh if isinstance(refresh, str) else None,
            proves=self._proof,
        )


def _raise_if_refused(answer: Mapping[str, Any], *, effect: bool) -> None:
    """The gateway's own word, which stands before every interface and before the token desk."""
    refusal = answer.get("gw_err_resp")
    if isinstance(refusal, Mapping):
        code, said = str(refusal.get("err_code")), str(refusal.get("err_msg", ""))
        raise_for_code(PLATFORM, code, said, GATEWAY_CODES, effect=effect)


def _expiry(expires: object, now: datetime) -> datetime:
    """`expires` as an instant: documents show Unix milliseconds; seconds and a plain life are understood too [U]."""
    if isinstance(expires, bool) or not isinstance(expires, int) or expires <= 0:
        raise missing_in_answer(PLATFORM, "expires")
    if expires > 100_000_000_000:
        return datetime.fromtimestamp(min(expires / 1000, 4_102_444_800), UTC)
    if expires > 1_000_000_000:
        return datetime.fromtimestamp(min(expires, 4_102_444_800), UTC)
    return now + timedelta(seconds=expires)
