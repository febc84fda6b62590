"""JD's gateway and its tokens.

`360buy_param_json` is signed as the text it is sent as; `format` and `sign_method` are sent and not signed. The
answer's key is misspelt `…_responce`.
Source: open.jd.com listId=2643 (signature); the rest second-hand [S].
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from connectors.accounts import Account
from connectors.errors import CodeMeaning, missing_in_answer, raise_for_code
from connectors.gateway_signing import gateway_signature
from connectors.http import Link, PlatformHttp
from connectors.jd.codes import BUSINESS_CODES, GATEWAY_CODES, TOKEN_CODES
from connectors.jd.settings import JdSettings
from connectors.reading import CHINA
from connectors.tokens import Token, TokenCare, TokenName, grant_of, refresh_by_any

PLATFORM = "jd"
ROUTER = "/routerjson"
_LONGEST_LIFE_S = 10 * 365 * 86_400


class JdGateway:
    """Signed calls for one shop, with its token taken care of."""

    def __init__(self, account: Account, link: Link) -> None:
        self.settings = account.parse_settings(JdSettings)
        self.now = link.now
        self._http = PlatformHttp(PLATFORM, self.settings.base_url, link)
        self._oauth = PlatformHttp(PLATFORM, self.settings.oauth_url, link)
        given = self.settings
        grant = grant_of(given.app_key, given.refresh_token)
        name = TokenName(PLATFORM, account.slug, grant=grant)
        self.tokens = TokenCare(link.tokens, name, self.fetch_token, link.now)

    async def call(
        self, method: str, params: Mapping[str, Any], result: str, *, effect: bool = False
    ) -> Mapping[str, Any]:
        """The member `result` of the answer, once it says that all went well.

        Raises problems as `connectors.errors` describes them.
        """
        payload = json.dumps(params, ensure_ascii=False, separators=(",", ":"), sort_keys=True)

        async def once(token: str) -> Mapping[str, Any]:
            signed = {
                "method": method,
                "access_token": token,
                "app_key": self.settings.app_key,
                "timestamp": self._timestamp(),
                "v": "2.0",
            }
            form = {"360buy_param_json": payload}
            sign = gateway_signature(self.settings.app_secret.get_secret_value(), {**signed, **form})
            query = {**signed, "sign": sign, "format": "json", "sign_method": "md5"}
            answer = await self._http.exchange("POST", ROUTER, query=query, form=form, effect=effect)
            return _found(answer, method, result, effect=effect)

        return await self.tokens.use(once)

    async def fetch_token(self, old: Token | None) -> Token:
        """A new token. Raises AuthenticationProblem when the shop has to authorise again."""
        configured = self.settings.refresh_token.get_secret_value()
        return await refresh_by_any(old, configured, self._refresh) or await self._refresh(configured)

    async def _refresh(self, refresh: str) -> Token:
        settings, now = self.settings, self.now()
        request = {
            "app_key": settings.app_key,
            "app_secret": settings.app_secret.get_secret_value(),
            "grant_type": "refresh_token",
            "refresh_token": refresh,
        }
        answer = await self._oauth.exchange("POST", "/oauth2/refresh_token", form=request)
        _raise_if_refused(answer, effect=False)
        value, life, renewed = (answer.get(name) for name in ("access_token", "expires_in", "refresh_token"))
        if not isinstance(value, str) or not value:
            said = str(answer.get("msg") or answer.get("zh_desc") or "")
            raise_for_code(PLATFORM, str(answer.get("code")), said, TOKEN_CODES, effect=False)
        if isinstance(life, bool) or not isinstance(life, int) or life <= 0:
            raise missing_in_answer(PLATFORM, "expires_in")
        return Token(
            value=value,
            obtained_at=now,
            expires_at=now + timedelta(seconds=min(life, _LONGEST_LIFE_S)),
            refresh_value=renewed if isinstance(renewed, str) and renewed else refresh,
        )

    def _timestamp(self) -> str:
        now = self.now().astimezone(CHINA)
        return f"{now:%Y-%m-%d %H:%M:%S}.{now.microsecond // 1000:03d}+0800"


def _raise_if_refused(answer: Mapping[str, Any], *, effect: bool) -> None:
    """The gateway's own word, which stands before every service, that for tokens included."""
    refusal = answer.get("error_response")
    if isinstance(refusal, Mapping):
        said = str(refusal.get("zh_desc") or refusal.get("en_desc") or "")
        raise_for_code(PLATFORM, str(refusal.get("code")), said, GATEWAY_CODES, effect=effect)


def _found(answer: Mapping[str, Any], method: str, result: str, *, effect: bool) -> Mapping[str, Any]:
    _raise_if_refused(answer, effect=effect)
    name = method.replace(".", "_")
    body = answer.get(f"{name}_responce", answer.get(f"{name}_response"))
    if not isinstance(body, Mapping):
        raise missing_in_answer(PLATFORM, f"{name}_responce")
    found = body.get(result)
    if not isinstance(found, Mapping):
        raise missing_in_answer(PLATFORM, result)
    _check_business(found, BUSINESS_CODES, effect=effect)
    return found


def _check_business(found: Mapping[str, Any], codes: Mapping[int, CodeMeaning], *, effect: bool) -> None:
    """Services say success themselves, beside the result or in an `apiResult` of it."""
    verdict = found.get("apiResult", found)
    if not isinstance(verdict, Mapping) or verdict.get("success") is not False:
        return
    said = str(verdict.get("chineseErrCode") or verdict.get("englishErrCode") or "")
    code = str(verdict.get("numberCode") or verdict.get("errorCode") or "")
    raise_for_code(PLATFORM, code, said, codes, effect=effect)
