"""The gate in front of all platforms: lets requests through, or lets a fault have them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.faults import Fault, FaultBook, FaultRule
from simulator.platforms.base import Incoming, Json, PlatformBase
from simulator.stirring import sells, stir
from simulator.world import World

SCOPES = frozenset({"http", "websocket"})
AWAY_LOOK_S = 0.1
"""How often is looked whether a platform with open channels has gone."""
GOING_AWAY = 1001
OPENING_STATUS = {Fault.DOWN: 503, Fault.HTTP_5XX: 502, Fault.HTTP_429: 429}
PLATFORM_ANSWERS = frozenset({Fault.QUOTA, Fault.CONCURRENCY, Fault.BUSY, Fault.FORBIDDEN, Fault.UNTRUSTED_IP})


class FaultGate:
    """ASGI middleware; requests outside the platforms' prefixes pass untouched."""

    def __init__(self, app: ASGIApp, world: World, book: FaultBook, platforms: Mapping[str, PlatformBase]) -> None:
        self._app = app
        self._world = world
        self._book = book
        self._platforms = platforms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix, _, rest = scope["path"].lstrip("/").partition("/") if scope["type"] in SCOPES else ("", "", "")
        platform = self._platforms.get(prefix)
        if platform is not None and scope["type"] == "websocket":
            await self._channel(platform, Incoming(rest, _query(scope), {}, b""), (scope, receive, send))
            return
        if platform is None or not self._book.rules():
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        incoming = Incoming(rest, _query(scope), headers, body)
        api, account = platform.api_of(incoming), platform.account_of(incoming)
        without = frozenset() if sells(self._world, account) else frozenset({Fault.SHIFT_PAGE})
        rule = self._book.for_request(prefix, account, api, without) if api is not None else None
        receive = _replayed(body, receive)
        if rule is None:
            await self._app(scope, receive, send)
        else:
            await self._strike(rule, platform, incoming, (scope, receive, send))

    async def _channel(self, platform: PlatformBase, incoming: Incoming, call: tuple[Scope, Receive, Send]) -> None:
        """A channel that an application opens and keeps: refused while the platform is away, cut when it goes."""
        scope, _, send = call
        api, account = platform.api_of(incoming) or "", platform.account_of(incoming)
        rule = self._book.for_opening(platform.name, account, api)
        if rule is not None:
            await _refuse_channel(scope, send, OPENING_STATUS[rule.fault])
            return
        serving = asyncio.ensure_future(self._app(*call))
        try:
            while not serving.done():
                await asyncio.wait({serving}, timeout=AWAY_LOOK_S)
                if not serving.done() and self._book.cuts(platform.name, account):
                    serving.cancel()
                    await asyncio.gather(serving, return_exceptions=True)
                    await send({"type": "websocket.close", "code": GOING_AWAY})
                    return
            await serving
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    async def _strike(
        self, rule: FaultRule, platform: PlatformBase, incoming: Incoming, call: tuple[Scope, Receive, Send]
    ) -> None:
        scope, receive, send = call
        seconds = self._world.settings.hang_s if rule.seconds is None else rule.seconds
        if rule.fault in PLATFORM_ANSWERS:
            body = json.dumps(platform.answer_for(rule.fault), ensure_ascii=False).encode()
            await _send(send, platform.status_for(rule.fault), body, platform.headers_for(rule.fault, body))
        elif rule.fault is Fault.HTTP_429:
            wait = 1 if rule.seconds is None else max(1, round(rule.seconds))
            await _answer(send, 429, {"message": "too many requests"}, {"retry-after": str(wait)})
        elif rule.fault is Fault.HTTP_5XX:
            await _answer(send, 502, {"message": "bad gateway"})
        elif rule.fault is Fault.DOWN:
            await _answer(send, 503, {"message": "service unavailable"})
        elif rule.fault is Fault.SHIFT_PAGE:
            await self._app(scope, receive, send)
            stir(self._world, platform.account_of(incoming), rule.copies)
        elif rule.fault is Fault.TIMEOUT_BEFORE:
            await self._hang(receive, send, seconds)
        elif rule.fault is Fault.TIMEOUT_AFTER:
            await self._app(scope, receive, _nowhere)
            await self._hang(receive, send, seconds)
        elif rule.fault is Fault.SLOW:
            await asyncio.sleep(seconds if rule.seconds is not None else 1.0)
            await self._app(scope, receive, send)
        else:
            self._kill_token(platform.token_of(incoming))
            await self._app(scope, receive, send)

    def _kill_token(self, token_id: str | None) -> None:
        token = self._world.tokens.get(token_id or "")
        if token is not None:
            self._world.tokens.change(token, killed=True)

    async def _hang(self, receive: Receive, send: Send, seconds: float) -> None:
        """Holds the request until the caller gives up or `seconds` have passed; then a 504 nobody waits for."""
        try:
            async with asyncio.timeout(seconds):
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            await _answer(send, 504, {"message": "gateway timeout"})


def _query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body once more, then whatever comes."""
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _nowhere(_message: Message) -> None:
    """Takes an answer that is never sent."""


async def _refuse_channel(scope: Scope, send: Send, status: int) -> None:
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": GOING_AWAY})


async def _answer(send: Send, status: int, body: Json, headers: Mapping[str, str] | None = None) -> None:
    await _send(send, status, json.dumps(body, ensure_ascii=False).encode(), headers or {})


async def _send(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    lines = [(b"content-type", b"application/json")]
    lines += [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
