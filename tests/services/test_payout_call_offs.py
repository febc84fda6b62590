"""Reserved payouts called off: by somebody else, whole batches or one, what was handed over never, every sum once."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from domain.access import Role
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem
from domain.settlement.payouts import RailQuota
from services import payout_call_offs
from services.bank_payouts import BankPayouts
from services.payout_call_offs import PayoutCallOffs
from services.payout_rails import RailAnswer
from services.payouts import BatchView, PayoutWish
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.cashier import Cashier, cashier
from tests.services.test_calculations import Office, office
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import QIAN, WU

__all__ = ["cashier", "office"]
WHY = "收款账号待核实"


async def reserved(office: Office, cashier: Cashier) -> BatchView:
    """P1 and C1 by WeChat Pay today, P2 and C2 tomorrow."""
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    await cashier.settled()
    view = await cashier.planned(PayoutWish(scheme="promoters", quotas={"wechat-pay": RailQuota(payouts=2)}))
    await cashier.reserved(view.batch.id)
    return view


async def numbers(cashier: Cashier, view: BatchView) -> dict[str, str]:
    found = (await cashier.service.payouts(QIAN, view.batch.id, PageRequest())).items
    return {each.payee: each.payout.number for each in found}


async def audited(office: Office) -> list[str]:
    async with UnitOfWork(office.database) as work:
        rows = await work.session.execute(text("SELECT action FROM audit_entries WHERE action = 'payouts.call-off'"))
        return [action for (action,) in rows]


async def test_what_nobody_was_asked_for_goes_back_and_is_paid_by_the_next_batch(
    office: Office, cashier: Cashier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payout_call_offs, "AT_ONCE", 1)
    view = await reserved(office, cashier)
    await cashier.pay(view.batch.id)
    before = await cashier.accounts()
    assert sum(before["paying"].values()) == sum(
        each.amount_minor for each in view.calendar if each.day > view.batch.day
    )
    service = PayoutCallOffs(office.database)
    for who in (QIAN, an_actor("he", Role.AUDITOR), an_actor("qian", Role.APPROVER)):
        with pytest.raises(AuthorizationProblem):
            await service.of_batch(who, view.batch.id, WHY)
    done = await service.of_batch(WU, view.batch.id, WHY)
    assert (done.payouts, done.amount_minor, done.more) == (2, sum(before["paying"].values()), False)
    accounts = await cashier.accounts()
    assert accounts["payable"] == before["paying"]
    assert "paying" not in accounts
    assert await audited(office) == ["payouts.call-off"] * 2, "each thousand is written with its entry"
    assert (await service.of_batch(WU, view.batch.id, WHY)).payouts == 0
    office.clock.now += timedelta(days=1)
    over = await cashier.pay(view.batch.id)
    assert (over.batch.state, await cashier.states(over)) == ("done", {"cancelled": 2, "paid": 2})
    assert (await cashier.paid()).batch.total_minor == done.amount_minor
    assert set(await cashier.accounts()) == {"commission", "wechat-pay"}
    with pytest.raises(ConflictProblem, match="done"):
        await service.of_batch(WU, view.batch.id, WHY)
    with pytest.raises(NotFoundProblem):
        await service.of_batch(WU, uuid4(), WHY)


async def test_what_a_rail_was_asked_for_is_never_called_off_however_it_stands(
    office: Office, cashier: Cashier
) -> None:
    ids = {code: await cashier.payee(code, openid=f"o-{code}", real_name=code) for code in ("P1", "P2", "C1", "C2")}
    cashier.rail.answers = {
        ids["P1"]: [RailAnswer("unknown")],
        ids["P2"]: [RailAnswer("awaiting_user")],
        # It did not take it, for now; an earlier request may still arrive.
        ids["C1"]: [RailAnswer("reserved", retry_after_s=600)],
        ids["C2"]: [RailAnswer("paid")],
    }
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    await cashier.settled()
    view = await cashier.paid()
    told = await numbers(cashier, view)
    service = PayoutCallOffs(office.database)
    assert (await service.of_batch(WU, view.batch.id, WHY)).payouts == 0
    for payee, state in (("P1", "unknown"), ("P2", "awaiting_user"), ("C1", "reserved"), ("C2", "paid")):
        with pytest.raises(ConflictProblem) as refused:
            await service.of_one(WU, told[payee], WHY)
        assert refused.value.problem.as_dict()["state"] == state
    assert await cashier.states(await cashier.service.show(QIAN, view.batch.id)) == {
        "awaiting_user": 1, "paid": 1, "reserved": 1, "unknown": 1,
    }  # fmt: skip
    assert await audited(office) == []


async def test_one_payout_is_called_off_and_the_others_are_paid(office: Office, cashier: Cashier) -> None:
    view = await reserved(office, cashier)
    told = await numbers(cashier, view)
    service = PayoutCallOffs(office.database)
    with pytest.raises(AuthorizationProblem):
        await service.of_one(an_actor("qian", Role.APPROVER), told["P2"], WHY)
    found = await service.of_one(WU, told["P2"], WHY)
    assert (found.payee, found.payout.state, found.payout.reason) == ("P2", "cancelled", "called-off")
    with pytest.raises(ConflictProblem, match="cancelled"):
        await service.of_one(WU, told["P2"], WHY)
    with pytest.raises(NotFoundProblem):
        await service.of_one(WU, "P" + "0" * 31, WHY)
    await cashier.pay(view.batch.id)
    office.clock.now += timedelta(days=1)
    assert await cashier.states(await cashier.pay(view.batch.id)) == {"cancelled": 1, "paid": 3}
    assert (await cashier.accounts())["payable"] == {"P2": 1_537}


async def test_the_banks_payouts_that_no_file_can_take_are_called_off(office: Office, cashier: Cashier) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    for code in ("P1", "P2"):
        await cashier.payee(code, bank_account="6222000011112222", real_name=code)
    await cashier.settled()
    view = await cashier.planned(PayoutWish(scheme="promoters", rails=["bank"]))
    await cashier.reserved(view.batch.id)
    await cashier.payee("P2")
    made = await BankPayouts(office.database).make(QIAN, view.batch.id)
    assert (made.row.payouts, made.withheld) == (1, {"P2": "no-account"})
    done = await PayoutCallOffs(office.database).of_batch(WU, view.batch.id, WHY)
    assert (done.payouts, done.amount_minor) == (1, 1_537)
    accounts = await cashier.accounts()
    assert accounts["payable"]["P2"] == 1_537
    assert accounts["paying"] == {"P1": 1_537}, "it stands in a file"


async def test_whoever_comes_first_has_it_and_no_sum_goes_twice(office: Office, cashier: Cashier) -> None:
    view = await reserved(office, cashier)
    office.clock.now += timedelta(days=1)
    service = PayoutCallOffs(office.database)
    done, *_ = await asyncio.gather(
        service.of_batch(WU, view.batch.id, WHY),
        cashier.pay(view.batch.id),
        cashier.pay(view.batch.id),
    )
    over = await cashier.pay(view.batch.id)
    states = await cashier.states(over)
    assert states.get("cancelled", 0) == done.payouts
    assert sum(states.values()) == 4
    assert set(states) <= {"cancelled", "paid"}
    accounts = await cashier.accounts()
    assert sum(accounts.get("payable", {}).values()) == done.amount_minor
    assert sum(cashier.rail.paid.values()) == 3_794 - done.amount_minor
