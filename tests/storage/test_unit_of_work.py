import asyncio

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from domain.organisation import Unit
from domain.problems import ConfigurationProblem, ConflictProblem, Text, UnavailableProblem
from storage.encryption import Keyring
from storage.engine import Database
from storage.organisation import UnitRow, Units
from storage.unit_of_work import UnitOfWork

EAST = Unit(path="/east/", name="East")


async def _exists(database: Database, path: str) -> bool:
    async with UnitOfWork(database) as work:
        return await work.session.get(UnitRow, path) is not None


async def _add(database: Database, unit: Unit) -> None:
    async with UnitOfWork(database) as work:
        await Units(work).add(unit)


async def _insert(database: Database, row: UnitRow) -> None:
    async with UnitOfWork(database) as work:
        await Units(work).insert(row)


async def test_it_commits_at_the_end_and_then_calls_back(database: Database) -> None:
    called: list[str] = []
    async with UnitOfWork(database) as work:
        await Units(work).add(EAST)
        work.after_commit(lambda: called.append("done"))
        assert not called
    assert called == ["done"]
    assert await _exists(database, "/east/")


async def test_it_rolls_back_whatever_is_raised(database: Database) -> None:
    called: list[str] = []

    async def be_cancelled() -> None:
        async with UnitOfWork(database) as work:
            work.after_commit(lambda: called.append("done"))
            await Units(work).add(EAST)
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await be_cancelled()
    assert not called
    assert not await _exists(database, "/east/")


async def test_a_broken_constraint_is_a_refusal_in_two_languages(database: Database) -> None:
    await _add(database, EAST)
    with pytest.raises(ConflictProblem) as refusal:
        await _add(database, EAST)
    assert set(refusal.value.problem.as_dict()["message"]) == {"zh", "en"}


async def test_all_that_a_unit_writes_has_one_instant(database: Database) -> None:
    async with UnitOfWork(database) as work:
        assert work.now == database.clock()
        await Units(work).add(EAST)
    async with UnitOfWork(database) as work:
        row = await work.session.get_one(UnitRow, "/east/")
    assert row.created_at == database.clock()
    assert row.created_at.utcoffset() is not None


async def test_a_naive_instant_never_reaches_the_database(database: Database) -> None:
    row = UnitRow(path="/west/", name="West", created_at=database.clock().replace(tzinfo=None))
    with pytest.raises(StatementError, match="naive"):
        await _insert(database, row)


async def test_a_killed_connection_is_unavailable_and_the_next_works(database: Database, database_url: str) -> None:
    async def be_cut_off() -> None:
        async with UnitOfWork(database) as work:
            pid = await work.session.scalar(text("SELECT pg_backend_pid()"))
            async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
                await other.execute("SELECT pg_terminate_backend(%s)", [pid])
            await Units(work).add(EAST)

    with pytest.raises(UnavailableProblem) as refusal:
        await be_cut_off()
    assert refusal.value.problem.as_dict()["written"] == "nothing"
    assert await database.healthy()
    assert not await _exists(database, "/east/")


async def test_a_statement_that_takes_too_long_is_ended(database_url: str) -> None:
    impatient = Database(database_url, Keyring({"k1": b"1" * 32}), statement_timeout_s=1)
    with pytest.raises(UnavailableProblem):
        async with UnitOfWork(impatient) as work:
            await work.session.execute(text("SELECT pg_sleep(20)"))
    await impatient.close()


async def test_a_database_that_nobody_migrated_says_so(empty_database_url: str) -> None:
    for role in ("tandem_app", None):
        database = Database(empty_database_url, Keyring({"k1": b"1" * 32}), role=role)
        with pytest.raises(ConfigurationProblem, match="tandem migrate"):
            await _add(database, EAST)
        await database.close()


async def test_a_cancelled_unit_gives_its_connection_back(database_url: str) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=1)

    async def wait_long() -> None:
        async with UnitOfWork(database) as work:
            await work.session.execute(text("SELECT pg_sleep(20)"))

    for _ in range(3):
        waiting = asyncio.create_task(wait_long())
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with asyncio.timeout(5):
        await _add(database, EAST)
    await database.close()


async def test_a_database_that_is_not_there_is_not_healthy(tmp_path: object) -> None:
    nowhere = Database(f"postgresql://nobody@/tandem?host={tmp_path}", Keyring({"k1": b"1" * 32}))
    assert not await nowhere.healthy()
    with pytest.raises(UnavailableProblem):
        async with UnitOfWork(nowhere) as work:
            await work.session.execute(text("SELECT 1"))
    await nowhere.close()


async def test_a_refusal_stays_one_when_the_server_ends_meanwhile(database_url: str) -> None:
    database = Database(database_url, Keyring({"k1": b"1" * 32}), pool_size=1)
    for _ in range(3):
        with pytest.raises(ConflictProblem):
            await _refuse_while_the_server_ends(database, database_url)
    assert not await _exists(database, "/east/"), "the only connection of the pool is there again"
    await database.close()


async def _refuse_while_the_server_ends(database: Database, database_url: str) -> None:
    async with UnitOfWork(database) as work:
        server = await work.session.scalar(text("SELECT pg_backend_pid()"))
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [server])
        raise ConflictProblem(Text("有人更快", "Somebody was faster"))
