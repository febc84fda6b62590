"""A platform's call as a flow makes it, over the ledger, the accounts and the platform itself."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from activities.binding import Activity, CallBinder
from activities.platforms import platform_activities
from domain.access import Scope
from domain.accounts import NewAccount
from domain.canonical.keys import IdentityKey
from domain.catalog import CATALOG
from services import connections
from services.connections import Connections
from services.direct_messages import DirectMessages
from services.erasure import ErasureService
from services.identities import IdentityService, Sighting
from storage.accounts import Accounts
from storage.engine import Database
from storage.identities import Identities
from storage.unit_of_work import UnitOfWork
from tests.activities.test_binding import NoSecrets, attempt_of, ledger_of
from tests.actors import an_actor
from tests.connectors.harness import Outside, connector, outside
from tests.services.test_contacts import connected

PAYEE: dict[str, Any] = {"openid": "oPayee", "amount_minor": 12000, "remark": "11月推广佣金"}


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as world:
        yield world


def activity_of(world: Outside, database: Database, platform: str, call: str) -> Activity:
    chosen = connector(platform)
    binder, accounts = CallBinder(database, NoSecrets()), Connections(database)
    made = platform_activities(chosen, binder, accounts, DirectMessages(database), world.link)
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


@pytest.fixture
async def friend(world: Outside) -> str:
    people = (await world.sim.admin("GET", "/customers"))["customers"]
    return str(next(each["external_userid"] for each in people if each["external_userid"]))


@pytest.fixture
async def corp(world: Outside, database: Database) -> str:
    return await connected(database, world, "wecom")


async def written_to(world: Outside, database: Database, corp: str, friend: str) -> Any:
    send = activity_of(world, database, "wecom", "wecom.send_message")
    told = {"account": corp.partition("/")[2], "external_userid": friend, "text": "您好，已安排退款"}
    return await attempt_of(send, "wecom.send_message", told)


async def touches(database: Database) -> list[tuple[Any, ...]]:
    async with UnitOfWork(database) as work:
        return [
            tuple(row) for row in await work.session.execute(text("SELECT recipient, purpose, channel FROM touches"))
        ]


async def test_a_message_that_asks_no_rules_is_in_the_customers_history(
    world: Outside, database: Database, corp: str, friend: str
) -> None:
    assert not (await written_to(world, database, corp, friend))["refused"]
    assert await world.effects(kind="message") == 1
    assert await touches(database) == [(friend, "direct", "wecom")]


async def test_whoever_was_erased_is_not_written_to_by_any_call(
    world: Outside, database: Database, corp: str, friend: str
) -> None:
    key = IdentityKey("external_userid", corp, friend)
    async with UnitOfWork(database) as work:
        await IdentityService().assign(work, [Sighting((key,), corp, "contact:1", work.now)])
        customer = (await Identities(work).find([key]))[key].customer_id
    await ErasureService(database).erase(an_actor("root"), customer, "本人要求")
    answer = await written_to(world, database, corp, friend)
    assert (answer["refused"], answer["message_id"]) == (True, None)
    assert await world.effects(kind="message") == 0
    assert await touches(database) == []


def test_every_call_that_writes_to_customers_says_whom_and_whether_they_took_it() -> None:
    writing = [call for call in CATALOG.values() if call.writes_to is not None]
    assert {call.name for call in writing} >= {"wecom.send_message", "official_account.send_text"}
    for call in writing:
        assert call.writes_to in call.input.model_fields, call.name
        assert {"refused", "message_id"} <= set(call.output.model_fields), call.name
