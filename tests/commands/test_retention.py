"""`tandem database …` as a person runs it."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from commands.retention import database as commands
from domain.access import Scope
from domain.problems import ConfigurationProblem
from domain.retention import Kind
from storage.audit import AuditLog
from storage.encryption import Keyring
from storage.engine import Database, utc_now
from storage.inbox import Inbox, Push
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.commands.terminal import run_beside


@pytest.fixture
async def forty_days_ago(database_url: str, environment: None) -> AsyncIterator[Database]:
    """The database that the commands use, as it was then."""
    database = Database(
        database_url, Keyring({"k1": b"1" * 32}), pool_size=2, clock=lambda: utc_now() - timedelta(days=40)
    )
    yield database
    await database.close()


async def tandem(*arguments: str) -> tuple[Any, str]:
    """What the command printed as JSON, and what it said beside it."""
    result = await run_beside(commands, *arguments, "--json")
    return json.loads(result.stdout), result.stderr


async def rows_of(*arguments: str) -> dict[str, int]:
    lines, _ = await tandem("purge", *arguments)
    return {line["kind"]: line["rows"] for line in lines}


async def test_what_is_due_is_counted_first_and_deleted_then(
    forty_days_ago: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with UnitOfWork(forty_days_ago) as work:
        inbox = Inbox(work)
        for number in range(3):
            await inbox.add(Push("youzan", "shop", str(number), "trade", b"{}", work.now))
        await inbox.done([stored.id for stored in await inbox.take_waiting(2, ["youzan"])])
    monkeypatch.setenv("TANDEM_KEEP_INBOX_DAYS", "50")
    assert set((await rows_of("--dry-run")).values()) == {0}
    monkeypatch.setenv("TANDEM_KEEP_INBOX_DAYS", "30")
    for _ in range(2):
        assert await rows_of("--dry-run") == {kind.value: 0 for kind in Kind} | {"inbox": 2}
    lines, said = await tandem("purge")
    assert {line["kind"]: (line["days"], line["rows"]) for line in lines}["inbox"] == (30, 2)
    assert "已删除 2 行" in said
    assert "2 rows deleted" in said
    assert set((await rows_of()).values()) == {0}
    async with UnitOfWork(forty_days_ago) as work:
        entries = await AuditLog(work).list(Scope.everything(), PageRequest())
    (entry,) = entries.items
    assert entry.actor.startswith("system:cli/")
    assert entry.detail["rows"] == {"inbox": 2}


async def test_tables_are_shown_with_their_size(forty_days_ago: Database) -> None:
    lines, _ = await tandem("size")
    assert {"inbox", "events", "runs"} <= {line["table"] for line in lines}
    assert all(line["MB"] >= 0 for line in lines)


@pytest.mark.parametrize("days", ["0", "soon", "40000"])
async def test_days_must_make_sense(forty_days_ago: Database, monkeypatch: pytest.MonkeyPatch, days: str) -> None:
    monkeypatch.setenv("TANDEM_KEEP_EVENTS_DAYS", days)
    with pytest.raises(ConfigurationProblem, match="TANDEM_KEEP_EVENTS_DAYS"):
        await tandem("purge")
