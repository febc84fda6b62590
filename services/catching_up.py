"""Whether what shops have told is known yet: a refund that waits in the inbox silences nobody before it is read."""

import asyncio
import time
from collections.abc import Collection

from storage.engine import Database
from storage.inbox import Inbox
from storage.records import Records
from storage.unit_of_work import UnitOfWork

PATIENCE_S = 10.0
_LOOK_AGAIN_S = 0.1

Shop = tuple[str, str]
"""Platform and account."""


async def caught_up(database: Database, shops: Collection[Shop], patience_s: float = PATIENCE_S) -> bool:
    """True once every push of these shops that was here when this was asked has been read, and what it says of refunds
    is settled; False when the time was up first."""
    if not shops:
        return True
    accounts = [f"{platform}/{slug}" for platform, slug in shops]
    async with UnitOfWork(database) as work:
        newest = await Inbox(work).newest_waiting(shops)
    ends_at = time.monotonic() + patience_s
    while True:
        async with UnitOfWork(database) as work:
            waits = newest is not None and await Inbox(work).has_waiting_of(shops, newest)
            if not waits and not await Records(work).met_later(1, accounts):
                return True
        if time.monotonic() >= ends_at:
            return False
        await asyncio.sleep(_LOOK_AGAIN_S)
