"""Importing: good rows are stored once whatever the others are, a broken-off import is done again, and who may."""

import io
from typing import Any

import pytest
from sqlmodel import select

from connectors.loading import load_connectors
from domain.access import Role, Scope
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.imports import RowError
from domain.imports.mapping import parse_mapping
from domain.problems import (
    AuthorizationProblem,
    ConflictProblem,
    NotFoundProblem,
    UnavailableProblem,
    ValidationProblem,
)
from services import inbox_room
from services.accounts import PlatformAccounts
from services.identities import IdentityService
from services.imports import ImportBounds, ImportOutcome, Imports
from services.inbox import InboxService
from services.intake import Intake
from storage.audit import AuditLog
from storage.consents import ConsentRow
from storage.engine import Database
from storage.identities import Identities
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor

ADMIN = an_actor("root")
MAPPING = parse_mapping(
    "record: order\nfields: {order_id: 单号, status: {value: completed}, paid_minor: 金额, created_at: 时间}".encode(),
    "map.yaml",
)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
async def imports(database: Database) -> Imports:
    connectors = load_connectors(Catalog())
    new = NewAccount(platform="generic", slug="pos", name="POS", credentials={"secret": SECRET})
    await PlatformAccounts(database, connectors).connect(ADMIN, new)
    return Imports(database, connectors)


def table(*rows: str) -> io.BytesIO:
    return io.BytesIO("\n".join(("单号,金额,时间", *rows)).encode())


def orders(count: int) -> list[str]:
    return [f"T{number},{number}.50,2026-11-01 08:00:00" for number in range(count)]


async def run(
    imports: Imports, file: io.BytesIO, errors: list[RowError] | None = None, **options: Any
) -> ImportOutcome:
    account = options.pop("account", "generic/pos")
    actor = options.pop("actor", ADMIN)
    told = errors if errors is not None else []
    return await imports.run(actor, account, MAPPING, file, "orders.csv", told.append, **options)


async def test_good_rows_are_stored_once_and_become_events_and_bad_ones_are_told(
    imports: Imports, database: Database
) -> None:
    errors: list[RowError] = []
    rows = [*orders(600), "T600,free,2026-11-01", "T601,1,2026-11-01"]
    outcome = await run(imports, table(*rows), errors)
    assert (outcome.rows, outcome.records, outcome.new, outcome.refused) == (602, 601, 601, 1)
    assert [(error.line, error.column) for error in errors] == [(602, "金额")]
    again = await run(imports, table(*rows))
    assert (again.new, again.known, again.digest) == (0, 601, outcome.digest)
    inbox = InboxService(database, load_connectors(Catalog()))
    drained = [await inbox.drain(), await inbox.drain()]
    assert sum(each.events for each in drained) == 601
    assert sum(each.quarantined for each in drained) == 0


async def test_a_dry_run_stores_nothing_and_says_the_same(imports: Imports, database: Database) -> None:
    outcome = await run(imports, table(*orders(3), "T9,-1,2026-11-01"), dry_run=True)
    assert (outcome.records, outcome.refused, outcome.new) == (3, 1, 0)
    assert (await InboxService(database, load_connectors(Catalog())).drain()).read == 0
    assert (await run(imports, table(*orders(3)))).new == 3


async def test_every_import_is_audited_and_a_dry_run_changes_nothing(imports: Imports, database: Database) -> None:
    await run(imports, table(*orders(2)), dry_run=True)
    await run(imports, table(*orders(2)))
    async with UnitOfWork(database) as work:
        page = await AuditLog(work).list(Scope.everything(), PageRequest(size=10))
    found = {entry.action: entry for entry in page.items}
    assert [entry.action for entry in page.items].count("import.begin") == 1
    assert found["import.end"].detail["new"] == 2
    assert found["import.end"].target == "account:generic/pos"


async def test_it_goes_on_from_a_line(imports: Imports) -> None:
    outcome = await run(imports, table(*orders(10)), from_line=9)
    assert outcome.new == 3


async def test_it_waits_for_the_drainer_and_says_where_to_go_on(
    imports: Imports, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    monkeypatch.setattr(inbox_room, "PAST_WAITS_AT", 400)
    monkeypatch.setattr(inbox_room, "_FULL_HOLDS_S", 0.0)
    with pytest.raises(UnavailableProblem, match="line 502"):
        await run(imports, table(*orders(700)), bounds=ImportBounds(patience_s=0))
    await InboxService(database, load_connectors(Catalog())).drain()
    assert (await run(imports, table(*orders(700)), bounds=ImportBounds(patience_s=0))).new == 200


async def test_there_is_a_bound_of_rows(imports: Imports) -> None:
    with pytest.raises(ValidationProblem, match="tandem import"):
        await run(imports, table(*orders(30)), bounds=ImportBounds(most_rows=20))


async def test_who_may_import_and_for_which_account(imports: Imports, database: Database) -> None:
    with pytest.raises(AuthorizationProblem):
        await run(imports, table(), actor=an_actor("li", Role.AGENT))
    with pytest.raises(NotFoundProblem):
        await run(imports, table(), account="generic/nobody")
    branch = an_actor("ops", Role.OPS, scope=Scope.of_branch("/east/"))
    with pytest.raises(NotFoundProblem):
        await run(imports, table(), actor=branch)
    await PlatformAccounts(database).set_active(ADMIN, "generic/pos", False)
    with pytest.raises(ConflictProblem):
        await run(imports, table(*orders(1)))


async def test_a_row_with_a_key_of_an_account_that_is_not_here_is_refused(imports: Imports) -> None:
    mapping = parse_mapping(
        b"record: member\nas_of: 2025-03-01T00:00:00+08:00\nfields: {openid: a, openid_scope: b}\n", "members.yaml"
    )
    errors: list[RowError] = []
    file = io.BytesIO(b"a,b\no1,generic/pos\no2,official_account/typo\n")
    outcome = await imports.run(ADMIN, "generic/pos", mapping, file, "members.csv", errors.append)
    assert (outcome.new, outcome.refused) == (1, 1)
    assert [(error.line, error.column) for error in errors] == [(3, "b")]
    assert "official_account/typo" in errors[0].reason.en


async def test_a_list_of_consents_counts_for_whoever_has_the_number(imports: Imports, database: Database) -> None:
    mapping = parse_mapping(
        (
            "record: consent\nfields:\n  buyer.phone: 手机\n  occurred_at: 时间\n  source: {value: 2025 年会员登记表}\n"
            "  state: {column: 是否同意, values: {是: given, 否: withdrawn}}\n"
        ).encode(),
        "consents.yaml",
    )
    rows = ("手机,是否同意,时间", "13800138000,是,2025-03-01 10:00:00", "13900139000,也许,2025-03-01", ",是,2025-03-01")
    errors: list[RowError] = []
    for _ in range(2):
        errors.clear()
        file = io.BytesIO("\n".join(rows).encode())
        outcome = await imports.run(ADMIN, "generic/pos", mapping, file, "consents.csv", errors.append)
        assert (outcome.records, outcome.refused) == (1, 2), errors
    await InboxService(database, load_connectors(Catalog()), Intake(IdentityService())).drain()
    async with UnitOfWork(database) as work:
        (row,) = await work.session.scalars(select(ConsentRow))
        (key,) = (await Identities(work).rows([row.identity_id])).values()
    assert (row.state, row.purpose, row.channel, row.source) == ("given", "marketing", None, "2025 年会员登记表")
    assert (key.value, row.account_id, row.at.isoformat()) == (
        "+8613800138000",
        "generic/pos",
        "2025-03-01T02:00:00+00:00",
    )
