"""A small HTTP/1.1 client that keeps connections open: what replaying years of history in minutes takes.

It speaks what a webhook needs, no more: one request at a time on a connection, bodies by length, in chunks or to the
end of the connection. Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict, deque
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

BODY_LIMIT = 1_000_000
"""Bytes of an answer that are read; more is not an answer to a webhook."""


class DeliveryFailed(Exception):
    """No answer: no connection, not in time, or no HTTP."""


class Answer(NamedTuple):
    """What the receiver said."""

    status: int
    body: bytes


class _Origin(NamedTuple):
    host: str
    port: int
    secure: bool
    path: str
    query: str


class _Line(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Courier:
    """Connections to receivers, kept open between requests. close() when done."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._idle: dict[tuple[str, int, bool], deque[_Line]] = defaultdict(deque)

    async def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request and its answer. DeliveryFailed when there is none in time."""
        try:
            origin = _origin(url)
            request = _request(method, origin, body, headers or {}, query or {})
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(origin, request)
        except TimeoutError:
            raise DeliveryFailed(f"no answer within {self._timeout_s:g} s") from None
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise DeliveryFailed(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Lets go of all connections."""
        for lines in self._idle.values():
            for line in lines:
                line.writer.close()
        self._idle.clear()

    async def _exchange(self, origin: _Origin, request: bytes) -> Answer:
        idle = self._idle[origin.host, origin.port, origin.secure]
        while idle:
            line = idle.pop()
            if line.reader.at_eof() or line.writer.is_closing():
                line.writer.close()
                continue
            try:
                return await self._talk(line, request, idle)
            except (ConnectionError, asyncio.IncompleteReadError):
                # The receiver closed an idle connection just now; once more on a new one.
                break
        context = ssl.create_default_context() if origin.secure else None
        reader, writer = await asyncio.open_connection(origin.host, origin.port, ssl=context)
        return await self._talk(_Line(reader, writer), request, idle)

    async def _talk(self, line: _Line, request: bytes, idle: deque[_Line]) -> Answer:
        kept = False
        try:
            line.writer.write(request)
            status, headers = await _head(line.reader)
            body, ended = await _body(line.reader, headers, status)
            kept = not ended and headers.get("connection", "").lower() != "close"
            return Answer(status, body)
        finally:
            if kept:
                idle.append(line)
            else:
                line.writer.close()


@lru_cache(maxsize=256)
def _origin(url: str) -> _Origin:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or any(mark.isspace() for mark in url):
        raise ValueError(f"{url!r} is not an http(s) URL")
    secure = parts.scheme == "https"
    return _Origin(parts.hostname, parts.port or (443 if secure else 80), secure, parts.path or "/", parts.query)


def _request(method: str, to: _Origin, body: bytes, headers: Mapping[str, str], query: Mapping[str, str]) -> bytes:
    asked = "&".join(part for part in (to.query, urlencode(query)) if part)
    host = f"[{to.host}]" if ":" in to.host else to.host
    lines = [
        f"{method} {to.path}{'?' + asked if asked else ''} HTTP/1.1",
        f"Host: {host}:{to.port}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header holds a line break")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    while True:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ValueError("not an HTTP answer")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        status = int(rest[:3])
        if status >= 200:
            return status, headers


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str], status: int) -> tuple[bytes, bool]:
    """The body, and whether the connection ended with it."""
    if status in (204, 304):
        return b"", False
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _chunks(reader), False
    if "content-length" in headers:
        return await reader.readexactly(_bounded(int(headers["content-length"]))), False
    return await reader.read(BODY_LIMIT), True


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16)
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return body
        body += await reader.readexactly(_bounded(len(body) + size) - len(body))
        await reader.readexactly(2)


def _bounded(size: int) -> int:
    if not 0 <= size <= BODY_LIMIT:
        raise ValueError(f"an answer of {size} bytes")
    return size
