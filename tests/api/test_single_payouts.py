"""One payout over HTTP: what its payee's app needs, for who may and says why; calling it off, by a second person."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from domain.access import Role
from domain.settlement.payees import NewPayee, NewPayoutDetails
from domain.settlement.payouts import Confirmation, State
from domain.settlement.periods import period_of
from services.payee_terms import today
from services.payees import PayeeRegister
from storage.payees import Payees
from storage.payout_batches import PayoutBatches, PayoutBatchRow
from storage.payouts import PayoutRow, Payouts
from storage.settlement_periods import SettlementPeriods
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.api.house import House, problem

CONFIRMATION = Confirmation(
    account="main",
    mch_id="1900001109",
    app_id="wx1",
    package_info="ABBQO+oYAAA/13812345678/=",
    expires_at=datetime(2026, 12, 9, 1, tzinfo=UTC),
)


async def a_payout(house: House, state: State = "awaiting_user", asked_by: str = "finance") -> tuple[str, UUID]:
    """The number of one, and its batch; of one that waits for its payee what they need, too."""
    payee = NewPayee(code="W-1", name="李小红", role="promoter", details=NewPayoutDetails(openid="o-1"))
    await PayeeRegister(house.database).put(an_actor("qian", Role.FINANCE), [payee])
    async with UnitOfWork(house.database) as work:
        day, end = period_of("month", today(work.now))
        period = await SettlementPeriods(work).open("promoters", "month", day, end, "CNY")
        batch = PayoutBatchRow(
            id=uuid4(), scheme="promoters", currency="CNY", period=period.id, day=day, state="paying", terms={},
            asked_by=asked_by, asked_at=work.now,
        )  # fmt: skip
        await PayoutBatches(work).add(batch)
        number = f"P{uuid4().hex[:31]}"
        row = PayoutRow(
            batch=batch.id, part=0, number=number, payee=(await Payees(work).rows(["W-1"]))["W-1"].id,
            rail="wechat-pay", amount_minor=68_765, offset_minor=0, currency="CNY", state=state, pay_on=day,
            next_at=work.now, created_at=work.now, changed_at=work.now,
            confirmation=CONFIRMATION.model_dump(mode="json") if state == "awaiting_user" else None,
        )  # fmt: skip
        await Payouts(work).insert(row)
    return number, batch.id


async def test_who_pays_gets_what_the_payees_app_needs_for_a_reason(house: House) -> None:
    number, _ = await a_payout(house)
    path, why = f"/api/v1/payouts/{number}/confirmation", {"reason": "收款人说没有收到"}
    for who in ("finance", "approver"):
        shown = await house.get(who, path, params=why)
        assert shown.status_code == 200, shown.text
        assert shown.headers["cache-control"] == "no-store"
        assert shown.json() == {
            "number": number,
            "payee": "W-1",
            "amount_minor": 68_765,
            "currency": "CNY",
            **CONFIRMATION.model_dump(mode="json"),
        }, "nothing in it is masked, or it would be of no use"
    for who in ("auditor", "admin", "agent"):
        assert (await house.get(who, path, params=why)).status_code == 403
    assert (await house.get("finance", path)).status_code == 400
    assert (await house.get("finance", path, params={"reason": " "})).status_code == 400
    assert (await house.get("finance", f"/api/v1/payouts/P{'0' * 31}/confirmation", params=why)).status_code == 404
    assert (await house.get("finance", "/api/v1/payouts/x-1/confirmation", params=why)).status_code == 400
    audit = (await house.get("auditor", "/api/v1/audit", params={"action": "payout.unmask"})).json()["items"]
    assert sorted(each["actor"] for each in audit) == ["approver", "finance"]
    async with UnitOfWork(house.database) as work:
        row = await Payouts(work).find(number, for_update=True)
        assert row is not None
        Payouts(work).move(row, "paid", confirmation=None)
    refused = await house.get("finance", path, params=why)
    assert (refused.status_code, problem(refused)["state"]) == (409, "paid")


async def test_a_payout_is_shown_by_its_number(house: House) -> None:
    number, batch = await a_payout(house, "reserved")
    for who in ("finance", "approver", "auditor"):
        shown = (await house.get(who, f"/api/v1/payouts/{number}")).json()
        assert (shown["payee"], shown["state"], shown["amount_minor"], shown["paid_minor"]) == (
            "W-1", "reserved", 68_765, 0,
        )  # fmt: skip
        listed = (await house.get(who, f"/api/v1/settlement/payouts/{batch}/payouts")).json()["items"]
        assert listed == [shown]
    assert (await house.get("agent", f"/api/v1/payouts/{number}")).status_code == 403
    assert (await house.get("finance", f"/api/v1/payouts/P{'0' * 31}")).status_code == 404
    async with UnitOfWork(house.database) as work:
        row = await Payouts(work).find(number, for_update=True)
        assert row is not None
        Payouts(work).move(row, "submitting")
        Payouts(work).move(row, "paid")
    assert (await house.get("finance", f"/api/v1/payouts/{number}")).json()["paid_minor"] == 68_765


async def test_a_second_person_calls_off_what_no_rail_was_asked_for(house: House) -> None:
    number, batch = await a_payout(house, "reserved")
    one, all_of_it = f"/api/v1/payouts/{number}/call-off", f"/api/v1/settlement/payouts/{batch}/call-off"
    why = {"note": "收款人已离职"}
    for path in (one, all_of_it):
        for who in ("finance", "auditor", "admin"):
            assert (await house.post(who, path, why)).status_code == 403
        for wrong in ({}, {"note": ""}, {"note": "x", "number": 1}):
            assert (await house.post("approver", path, wrong)).status_code == 400
    done = await house.post("approver", one, why)
    assert done.status_code == 200, done.text
    assert (done.json()["state"], done.json()["reason"], done.json()["payee"]) == ("cancelled", "called-off", "W-1")
    refused = await house.post("approver", one, why)
    assert (refused.status_code, problem(refused)["state"]) == (409, "cancelled")
    assert (await house.post("approver", all_of_it, why)).json() == {"payouts": 0, "amount_minor": 0, "more": False}
    assert (await house.post("approver", f"/api/v1/payouts/P{'0' * 31}/call-off", why)).status_code == 404
    audit = (await house.get("auditor", "/api/v1/audit", params={"action": "payouts.call-off"})).json()["items"]
    assert [(each["actor"], each["detail"]["note"]) for each in audit] == [("approver", "收款人已离职")]

    number, batch = await a_payout(house, "reserved", asked_by="approver")
    for path in (f"/api/v1/payouts/{number}/call-off", f"/api/v1/settlement/payouts/{batch}/call-off"):
        refused = await house.post("approver", path, why)
        assert (refused.status_code, problem(refused)["rule"]) == (403, "four-eyes")
    number, batch = await a_payout(house, "reserved")
    path = f"/api/v1/settlement/payouts/{batch}/call-off"
    assert (await house.post("approver", path, why)).json() == {"payouts": 1, "amount_minor": 68_765, "more": False}
