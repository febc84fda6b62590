"""The events that reached a run, until its tasks have taken them."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from domain.events import Event
from domain.ids import canonical_json

CAPACITY = 1_000
LARGEST_BYTES = 500_000
"""Events kept for tasks that do not listen yet, and their size; the oldest makes room."""

_REMEMBERED_IDS = 2_000

Matches = Callable[[Event], bool]
Pause = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Letter:
    """readers: who listened when the event came and has not looked at it yet. heard: somebody took it."""

    event: Event
    size: int
    readers: dict[str, None]
    heard: bool = False

    @property
    def is_free(self) -> bool:
        """Whether nobody wanted it so far: the first that does may have it."""
        return not self.readers and not self.heard


class Mailbox:
    """A live event goes to every reader that listens and wants it; one that nobody wanted waits for the first who does.

    A reader is a task that listens: it counts as listening from its first `receive` until `forget`, also while it works
    on the event before. An event delivered twice is seen once, however often the sender repeats it.
    """

    def __init__(self) -> None:
        self._letters: dict[int, _Letter] = {}
        self._bells: dict[str, asyncio.Event] = {}
        self._seen: dict[str, None] = {}
        self._sequence = 0
        self._bytes = 0

    def deliver(self, event: Event) -> bool:
        """Hand over an event; False when it was known already."""
        key = _fingerprint(event)
        if key in self._seen:
            return False
        self._seen[key] = None
        while len(self._seen) > _REMEMBERED_IDS:
            del self._seen[next(iter(self._seen))]
        self._put(event, self._bells)
        self._ring()
        return True

    async def receive(self, matches: Matches, reader: str, pause: Pause | None = None) -> Event:
        """The next event that matches: the oldest that waits already, else the first to come.

        `matches` is asked about the event that is returned last of all. `pause` is awaited after each event that does
        not match, so that a long search can be interrupted.
        """
        bell = self._bells.setdefault(reader, asyncio.Event())
        refused: set[int] = set()
        while True:
            bell.clear()
            for number in [number for number in self._letters if number not in refused]:
                letter = self._letters.get(number)
                if letter is None or not (reader in letter.readers or letter.is_free):
                    continue
                if matches(letter.event):
                    letter.heard = True
                    self._looked(number, letter, reader)
                    return letter.event
                refused.add(number)
                self._looked(number, letter, reader)
                if pause is not None:
                    await pause()
            await bell.wait()

    def forget(self, reader: str) -> None:
        """The reader listens no longer; what was kept for it is for others."""
        if self._bells.pop(reader, None) is None:
            return
        for number, letter in list(self._letters.items()):
            if reader in letter.readers:
                self._looked(number, letter, reader)

    def dump(self) -> dict[str, Any]:
        """JSON-ready content, for a run that continues as new."""
        letters = [
            {"event": letter.event.envelope(), "readers": list(letter.readers), "heard": letter.heard}
            for letter in self._letters.values()
        ]
        return {"letters": letters, "readers": list(self._bells), "seen": list(self._seen)}

    def load(self, content: dict[str, Any]) -> None:
        """Put back what `dump` gave."""
        for reader in content.get("readers", ()):
            self._bells[reader] = asyncio.Event()
        for letter in content.get("letters", ()):
            self._put(Event.model_validate(letter["event"]), letter["readers"], heard=letter["heard"])
        self._seen.update(dict.fromkeys(content.get("seen", ())))

    def _put(self, event: Event, readers: Iterable[str], *, heard: bool = False) -> None:
        letter = _Letter(event, len(canonical_json(event.envelope())), dict.fromkeys(readers), heard)
        self._letters[self._sequence] = letter
        self._sequence += 1
        self._bytes += letter.size
        while len(self._letters) > CAPACITY or (self._bytes > LARGEST_BYTES and len(self._letters) > 1):
            self._remove(next(iter(self._letters)))

    def _remove(self, number: int) -> None:
        self._bytes -= self._letters.pop(number).size

    def _looked(self, number: int, letter: _Letter, reader: str) -> None:
        was_kept_for_it = reader in letter.readers
        letter.readers.pop(reader, None)
        if letter.heard and not letter.readers:
            self._remove(number)
        elif was_kept_for_it and letter.is_free:
            self._ring()

    def _ring(self) -> None:
        for bell in self._bells.values():
            bell.set()


def _fingerprint(event: Event) -> str:
    return hashlib.blake2b(f"{event.source}\x1f{event.id}".encode(), digest_size=12).hexdigest()
