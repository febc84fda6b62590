"""Pinduoduo's gateway and its tokens.

Source: open.pinduoduo.com idStr=8EC06C399636041E (call and signature); tokens second-hand [S].
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from connectors.accounts import Account
from connectors.errors import TokenDied, missing_in_answer, raise_for_code
from connectors.gateway_signing import gateway_signature
from connectors.http import Link, PlatformHttp
from connectors.pinduoduo.codes import meaning_of
from connectors.pinduoduo.settings import PinduoduoSettings
from connectors.tokens import Token, TokenCare, TokenName, grant_of, refresh_by_any
from domain.problems import AuthenticationProblem, Text

PLATFORM = "pinduoduo"
ROUTER = "/api/router"
_LAST_SECOND = 4_102_444_800


class PinduoduoGateway:
    """Signed calls for one shop, with its token taken care of."""

    def __init__(self, account: Account, link: Link) -> None:
        self.settings = account.parse_settings(PinduoduoSettings)
        self.shop = account.slug
        self.now = link.now
        self._http = PlatformHttp(PLATFORM, self.settings.base_url, link)
        given = self.settings
        grant = grant_of(given.client_id, given.authorization_code, given.refresh_token)
        name = TokenName(PLATFORM, account.slug, grant=grant)
        self.tokens = TokenCare(link.tokens, name, self.fetch_token, link.now)

    async def call(
        self, kind: str, params: Mapping[str, str], response: str, *, effect: bool = False
    ) -> Mapping[str, Any]:
        """The member `response` of the answer; its name does not follow from the interface's.

        Raises problems as `connectors.errors` describes them.
        """
        return await self.tokens.use(lambda token: self._exchange(kind, params, response, token, effect=effect))

    async def fetch_token(self, old: Token | None) -> Token:
        """A new token: by the last refresh token, by the one in the settings, by the code, whichever still works.

        Raises AuthenticationProblem when none of them does.
        """
        settings = self.settings
        code = settings.authorization_code
        configured = settings.refresh_token.get_secret_value() if settings.refresh_token else None
        try:
            token = await refresh_by_any(old, configured, self._refresh)
        except AuthenticationProblem:
            # A new authorisation kills what an older one gave; its code stands in the settings.
            if code is None:
                raise
            token = None
        if token is not None:
            return token
        if code is None:
            raise _authorise_again()
        return await self._create(code.get_secret_value())

    async def _refresh(self, refresh_token: str) -> Token:
        return await self._granted(
            lambda: self._exchange(
                "pdd.pop.auth.token.refresh",
                {"refresh_token": refresh_token},
                "pop_auth_token_refresh_response",
                None,
            )
        )

    async def _create(self, code: str) -> Token:
        return await self._granted(
            lambda: self._exchange("pdd.pop.auth.token.create", {"code": code}, "pop_auth_token_create_response", None)
        )

    async def _granted(self, ask: Callable[[], Awaitable[Mapping[str, Any]]]) -> Token:
        now = self.now()
        try:
            found = await ask()
        except TokenDied:
            raise _authorise_again() from None
        value, until, refresh = (found.get(name) for name in ("access_token", "expires_at", "refresh_token"))
        if not isinstance(value, str) or not value:
            raise missing_in_answer(PLATFORM, "access_token")
        if isinstance(until, bool) or not isinstance(until, int) or until <= 0:
            raise missing_in_answer(PLATFORM, "expires_at")
        return Token(
            value=value,
            obtained_at=now,
            expires_at=datetime.fromtimestamp(min(until, _LAST_SECOND), UTC),
            refresh_value=refresh if isinstance(refresh, str) and refresh else None,
        )

    async def _exchange(
        self, kind: str, params: Mapping[str, str], response: str, token: str | None, *, effect: bool = False
    ) -> Mapping[str, Any]:
        common = {
            "type": kind,
            "client_id": self.settings.client_id,
            "timestamp": str(int(self.now().timestamp())),
            "data_type": "JSON",
            "version": "V1",
        }
        if token is not None:
            common["access_token"] = token
        secret = self.settings.client_secret.get_secret_value()
        common["sign"] = gateway_signature(secret, {**common, **params})
        answer = await self._http.exchange("POST", ROUTER, query=common, form=params, effect=effect)
        refusal = answer.get("error_response")
        if isinstance(refusal, Mapping):
            _raise_refusal(refusal, effect=effect)
        found = answer.get(response)
        if not isinstance(found, Mapping):
            raise missing_in_answer(PLATFORM, response)
        return found


def _raise_refusal(refusal: Mapping[str, Any], *, effect: bool) -> NoReturn:
    code, sub_code = str(refusal.get("error_code", "")), str(refusal.get("sub_code") or "")
    said = " ".join(str(refusal[name]) for name in ("error_msg", "sub_code", "sub_msg") if refusal.get(name))
    meaning = meaning_of(code, sub_code)
    meanings = {int(code): meaning} if meaning is not None and code.isdigit() else {}
    raise_for_code(PLATFORM, code, said, meanings, effect=effect)


def _authorise_again() -> AuthenticationProblem:
    return AuthenticationProblem(
        Text(
            "店铺授权已失效，请店主重新授权，并在 10 分钟内把新的 authorization_code 填入账号设置",
            "The shop's authorisation is over: have it authorise again and put the new authorization_code into the "
            "account's settings within 10 minutes",
        ),
        platform=PLATFORM,
        retryable=False,
        outcome="not_done",
    )
