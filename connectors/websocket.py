"""A websocket to a platform, as `connectors.channels` wants its connection. Source: RFC 6455, by `websockets`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from domain.problems import AuthenticationProblem, Text, UnavailableProblem

LARGEST_FRAME = 8 * 1024 * 1024
"""Beyond what is read of a push, so that one that is too large is put aside with its reason: if the connection broke
instead, the frame would come again over the next one, and nothing behind it ever."""
_TOO_LARGE = 1009
_OPEN_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 2.0
_REFUSALS = frozenset({401, 403})


class WebSocket:
    """See `connectors.channels.Connection`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def receive(self) -> str | None:
        """The next text; None when the other side has closed. Raises UnavailableProblem for one beyond all bounds."""
        try:
            frame = await self._connection.recv()
        except ConnectionClosed as closed:
            if closed.sent is not None and closed.sent.code == _TOO_LARGE:
                raise _away(f"a frame has more than {LARGEST_FRAME:,} bytes") from closed
            return None
        return frame if isinstance(frame, str) else frame.decode("utf-8", "replace")

    async def send(self, text: str) -> None:
        """Send one text; raises UnavailableProblem when the other side is gone."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise _away("the connection is closed") from error


@asynccontextmanager
async def open_websocket(address: str) -> AsyncIterator[WebSocket]:
    """An open websocket, closed at the end. The address is signed, so no refusal shows it.

    :raises AuthenticationProblem: the platform does not let us in.
    :raises UnavailableProblem: it cannot be reached, or does not answer as a websocket does.
    """
    try:
        connection = await connect(
            address,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            max_size=LARGEST_FRAME,
            proxy=None,
        )
    except InvalidStatus as error:
        if error.response.status_code in _REFUSALS:
            raise AuthenticationProblem(
                Text(
                    "平台拒绝了消息通道：请核对 client_id 与 client_secret，以及本机时间",
                    "The platform refused the message channel: check client_id, client_secret and this machine's clock",
                ),
                retryable=False,
            ) from error
        raise _away(f"HTTP {error.response.status_code}") from error
    except (OSError, TimeoutError, WebSocketException) as error:
        raise _away(type(error).__name__) from error
    try:
        yield WebSocket(connection)
    finally:
        await connection.close()


def _away(why: str) -> UnavailableProblem:
    return UnavailableProblem(
        Text(f"消息通道无法连接（{why}），稍后重连", f"The message channel is away ({why}); it is opened again later"),
        retryable=True,
    )


def host_of(address: str) -> str:
    """The host of an address, for logs: the rest is signed."""
    return urlsplit(address).netloc
