"""Bounds of every request: how many, how large, how deep, how long.

Rates are moving windows kept in this process: with several API processes behind a proxy each grants its own share.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from time import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import TooLargeProblem, problem_response
from api.push_refusals import PushRefusals
from connectors.site.events import LARGEST_BODY as LARGEST_SITE_BYTES
from connectors.site.settings import PLATFORM as SITE
from connectors.webhooks import MAX_BODY_BYTES as LARGEST_PUSH_BYTES
from domain.problems import ProblemError, RateLimitProblem, Text, TimeoutProblem, UnavailableProblem, ValidationProblem

MEGABYTE = 1_048_576
_MOST_KEYS = 50_000


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests allowed, written like `600/minute`: of one token, of one address, of one address to webhooks, of one
    address to the pixel, of all pages of one site."""

    caller: str = "6000/minute"
    address: str = "30000/minute"
    webhooks: str = "60000/minute"
    pixel: str = "600/minute"
    site: str = "120000/minute"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one part of the API takes. answer_s: until the answer begins; rate: which of the rates counts."""

    body_bytes: int = 2 * MEGABYTE
    answer_s: float = 30.0
    rate: str | None = "address"


_PUSHES = "/hooks/"
_SITES = ("/collect/", "/pixel/")
# A platform that hears nothing within five seconds sends again: better to say so in time.
_BOUNDS: tuple[tuple[str, Bounds], ...] = (
    (_PUSHES, Bounds(LARGEST_PUSH_BYTES, 4.5, "webhooks")),
    ("/pixel/", Bounds(0, 4.5, "pixel")),
    ("/collect/", Bounds(LARGEST_SITE_BYTES, 4.5, "pixel")),
    ("/api/v1/definitions", Bounds(4 * MEGABYTE, 60.0)),
    ("/api/v1/imports", Bounds(32 * MEGABYTE, 120.0)),
    ("/api/v1/settlement/bank-files", Bounds(32 * MEGABYTE, 120.0)),
    ("/api/v1/settlement/facts/import", Bounds(32 * MEGABYTE, 120.0)),
    ("/api/v1/settlement/bills", Bounds(32 * MEGABYTE, 120.0)),
    ("/api/v1/audit/verification", Bounds(answer_s=600.0)),
    *((f"/api/v1/settlement/{path}", Bounds(answer_s=600.0)) for path in ("reports", "statements", "tie-out")),
    ("/api/", Bounds()),
    ("/healthz", Bounds(body_bytes=0, rate=None)),
    ("/readyz", Bounds(body_bytes=0, rate=None)),
    ("/metrics", Bounds(body_bytes=0)),
)
_ELSEWHERE = Bounds(body_bytes=0)
BODY_S = 20.0
"""How long a sender may take to send a body."""
PART_S = 60.0
"""How long each part of an answer may take, until it is there and until the caller has taken it."""


def bounds_of(path: str) -> Bounds:
    """What the address takes."""
    return next((bounds for prefix, bounds in _BOUNDS if path.startswith(prefix)), _ELSEWHERE)


class RateLimiter:
    """Moving windows by key. Raises RateLimitProblem, whose `retry_after_s` says when to come back."""

    def __init__(self, rates: Rates) -> None:
        self._storage = MemoryStorage()
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._items: dict[str, RateLimitItem] = {
            "caller": parse(rates.caller),
            "address": parse(rates.address),
            "webhooks": parse(rates.webhooks),
            "pixel": parse(rates.pixel),
            "site": parse(rates.site),
        }

    def count(self, rate: str, key: str) -> None:
        """Count one request of this key."""
        if len(self._storage.events) > _MOST_KEYS:
            # Only a flood from ever new addresses gets here; forgetting is better than growing.
            self._storage.reset()
        item = self._items[rate]
        if self._limiter.hit(item, rate, key):
            return
        wait_s = max(1, round(self._limiter.get_window_stats(item, rate, key).reset_time - time()))
        raise RateLimitProblem(
            Text(
                f"请求过于频繁，请在 {wait_s} 秒后重试（上限：{item}）",
                f"Too many requests: try again in {wait_s} seconds (the limit is {item})",
            ),
            retry_after_s=wait_s,
        )


def address_of(scope: Scope) -> str:
    """Where a request comes from; one network of IPv6 is one address."""
    client = scope.get("client")
    host = client[0] if client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host or "unknown"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(address)


class RequestBounds:
    """Lets in only requests within their bounds, their body read already; answers the others with a problem, and
    pushes as their platform wants it."""

    def __init__(self, app: ASGIApp, limiter: RateLimiter, push_refusals: PushRefusals) -> None:
        self._app = app
        self._limiter = limiter
        self._push_refusals = push_refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bounds = bounds_of(scope["path"])
        started = False
        waiting = asyncio.timeout(bounds.answer_s)

        async def observe(message: Message) -> None:
            nonlocal started
            started = True
            # From now on it is each part that has to come, and to be taken, in time.
            waiting.reschedule(asyncio.get_running_loop().time() + PART_S)
            await send(message)

        try:
            self._check_address(scope, bounds)
            replay = await _read_body(scope, receive, bounds.body_bytes)
            async with waiting:
                await self._app(scope, replay, observe)
        except ProblemError as problem:
            await self._refuse(problem, scope)(scope, receive, send)
        except TimeoutError:
            if started:
                raise
            await self._refuse(_too_slow(bounds.answer_s), scope)(scope, receive, send)

    def _check_address(self, scope: Scope, bounds: Bounds) -> None:
        if bounds.rate is not None:
            self._limiter.count(bounds.rate, address_of(scope))
        if "\x00" in scope["path"] or b"%00" in scope.get("query_string", b""):
            raise ValidationProblem(
                Text("地址中不能包含空字符（NUL）", "The address must not contain a NUL character"), errors=[]
            )

    def _refuse(self, problem: ProblemError, scope: Scope) -> Response:
        if scope["path"].startswith(_PUSHES):
            platform = scope["path"].removeprefix(_PUSHES).partition("/")[0]
            response = self._push_refusals.answer(platform, problem)
        else:
            if scope["path"].startswith(_SITES):
                self._push_refusals.count(SITE, problem)
            languages = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1")
            response = problem_response(problem, languages)
        if problem.problem.status in (408, 413):
            # What is left of the body is not read: the connection cannot be used again.
            response.headers["Connection"] = "close"
        return response


async def _read_body(scope: Scope, receive: Receive, most: int) -> Receive:
    """The body, read within its bounds, as something that can be received again."""
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or int(declared) > most:
        raise _too_large(most)
    messages: deque[Message] = deque()
    size = 0
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _cut_off()
                messages.append(message)
                size += len(message.get("body", b""))
                if size > most:
                    raise _too_large(most)
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise TimeoutProblem(
            Text(f"请求体未在 {BODY_S:.0f} 秒内发完", f"The body was not sent within {BODY_S:.0f} seconds")
        ) from None

    async def replay() -> Message:
        return messages.popleft() if messages else await receive()

    return replay


def _cut_off() -> ValidationProblem:
    return ValidationProblem(
        Text("请求体还没有发完，连接就断开了", "The connection ended before the whole body was sent"), errors=[]
    )


def _too_large(most: int) -> TooLargeProblem:
    if most == 0:
        return TooLargeProblem(Text("这个地址不接受请求体", "This address takes no body"), limit_bytes=0)
    return TooLargeProblem(
        Text(
            f"请求体超过上限 {most / MEGABYTE:g} MB，请拆分后再发",
            f"The body is larger than {most / MEGABYTE:g} MB: split it",
        ),
        limit_bytes=most,
    )


def _too_slow(answer_s: float) -> UnavailableProblem:
    return UnavailableProblem(
        Text(
            f"服务在 {answer_s:g} 秒内没有完成请求，请稍后用同一个幂等键重试",
            f"The request was not done within {answer_s:g} seconds: repeat it shortly, with the same idempotency key",
        )
    )
