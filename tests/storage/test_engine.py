from unittest.mock import Mock

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from storage import engine
from storage.encryption import Keyring
from storage.engine import Database
from storage.unit_of_work import UnitOfWork


async def test_works_under_the_application_role(database_url: str) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    async with UnitOfWork(database) as work:
        found = (await work.session.execute(text("SELECT current_user, current_setting('timezone')"))).one()
    assert tuple(found) == ("tandem_app", "UTC")
    await database.close()


async def test_replaces_connections_whose_server_has_gone(database_url: str) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    async with UnitOfWork(database) as work, UnitOfWork(database) as other:
        before = {await _server_of(work), await _server_of(other)}
    with psycopg.connect(database_url, autocommit=True) as owner:
        for server in before:
            owner.execute("SELECT pg_terminate_backend(%s, 5000)", [server])
    async with UnitOfWork(database) as work, UnitOfWork(database) as other:
        after = {await _server_of(work), await _server_of(other)}
    assert len(after) == 2
    assert not before & after
    await database.close()


async def test_asks_a_connection_that_lay_still_for_long(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    ping = Mock(wraps=database.engine.dialect.do_ping)
    monkeypatch.setattr(database.engine.dialect, "do_ping", ping)
    for _ in range(3):
        async with UnitOfWork(database) as work:
            first = await _server_of(work)
    ping.assert_not_called()
    monkeypatch.setattr(engine, "_TRUSTED_IDLE_S", 0.0)
    async with UnitOfWork(database) as work:
        assert await _server_of(work) == first
    ping.assert_called_once()
    await database.close()


async def test_a_refused_statement_does_not_tell_what_was_to_be_stored(database_url: str) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}))
    with pytest.raises(DBAPIError) as refused:
        async with UnitOfWork(database) as work:
            await work.session.execute(text("SELECT 1 / 0, CAST(:name AS text)"), {"name": "Zhang San"})
    assert "division by zero" in str(refused.value)
    assert "Zhang San" not in str(refused.value)
    await database.close()


async def _server_of(work: UnitOfWork) -> int:
    """The process of the server that this unit of work talks to."""
    return int(await work.session.scalar(text("SELECT pg_backend_pid()")))
