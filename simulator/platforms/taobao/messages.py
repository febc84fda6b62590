"""The message service (TMC): messages wait until they are confirmed, and come again while they are not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import AwareDatetime

from simulator.entities import Push, Row
from simulator.world import World

Json = dict[str, Any]

COMES_AGAIN = timedelta(seconds=30)
"""How long a message that was given out is kept back; the platform's figure is not known [U]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TmcMessage(Row):
    """One delivery of a message; a repeated one has the same number."""

    shop: str
    number: str
    body: dict[str, Any]
    given_at: AwareDatetime | None = None


class Messages:
    """All messages of all shops."""

    def __init__(self, world: World) -> None:
        self._rows = world.shelf("tmc_message", TmcMessage, by={"shop": lambda row: row.shop})

    def put(self, push: Push) -> None:
        """Adds a delivery of a message."""
        self._rows.put(TmcMessage(id=push.id, shop=push.account, number=push.message_id, body=push.payload))

    def take(self, shop: str, quantity: int, now: datetime) -> list[Json]:
        """The oldest messages that are not being worked on, as they go over the wire."""
        free = [
            row for row in self._rows.having(shop=shop) if row.given_at is None or now - row.given_at >= COMES_AGAIN
        ][:quantity]
        for row in free:
            self._rows.change(row, given_at=now)
        return [row.body for row in free]

    def confirm(self, numbers: list[str]) -> None:
        """Forgets messages."""
        wanted = set(numbers)
        for row in [row for row in self._rows if row.number in wanted]:
            self._rows.remove(row.id)

    def waiting(self, shop: str) -> int:
        """How many messages nobody has confirmed."""
        return len(self._rows.having(shop=shop))
