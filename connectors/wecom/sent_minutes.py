"""What a corp sent to customers, minute by minute, for everybody who looks for a message of that time.

When a busy worker dies, hundreds of messages are looked for among the same thousands. What one search has read serves
every other whose message would have been in the list by the time when that reading began.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from connectors.wecom.marks import mark_in
from domain.ids import content_digest

_KEPT, _KEPT_MESSAGES = 30, 100_000
"""Minutes of one corp, and messages in them; at the pace of our own messages a minute has less than 2,500."""


@dataclass(frozen=True, slots=True)
class SentMinute:
    """began_at: when the reading began. by_mark: ids by marks; by_text: of messages without, by the digest of what they
    say. count: of all."""

    began_at: datetime
    by_mark: Mapping[str, str]
    by_text: Mapping[str, Sequence[str]]
    count: int

    def without_mark(self, text: str) -> Sequence[str]:
        """The ids of messages without a mark that say this."""
        return self.by_text.get(_digest(text), ())


def sent_minute(began_at: datetime, messages: Iterable[tuple[str, str]]) -> SentMinute:
    """A minute of these messages: id and text of each."""
    by_mark, by_text, count = dict[str, str](), defaultdict[str, list[str]](list), 0
    for message_id, text in messages:
        mark = mark_in(text)
        count += 1
        if mark is not None:
            by_mark[mark] = message_id
        else:
            by_text[_digest(text)].append(message_id)
    return SentMinute(began_at, by_mark, by_text, count)


def _digest(text: str) -> str:
    """Also of what is no text that anybody could encode, such as half an emoji."""
    return content_digest(text.encode("utf-8", "surrogatepass"))


class SentMinutes:
    """The minutes of one corp that were read last."""

    def __init__(self) -> None:
        self._minutes: dict[int, SentMinute] = {}
        self._turn = asyncio.Lock()

    async def get(self, number: int, until: datetime, read: Callable[[int], Awaitable[SentMinute]]) -> SentMinute:
        """Minute `number` since 1970 with all that was in it at `until`, or later; raises as `read` does."""
        if (known := self._known(number, until)) is not None:
            return known
        async with self._turn:
            # Whoever had the turn before may have read it.
            if (known := self._known(number, until)) is None:
                known = await read(number)
                self._minutes.pop(number, None)
                self._minutes[number] = known
                self._forget()
            return known

    def _forget(self) -> None:
        """Keep what was read last, however much that is, and of the rest what there is room for."""
        while len(self._minutes) > 1 and (len(self._minutes) > _KEPT or self._messages() > _KEPT_MESSAGES):
            del self._minutes[next(iter(self._minutes))]

    def _messages(self) -> int:
        return sum(minute.count for minute in self._minutes.values())

    def _known(self, number: int, until: datetime) -> SentMinute | None:
        minute = self._minutes.get(number)
        return minute if minute is not None and minute.began_at >= until else None

    def count(self, numbers: range) -> int:
        """How many messages of these minutes are known."""
        return sum(minute.count for number, minute in self._minutes.items() if number in numbers)
