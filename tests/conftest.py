"""The real servers for the whole test session, started when a test first asks for one.

`database_url` is a fresh, migrated database for one test, `module_database_url` for one test module; `temporal` is a
client of the real server, `time_skipping` an environment in which 30 days pass in milliseconds.
"""

import asyncio
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
import structlog
from hypothesis import settings
from psycopg import sql
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from runtime.collector import THRESHOLDS, settle_collector
from runtime.embedded import EmbeddedPostgres, EmbeddedTemporal
from storage.encryption import Keyring
from storage.engine import Database
from tests.clock import SteppedClock
from tests.time_skipping import time_skipping_server

# What CI runs must be the same for the same commit; a developer's runs look for what nobody thought of yet.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "explore")

# Thousands of tests and all of the product stay to the end: they are not looked through for garbage again and again.
gc.set_threshold(*THRESHOLDS)

# As the product logs: the picture of a failure with all of its variables takes seconds.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

_TEMPLATE = "tandem_template"
_MEMORY = Path("/dev/shm")
_ROOM_FOR_SERVERS = 4 << 30
_numbers = count(1)


LONGEST_TEST_S = 180


def pytest_collection_finish() -> None:
    """Before the first test."""
    settle_collector()


@pytest.fixture(autouse=True)
async def _no_test_waits_for_ever(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """A test that hangs is told apart by what it waits for: every task's stack is printed, and it fails."""

    def give_up() -> None:
        for task in asyncio.all_tasks():
            task.print_stack(file=sys.stdout)
            if getattr(task.get_coro(), "__name__", "") == request.function.__name__:
                task.cancel(f"{request.node.nodeid} did not end within {LONGEST_TEST_S} s")

    alarm = asyncio.get_running_loop().call_later(LONGEST_TEST_S, give_up)
    yield
    alarm.cancel()


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL server of this session's own, fast rather than crash-safe.

    Not in pytest's folder: the next pytest of the same user closes that one to others, and the server is another user
    when root runs the tests.
    """
    with tempfile.TemporaryDirectory(prefix="tandem-test-", dir=_memory()) as directory:
        async with EmbeddedPostgres(Path(directory), durable=False, settings={"max_wal_size": "256MB"}) as server:
            yield server


def _memory() -> Path | None:
    """A folder held in memory with room for some servers, where there is one: thousands of databases are made here."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM_FOR_SERVERS else None


@pytest.fixture(scope="session")
async def migrated_template(postgres: EmbeddedPostgres) -> str:
    """The name of a migrated database that the others are copied from."""
    from storage.migrations import upgrade

    await _execute(postgres, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
    upgrade(postgres.url(_TEMPLATE))
    return _TEMPLATE


async def _execute(postgres: EmbeddedPostgres, statement: sql.Composed) -> None:
    async with await psycopg.AsyncConnection.connect(postgres.url("postgres"), autocommit=True) as connection:
        await connection.execute(statement)


async def _fresh_database(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    name = f"test_{next(_numbers)}"
    await _execute(
        postgres,
        # By copying files: writing them to the log first, as it is done otherwise, takes four times as long.
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
            sql.Identifier(name), sql.Identifier(template)
        ),
    )
    yield postgres.url(name)
    await _execute(postgres, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
async def database_url(postgres: EmbeddedPostgres, migrated_template: str) -> AsyncIterator[str]:
    """The libpq address of a migrated database that only this test uses."""
    async for url in _fresh_database(postgres, migrated_template):
        yield url


@pytest.fixture(scope="module")
async def module_database_url(postgres: EmbeddedPostgres, migrated_template: str) -> AsyncIterator[str]:
    """The libpq address of a migrated database that the tests of one module share."""
    async for url in _fresh_database(postgres, migrated_template):
        yield url


@pytest.fixture
async def database(database_url: str, clock: SteppedClock) -> AsyncIterator[Database]:
    """A migrated database with keys and a clock of its own."""
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=8, clock=clock)
    yield database
    await database.close()


@pytest.fixture
def clock() -> SteppedClock:
    """The clock of `database`: stands still until a test moves it."""
    return SteppedClock()


@pytest.fixture
async def empty_database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The libpq address of a database without any table."""
    async for url in _fresh_database(postgres, "template0"):
        yield url


@pytest.fixture(scope="session")
async def temporal_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedTemporal]:
    """A Temporal server of this session's own, with the search attributes registered."""
    async with EmbeddedTemporal(tmp_path_factory.mktemp("temporal"), durable=False) as server:
        yield server


@pytest.fixture(scope="session")
async def temporal(temporal_server: EmbeddedTemporal) -> Client:
    """A client of the session's Temporal server, without payload encryption."""
    return await temporal_server.client()


@pytest.fixture(scope="session")
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """The test server that jumps over waiting time: whose time it is depends on whatever ran before."""
    async with time_skipping_server() as environment:
        yield environment
