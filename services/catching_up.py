"""Whether what shops have told is known yet: a refund that waits in the inbox silences nobody before it is read."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta

from storage.engine import Database
from storage.inbox import Inbox
from storage.refund_settling import RefundSettling
from storage.unit_of_work import UnitOfWork

Shop = tuple[str, str]
"""Platform and account."""

_SOON = timedelta(seconds=0.5)
"""As long as a push waits at most while the inbox keeps up."""


async def caught_up(database: Database, shops: Collection[Shop], until: datetime | None = None) -> bool:
    """Whether every push of these shops that came until then, or until now, has been read, and what it says of refunds
    is settled.

    Looks twice where they came just now. Does not wait for an inbox that is behind: whoever asks holds a place at the
    platform that others need.
    """
    if not shops:
        return True
    async with UnitOfWork(database) as work:
        asked_at = work.now
        if await _is_read(work, shops, until):
            return True
        if await Inbox(work).has_waiting_of(shops, asked_at - _SOON):
            return False
    await asyncio.sleep(_SOON.total_seconds())
    async with UnitOfWork(database) as work:
        return await _is_read(work, shops, until or asked_at)


async def _is_read(work: UnitOfWork, shops: Collection[Shop], until: datetime | None) -> bool:
    accounts = [f"{platform}/{slug}" for platform, slug in shops]
    return not await Inbox(work).has_waiting_of(shops, until) and not await RefundSettling(work).met_later(1, accounts)
