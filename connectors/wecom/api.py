"""WeCom's token desk and API.

Source: developer.work.weixin.qq.com, access tokens and frequency limits.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import SecretStr

from connectors.accounts import Account
from connectors.errors import missing_in_answer, raise_for_code, wrong_setting
from connectors.http import Link, PlatformHttp
from connectors.tokens import Token, TokenCare, TokenName, grant_of
from connectors.wecom.codes import CODES
from connectors.wecom.settings import WecomSettings
from domain.problems import CommunicationProblem, Text

PLATFORM = "wecom"
App = Literal["contact", "agent"]

# The platform advises at most three tries when it answers -1.
BUSY_TRIES = 3
_BUSY_WAIT_S = 0.2
REQUESTS_PER_SECOND = 40.0
"""To each interface: 150,000 an hour are let in (41 a second). Who asks more often is blocked for up to an hour."""


class TooManyPages(CommunicationProblem):
    """A list is longer than was to be gone through."""


class WecomApi:
    """Calls below `/cgi-bin` for one corp; each of its two applications has a token of its own."""

    def __init__(self, account: Account, link: Link) -> None:
        self.settings = account.parse_settings(WecomSettings)
        self.now = link.now
        self._pace = link.pace
        self._http = PlatformHttp(PLATFORM, self.settings.base_url, link)
        self._tokens = {app: self._care(app, account, link) for app in ("contact", "agent")}

    async def get(self, path: str, query: Mapping[str, str], *, app: App = "contact") -> dict[str, Any]:
        """The answer of a reading GET."""
        return await self._read("GET", path, query, None, app)

    async def read(self, path: str, payload: Mapping[str, Any], *, app: App = "contact") -> dict[str, Any]:
        """The answer of a POST that changes nothing."""
        return await self._read("POST", path, {}, payload, app)

    async def change(
        self, path: str, payload: Mapping[str, Any], *, app: App = "contact", settle_s: float | None = None
    ) -> dict[str, Any]:
        """The answer of a POST that changes something; it is sent once. See `PlatformHttp.exchange` for `settle_s`."""
        return await self._call("POST", path, {}, payload, app, effect=True, settle_s=settle_s)

    async def pages(
        self, path: str, payload: Mapping[str, Any], rows: str, *, most_pages: int
    ) -> AsyncIterator[list[Any]]:
        """The pages of a list by cursor. Raises TooManyPages when there are more than `most_pages`."""
        cursor = ""
        for _ in range(most_pages):
            answer = await self.read(path, {**payload, "cursor": cursor})
            page = answer.get(rows)
            yield page if isinstance(page, list) else []
            cursor = str(answer.get("next_cursor") or "")
            if not cursor:
                return
        raise TooManyPages(
            Text(
                f"企业微信 {path} 的结果超过 {most_pages} 页，无法逐一核对，请人工确认",
                f"WeCom's {path} gives more than {most_pages} pages, too many to go through: check by hand",
            ),
            platform=PLATFORM,
            retryable=False,
            outcome="unknown",
        )

    async def sign_in(self, app: App) -> None:
        """Get hold of an application's token. Raises AuthenticationProblem when its secret is wrong."""
        await self._tokens[app].current()

    async def _read(
        self, method: str, path: str, query: Mapping[str, str], payload: Mapping[str, Any] | None, app: App
    ) -> dict[str, Any]:
        for left in range(BUSY_TRIES - 1, -1, -1):
            try:
                return await self._call(method, path, query, payload, app, effect=False, settle_s=None)
            except CommunicationProblem as problem:
                if left == 0 or problem.problem.as_dict().get("platform_code") != "-1":
                    raise
            await asyncio.sleep(_BUSY_WAIT_S * (BUSY_TRIES - left))
        raise AssertionError("unreachable")

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        payload: Mapping[str, Any] | None,
        app: App,
        *,
        effect: bool,
        settle_s: float | None,
    ) -> dict[str, Any]:
        async def once(token: str) -> dict[str, Any]:
            if self._pace is not None:
                await self._pace.turn_at(path, REQUESTS_PER_SECOND)
            answer = await self._http.exchange(
                method,
                f"/cgi-bin/{path}",
                query={**query, "access_token": token},
                payload=payload,
                effect=effect,
                settle_s=settle_s,
            )
            return _accepted(answer, effect=effect)

        return await self._tokens[app].use(once)

    def _care(self, app: App, account: Account, link: Link) -> TokenCare:
        async def fetch(_old: Token | None) -> Token:
            return await self._fetch_token(app)

        name = TokenName(PLATFORM, account.slug, app, grant_of(self.settings.corp_id, self._secret_of(app)))
        return TokenCare(link.tokens, name, fetch, link.now)

    def _secret_of(self, app: App) -> SecretStr | None:
        return self.settings.contact_secret if app == "contact" else self.settings.agent_secret

    async def _fetch_token(self, app: App) -> Token:
        secret = self._secret_of(app)
        if secret is None:
            raise wrong_setting(
                PLATFORM,
                Text(
                    "账号没有填写应用的 agent_id 与 agent_secret，无法通知成员，请在账号设置中补全",
                    "The account has no agent_id and agent_secret, so staff cannot be notified: complete its settings",
                ),
            )
        query = {"corpid": self.settings.corp_id, "corpsecret": secret.get_secret_value()}
        answer = _accepted(await self._http.exchange("GET", "/cgi-bin/gettoken", query=query), effect=False)
        value, life = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(value, str) or isinstance(life, bool) or not isinstance(life, int) or life <= 0:
            raise missing_in_answer(PLATFORM, "access_token")
        now = self.now()
        return Token(value=value, obtained_at=now, expires_at=now + timedelta(seconds=min(life, 86_400)))


def _accepted(answer: dict[str, Any], *, effect: bool) -> dict[str, Any]:
    code = answer.get("errcode", 0)
    if code != 0:
        raise_for_code(PLATFORM, str(code), str(answer.get("errmsg", "")), CODES, effect=effect)
    return answer
