from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from storage.encryption import Keyring
from storage.engine import Database
from tests.services.house import House


@pytest.fixture
async def house(database_url: str, temporal: Client) -> AsyncIterator[House]:
    """The business core over a fresh database with the real clock, and the session's Temporal server."""
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=8)
    house = House(database, temporal, deadline_s=6.0)
    yield house
    await house.close()
    await database.close()
