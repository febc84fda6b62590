import asyncio
import tempfile
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import NullPool, PrimaryKeyConstraint, Table, UniqueConstraint, create_engine, inspect
from sqlalchemy.exc import DBAPIError

from domain.problems import ConfigurationProblem, ConflictProblem, UnavailableProblem
from runtime.embedded import EmbeddedPostgres
from storage.encryption import Keyring, encrypted_type
from storage.engine import Database, sqlalchemy_url
from storage.migrations import pending, upgrade
from storage.tables import load_tables


def test_the_revisions_make_exactly_the_tables_of_the_code(database_url: str) -> None:
    metadata = load_tables()
    with create_engine(sqlalchemy_url(database_url), poolclass=NullPool).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


NEVER_DELETED = {"ledger_accounts", "settlement_periods"}
"""Triggers refuse it, so nobody looks for what points at them."""


def test_what_points_at_a_row_is_found_by_an_index() -> None:
    bare = [
        f"{table.name}.{key.parent.name}"
        for table in load_tables().sorted_tables
        for key in table.foreign_keys
        if key.column.table.name not in NEVER_DELETED and key.parent.name not in _leading_columns(table)
    ]
    assert bare == []


def _leading_columns(table: Table) -> set[str]:
    """The columns by which rows can be found: each begins an index, the primary key or a unique constraint."""
    unique = [each for each in table.constraints if isinstance(each, PrimaryKeyConstraint | UniqueConstraint)]
    return {next(iter(each.columns)).name for each in (*table.indexes, *unique)}


def test_every_encrypted_column_is_bound_to_its_own_name() -> None:
    encrypted = [
        (kind.context, f"{table.name}.{column.name}")
        for table in load_tables().sorted_tables
        for column in table.columns
        if (kind := encrypted_type(column.type))
    ]
    assert len(encrypted) >= 4
    assert all(context == place for context, place in encrypted)


def test_long_ciphertext_is_not_compressed_and_an_event_stays_in_its_row(database_url: str) -> None:
    long = "a" * 3_500
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO inbox (platform, account, dedupe_key, kind, state, received_at, changed_at, payload) "
            "VALUES ('youzan', 'shop', 'k', 'order', 'waiting', now(), now(), %s)",
            [long.encode()],
        )
        connection.execute(
            "INSERT INTO events (source, event_id, type, subjects, received_at, envelope) "
            "VALUES ('/youzan/shop', 'e', 'order', '{}', now(), %s)",
            [long.encode()],
        )
        sizes = connection.execute(
            "SELECT (SELECT pg_column_size(payload) FROM inbox), (SELECT pg_column_size(envelope) FROM events), "
            "(SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = 'events'::regclass)"
        ).fetchone()
    assert sizes == (3_500, 3_504, 0)


async def test_two_upgrades_at_once_do_the_work_once(empty_database_url: str) -> None:
    waiting = pending(empty_database_url)
    assert waiting[0] == "0001_access"
    assert waiting == tuple(sorted(waiting))
    await asyncio.gather(*(asyncio.to_thread(upgrade, empty_database_url) for _ in range(3)))
    assert pending(empty_database_url) == ()
    with create_engine(sqlalchemy_url(empty_database_url), poolclass=NullPool).connect() as connection:
        assert set(load_tables().tables) <= set(inspect(connection).get_table_names())


def test_a_chain_that_breaks_off_keeps_what_was_done_and_goes_on_from_there(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        # In the way of 0067.
        connection.execute("CREATE TABLE payout_receivers ()")
        with pytest.raises(DBAPIError, match="payout_receivers"):
            upgrade(empty_database_url)
        assert pending(empty_database_url)[0] == "0067_payout_receivers"
        index = "SELECT FROM pg_indexes WHERE indexname = 'ix_inbox_waiting_shop'"
        assert connection.execute(index).fetchone() is not None, "what 0066 did stays"
        connection.execute("DROP TABLE payout_receivers")
        upgrade(empty_database_url)
        assert pending(empty_database_url) == ()
        granted = "SELECT has_table_privilege('tandem_app', 'payout_receivers', 'INSERT')"
        assert connection.execute(granted).fetchone() == (True,)


async def test_a_database_of_a_newer_version_is_left_alone(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConflictProblem, match="9999"):
        await asyncio.to_thread(upgrade, database_url)


def test_a_server_that_is_away_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableProblem):
        upgrade(f"postgresql://nobody@/tandem?host={tmp_path}")


@pytest.mark.parametrize("address", ["mysql://root@localhost/tandem", "tandem", "postgresql://localhost"])
def test_an_address_of_something_else_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationProblem, match="TANDEM_DATABASE_URL"):
        upgrade(address)


@pytest.mark.parametrize(
    ("prepared", "may_migrate"),
    [
        (["CREATE ROLE owner LOGIN CREATEROLE"], True),
        (["CREATE ROLE owner LOGIN", "CREATE ROLE tandem_app", "GRANT tandem_app TO owner"], True),
        (["CREATE ROLE owner LOGIN"], False),
    ],
)
async def test_a_login_that_is_no_superuser_migrates_and_works(prepared: list[str], may_migrate: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="tandem-test-") as directory:
        async with EmbeddedPostgres(Path(directory), durable=False) as server:
            async with await psycopg.AsyncConnection.connect(server.url("postgres"), autocommit=True) as connection:
                for statement in (*prepared, "CREATE DATABASE production OWNER owner"):
                    await connection.execute(statement)
            url = server.url("production").replace("postgres@", "owner@")
            if not may_migrate:
                with pytest.raises(ConfigurationProblem, match="CREATE ROLE tandem_app"):
                    await asyncio.to_thread(upgrade, url)
                return
            await asyncio.to_thread(upgrade, url)
            database = Database(url, Keyring({"k1": bytes(32)}))
            assert await database.healthy()
            await database.close()
