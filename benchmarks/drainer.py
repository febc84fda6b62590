"""`python -m benchmarks.drainer URL LANES`: a process that drains the inbox as a worker does, until input is closed.

It prints a line when it is ready, and one with what it read at its end. The key is that of `benchmarks.ingest`.
"""

import asyncio
import sys

from activities.drains import GATHER_S
from connectors.loading import load_connectors
from domain.calls import Catalog
from runtime import event_loop
from runtime.collector import settle_collector
from services.identities import IdentityService
from services.inbox import BATCH, InboxService
from services.intake import Intake
from services.tagging import Tagging
from storage.encryption import Keyring
from storage.engine import Database

KEYRING = {"bench": bytes(range(32))}


def inbox_of(database: Database) -> InboxService:
    """The inbox as `runtime.application` builds it."""
    return InboxService(database, load_connectors(Catalog()), Intake(IdentityService(), Tagging(database)))


async def drain(url: str, lanes: int) -> None:
    database = Database(url, Keyring(KEYRING), pool_size=4 * lanes)
    inbox = inbox_of(database)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
    await inbox.drain()
    settle_collector()
    print("ready", flush=True)
    read = await asyncio.gather(*(_lane(inbox, ended) for _ in range(lanes)))
    print(sum(read), flush=True)
    await database.close()


async def _lane(inbox: InboxService, ended: asyncio.Event) -> int:
    """As `activities.drains` drains."""
    read = 0
    while not ended.is_set():
        drained = await inbox.drain()
        read += drained.read
        if not drained.read:
            await inbox.wait_for_work(0.5)
        elif drained.read < BATCH:
            await asyncio.sleep(GATHER_S)
    return read


if __name__ == "__main__":
    event_loop.run(drain(sys.argv[1], int(sys.argv[2])))
