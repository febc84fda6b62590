"""Events on their way out to a subscriber, and what it costs to keep them in the order of their transactions."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import psycopg
from pydantic import SecretStr

from benchmarks.figures import Figure
from connectors.standard_webhooks import new_secret
from connectors.subscribers import Subscribers
from connectors.web.guard import HostGuard, WebSettings
from domain.access import system_actor
from domain.catalog import CATALOG
from domain.events import Event
from domain.subscriptions import NewSubscription, outgoing
from runtime.embedded import EmbeddedPostgres
from services.streams import StreamDelivery
from services.subscriptions import SubscriptionService
from storage.encryption import Keyring
from storage.engine import Database
from storage.events import Events
from storage.migrations import upgrade
from storage.unit_of_work import UnitOfWork

TITLE = "Streams: events to one subscriber on this machine, personal data masked, and the index they are read by"
NOTE = "limit: the same requests, signed, without the database; events of 900 bytes; on disk"
_SETTINGS = WebSettings(("127.0.0.1",), True)
_ACTOR = system_actor("benchmarks")
_ALONE, _BATCHED = 600, 3_000
_ROUNDS = 3
_INSERTED = 2_000
_INDEX = "ix_events_written_in_seq"
_numbers = count(1)


async def measure() -> list[Figure]:
    """One by one, in batches of a hundred; then inserts with and without the index, in turns."""
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as directory:
        async with EmbeddedPostgres(Path(directory)) as server:
            url = server.url()
            upgrade(url)
            database = Database(url, Keyring({"k1": b"1" * 32}), pool_size=4)
            try:
                alone, batched = await _delivered(database, _ALONE, 1), await _delivered(database, _BATCHED, 100)
                return [*alone, *batched, *await _index_cost(database, url)]
            finally:
                await database.close()


async def _delivered(database: Database, events: int, at_once: int) -> list[Figure]:
    rates, bare = [], []
    for _ in range(_ROUNDS):
        async with _subscriber() as url:
            bare.append(await _posted(url, events, at_once))
            rates.append(await _streamed(database, url, events, batched=at_once > 1))
    name = "one by one" if at_once == 1 else f"in batches of {at_once}"
    return [Figure(name, rates, "events/s", baseline=bare, against="bare requests", limit=bare)]


async def _streamed(database: Database, url: str, events: int, *, batched: bool) -> float:
    subscribers = Subscribers(_SETTINGS)
    delivery = StreamDelivery(database, subscribers, CATALOG.masking())
    service = SubscriptionService(database, HostGuard(_SETTINGS))
    wanted = NewSubscription(name="bench", url=url, types=("tandem.order.*",), batched=batched)
    made, _ = await service.create(_ACTOR, wanted)
    await _insert(database, events)
    begun = time.perf_counter()
    while (await service.show(_ACTOR, made.id)).subscription.delivered < events:
        await delivery.drain()
        await delivery.settled()
    seconds = time.perf_counter() - begun
    await service.remove(_ACTOR, made.id)
    await delivery.aclose()
    await subscribers.aclose()
    return events / seconds


async def _posted(url: str, events: int, at_once: int) -> float:
    """The same requests, from memory."""
    subscribers, secret = Subscribers(_SETTINGS), SecretStr(new_secret())
    told = [outgoing(_event(next(_numbers)), None) for _ in range(at_once)]
    begun = time.perf_counter()
    for number in range(events // at_once):
        await subscribers.post(url, secret, f"msg_{number}", told, datetime.now(UTC), batched=at_once > 1)
    seconds = time.perf_counter() - begun
    await subscribers.aclose()
    return events / seconds


async def _index_cost(database: Database, url: str) -> list[Figure]:
    indexed, bare = [], []
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for _ in range(_ROUNDS + 2):
            indexed.append(await _insert(database, _INSERTED))
            await connection.execute(f"DROP INDEX {_INDEX}".encode())
            bare.append(await _insert(database, _INSERTED))
            await connection.execute(f"CREATE INDEX {_INDEX} ON events (written_in, seq)".encode())
    return [Figure("events stored, with the index", indexed[1:], "events/s", baseline=bare[1:], against="without it")]


async def _insert(database: Database, events: int) -> float:
    """Events a second, stored and queued in batches of a thousand."""
    batch = [_event(next(_numbers)) for _ in range(events)]
    begun = time.perf_counter()
    for start in range(0, events, 1_000):
        async with UnitOfWork(database) as work:
            await Events(work).add(batch[start : start + 1_000])
    return events / (time.perf_counter() - begun)


def _event(number: int) -> Event:
    line = {"line_id": "1", "item_id": "2019000001", "title": "羊毛大衣", "quantity": 1, "price_minor": 29900}
    data = {
        "order_id": f"E{number:018}",
        "status": "paid",
        "paid_minor": 59800,
        "buyer": {"buyer_id": f"yz{number:012}", "phone": "+8613800138000"},
        "lines": [line] * 5,
    }
    return Event(
        id=f"e{number}",
        source="/youzan/flagship",
        type="tandem.order.paid",
        time=datetime.now(UTC),
        subject=f"order:E{number:018}",
        data=data,
        tandemkeys=(f"customer:youzan/yz{number:012}",),
    )


@asynccontextmanager
async def _subscriber() -> AsyncIterator[str]:
    """The address of somebody who takes everything at once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
