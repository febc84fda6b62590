"""A websocket over the network: a frame that is too large to be read is put aside, and stops no other."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest
from websockets.asyncio.server import ServerConnection, serve

from connectors.channels import listen
from connectors.pinduoduo.channel import PinduoduoChannel
from connectors.websocket import LARGEST_FRAME, open_websocket
from domain.problems import UnavailableProblem
from tests.connectors.test_pinduoduo import ACCOUNT, Inbox, frame

RECEIVED = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


Talk = Callable[[ServerConnection], Awaitable[None]]


@pytest.fixture
async def serving() -> AsyncIterator[Callable[[Talk], Awaitable[str]]]:
    """Lets a server talk to whoever connects; its address."""
    async with AsyncExitStack() as stack:

        async def address(talk: Talk) -> str:
            server = await stack.enter_async_context(serve(talk, "127.0.0.1", 0))
            host, port = next(iter(server.sockets)).getsockname()[:2]
            return f"ws://{host}:{port}"

        yield address


def a_large_frame(sent_at: int = 0) -> str:
    return json.dumps(frame("pdd_trade_TradeConfirmed", tid="1") | {"sendTime": sent_at, "more": "多" * 500_000})


async def test_a_frame_that_is_too_large_is_put_aside_and_the_next_one_is_taken(
    serving: Callable[[Talk], Awaitable[str]],
) -> None:
    answers: list[str | bytes] = []

    async def talk(connection: ServerConnection) -> None:
        await connection.send(a_large_frame())
        await connection.send(json.dumps(frame("pdd_trade_TradeConfirmed", tid="2")))
        answers.append(await connection.recv())

    channel, inbox = PinduoduoChannel(ACCOUNT), Inbox(95)
    async with open_websocket(await serving(talk)) as connection:
        await listen(channel, connection, inbox.keep, inbox.set_aside, lambda: RECEIVED)
    assert [aside.payload.decode() for aside in inbox.unreadable] == [a_large_frame()]
    assert [record.dedupe_key for record in inbox.records] == ["message:7"]
    assert [json.loads(answer)["commandType"] for answer in answers] == ["Ack"]


def test_a_frame_that_is_too_large_is_known_when_it_comes_again() -> None:
    channel = PinduoduoChannel(ACCOUNT)
    assert channel.known_by(a_large_frame(1)) == channel.known_by(a_large_frame(2))


async def test_a_frame_beyond_all_bounds_is_said_to_be_the_reason(
    serving: Callable[[Talk], Awaitable[str]],
) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send("x" * (LARGEST_FRAME + 1))

    async with open_websocket(await serving(talk)) as connection:
        with pytest.raises(UnavailableProblem, match="8,388,608 bytes"):
            await connection.receive()
