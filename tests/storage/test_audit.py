import asyncio
from collections.abc import Callable

import psycopg
import pytest

from domain.access import Scope
from storage.audit import AuditLog, ChainHead, ChainReport
from storage.encryption import Keyring
from storage.engine import Database
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor


async def _record(database: Database, *targets: str) -> None:
    for target in targets:
        async with UnitOfWork(database) as work:
            await AuditLog(work).record(an_actor("li"), "user.create", target, {"phone": "13800000000"})


async def _seal(database: Database, limit: int = 500) -> int:
    async with UnitOfWork(database) as work:
        return await AuditLog(work).seal(limit)


async def _verify(database: Database, known_head: ChainHead | None = None) -> ChainReport:
    async with UnitOfWork(database) as work:
        return await AuditLog(work).verify_chain(known_head)


async def _as_owner(database_url: str, *statements: str) -> None:
    """What somebody with all rights over the server could do."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        for table in ("audit_entries", "audit_seals", "audit_pending"):
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for statement in statements:
            await connection.execute(statement)


async def test_entries_are_read_back_newest_first_and_filtered(database: Database) -> None:
    await _record(database, "user:li", "user:wang")
    async with UnitOfWork(database) as work:
        log = AuditLog(work)
        everything = await log.list(Scope.everything(), PageRequest())
        of_wang = await log.list(Scope.everything(), PageRequest(), target="user:wang", action="user.", actor="li")
        none = await log.list(Scope.everything(), PageRequest(), action="user.createx")
    assert {entry.target for entry in everything.items} == {"user:li", "user:wang"}
    assert [dict(entry.detail) for entry in of_wang.items] == [{"phone": "13800000000"}]
    assert not none.items


async def test_an_entry_goes_with_its_change(database: Database) -> None:
    async def change_and_fail() -> None:
        async with UnitOfWork(database) as work:
            await AuditLog(work).record(an_actor(), "user.create", "user:li")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_and_fail()
    report = await _verify(database)
    assert (report.sealed, report.pending, report.intact) == (0, 0, True)


async def test_details_are_not_readable_in_the_table(database: Database, database_url: str) -> None:
    await _record(database, "user:li")
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        row = await (await connection.execute("SELECT audit_entries::text, detail FROM audit_entries")).fetchone()
    assert row is not None
    assert "13800000000" not in row[0]
    assert b"13800000000" not in bytes(row[1])


async def test_sealing_chains_in_batches_and_verifies(database: Database) -> None:
    await _record(database, *(f"user:{number}" for number in range(7)))
    assert (await _verify(database)).pending == 7
    assert [await _seal(database, 3) for _ in range(4)] == [3, 3, 1, 0]
    report = await _verify(database)
    assert (report.sealed, report.pending, report.intact) == (7, 0, True)
    assert report.head is not None
    assert report.head.position == 7


async def test_many_writers_and_sealers_at_once_make_one_chain(database: Database) -> None:
    async def write(writer: int) -> None:
        await _record(database, *(f"user:{writer}/{number}" for number in range(10)))

    async def seal() -> None:
        for _ in range(20):
            await _seal(database, 7)

    await asyncio.gather(*(write(writer) for writer in range(10)), seal(), seal(), seal())
    while await _seal(database):
        pass
    report = await _verify(database)
    assert (report.sealed, report.pending, report.intact) == (100, 0, True)


async def test_writers_do_not_wait_for_a_sealer_nor_for_each_other(database: Database) -> None:
    await _record(database, "user:1")
    async with UnitOfWork(database) as sealing, UnitOfWork(database) as writing:
        assert await AuditLog(sealing).seal() == 1
        await AuditLog(writing).record(an_actor(), "user.create", "user:2")
        async with asyncio.timeout(2):
            await _record(database, "user:3")
    assert await _seal(database) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'wang'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "UPDATE audit_seals SET position = 7",
        "DELETE FROM audit_seals",
        "TRUNCATE audit_seals",
        "TRUNCATE audit_pending",
        "DELETE FROM audit_pending",
    ],
)
@pytest.mark.parametrize("role", ["tandem_app", "postgres"])
async def test_changing_the_log_is_refused(database: Database, database_url: str, statement: str, role: str) -> None:
    await _record(database, "user:1")
    await _seal(database)
    await _record(database, "user:2")
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute(f"SET ROLE {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement)
    assert (await _verify(database)).intact


async def test_the_application_role_has_no_grant_to_change_the_log(database: Database, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        for table in ("audit_entries", "audit_seals"):
            for right in ("UPDATE", "DELETE", "TRUNCATE"):
                cursor = await connection.execute("SELECT has_table_privilege('tandem_app', %s, %s)", [table, right])
                assert await cursor.fetchone() == (False,), (table, right)


_THIRD = "(SELECT entry_id FROM audit_seals WHERE position = 3)"


@pytest.mark.parametrize(
    ("tampering", "kinds"),
    [
        (f"UPDATE audit_entries SET actor = 'wang' WHERE id = {_THIRD}", {"altered"}),
        (f"UPDATE audit_entries SET at = at - interval '1 day' WHERE id = {_THIRD}", {"altered"}),
        (f"UPDATE audit_entries SET unit_path = '/x/' WHERE id = {_THIRD}", {"altered"}),
        (f"UPDATE audit_entries SET detail = detail || ' '::bytea WHERE id = {_THIRD}", {"altered"}),
        (f"DELETE FROM audit_entries WHERE id = {_THIRD}", {"missing"}),
        ("DELETE FROM audit_seals WHERE position = 3", {"gap", "unchained"}),
        ("UPDATE audit_seals SET seal = '\\x00' WHERE position = 3", {"broken"}),
        ("UPDATE audit_seals SET previous = '\\x00' WHERE position = 3", {"broken"}),
        ("DELETE FROM audit_seals WHERE position > 3", {"unchained"}),
        ("DELETE FROM audit_pending", {"unchained"}),
        ("UPDATE audit_entries SET action = 'x' WHERE id IN (SELECT entry_id FROM audit_pending)", {"altered"}),
        (
            f"DELETE FROM audit_entries WHERE id = {_THIRD}; DELETE FROM audit_seals WHERE position = 3; "
            "UPDATE audit_seals SET position = position - 1 WHERE position > 3",
            {"broken"},
        ),
    ],
)
async def test_tampering_shows(database: Database, database_url: str, tampering: str, kinds: set[str]) -> None:
    await _record(database, *(f"user:{number}" for number in range(5)))
    await _seal(database)
    await _record(database, "user:late")
    await _as_owner(database_url, *tampering.split("; "))
    report = await _verify(database)
    assert {finding.kind for finding in report.findings} == kinds
    assert not report.intact


async def test_an_end_that_was_cut_off_shows_against_a_head_kept_elsewhere(
    database: Database, database_url: str
) -> None:
    await _record(database, *(f"user:{number}" for number in range(5)))
    await _seal(database)
    head = (await _verify(database)).head
    assert (await _verify(database, head)).intact
    cut: Callable[[str], str] = "DELETE FROM {} WHERE position > 3".format
    await _as_owner(
        database_url,
        "DELETE FROM audit_entries WHERE id IN (SELECT entry_id FROM audit_seals WHERE position > 3)",
        cut("audit_seals"),
    )
    assert (await _verify(database)).intact
    assert [finding.kind for finding in (await _verify(database, head)).findings] == ["truncated"]


async def test_a_chain_under_a_key_that_is_gone_is_unverifiable_not_fine(database: Database, database_url: str) -> None:
    await _record(database, "user:1")
    await _seal(database)
    other = Database(database_url, Keyring({"k2": b"2" * 32}))
    report = await _verify(other)
    assert {finding.kind for finding in report.findings} == {"unverifiable"}
    await other.close()
