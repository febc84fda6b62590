"""Room in the inbox for what is read from platforms and tables.

The past (two years of a new shop, comparisons, imports) is handed in no faster than it is read, so that what happens at
this moment does not wait behind it. The present is not held up for that: where nobody pushes, reading is how a refund
is known at all, and of a long queue every platform and account is served in each batch (`storage.taking`).
"""

import asyncio
import time
from dataclasses import dataclass
from itertools import cycle

from domain.problems import Text, UnavailableProblem
from services.inbox import BATCH
from storage.engine import Database
from storage.inbox import Inbox
from storage.unit_of_work import UnitOfWork

PAST_WAITS_AT = 5_000
"""Pushes that may wait while more of the past is handed in: a few seconds of reading. What lanes have in hand comes on
top: it counts as waiting until they are done, and nothing waits behind it."""
PRESENT_WAITS_AT = 200_000
_PAST_AGAIN_S = range(5, 16)
"""When to try again: soon, as a few seconds empty the inbox; one after the other, as all at once would fill it."""
_PRESENT_AGAIN_S = 60
_FULL_HOLDS_S = 2.0
"""So long nobody here looks again once it was full, however many ask."""
_ROOM_HOLDS_S = 5.0
"""So long room for the present is believed in: far from its bound a page more or less does not matter."""
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 2.0


class InboxFullProblem(UnavailableProblem):
    """Too much waits to be read already; `retry_after_s` says when to try again."""


@dataclass(slots=True)
class _Measured:
    """What was found last, and until when it is believed."""

    is_full: bool = False
    until: float = 0.0


class InboxRoom:
    """Whether more may be handed in. One for a process. lanes: batches of the inbox that are read at once."""

    def __init__(self, database: Database, lanes: int = 0) -> None:
        self._database = database
        self._lanes = lanes
        self._past, self._present = _Measured(), _Measured()
        self._past_again_s = cycle(_PAST_AGAIN_S)

    @property
    def most_beside_past(self) -> int:
        """Pushes that may wait while more of the past is handed in, those that lanes have in hand among them."""
        return PAST_WAITS_AT + self._lanes * BATCH

    async def refuse_when_full(self, *, past: bool) -> None:
        """Raises InboxFullProblem, at once: whoever asks keeps no slot while it waits. past: what happened long ago.

        Raises UnavailableProblem while the database does not answer.
        """
        if past and await self._is_full_for_past():
            raise _full(self.most_beside_past, next(self._past_again_s))
        if not past and await self._is_fuller(self._present, PRESENT_WAITS_AT, room_holds_s=_ROOM_HOLDS_S):
            raise _full(PRESENT_WAITS_AT, _PRESENT_AGAIN_S)

    async def wait_for_room(self, patience_s: float) -> bool:
        """Return as soon as there is room for the past; False when that long there was none.

        Raises UnavailableProblem while the database does not answer.
        """
        end, pause_s = time.monotonic() + patience_s, _SHORTEST_PAUSE_S
        while await self._is_full_for_past():
            left_s = end - time.monotonic()
            if left_s <= 0:
                return False
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        return True

    async def _is_full_for_past(self) -> bool:
        # Room is looked for before each page: so small a bound would be left far behind in seconds.
        return await self._is_fuller(self._past, self.most_beside_past, room_holds_s=0.0)

    async def _is_fuller(self, last: _Measured, most: int, *, room_holds_s: float) -> bool:
        if time.monotonic() >= last.until:
            async with UnitOfWork(self._database) as work:
                last.is_full = await Inbox(work).is_fuller_than(most)
            last.until = time.monotonic() + (_FULL_HOLDS_S if last.is_full else room_holds_s)
        return last.is_full


def _full(most: int, again_s: int) -> InboxFullProblem:
    return InboxFullProblem(
        Text(
            f"收件箱积压超过 {most} 条，先处理平台推送，稍后自动继续拉取",
            f"More than {most:,} pushes wait in the inbox; they come first, and the platform is read on later",
        ),
        retryable=True,
        retry_after_s=again_s,
    )
