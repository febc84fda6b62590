"""Signed calls to Meituan for one shop: a form, and a signature over its address and its sorted pairs."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from pydantic import Field, SecretStr

from connectors.accounts import ADDRESS, Account, AccountSettings
from connectors.errors import http_refusal, missing_in_answer, raise_for_code, unreadable_answer
from connectors.http import Link, PlatformHttp, retry_after
from connectors.meituan.wire import PLATFORM, UNVERIFIED


class MeituanSettings(AccountSettings):
    """One shop and the application that acts for it."""

    app_id: str = Field(min_length=1, max_length=64, description="应用的 app_id · The application's id")
    app_secret: SecretStr = Field(min_length=1, description="应用的 app_secret · The application's secret")
    shop_id: str = Field(
        min_length=1, max_length=64, description="门店编号 app_poi_code · The platform's number of the shop"
    )
    base_url: str = Field(default=UNVERIFIED.base_url, pattern=r"^https?://[^\s?#]+$", description=ADDRESS)


def sign(path: str, params: Mapping[str, str], secret: str) -> str:
    """md5 of the path, the pairs sorted by name, and the secret, in small hex [U]. path: empty for pushes."""
    pairs = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return hashlib.md5(f"{path}?{pairs}{secret}".encode(), usedforsecurity=False).hexdigest()


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


class MeituanGateway:
    """See `connectors.catering.client.Gateway`."""

    def __init__(self, account: Account, link: Link) -> None:
        self.settings = account.parse_settings(MeituanSettings)
        self._link = link
        self._http = PlatformHttp(PLATFORM, self.settings.base_url, link)

    async def call(self, api: str, params: Mapping[str, Any], *, effect: bool = False) -> Any:
        path = UNVERIFIED.prefix + api
        signed = {
            **{name: str(value) for name, value in params.items()},
            "app_id": self.settings.app_id,
            "app_poi_code": self.settings.shop_id,
            "timestamp": str(int(self._link.now().timestamp())),
        }
        signed["sig"] = sign(path, signed, self.settings.app_secret.get_secret_value())
        status, headers, content = await self._http.send(
            "POST",
            path,
            {},
            urlencode(signed).encode(),
            effect=effect,
            headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
        )
        if status != 200:
            raise http_refusal(PLATFORM, status, effect=effect, retry_after_s=retry_after(headers, self._link))
        try:
            answer = json.loads(content, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise unreadable_answer(PLATFORM, effect=effect)
        error = answer.get("error")
        if isinstance(error, Mapping):
            raise_for_code(PLATFORM, str(error.get("code")), str(error.get("msg", "")), UNVERIFIED.codes, effect=effect)
        if "data" not in answer:
            raise missing_in_answer(PLATFORM, "data")
        return answer["data"]
