"""One merchant's months for all tests of reports."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from runtime.embedded import EmbeddedPostgres
from storage.encryption import Keyring
from storage.engine import Database
from tests.clock import SteppedClock
from tests.reports.year import a_year

_NAME = "reports"


@pytest.fixture(scope="session")
async def books(postgres: EmbeddedPostgres, migrated_template: str) -> AsyncIterator[Database]:
    """Three months, settled, closed, paid; nobody changes them, so they are made once for all that read them."""
    async with await psycopg.AsyncConnection.connect(postgres.url("postgres"), autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {_NAME} TEMPLATE {migrated_template} STRATEGY FILE_COPY".encode())
    clock = SteppedClock()
    database = Database(postgres.url(_NAME), Keyring({"k1": b"1" * 32}), pool_size=8, clock=clock)
    await a_year(database, clock, months=3)
    yield database
    await database.close()
