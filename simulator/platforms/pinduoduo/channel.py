"""The message channel: messages of an application's shops, sent again on each connection until acknowledged."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from simulator.entities import Push, Row
from simulator.world import World

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PddMessage(Row):
    """One delivery of a message; a repeated one has the same number, in its body."""

    shop: str
    body: dict[str, Any]


def frame(number: int, mall: int, topic: str, content: Json, at: datetime) -> Json:
    """A message as the channel tells it, but for the time of sending."""
    return {
        "id": number,
        "commandType": "Common",
        "time": int(at.timestamp() * 1000),
        "message": {"type": topic, "mallID": mall, "content": json.dumps(content, ensure_ascii=False)},
    }


def channel_signature(client_id: str, milliseconds: str, client_secret: str) -> str:
    """base64 of the hex md5 of client id, time and secret [S]."""
    digest = md5((client_id + milliseconds + client_secret).encode(), usedforsecurity=False).hexdigest()
    return base64.b64encode(digest.encode()).decode()


class Channel:
    """The messages of all shops, and the connections that read them."""

    def __init__(self, world: World) -> None:
        self._rows = world.shelf("pdd_message", PddMessage, by={"shop": lambda row: row.shop})
        self._news: set[asyncio.Event] = set()

    def tell(self, push: Push) -> None:
        """Adds a delivery of a message."""
        self._rows.put(PddMessage(id=push.id, shop=push.account, body=push.payload))
        for news in self._news:
            news.set()

    def waiting(self, shop: str) -> int:
        """How many messages nobody has acknowledged."""
        return len(self._rows.having(shop=shop))

    async def serve(self, socket: WebSocket, shop: str) -> None:
        """Sends the messages of a shop, takes acknowledgements and signs of life, until the other side goes."""
        news = asyncio.Event()
        self._news.add(news)
        sending = asyncio.create_task(self._send(socket, shop, news))
        try:
            while True:
                self._take(json.loads(await socket.receive_text()))
        except (WebSocketDisconnect, ValueError):
            return
        finally:
            self._news.discard(news)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, socket: WebSocket, shop: str, news: asyncio.Event) -> None:
        sent: set[str] = set()
        while True:
            news.clear()
            for row in self._rows.having(shop=shop):
                if row.id not in sent:
                    sent.add(row.id)
                    frame = {**row.body, "sendTime": int(datetime.now(UTC).timestamp() * 1000)}
                    await socket.send_text(json.dumps(frame, ensure_ascii=False))
            await news.wait()

    def _take(self, frame: Json) -> None:
        if frame.get("commandType") != "Ack":
            return
        for row in [row for row in self._rows if row.body["id"] == frame.get("id")]:
            self._rows.remove(row.id)
