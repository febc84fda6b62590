"""HTTP to a platform: one bounded request, its answer as a JSON object, every failure as a problem.

Access tokens travel in query strings, so no address is ever put into a log line or an error.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self
from urllib.parse import urlencode

import httpx
import structlog

from connectors.acting import require_time_to_act
from connectors.errors import http_refusal, no_answer, unreachable, unreadable_answer
from connectors.kept import Kept
from connectors.pacing import Pace, Pacer, Slots
from connectors.payloads import exact_fraction
from connectors.retry_after import asked_wait_s
from connectors.tokens import MemoryTokenStore, TokenStore

MAX_ANSWER_BYTES = 8_388_608
MOST_CONNECTIONS = 128
"""Of one client: more than a queue runs calls at once, so that they do not wait for one another."""
_LONGEST_WAIT_S = 3600.0
_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_log = structlog.get_logger(__name__)


class _WithoutQueries(logging.Filter):
    """Takes query strings out of httpx's own request lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(arg.copy_with(query=None) if isinstance(arg, httpx.URL) else arg for arg in record.args)
        return True


logging.getLogger("httpx").addFilter(_WithoutQueries())


def wall_clock() -> datetime:
    """The time now, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Link:
    """What a connector needs to reach the outside: a client, the tokens, the time, and how long it may wait.

    answer_timeout_s bounds one request; keep it well below the calls' `timeout_s`. pacer: who gives out turns; pace:
    those of the account that this link is for. Without them every request goes out at once. slots: for what takes many
    requests. kept: what clients of one account share.
    """

    http: httpx.AsyncClient
    tokens: TokenStore
    now: Callable[[], datetime] = wall_clock
    answer_timeout_s: float = 10.0
    pacer: Pacer | None = None
    pace: Pace | None = None
    slots: Slots = field(default_factory=Slots)
    kept: Kept = field(default_factory=Kept)

    def paced(self, account_id: str, per_second: float, *, bulk: bool = False) -> Self:
        """The same for one account, whose requests wait for their turns. bulk: nobody waits for them."""
        if self.pacer is None:
            return self
        return replace(self, pace=Pace(self.pacer, account_id, per_second, bulk))

    def awaited(self) -> Self:
        """The same for what a flow waits for, although it is read in bulk: its requests go before others in bulk."""
        return self if self.pace is None else replace(self, pace=replace(self.pace, bulk=False))

    def without_tokens(self) -> Self:
        """The same, knowing no token: a connection test tries the secret itself, not what an earlier one fetched."""
        return replace(self, tokens=MemoryTokenStore())


def open_client() -> httpx.AsyncClient:
    """An HTTP client for one platform's queue; the caller closes it. Redirects and proxies are not followed.

    One platform that does not answer holds its connections: no other is to wait for them.
    """
    return httpx.AsyncClient(
        follow_redirects=False,
        trust_env=False,
        verify=_trusted(),
        limits=httpx.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=32, keepalive_expiry=20),
        headers={"user-agent": "tandem-scrm"},
    )


@cache
def _trusted() -> ssl.SSLContext:
    """Whom to believe; reading that takes a while, so all clients share it."""
    return httpx.create_ssl_context(trust_env=False)


class _Way:
    """How far a request got on its way out."""

    def __init__(self) -> None:
        self._connects = self._sends = False

    async def note(self, event: str, _: Mapping[str, Any]) -> None:
        """See httpcore's trace extension."""
        self._connects = self._connects or event.startswith("connection.")
        self._sends = self._sends or ".send_request_" in event

    @property
    def never_began(self) -> bool:
        """Whether a connection was still being made, so that nothing can have been sent."""
        return self._connects and not self._sends


class PlatformHttp:
    """Requests to one platform at one base address."""

    def __init__(self, platform: str, base_url: str, link: Link) -> None:
        self._platform = platform
        self._base_url = base_url.rstrip("/")
        self._link = link

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        payload: Mapping[str, Any] | bytes | None = None,
        form: Mapping[str, str] | None = None,
        effect: bool = False,
        settle_s: float | None = None,
    ) -> dict[str, Any]:
        """The JSON object that the platform answered with status 200.

        payload: the body as JSON; as bytes it is sent as it stands, for platforms that sign it. form: the body as
        URL-encoded pairs instead. effect: whether the request changes something there, so that silence leaves the
        outcome unknown. settle_s: how long to wait before asking what became of it.
        Raises problems as `connectors.errors` describes them.
        """
        body = payload if payload is None or isinstance(payload, bytes) else _json(payload)
        headers: dict[str, str] = {}
        if form is not None:
            body, headers = urlencode(form).encode(), {"content-type": _FORM}
        status, answered, content = await self.send(
            method, path, query or {}, body, effect=effect, settle_s=settle_s, headers=headers
        )
        if status != 200:
            wait_s = retry_after(answered, self._link)
            raise http_refusal(self._platform, status, effect=effect, retry_after_s=wait_s)
        try:
            value = json.loads(content, parse_float=exact_fraction)
        except (ValueError, ArithmeticError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise unreadable_answer(self._platform, effect=effect)
        return value

    async def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None,
        *,
        effect: bool,
        settle_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        largest: int = MAX_ANSWER_BYTES,
        patience_s: float | None = None,
    ) -> tuple[int, httpx.Headers, bytes]:
        """The status, headers and content of any answer up to `largest` bytes, for platforms that speak by status.

        patience_s: how long all of a file may take, where a request's time is too short; between two pieces of it no
        more than that passes. Goes out when it is the account's turn. Raises RateLimitProblem when that takes too long.
        """
        kind = {"content-type": "application/json; charset=utf-8"} if body is not None else {}
        answer_s = self._link.answer_timeout_s
        # Who finds no free connection has to learn that before all the time is up: then nothing was sent.
        timeout = httpx.Timeout(answer_s, connect=min(5.0, answer_s), pool=min(5.0, answer_s / 2))
        content, way = bytearray(), _Way()
        if self._link.pace is not None:
            await self._link.pace.turn()
        if effect:
            require_time_to_act(self._platform)
        try:
            async with (
                asyncio.timeout(patience_s or answer_s),
                self._link.http.stream(
                    method,
                    self._base_url + path,
                    params=dict(query) or None,
                    content=body,
                    headers={**kind, **(headers or {})},
                    timeout=timeout,
                    extensions={"trace": way.note},
                ) as response,
            ):
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > largest:
                        raise unreadable_answer(self._platform, effect=effect)
                status = response.status_code
                _log.debug("platform.answer", platform=self._platform, path=path, status=status, bytes=len(content))
                return status, response.headers, bytes(content)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise unreachable(self._platform) from None
        except (TimeoutError, httpx.TransportError, httpx.DecodingError):
            if way.never_began:
                raise unreachable(self._platform) from None
            raise no_answer(self._platform, effect=effect, retry_after_s=settle_s) from None


def _json(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def retry_after(headers: httpx.Headers, link: Link) -> float | None:
    """Seconds that the platform asks to wait, at most an hour."""
    return asked_wait_s(headers, link.now(), _LONGEST_WAIT_S)
