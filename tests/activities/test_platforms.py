"""A platform's call as a flow makes it, over the ledger, the accounts and the platform itself."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from activities.binding import Activity, CallBinder
from activities.platforms import platform_activities
from domain.access import Scope
from domain.accounts import NewAccount
from services import connections
from services.connections import Connections
from storage.accounts import Accounts
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.activities.test_binding import NoSecrets, attempt_of, ledger_of
from tests.connectors.harness import Outside, connector, outside

PAYEE: dict[str, Any] = {"openid": "oPayee", "amount_minor": 12000, "remark": "11月推广佣金"}


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as world:
        yield world


def activity_of(world: Outside, database: Database, platform: str, call: str) -> Activity:
    chosen = connector(platform)
    made = platform_activities(chosen, CallBinder(database, NoSecrets()), Connections(database), world.link)
    return dict(zip((each.name for each in chosen.calls), made, strict=True))[call]


async def test_money_that_may_have_gone_is_not_denied_when_its_account_is_disconnected(
    world: Outside, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "KEPT_S", -1.0)
    merchant = await world.account("wechat_pay")
    new = NewAccount(
        platform="wechat_pay", slug=merchant.slug, name="-", credentials={}, settings=dict(merchant.settings)
    )
    async with UnitOfWork(database) as work:
        await Accounts(work).add(new)
    transfer = activity_of(world, database, "wechat_pay", "wechat_pay.transfer")
    await world.break_things(
        {"match": {"platform": "wechat_pay", "api": "transfer-bills"}, "fault": "timeout_after", "seconds": 1}
    )
    lost = await attempt_of(transfer, "wechat_pay.transfer", PAYEE)
    await world.break_things()
    async with UnitOfWork(database) as work:
        await Accounts(work).set_active(new.id, False, Scope.everything())
    refused = await attempt_of(transfer, "wechat_pay.transfer", PAYEE)
    assert (lost.details[0]["outcome"], refused.details[0]["outcome"]) == ("unknown", "unknown")
    assert refused.details[0]["status"] == 404
    assert await ledger_of(database) == "unknown"
    async with UnitOfWork(database) as work:
        await Accounts(work).set_active(new.id, True, Scope.everything())
    assert (await attempt_of(transfer, "wechat_pay.transfer", PAYEE))["state"] == "wait_confirm"
    assert await world.effects(kind="transfer") == 1
