"""Connection tests of stored accounts, against the simulator: what is said, to whom, and that they end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.connection_report import ConnectionFault, ConnectionReport
from connectors.registry import ConnectorRegistry
from connectors.tokens import MemoryTokenStore
from connectors.youzan import YouzanConnector
from domain.access import Role, Scope
from domain.accounts import NewAccount
from domain.organisation import Unit
from domain.problems import AuthorizationProblem, NotFoundProblem, RateLimitProblem
from services.accounts import PlatformAccounts
from services.connection_tests import TESTS_AT_ONCE, ConnectionTests
from services.platform_tokens import StoredTokens
from storage.audit import AuditLog
from storage.engine import Database
from storage.organisation import Units
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.connectors.harness import CONNECTORS, Outside, outside

ADMIN = an_actor("root")
SHOP = "youzan/demo-apparel"


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[Outside]:
    async with outside() as running:
        yield running


@pytest.fixture
async def accounts(database: Database, world: Outside) -> PlatformAccounts:
    """The simulator's shop, connected below `/east/`."""
    async with UnitOfWork(database) as work:
        await Units(work).add(Unit(path="/east/", name="East"))
    shop = dict((await world.account("youzan")).settings)
    credentials = {"client_secret": shop.pop("client_secret")}
    accounts = PlatformAccounts(database, CONNECTORS)
    new = NewAccount(
        platform="youzan", slug="demo-apparel", name="S", unit_path="/east/", credentials=credentials, settings=shop
    )
    await accounts.connect(ADMIN, new)
    return accounts


@pytest.fixture
def tester(database: Database) -> ConnectionTests:
    return ConnectionTests(database, CONNECTORS, StoredTokens(database))


async def test_an_account_is_tried_as_it_is_stored_now_and_that_is_audited(
    accounts: PlatformAccounts, tester: ConnectionTests, database: Database
) -> None:
    assert (await tester.test(ADMIN, SHOP)).ok
    await accounts.rotate(ADMIN, SHOP, {"client_secret": "mistyped"})
    assert (await tester.test(ADMIN, SHOP)).fault is ConnectionFault.CREDENTIALS, "at once, whatever was cached"
    async with UnitOfWork(database) as work:
        entries = (await AuditLog(work).list(ADMIN.scope, PageRequest(), action="account.test")).items
    assert {entry.target for entry in entries} == {f"account:{SHOP}"}
    # The clock of this database stands still, so which of the two is the later one cannot be told.
    assert sorted((entry.detail["ok"], entry.detail["fault"]) for entry in entries) == [
        (False, "credentials"),
        (True, None),
    ]


@pytest.mark.parametrize(("off", "words"), [(11, ("快约 11 分钟", "fast")), (-6, ("慢约 6 分钟", "slow"))])
async def test_a_wrong_clock_is_said_before_anything_else(
    accounts: PlatformAccounts, tester: ConnectionTests, clock: SteppedClock, off: int, words: tuple[str, str]
) -> None:
    clock.advance(minutes=off)
    await accounts.rotate(ADMIN, SHOP, {"client_secret": "mistyped"})
    report = await tester.test(ADMIN, SHOP)
    assert (report.ok, report.fault) == (False, ConnectionFault.CLOCK)
    assert words[0] in report.message.zh
    assert words[1] in report.message.en
    assert report.hint is not None
    assert "NTP" in report.hint.zh


async def test_a_clock_that_is_a_little_wrong_disturbs_nobody(
    accounts: PlatformAccounts, tester: ConnectionTests, clock: SteppedClock
) -> None:
    clock.advance(minutes=4)
    assert (await tester.test(ADMIN, SHOP)).ok


async def test_a_disconnected_account_is_not_tried(
    accounts: PlatformAccounts, tester: ConnectionTests, world: Outside
) -> None:
    await accounts.set_active(ADMIN, SHOP, False)
    report = await tester.test(ADMIN, SHOP)
    assert (report.ok, report.fault) == (False, ConnectionFault.DISCONNECTED)


async def test_an_account_whose_connector_is_gone_says_so(accounts: PlatformAccounts, database: Database) -> None:
    report = await ConnectionTests(database, ConnectorRegistry(), MemoryTokenStore()).test(ADMIN, SHOP)
    assert report.fault is ConnectionFault.SETTINGS
    assert "youzan" in report.message.zh


async def test_only_who_manages_an_account_within_their_scope_tests_it(
    accounts: PlatformAccounts, tester: ConnectionTests
) -> None:
    for scope in (Scope.everything(), Scope.of_branch("/east/"), Scope.of_accounts(SHOP)):
        assert (await tester.test(an_actor("keeper", Role.ADMIN, scope=scope), SHOP)).ok
    for scope in (Scope.of_branch("/west/"), Scope.of_accounts("youzan/other"), Scope.of_own_customers("keeper")):
        with pytest.raises(NotFoundProblem):
            await tester.test(an_actor("keeper", Role.ADMIN, scope=scope), SHOP)
    for role in Role:
        if role is not Role.ADMIN:
            with pytest.raises(AuthorizationProblem):
                await tester.test(an_actor("li", role), SHOP)


async def test_a_test_that_took_too_long_has_spent_no_chain_of_tokens(
    accounts: PlatformAccounts, tester: ConnectionTests, database: Database, world: Outside
) -> None:
    secret = (await world.account("youzan")).settings["client_secret"]
    given = (await world.sim.youzan_token())["data"]["refresh_token"]
    await accounts.rotate(ADMIN, SHOP, {"client_secret": secret, "refresh_token": given})
    await world.break_things({"match": {"platform": "youzan", "api": "auth/token"}, "fault": "slow", "seconds": 0.8})
    hasty = ConnectionTests(database, CONNECTORS, StoredTokens(database), deadline_s=0.4)
    assert (await hasty.test(ADMIN, SHOP)).fault is ConnectionFault.NETWORK
    await asyncio.sleep(1)  # the platform has spent the refresh token by then, whoever listens
    await world.break_things()
    report = await tester.test(ADMIN, SHOP)
    assert report.ok, report.message


class Hanging(YouzanConnector):
    """A platform that never answers."""

    async def test_connection(self, *_: Any) -> ConnectionReport:
        await asyncio.sleep(60)
        raise AssertionError


async def test_a_test_ends_in_time_and_many_at_once_are_refused(accounts: PlatformAccounts, database: Database) -> None:
    hanging = ConnectionTests(database, ConnectorRegistry((Hanging(),)), MemoryTokenStore(), deadline_s=0.3)
    reports = await asyncio.gather(
        *(hanging.test(ADMIN, SHOP) for _ in range(TESTS_AT_ONCE + 1)), return_exceptions=True
    )
    refused = [report for report in reports if isinstance(report, RateLimitProblem)]
    slow = [report for report in reports if isinstance(report, ConnectionReport)]
    assert (len(refused), len(slow)) == (1, TESTS_AT_ONCE)
    assert {(report.fault, report.message.en) for report in slow} == {
        (ConnectionFault.NETWORK, "youzan did not finish within 0.3 seconds")
    }
