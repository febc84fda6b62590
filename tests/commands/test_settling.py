"""What finance does by `tandem settle` beside the plain month: every step is there, and leaves its trace."""

import asyncio
import json
from typing import Any

import pytest

from commands.payees import payee
from commands.settle import settle
from domain.access import Role
from services.audit import AuditTrail
from storage.encryption import Keyring
from storage.engine import Database
from storage.paging import PageRequest
from tests.actors import an_actor
from tests.commands.terminal import printed
from tests.commands.test_payees import sell, write

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def month(environment: None, database_url: str) -> str:
    """A payee with an order of May, and a scheme; the address of the database."""
    printed(payee, "import", write("P1,李小红,promoter,,2026-01-01,live-7"))
    asyncio.run(sell(database_url))
    return database_url


def trail(url: str) -> list[tuple[str, str]]:
    """What was done to what, the newest first."""

    async def read() -> list[tuple[str, str]]:
        database = Database(url, Keyring({"k1": b"1" * 32}))
        found = await AuditTrail(database).list(an_actor("he", Role.AUDITOR), PageRequest(200))
        await database.close()
        return [(each.action, each.target) for each in found.items]

    return asyncio.run(read())


def told(*arguments: str) -> Any:
    return json.loads(printed(settle, *arguments, "--json"))


def test_a_preview_leaves_its_entry(month: str) -> None:
    shown = told("preview", "promoters", "2026-05-20")
    assert trail(month)[0] == ("settlement.calculate", f"calculation:{shown['id']}")
