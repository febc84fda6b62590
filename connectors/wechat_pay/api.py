"""Calls to WeChat Pay's API v3: signed requests, verified answers, errors by status and code.

Source: pay.weixin.qq.com, API v3 conventions [O].
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from connectors.accounts import Account
from connectors.errors import CodeMeaning, http_refusal, raise_meaning, unreadable_answer
from connectors.http import MAX_ANSWER_BYTES, Link, PlatformHttp, retry_after
from connectors.payloads import parse_json_object
from connectors.wechat_pay.codes import CODES
from connectors.wechat_pay.keys import PLATFORM, MerchantKeys
from connectors.wechat_pay.packed import unpacked
from connectors.wechat_pay.settings import WechatPaySettings
from domain.problems import AuthenticationProblem, CommunicationProblem, Text, ValidationProblem

Codes = Mapping[str, CodeMeaning]
DOWNLOAD_S = 180.0
"""How long the bill of a large day may take. Three have to fit into the ten minutes that taking a day's may last."""
_GOOD = range(200, 300)


class WechatPayApi:
    """One merchant's calls."""

    def __init__(self, account: Account, link: Link) -> None:
        self.settings = account.parse_settings(WechatPaySettings)
        self.keys = MerchantKeys(self.settings)
        self.now = link.now
        self._link = link
        self._http = PlatformHttp(PLATFORM, self.settings.base_url, link)

    async def get(self, target: str, codes: Codes = CODES) -> dict[str, Any]:
        """The answer of a GET; `target` is the path with its query, `codes` what its refusals mean."""
        return await self._call("GET", target, None, codes, effect=False)

    async def change(self, target: str, payload: Mapping[str, Any], codes: Codes = CODES) -> dict[str, Any]:
        """The answer of a POST that changes something; it is sent once."""
        return await self._call("POST", target, payload, codes, effect=True)

    async def download(self, url: str, largest: int) -> bytes:
        """The file behind an address that the platform gave, unpacked; its answer is not signed, its digest was.
        largest: as it is sent.

        Raises CommunicationProblem for an address elsewhere: no request of ours may go where an answer points to; and
        for a file that is too large, or damaged.
        """
        base = self.settings.base_url.rstrip("/")
        if not url.startswith(f"{base}/"):
            raise CommunicationProblem(
                Text("账单下载地址不属于微信支付", "The bill's address is not WeChat Pay's"),
                platform=PLATFORM,
                retryable=False,
                outcome="not_done",
            )
        target = url.removeprefix(base)
        _, content = await self._send("GET", target, None, effect=False, largest=largest, patience_s=DOWNLOAD_S)
        return await asyncio.to_thread(unpacked, content)

    async def _call(
        self, method: str, target: str, payload: Mapping[str, Any] | None, codes: Codes, *, effect: bool
    ) -> dict[str, Any]:
        headers, content = await self._send(method, target, payload, codes, effect=effect)
        try:
            self.keys.check(headers, content)
            return parse_json_object(content) if content else {}
        except AuthenticationProblem as problem:
            # Somebody else may have answered, so nobody knows what the platform did.
            again = {"retryable": True, "outcome": "unknown" if effect else "not_done", "platform": PLATFORM}
            raise AuthenticationProblem.of(problem.problem.model_copy(update=again)) from None
        except ValidationProblem:
            raise unreadable_answer(PLATFORM, effect=effect) from None

    async def _send(
        self,
        method: str,
        target: str,
        payload: Mapping[str, Any] | None,
        codes: Codes = CODES,
        *,
        effect: bool,
        largest: int = MAX_ANSWER_BYTES,
        patience_s: float | None = None,
    ) -> tuple[Mapping[str, str], bytes]:
        # The signature covers these very bytes.
        body = "" if payload is None else json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        headers = {
            "authorization": self.keys.authorization(method, target, body),
            "accept": "application/json",
            "wechatpay-serial": self.settings.public_key_id,
        }
        status, answered, content = await self._http.send(
            method,
            target,
            {},
            body.encode() if body else None,
            effect=effect,
            headers=headers,
            largest=largest,
            patience_s=patience_s,
        )
        if status in _GOOD:
            return {name.lower(): value for name, value in answered.items()}, content
        self._refuse(status, content, codes, retry_after(answered, self._link), effect=effect)
        raise AssertionError("unreachable")

    def _refuse(self, status: int, content: bytes, codes: Codes, wait_s: float | None, *, effect: bool) -> None:
        try:
            told = parse_json_object(content)
        except ValidationProblem:
            told = {}
        code = told.get("code")
        if isinstance(code, str) and code in codes:
            raise_meaning(PLATFORM, code, str(told.get("message", "")), codes[code], effect=effect)
        if isinstance(code, str) and status < 500 and status != 429:
            raise_meaning(PLATFORM, code, str(told.get("message", "")), None, effect=effect)
        raise http_refusal(PLATFORM, status, effect=effect, retry_after_s=wait_s)
