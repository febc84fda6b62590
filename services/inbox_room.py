"""Room in the inbox for what can wait: a shop's past is handed in no faster than it is read, so that what platforms
push at this moment does not wait behind it."""

import asyncio
import time

from storage.engine import Database
from storage.inbox import Inbox
from storage.unit_of_work import UnitOfWork

MOST_WAITING = 5_000
"""Pushes that may wait while more of the past is handed in: a few seconds of reading."""
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 2.0


async def wait_for_room(database: Database, patience_s: float) -> bool:
    """Return as soon as no more than 5,000 pushes wait; False when that long they did not get fewer.

    Raises UnavailableProblem while the database does not answer.
    """
    end, pause_s = time.monotonic() + patience_s, _SHORTEST_PAUSE_S
    while await _is_full(database):
        left_s = end - time.monotonic()
        if left_s <= 0:
            return False
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    return True


async def _is_full(database: Database) -> bool:
    async with UnitOfWork(database) as work:
        return await Inbox(work).is_fuller_than(MOST_WAITING)
