"""A websocket into the simulator's application, without a network between."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from fastapi import FastAPI


class Socket:
    """An open websocket, as `connectors.channels.Connection` wants it."""

    def __init__(self, app: FastAPI, path: str) -> None:
        self._app = app
        self._path = path
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._serving: asyncio.Task[None] | None = None
        self.sent: list[str] = []

    async def open(self) -> bool:
        """Whether the other side accepted."""
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "scheme": "ws",
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [],
            "subprotocols": [],
            "state": {},
        }
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._serving = asyncio.create_task(self._serve(scope))
        answer = await self._from_app.get()
        return bool(answer["type"] == "websocket.accept")

    async def _serve(self, scope: dict[str, Any]) -> None:
        await self._app(scope, self._to_app.get, self._take)

    async def _take(self, message: MutableMapping[str, Any]) -> None:
        self._from_app.put_nowait(dict(message))

    async def receive(self) -> str | None:
        message = await self._from_app.get()
        return message["text"] if message["type"] == "websocket.send" else None

    async def send(self, text: str) -> None:
        self.sent.append(text)
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    async def close(self) -> None:
        """Go away, as a process does that dies."""
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1006})
        if self._serving is not None:
            await self._serving
