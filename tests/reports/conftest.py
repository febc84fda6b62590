"""One merchant's months for all tests of reports."""

from collections.abc import AsyncIterator

import pytest

from storage.encryption import Keyring
from storage.engine import Database
from tests.clock import SteppedClock
from tests.reports.year import a_year


@pytest.fixture(scope="module")
async def books(module_database_url: str) -> AsyncIterator[Database]:
    """Three months, settled, closed, paid; nobody changes them."""
    clock = SteppedClock()
    database = Database(module_database_url, Keyring({"k1": b"1" * 32}), pool_size=8, clock=clock)
    await a_year(database, clock, months=3)
    yield database
    await database.close()
