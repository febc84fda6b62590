from typing import Any

import psycopg
import pytest

from connectors.loading import load_connectors
from domain.access import Role, Scope
from domain.accounts import NewAccount
from domain.calls import Catalog
from domain.organisation import Unit
from domain.problems import (
    AuthorizationProblem,
    ConfigurationProblem,
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
    ValidationProblem,
)
from services.accounts import PlatformAccounts
from storage.audit import AuditLog
from storage.engine import Database
from storage.organisation import Units
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor

ADMIN = an_actor("root")


@pytest.fixture
async def accounts(database: Database) -> PlatformAccounts:
    async with UnitOfWork(database) as work:
        await Units(work).add(Unit(path="/east/", name="East"))
        await Units(work).add(Unit(path="/west/", name="West"))
    return PlatformAccounts(database)


def _shop(slug: str, unit_path: str = "/") -> NewAccount:
    return NewAccount(
        platform="youzan",
        slug=slug,
        name=f"Shop {slug}",
        unit_path=unit_path,
        credentials={"client_id": "c-1", "client_secret": "top-secret"},
        settings={"kdt_id": 42},
    )


async def test_credentials_go_in_and_only_connectors_get_them_out(
    accounts: PlatformAccounts, database_url: str
) -> None:
    account = await accounts.connect(ADMIN, _shop("flagship"))
    assert account.id == "youzan/flagship"
    assert account.credential_names == ("client_id", "client_secret")
    listed = (await accounts.list(ADMIN, PageRequest())).items
    for shown in (account, await accounts.show(ADMIN, account.id), *listed):
        assert "top-secret" not in shown.model_dump_json()
    assert "top-secret" not in repr(_shop("flagship"))
    assert await accounts.credentials(account.id) == {"client_id": "c-1", "client_secret": "top-secret"}
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        row = await (await connection.execute("SELECT credentials FROM accounts")).fetchone()
    assert row is not None
    assert b"top-secret" not in bytes(row[0])


async def test_rotation_replaces_all_credentials(accounts: PlatformAccounts) -> None:
    account = await accounts.connect(ADMIN, _shop("flagship"))
    rotated = await accounts.rotate(ADMIN, account.id, {"client_secret": "newer"})
    assert rotated.credential_names == ("client_secret",)
    assert await accounts.credentials(account.id) == {"client_secret": "newer"}
    with pytest.raises(ValidationProblem):
        await accounts.rotate(ADMIN, account.id, {})


async def test_a_setting_is_corrected_and_the_rest_stays(database: Database, accounts: PlatformAccounts) -> None:
    shop = await accounts.connect(ADMIN, _shop("flagship"))
    checked = PlatformAccounts(database, load_connectors(Catalog()))
    changed = await checked.change(ADMIN, shop.id, name="旗舰店", settings={"live_coupons": ["8810042"]})
    assert (changed.name, changed.settings) == ("旗舰店", {"kdt_id": 42, "live_coupons": ["8810042"]})
    assert changed == await accounts.show(ADMIN, shop.id)
    assert (await accounts.credentials(shop.id))["client_secret"] == "top-secret"
    taken = await checked.change(ADMIN, shop.id, settings={"live_coupons": None})
    assert (taken.name, taken.settings) == ("旗舰店", {"kdt_id": 42})
    async with UnitOfWork(database) as work:
        entries = (await AuditLog(work).list(Scope.everything(), PageRequest())).items
    changes = [entry.detail for entry in entries if entry.action == "account.change"]
    assert len(changes) == 2
    assert {"name": "旗舰店", "settings": ["live_coupons"]} in changes


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"client_secret": "in-the-clear"}, "client_secret: secrets do not belong among the settings"),
        ({"client_id": "another"}, "client_id of youzan/flagship is among its credentials"),
        ({"kdt_id": None}, "kdt_id"),
        ({"live_coupon": ["8810042"]}, "live_coupon"),
        ({}, "nothing to change"),
    ],
)
async def test_a_setting_that_would_not_do_changes_nothing(
    database: Database, accounts: PlatformAccounts, settings: dict[str, Any], why: str
) -> None:
    shop = await accounts.connect(ADMIN, _shop("flagship"))
    with pytest.raises(ProblemError, match=why) as error:
        await PlatformAccounts(database, load_connectors(Catalog())).change(ADMIN, shop.id, settings=settings)
    assert "in-the-clear" not in str(error.value.problem.as_dict())
    assert await accounts.show(ADMIN, shop.id) == shop


async def test_no_secret_is_connected_as_a_setting(database: Database, accounts: PlatformAccounts) -> None:
    shop = _shop("flagship")
    careless = shop.model_copy(update={"credentials": {}, "settings": {**shop.settings, **shop.credentials}})
    with pytest.raises(ConfigurationProblem, match="client_secret"):
        await PlatformAccounts(database, load_connectors(Catalog())).connect(ADMIN, careless)
    assert not (await accounts.list(ADMIN, PageRequest())).items


async def test_a_site_names_members_of_an_account_that_there_is(database: Database, accounts: PlatformAccounts) -> None:
    checked = PlatformAccounts(database, load_connectors(Catalog()))
    secrets = {"signing_secret": "whsec_" + "c2VjcmV0" * 6}
    settings = {"site_key": "demo_site_key_0001", "members_of": "generic/crm"}
    site = NewAccount(platform="site", slug="main", name="site", credentials=secrets, settings=settings)
    with pytest.raises(ConfigurationProblem, match="members_of of site/main: there is no account generic/crm"):
        await checked.connect(ADMIN, site)
    assert not (await accounts.list(ADMIN, PageRequest())).items
    await accounts.connect(ADMIN, _shop("flagship").model_copy(update={"platform": "generic", "slug": "crm"}))
    shown = await checked.connect(ADMIN, site)
    with pytest.raises(ConfigurationProblem, match=r"no account generic/typo.*connect it first"):
        await checked.change(ADMIN, site.id, settings={"members_of": "generic/typo"})
    assert await accounts.show(ADMIN, site.id) == shown
    changed = await checked.change(ADMIN, site.id, settings={"members_of": "site/main"})
    assert changed.settings["members_of"] == "site/main"


async def test_a_disconnected_account_gives_no_credentials(accounts: PlatformAccounts) -> None:
    account = await accounts.connect(ADMIN, _shop("flagship"))
    await accounts.set_active(ADMIN, account.id, False)
    with pytest.raises(NotFoundProblem):
        await accounts.credentials(account.id)
    await accounts.set_active(ADMIN, account.id, True)
    assert await accounts.credentials(account.id)


async def test_what_is_out_of_scope_does_not_exist(accounts: PlatformAccounts) -> None:
    await accounts.connect(ADMIN, _shop("east", "/east/"))
    await accounts.connect(ADMIN, _shop("west", "/west/"))
    east = an_actor("east-admin", Role.ADMIN, scope=Scope.of_branch("/east/"))
    by_shop = an_actor("shop-admin", Role.ADMIN, scope=Scope.of_accounts("youzan/east"))
    for actor in (east, by_shop):
        assert [account.id for account in (await accounts.list(actor, PageRequest())).items] == ["youzan/east"]
        for attempt in (
            accounts.show(actor, "youzan/west"),
            accounts.rotate(actor, "youzan/west", {"client_secret": "mine"}),
            accounts.change(actor, "youzan/west", name="Mine", settings={}),
            accounts.set_active(actor, "youzan/west", False),
        ):
            with pytest.raises(NotFoundProblem):
                await attempt
        with pytest.raises(AuthorizationProblem):
            await accounts.connect(actor, _shop("third", "/west/"))


async def test_an_account_is_connected_once_below_a_unit_that_exists(accounts: PlatformAccounts) -> None:
    await accounts.connect(ADMIN, _shop("flagship"))
    with pytest.raises(ConflictProblem):
        await accounts.connect(ADMIN, _shop("flagship"))
    with pytest.raises(NotFoundProblem):
        await accounts.connect(ADMIN, _shop("other", "/north/"))


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_only_administrators_change_accounts(accounts: PlatformAccounts, role: Role) -> None:
    with pytest.raises(AuthorizationProblem):
        await accounts.connect(an_actor("li", role), _shop("flagship"))
