"""`python -m benchmarks.drainer URL`: a process that drains the inbox as a worker does, until its input is closed.

It prints a line when it is ready, and one with what it read at its end. The key is that of `benchmarks.ingest`.
"""

import asyncio
import sys

from activities.drains import GATHER_S
from connectors.loading import load_connectors
from domain.calls import Catalog
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


async def drain(url: str) -> None:
    database = Database(url, Keyring(KEYRING), pool_size=4)
    inbox = inbox_of(database)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
    await inbox.drain()
    settle_collector()
    print("ready", flush=True)
    read = 0
    while not ended.is_set():
        drained = await inbox.drain()
        read += drained.read
        if not drained.read:
            await inbox.wait_for_work(0.5)
        elif drained.read < BATCH:
            await asyncio.sleep(GATHER_S)
    print(read, flush=True)
    await database.close()


if __name__ == "__main__":
    asyncio.run(drain(sys.argv[1]))
