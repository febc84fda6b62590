"""What finance does by `tandem settle` beside the plain month: every step is there, and leaves its trace."""

import asyncio
import json
from typing import Any

import pytest

from commands.payees import payee
from commands.settle import settle
from domain.access import Role
from domain.settlement.calculation import first_pass
from services.audit import AuditTrail
from storage.encryption import Keyring
from storage.engine import Database
from storage.paging import PageRequest
from tests.actors import an_actor
from tests.commands.terminal import printed, run
from tests.commands.test_payees import SCHEME, sell, write
from tests.services.test_selling import Counter

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


async def publish(url: str, scheme: str, version: str) -> None:
    database = Database(url, Keyring({"k1": b"1" * 32}))
    await Counter(database).publish(version, scheme)
    await database.close()


def told(*arguments: str) -> Any:
    return json.loads(printed(settle, *arguments, "--json"))


def test_a_preview_leaves_its_entry(month: str) -> None:
    shown = told("preview", "promoters", "2026-05-20")
    assert trail(month)[0] == ("settlement.calculate", f"calculation:{shown['id']}")


def test_a_repeat_says_whether_it_comes_to_the_same(month: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = told("preview", "promoters", "2026-05-20")["id"]
    again = told("repeat", first)
    assert (again["repeat"]["of"], again["repeat"]["same"]) == (first, True)
    assert "相同" in printed(settle, "repeat", first)
    listed = told("calculations", "--scheme", "promoters")
    assert [each["purpose"] for each in listed] == ["repeat", "repeat", "preview"]

    def poorer(*given: Any) -> Any:
        earned, passed = first_pass(*given)
        return [each._replace(amount=each.amount - 1) for each in earned], passed

    monkeypatch.setattr("services.calculations.first_pass", poorer)
    differs = run(settle, "repeat", first)
    assert differs.exit_code == 1
    assert "1 位收款人" in differs.stdout
    assert "1500          1499" in differs.stdout


def test_what_if_takes_a_version_that_is_not_for_the_month(month: str) -> None:
    asyncio.run(publish(month, SCHEME.replace("from: 2026-01-01", "from: 2026-06-01").replace("5%", "6%"), "2.0.0"))
    assert told("preview", "promoters", "2026-05-20")["version"] == "1.0.0"
    tried = told("what-if", "promoters", "2026-05-20", "--version", "2.0.0")
    assert (tried["total_minor"], "2026-06-01" in tried["remarks"][0]["zh"]) == (1_800, True)
    plain = run(settle, "what-if", "promoters", "2026-05-20", "--version", "2.0.0")
    assert "只是假设" in plain.stderr
