"""Calls to WeChat Pay's API v3: signed requests, verified answers, errors by status and code.

Source: pay.weixin.qq.com, API v3 conventions [O].
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NoReturn

from httpx import Headers

from connectors.accounts import Account
from connectors.errors import CodeMeaning, Verdict, http_refusal, raise_meaning, unreadable_answer
from connectors.http import MAX_ANSWER_BYTES, Link, PlatformHttp, retry_after
from connectors.payloads import parse_json_object
from connectors.webhooks import Refusal
from connectors.wechat_pay.codes import CODES
from connectors.wechat_pay.keys import PLATFORM, MerchantKeys
from connectors.wechat_pay.packed import unpacked
from connectors.wechat_pay.settings import WechatPaySettings
from domain.problems import AuthenticationProblem, CommunicationProblem, Text, ValidationProblem

Codes = Mapping[str, CodeMeaning]
DOWNLOAD_S = 180.0
"""How long the bill of a large day may take. Three have to fit into the ten minutes that taking a day's may last."""
_GOOD = range(200, 300)
_REFUSED = range(400, 500)
_MAYBE_UNSIGNED = frozenset({401, 429})
"""Refusals that may come from before the platform has recognised the caller's signature: what comes after that is
signed [O]. A reached limit is told by 429 as well [S], so one of these counts as any other where it is signed."""
_TOLD_BY_ANYBODY: frozenset[Verdict] = frozenset({"credentials", "clock", "rate_limit", "busy"})
"""What an answer may mean that nobody signed: none of it says what became of money."""


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
        self._verify(headers, content, effect=effect)
        try:
            return parse_json_object(content) if content else {}
        except ValidationProblem:
            raise unreadable_answer(PLATFORM, effect=effect) from None

    def _verify(self, headers: Mapping[str, str], content: bytes, *, effect: bool, said: str = "") -> None:
        """Raises AuthenticationProblem unless the platform signed this; said: what it refuses with."""
        try:
            self.keys.check(headers, content)
        except AuthenticationProblem as problem:
            # Somebody else may have answered, so nobody knows what the platform did.
            raise AuthenticationProblem(
                Text(f"{problem.text.zh}{said and f'：{said}'}", f"{problem.text.en}{said and f': {said}'}"),
                platform=PLATFORM,
                retryable=True,
                outcome="unknown" if effect else "not_done",
                reason=Refusal.SIGNATURE,
            ) from None

    def _is_signed(self, headers: Mapping[str, str], content: bytes) -> bool:
        try:
            self.keys.check(headers, content)
        except AuthenticationProblem:
            return False
        return True

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
        if status not in _GOOD:
            self._refuse(status, answered, content, codes, effect=effect)
        return answered, content

    def _refuse(self, status: int, headers: Headers, content: bytes, codes: Codes, *, effect: bool) -> NoReturn:
        try:
            told = parse_json_object(content)
        except ValidationProblem:
            told = {}
        code, message = told.get("code"), str(told.get("message", ""))
        if isinstance(code, str):
            must_be_signed, meaning = status in _REFUSED and status not in _MAYBE_UNSIGNED, codes.get(code)
            if must_be_signed:
                self._verify(headers, content, effect=effect, said=f"{message[:200]} ({code[:64]})".lstrip())
            is_signed = must_be_signed or (status in _MAYBE_UNSIGNED and self._is_signed(headers, content))
            if meaning is not None and (is_signed or meaning.verdict in _TOLD_BY_ANYBODY):
                raise_meaning(PLATFORM, code, message, meaning, effect=effect)
            if must_be_signed:
                raise_meaning(PLATFORM, code, message, None, effect=effect)
        raise http_refusal(PLATFORM, status, effect=effect, retry_after_s=retry_after(headers, self._link))
