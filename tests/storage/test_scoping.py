"""The condition in SQL and the pure rule must agree on every row, and be served by an index."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from domain.access import Scope
from domain.organisation import Placement
from storage.audit import AuditEntryRow, AuditLog
from storage.encryption import Keyring
from storage.engine import Database
from storage.scoping import ScopedColumns, visible
from storage.tables import load_tables
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor

PATHS = ("/", "/east/", "/east/store-1/", "/east/store-10/", "/east/store-1-b/", "/eastern/", "/west/store-2/")
PLACEMENTS = [
    Placement(path, account, owner)
    for path in PATHS
    for account in (None, "youzan/a", "wecom/a")
    for owner in (None, "li", "wang")
]
SCOPES = [
    Scope.everything(),
    *map(Scope.of_branch, PATHS),
    Scope.of_branch("/north/"),
    Scope.of_accounts("youzan/a"),
    Scope.of_accounts("youzan/a", "wecom/a"),
    Scope.of_accounts("youzan/none"),
    Scope.of_own_customers("li"),
    Scope.of_own_customers("nobody"),
]


@pytest.fixture(scope="module")
async def filled(module_database_url: str) -> AsyncIterator[Database]:
    database = Database(module_database_url, Keyring({"k1": b"1" * 32}))
    async with UnitOfWork(database) as work:
        for number, placement in enumerate(PLACEMENTS):
            await AuditLog(work).record(an_actor(), "test.scope", f"row:{number}", placement=placement)
    yield database
    await database.close()


@pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: f"{scope.kind} {scope.branch or scope.owner or ''}")
async def test_sql_and_rule_agree_on_every_row(filled: Database, scope: Scope) -> None:
    async with UnitOfWork(filled) as work:
        rows = (await work.session.scalars(select(AuditEntryRow).where(visible(AuditEntryRow, scope)))).all()
    shown = {row.target for row in rows}
    assert shown == {f"row:{number}" for number, place in enumerate(PLACEMENTS) if scope.allows(place)}
    assert all(scope.allows(row.placement) for row in rows)


async def test_a_branch_is_one_range_of_an_index(filled: Database) -> None:
    statement = select(col(AuditEntryRow.id)).where(visible(AuditEntryRow, Scope.of_branch("/east/")))
    async with UnitOfWork(filled) as work:
        connection = await work.session.connection()
        await connection.execute(text("CREATE TEMPORARY TABLE spot AS SELECT * FROM audit_entries"))
        await connection.execute(text("CREATE INDEX ON spot (unit_path)"))
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        query = str(statement.compile(compile_kwargs={"literal_binds": True})).replace("audit_entries", "spot")
        plan = "\n".join((await connection.scalars(text(f"EXPLAIN {query}"))).all())
    assert "Index Cond" in plan


def test_every_table_with_a_scope_column_has_all_three() -> None:
    wanted = set(ScopedColumns.model_fields)
    for table in load_tables().sorted_tables:
        present = wanted & {column.name for column in table.columns}
        if "unit_path" in present:
            assert present == wanted, table.name
