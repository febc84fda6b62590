"""The whole application over the real database and the real Temporal server, spoken to as its callers do."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from storage.encryption import Keyring
from storage.engine import Database
from tests.api.house import House


@pytest.fixture(scope="module")
async def house(module_database_url: str, temporal: Client) -> AsyncIterator[House]:
    """An API with a user of each role; the tests of a module share it."""
    database = Database(module_database_url, Keyring({"k1": b"1" * 32}), pool_size=8)
    built = House(database, temporal)
    await built.move_in()
    yield built
    await built.close()
