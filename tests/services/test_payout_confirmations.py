"""A payout that waits for its payee: what they need reaches flows, subscribers and people, once, and nobody else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.access import Role
from domain.accounts import NewAccount
from domain.canonical.keys import IdentityKey
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.events import Event
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, ValidationProblem
from domain.settlement.payouts import Confirmation
from services.payout_confirmations import TYPE, PayoutConfirmations
from services.payout_rails import RailAnswer
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.events import Events
from storage.identities import Customers, Identities, NewKey
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.cashier import Cashier, cashier
from tests.services.test_calculations import Office, office
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import QIAN, WU

__all__ = ["cashier", "office"]
PACKAGE = Confirmation(
    account="main", mch_id="1900001109", app_id="wx1", package_info="ABBQO+oYAAA=",
    expires_at=datetime(2026, 6, 2, 3, tzinfo=UTC),
)  # fmt: skip
WAITING = RailAnswer("awaiting_user", rail_number="R1", confirmation=PACKAGE, retry_after_s=1)


async def events(office: Office) -> list[Event]:
    async with UnitOfWork(office.database) as work:
        rows = await work.session.execute(text("SELECT seq FROM events ORDER BY seq"))
        found = await Events(work).readable([seq for (seq,) in rows])
    return [each for each in found.values() if each.type == TYPE]


async def waiting(office: Office, cashier: Cashier) -> str:
    """The number of P1's payout, which waits for P1; C1's is paid."""
    await office.told(an_order(channel="P1"))
    cashier.rail.answers = {await cashier.payee("P1", openid="o-P1", real_name="名P1"): [WAITING]}
    await cashier.settled()
    view = await cashier.paid()
    page = await cashier.service.payouts(QIAN, view.batch.id, PageRequest(), state="awaiting_user")
    return page.items[0].payout.number


async def test_it_is_told_once_with_all_that_the_payees_app_needs(office: Office, cashier: Cashier) -> None:
    async with UnitOfWork(office.database) as work:
        new = NewAccount(
            platform="official_account", slug="news", name="News", settings={"app_id": "wx1"}, credentials={}
        )
        await Accounts(work).add(new)
    number = await waiting(office, cashier)
    (told,) = await events(office)
    assert (told.source, told.subject) == ("/wechat_pay/main", f"payout:wechat_pay/{number}")
    shown: dict[str, Any] = told.data
    assert {
        name: shown[name]
        for name in ("out_bill_no", "payee", "scheme", "amount_minor", "currency", "mch_id", "app_id", "openid")
    } == {
        "out_bill_no": number, "payee": "P1", "scheme": "promoters", "amount_minor": 1_537, "currency": "CNY",
        "mch_id": "1900001109", "app_id": "wx1", "openid": "o-P1",
    }  # fmt: skip
    assert (shown["package_info"], shown["expires_at"]) == (PACKAGE.package_info, "2026-06-02T03:00:00Z")
    assert shown.keys() - {"payout_id"} == KNOWN_EVENT_TYPES[TYPE].example.keys()
    assert told.tandemkeys == ("key:openid/official_account/news/o-P1", "key:openid/wechat_pay/main/o-P1")
    for _ in range(3):
        office.clock.now += timedelta(seconds=60)
        await cashier.pay((await cashier.service.list(QIAN, PageRequest())).items[0].id)
    assert len(await events(office)) == 1, "the rail said it again, and nobody is told twice"


async def test_a_payee_who_is_a_customer_is_named_as_one(office: Office, cashier: Cashier) -> None:
    async with UnitOfWork(office.database) as work:
        new = NewAccount(platform="wechat_store", slug="shop", name="Shop", settings={"app_id": "wx1"}, credentials={})
        await Accounts(work).add(new)
        key = IdentityKey("openid", "wechat_store/shop", "o-P1")
        (customer,) = await Customers(work).add(1)
        await Identities(work).add([NewKey(key, customer, None, work.now)])
    await waiting(office, cashier)
    (told,) = await events(office)
    assert told.tandemkeys == ("key:openid/wechat_pay/main/o-P1", key.subject, f"customer:{customer}")


async def test_people_get_it_for_a_reason_while_it_waits(office: Office, cashier: Cashier) -> None:
    number = await waiting(office, cashier)
    service = PayoutConfirmations(office.database)
    for who in (QIAN, WU):
        found = await service.show(who, number, "收款人说没有收到")
        assert (found.payee, found.confirmation) == ("P1", PACKAGE)
    with pytest.raises(AuthorizationProblem):
        await service.show(an_actor("he", Role.AUDITOR), number, "看看")
    with pytest.raises(ValidationProblem):
        await service.show(QIAN, number, " ")
    with pytest.raises(NotFoundProblem):
        await service.show(QIAN, "P" + "0" * 31, "看看")
    async with UnitOfWork(office.database) as work:
        audited = (await AuditLog(work).list(an_actor("root").scope, PageRequest(), action="payout.unmask")).items
    assert sorted(each.actor for each in audited) == ["qian", "wu"]
    async with UnitOfWork(office.database) as work:
        (stored,) = (
            await work.session.execute(text("SELECT confirmation FROM payouts WHERE confirmation IS NOT NULL"))
        ).one()
    assert PACKAGE.package_info.encode() not in bytes(stored)
    cashier.rail.answers = {}
    office.clock.now += timedelta(seconds=60)
    await cashier.pay((await cashier.service.list(QIAN, PageRequest())).items[0].id)
    with pytest.raises(ConflictProblem, match="paid"):
        await service.show(QIAN, number, "收款人说没有收到")
