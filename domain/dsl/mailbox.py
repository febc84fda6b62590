"""The events that reached a run, until a task of it takes them."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from domain.events import Event

CAPACITY = 1_000
"""Events kept for tasks that do not listen yet; the oldest makes room."""

_REMEMBERED_IDS = 2_000

Matches = Callable[[Event], bool]


class Mailbox:
    """Live events go to every task that listens and matches; one that nobody wanted yet waits for the first that does.

    An event delivered twice is seen once, however often the sender repeats it.
    """

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque(maxlen=CAPACITY)
        self._seen: dict[str, None] = {}
        self._listeners: dict[int, tuple[Matches, deque[Event], asyncio.Event]] = {}
        self._next_listener = 0

    def deliver(self, event: Event) -> bool:
        """Hand over an event; False when it was known already."""
        key = f"{event.source}\x1f{event.id}"
        if key in self._seen:
            return False
        self._seen[key] = None
        while len(self._seen) > _REMEMBERED_IDS:
            del self._seen[next(iter(self._seen))]
        taken = False
        for matches, queue, arrived in self._listeners.values():
            if matches(event):
                queue.append(event)
                arrived.set()
                taken = True
        if not taken:
            self._waiting.append(event)
        return True

    async def receive(self, matches: Matches) -> Event:
        """The next event that matches: the oldest that waits already, else the first to come."""
        for event in self._waiting:
            if matches(event):
                self._waiting.remove(event)
                return event
        number = self._next_listener
        self._next_listener += 1
        queue: deque[Event] = deque()
        arrived = asyncio.Event()
        self._listeners[number] = (matches, queue, arrived)
        try:
            await arrived.wait()
            return queue.popleft()
        finally:
            del self._listeners[number]
            # What came in the same instant belongs to whoever listens next.
            self._waiting.extendleft(reversed(queue))

    def dump(self) -> dict[str, Any]:
        """JSON-ready content, for a run that continues as new."""
        return {"waiting": [event.envelope() for event in self._waiting], "seen": list(self._seen)}

    def load(self, content: dict[str, Any]) -> None:
        """Put back what `dump` gave."""
        self._waiting.extend(Event.model_validate(event) for event in content.get("waiting", ()))
        self._seen.update(dict.fromkeys(content.get("seen", ())))
