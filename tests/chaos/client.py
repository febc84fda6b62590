"""Tandem's HTTP API as a careful client calls it: what may pass is tried again, under the same key."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

import httpx

_PATIENCE_S = 240.0
_ANSWER_S = 12.0
_PASSING = frozenset({429, 502, 503, 504})
_REFUSALS = frozenset({400, 404, 409, 412, 422})


class GaveUp(Exception):
    """No answer that counts within the client's patience."""


@dataclass(frozen=True)
class Answer:
    """attempts: how many requests it took."""

    status: int
    body: Any
    etag: str
    attempts: int

    @property
    def ok(self) -> bool:
        return self.status < 300

    @property
    def reason(self) -> str:
        detail = self.body.get("detail") if isinstance(self.body, dict) else None
        return str(detail or self.body)[:200]


class Client:
    """Calls with one person's token.

    repeats: why requests were sent again, how often. surprises: answers that no client should ever get. answer_s: how
    long an answer may take.
    """

    def __init__(
        self, base_url: str, token: str, repeats: Counter[str], surprises: list[str], *, answer_s: float = _ANSWER_S
    ) -> None:
        headers = {"authorization": f"Bearer {token}", "accept-language": "en"}
        limits = httpx.Limits(max_connections=16, keepalive_expiry=15)
        self._http = httpx.AsyncClient(
            base_url=base_url, headers=headers, timeout=answer_s, limits=limits, trust_env=False
        )
        self._repeats = repeats
        self._surprises = surprises

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: Any) -> Any:
        """The body of a successful answer; None when there is no such thing. Raises GaveUp."""
        answer = await self.send("GET", path, query=query)
        return answer.body if answer.ok else None

    async def all(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Every item of a list, page after page. Raises GaveUp."""
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self.get(path, size=100, **query, **cursor)
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = {"cursor": page["next_cursor"]}

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        etag: str | None = None,
        key: str | None = None,
        content: bytes | None = None,
        media_type: str | None = None,
    ) -> Answer:
        """The first answer that counts: a success or a refusal.

        Broken connections, time-outs, 429 and 502 to 504 are tried again. Raises GaveUp.
        """
        headers = {"if-match": etag, "idempotency-key": key, "content-type": media_type}
        sent = {name: value for name, value in headers.items() if value is not None}
        deadline, pause_s, attempts = time.monotonic() + _PATIENCE_S, 0.2, 0
        while True:
            attempts += 1
            answer = await self._once(method, path, body, query or {}, sent, content)
            if isinstance(answer, httpx.Response):
                if answer.status_code not in _PASSING:
                    return self._judged(method, path, answer, attempts)
                why = f"HTTP {answer.status_code}"
            else:
                why = answer
            self._repeats[why] += 1
            if time.monotonic() > deadline:
                raise GaveUp(f"{method} {path}: {attempts} attempts, the last one: {why}")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 3.0)

    async def _once(
        self,
        method: str,
        path: str,
        body: Any,
        query: dict[str, Any],
        headers: dict[str, str],
        content: bytes | None,
    ) -> httpx.Response | str:
        try:
            return await self._http.request(method, path, json=body, params=query, headers=headers, content=content)
        except httpx.TimeoutException:
            return "time-out"
        except httpx.TransportError:
            return "connection broken"

    def _judged(self, method: str, path: str, answer: httpx.Response, attempts: int) -> Answer:
        try:
            body = answer.json() if answer.content else None
        except ValueError:
            body = answer.text
        judged = Answer(answer.status_code, body, answer.headers.get("etag", ""), attempts)
        if not judged.ok and judged.status not in _REFUSALS:
            self._surprises.append(f"{method} {path}: HTTP {judged.status}: {judged.reason}")
        return judged
