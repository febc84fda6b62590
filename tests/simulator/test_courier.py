"""The client that pushes: answers as receivers write them, connections kept while they may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from simulator.courier import Answer, Courier, DeliveryFailed


@dataclass
class Raw:
    """A receiver that writes exactly these bytes, one answer a request. hang_up: closes after so many answers."""

    answers: list[bytes]
    hang_up: int = 100
    url: str = ""
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for _ in range(self.hang_up):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                writer.write(self.answers.pop(0))
                await writer.drain()
                if not self.answers:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def raw(*answers: bytes, hang_up: int = 100, timeout_s: float = 2) -> AsyncIterator[tuple[Raw, Courier]]:
    receiver = Raw(list(answers), hang_up)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks?of=a%20shop"
    courier = Courier(timeout_s)
    try:
        yield receiver, courier
    finally:
        await courier.close()
        server.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsuccess"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (OK, Answer(200, b"success")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsuc\r\n4;x=y\r\ncess\r\n0\r\n\r\n",
            Answer(200, b"success"),
        ),
        (b"HTTP/1.0 503 Gone\r\n\r\naway", Answer(503, b"away")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Answer(204, b"")),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, Answer(200, b"success")),
    ],
)
async def test_answers_as_receivers_write_them(written: bytes, read: Answer) -> None:
    async with raw(written) as (receiver, courier):
        answer = await courier.send("POST", receiver.url, body=b"{}", headers={"X-Sign": "ab"}, query={"nonce": "1&2"})
        assert answer == read
        (request,) = receiver.requests
        assert request.startswith(b"POST /hooks?of=a%20shop&nonce=1%262 HTTP/1.1\r\n")
        assert b"X-Sign: ab\r\n" in request
        assert request.endswith(b"\r\n\r\n{}")


async def test_a_connection_is_kept_and_replaced_when_the_receiver_closed_it() -> None:
    async with raw(OK, OK, OK, OK, hang_up=2) as (receiver, courier):
        for _ in range(4):
            assert (await courier.send("POST", receiver.url)).status == 200
        assert receiver.connections == 2


@pytest.mark.parametrize(
    "written",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"",
    ],
)
async def test_what_is_no_answer_is_a_failed_delivery(written: bytes) -> None:
    async with raw(written) as (receiver, courier):
        with pytest.raises(DeliveryFailed):
            await courier.send("POST", receiver.url)


async def test_silence_is_a_failed_delivery() -> None:
    async with raw(b"HTTP/1.1 200 OK\r\n", b"", timeout_s=0.1) as (receiver, courier):
        with pytest.raises(DeliveryFailed, match=r"within 0\.1 s"):
            await courier.send("POST", receiver.url)


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/x", "http://", "http://127.0.0.1:99999/", "http://a b/", "http://127.0.0.1:1/"]
)
async def test_nowhere_to_go_is_a_failed_delivery(url: str) -> None:
    with pytest.raises(DeliveryFailed):
        await Courier(1).send("POST", url)
