"""From stored pushes to tags: records a second, where the time goes, what more stored customers cost, and the lag."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import psycopg
import yaml
from psycopg.rows import tuple_row

from benchmarks.drainer import KEYRING, inbox_of
from benchmarks.figures import Figure, percentile
from benchmarks.pushes import ACTIVE, SHOP, TILL, bytes_of, pushes
from benchmarks.stored import Stored
from connectors.loading import load_connectors
from connectors.standard_webhooks import new_secret
from domain.access import system_actor
from domain.accounts import NewAccount
from domain.calls import Catalog
from runtime.collector import settle_collector
from runtime.embedded import EmbeddedPostgres
from services.accounts import PlatformAccounts
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.inbox import BATCH, InboxDrained
from services.stage_times import added
from services.tagging import Tagging
from storage.encryption import Keyring
from storage.engine import Database
from storage.inbox import Inbox, Push
from storage.migrations import upgrade
from storage.unit_of_work import UnitOfWork

CUSTOMERS = int(os.environ.get("BENCH_CUSTOMERS", "1000"))
RECORDS = int(os.environ.get("BENCH_RECORDS", "2000"))
RATE = float(os.environ.get("BENCH_RATE", "0"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "6"))
ACTIVE_EACH = int(os.environ.get("BENCH_ACTIVE", "1000"))
WORKERS = int(os.environ.get("BENCH_WORKERS", "2"))
LANES = int(os.environ.get("BENCH_LANES", "1"))
TITLE = "Ingest: pushes in the inbox become records, customers and tags; one record in each push"
NOTE = (
    f"the shipped rules and gradings, on disk, PostgreSQL as in docker-compose.yml; limit: COPY of the same bytes; 1×: "
    f"{CUSTOMERS:,} stored customers with 2.4 orders each; one process reads records of {ACTIVE_EACH:,}, several "
    f"processes those of {ACTIVE:,}. Set BENCH_CUSTOMERS, BENCH_ACTIVE, BENCH_RECORDS, BENCH_WORKERS, BENCH_LANES, "
    "BENCH_RATE (records/s), BENCH_SECONDS"
)
_SCALES = (1, 10, 100)
_ROUNDS = 3
_WARM_BATCHES = 10
"""A connection prepares a statement when it runs it for the fifth time, and keeps its plan after as many again."""
_STAGES = ("inbox", "parse", "identity", "records", "tags", "events")
_TICK_S = 0.05
_ACTOR = system_actor("benchmarks")
_DEFINITIONS = [
    SourceText(path.name, path.read_text("utf-8"))
    for folder in ("tags", "grades")
    for path in sorted(Path("definitions", folder).glob("*.yaml"))
]
_numbers = count(1)


async def measure() -> list[Figure]:
    """One process at three sizes, then several processes at the largest, then their lag at a steady rate."""
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as directory:
        async with EmbeddedPostgres(Path(directory), settings=_settings()) as server:
            url = server.url()
            upgrade(url)
            database = Database(url, Keyring(KEYRING), pool_size=4)
            try:
                return await _Bench(database, url).measure()
            finally:
                await database.close()


def _settings() -> dict[str, str]:
    """PostgreSQL's settings in production; and it remembers when each transaction was committed: that is when a record
    is there for others."""
    command = yaml.safe_load(Path("docker-compose.yml").read_text("utf-8"))["services"]["postgres"]["command"]
    given = dict(word.split("=", 1) for word in command if "=" in word)
    # The wheel is built without lz4.
    return {**given, "wal_compression": "on", "track_commit_timestamp": "on"}


class _Bench:
    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._url = url
        self._inbox = inbox_of(database)
        self._stored = Stored(database, url, Tagging(database))
        self._copies: list[float] = []

    async def measure(self) -> list[Figure]:
        await _furnish(self._database)
        figures: list[Figure] = []
        costs: dict[int, list[float]] = {}
        spent: dict[str, float] = {}
        for scale in _SCALES:
            await self._stored.grow(CUSTOMERS * scale)
            await self._warm_up()
            settle_collector()
            copies, rates, spent = [], [], {}
            for _ in range(_ROUNDS):
                copies.append(await self._copy(RECORDS))
                rate, drained = await self._round(RECORDS)
                rates.append(rate)
                spent = added(spent, drained.seconds)
            costs[scale] = [1e6 / rate for rate in rates]
            named = f"one process, {scale}× stored"
            figures.append(Figure(named, rates, "records/s", baseline=copies, against="COPY", limit=copies))
            self._copies += copies
        one, ten, hundred = (costs[scale] for scale in _SCALES)
        figures += [
            Figure("  a record, 1× stored", one, "µs", "lower"),
            Figure("  a record, 10× stored", ten, "µs", "lower", one, "that at 1×"),
            Figure("  a record, 100× stored", hundred, "µs", "lower", one, "that at 1×", 1.2, aim_on_ratio=True),
        ]
        figures += [
            Figure(f"    {stage}", [spent[stage] / _ROUNDS / RECORDS * 1e6], "µs", "lower") for stage in _STAGES
        ]
        together = await self._together(RECORDS * WORKERS * LANES)
        named = f"{WORKERS} processes, {WORKERS * LANES} lanes in all"
        figures.append(Figure(named, together, "records/s", aim=20_000, limit=self._copies))
        return [*figures, *await self._paced(RATE or percentile(together, 0.5) * 0.6)]

    async def _warm_up(self) -> None:
        """Let what is compiled, prepared, planned and read from the disk once in a process's life be done: about others
        than those who are measured, so that these do not grow old customers first."""
        for _ in range(_WARM_BATCHES):
            await self._round(BATCH, ACTIVE)

    async def _store(self, batch: Sequence[Push]) -> None:
        for start in range(0, len(batch), 1_000):
            async with UnitOfWork(self._database) as work:
                await Inbox(work).add_many(batch[start : start + 1_000])

    def _next(self, records: int, most_active: int = ACTIVE) -> list[Push]:
        first = next(_numbers)
        for _ in range(records - 1):
            next(_numbers)
        return pushes(first, records, self._stored.people, most_active=most_active)

    async def _round(self, records: int, most_active: int = ACTIVE_EACH) -> tuple[float, InboxDrained]:
        """Records a second, from stored pushes to committed tags."""
        await self._store(self._next(records, most_active))
        total, begun = InboxDrained(), time.perf_counter()
        while (drained := await self._inbox.drain()).read:
            total += drained
        seconds = time.perf_counter() - begun
        if total.read != records or total.quarantined:
            raise RuntimeError(f"{records} pushes were stored, {total.read} read, {total.quarantined} put aside")
        return records / seconds, total

    async def _copy(self, records: int) -> float:
        """Records a second when nothing is done but to write the bytes."""
        payloads = bytes_of(pushes(next(_numbers) + 10**9, records, self._stored.people))
        async with await psycopg.AsyncConnection.connect(self._url) as connection:
            await connection.execute("CREATE TABLE IF NOT EXISTS bare (payload bytea)")
            await connection.commit()
            begun = time.perf_counter()
            async with connection.cursor() as cursor, cursor.copy("COPY bare FROM STDIN (FORMAT binary)") as copy:
                for payload in payloads:
                    await copy.write_row((payload,))
            await connection.commit()
            seconds = time.perf_counter() - begun
            await connection.execute("TRUNCATE bare")
        return records / seconds

    async def _together(self, records: int) -> list[float]:
        """Records a second of processes that have worked for a while."""
        rates = []
        async with _drainers(self._url):
            await self._warm_drainers()
            for _ in range(_ROUNDS):
                await self._seed_feed(self._next(records))
                begun = time.perf_counter()
                await self._feed(0, records)
                await self._until_drained()
                rates.append(records / (time.perf_counter() - begun))
                require_done(records, await self._states())
        return rates

    async def _warm_drainers(self) -> None:
        records = _WARM_BATCHES * BATCH * WORKERS * LANES
        await self._seed_feed(self._next(records))
        await self._feed(0, records)
        await self._until_drained()
        require_done(records, await self._states())

    async def _paced(self, rate: float) -> list[Figure]:
        """The lag, from being stored to being committed, while pushes come at a steady rate."""
        records = round(rate * SECONDS)
        async with _drainers(self._url):
            await self._warm_drainers()
            await self._seed_feed(self._next(records))
            sent, begun = 0, time.perf_counter()
            while sent < records:
                due = min(records, round((time.perf_counter() - begun) * rate))
                if due > sent:
                    await self._feed(sent, due)
                    sent = due
                await asyncio.sleep(_TICK_S)
            came = records / (time.perf_counter() - begun)
            await self._until_drained()
        require_done(records, await self._states())
        lags = await self._lags()
        if len(lags) != records:
            raise RuntimeError(f"{records} pushes were fed, and the lag of {len(lags)} is known")
        return [
            Figure("at a steady rate", [came], "records/s"),
            Figure("  lag p50", [percentile(lags, 0.5)], "ms", "lower"),
            Figure("  lag p99", [percentile(lags, 0.99)], "ms", "lower", aim=1_000),
        ]

    async def _seed_feed(self, batch: Sequence[Push]) -> None:
        """Prepare rows outside of the inbox, so that moving them in costs the machine next to nothing."""
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute("DROP TABLE IF EXISTS feed, fed")
            await connection.execute("CREATE TABLE fed (id bigint)")
            await connection.execute(
                "CREATE TABLE feed (number bigint, platform text, account text, key text, kind text, payload bytea)"
            )
            keyring = self._database.keyring
            async with connection.cursor() as cursor, cursor.copy("COPY feed FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(["int8", "text", "text", "text", "text", "bytea"])
                for number, push in enumerate(batch):
                    sealed = keyring.encrypt(push.payload, "inbox.payload")
                    await copy.write_row((number, push.platform, push.account, push.dedupe_key, push.kind, sealed))
            await connection.execute("CREATE INDEX ON feed (number)")

    async def _feed(self, first: int, last: int) -> None:
        async with await psycopg.AsyncConnection.connect(self._url) as connection:
            await connection.execute(
                "WITH new AS (INSERT INTO inbox (platform, account, dedupe_key, kind, payload, received_at, state, "
                "changed_at) SELECT platform, account, key, kind, payload, clock_timestamp(), 'waiting', now() "
                "FROM feed WHERE number >= %s AND number < %s ORDER BY number RETURNING id) "
                "INSERT INTO fed SELECT id FROM new",
                (first, last),
            )
            await connection.execute("SELECT pg_notify('tandem_inbox', '')")

    async def _until_drained(self) -> None:
        while True:
            async with UnitOfWork(self._database) as work:
                if not await Inbox(work).has_waiting(["youzan", "generic"]):
                    return
            await asyncio.sleep(0.02)

    async def _states(self) -> dict[str, int]:
        """How many of the pushes that were fed stand where."""
        async with await psycopg.AsyncConnection.connect(self._url, row_factory=tuple_row) as connection:
            found = await connection.execute("SELECT state, count(*) FROM inbox JOIN fed USING (id) GROUP BY 1")
            return {row[0]: row[1] async for row in found}

    async def _lags(self) -> list[float]:
        """Milliseconds of every record that was fed."""
        async with await psycopg.AsyncConnection.connect(self._url, row_factory=tuple_row) as connection:
            found = await connection.execute(
                "SELECT extract(epoch FROM pg_xact_commit_timestamp(inbox.xmin) - received_at)::float8 * 1000 "
                "FROM inbox JOIN fed USING (id) WHERE state = 'done'"
            )
            return [row[0] async for row in found if row[0] is not None]


def require_done(fed: int, states: Mapping[str, int]) -> None:
    """RuntimeError unless all that was fed is done: a figure of anything else would be of work that was not done."""
    if states != {"done": fed}:
        raise RuntimeError(f"{fed} pushes were fed, and in the end they stand: {dict(states)}")


async def _furnish(database: Database) -> None:
    """Connect the accounts that pushes are of, and publish the definitions."""
    accounts = PlatformAccounts(database, load_connectors(Catalog()))
    known = {"client_id": "app-1", "kdt_id": 4242}
    for platform, slug, secret, settings in (
        ("youzan", SHOP, {"client_secret": "a secret"}, known),
        ("generic", TILL, {"secret": new_secret()}, {}),
    ):
        account = NewAccount(platform=platform, slug=slug, name=slug, credentials=secret, settings=settings)
        await accounts.connect(_ACTOR, account)
    definitions = DefinitionService(database)
    for uploaded in await definitions.upload(_ACTOR, _DEFINITIONS):
        version = uploaded.version
        await definitions.publish(_ACTOR, (version.kind, version.namespace, version.name, version.version))


@asynccontextmanager
async def _drainers(url: str) -> AsyncIterator[None]:
    """Processes that drain the inbox until the block ends."""
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.drainer",
            url,
            str(LANES),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(WORKERS)
    ]
    try:
        for process in running:
            if process.stdout is None or not await process.stdout.readline():
                raise RuntimeError("a drainer did not start")
        yield
    finally:
        for process in running:
            if process.stdin is not None:
                process.stdin.close()
        for process in running:
            await process.wait()
