"""What a corp sent to customers, minute by minute, for everybody who looks for a message of that time.

When a busy worker dies, hundreds of messages are looked for among the same thousands. What one search has read serves
every other that looks for what was sent before that reading began.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from connectors.wecom.marks import mark_in
from domain.ids import content_digest

_KEPT = 30
"""Minutes of one corp; at the pace of our own messages each has less than 2,500."""


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
        return self.by_text.get(content_digest(text), ())


def sent_minute(began_at: datetime, messages: Iterable[tuple[str, str]]) -> SentMinute:
    """A minute of these messages: id and text of each."""
    by_mark, by_text, count = dict[str, str](), defaultdict[str, list[str]](list), 0
    for message_id, text in messages:
        mark = mark_in(text)
        count += 1
        if mark is not None:
            by_mark[mark] = message_id
        else:
            by_text[content_digest(text)].append(message_id)
    return SentMinute(began_at, by_mark, by_text, count)


class SentMinutes:
    """The minutes of one corp that were read last."""

    def __init__(self) -> None:
        self._minutes: dict[int, SentMinute] = {}
        self._turn = asyncio.Lock()

    async def get(self, number: int, until: datetime, read: Callable[[int], Awaitable[SentMinute]]) -> SentMinute:
        """Minute `number` since 1970 with everything that was sent in it before `until`; raises as `read` does."""
        if (known := self._known(number, until)) is not None:
            return known
        async with self._turn:
            # Whoever had the turn before may have read it.
            if (known := self._known(number, until)) is None:
                known = await read(number)
                self._minutes.pop(number, None)
                self._minutes[number] = known
                while len(self._minutes) > _KEPT:
                    del self._minutes[next(iter(self._minutes))]
            return known

    def _known(self, number: int, until: datetime) -> SentMinute | None:
        minute = self._minutes.get(number)
        return minute if minute is not None and minute.began_at >= until else None

    def count(self, numbers: range) -> int:
        """How many messages of these minutes are known."""
        return sum(minute.count for number, minute in self._minutes.items() if number in numbers)
