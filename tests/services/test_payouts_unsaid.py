"""Payouts that cannot be sent any more, and those whose rail says nothing for weeks."""

from typing import Literal

from sqlalchemy import text

from domain.access import Scope
from domain.settlement.payees import PayoutDetails
from domain.settlement.payouts import Payer
from services.paying import Paying
from services.payout_rails import PayoutOrder, RailAnswer
from services.payouts import BatchView, PayoutWish
from storage.breaks import BreakFilter, BreakRow, Breaks
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.services.cashier import Cashier, FakeRail, cashier
from tests.services.merchants import connect_merchant, disconnect_merchant, pay_order
from tests.services.test_calculations import Office, office
from tests.services.test_payers import Till, till
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import QIAN

__all__ = ["cashier", "office", "till"]


_CUT_OFF = text(
    "UPDATE payouts SET state = 'submitting', attempts = attempts + 1, first_sent_at = :at WHERE number = :number"
)
_CLOSE_ALL = text("UPDATE settlement_periods SET closed_at = :at, closed_by = 'wu' WHERE closed_at IS NULL")


async def reason(cashier: Cashier, view: BatchView, code: str) -> str | None:
    found = (await cashier.service.payouts(QIAN, view.batch.id, PageRequest())).items
    return next(each.payout.reason for each in found if each.payee == code)


async def breaks(office: Office) -> list[BreakRow]:
    async with UnitOfWork(office.database) as work:
        return list((await Breaks(work).search(Scope.everything(), PageRequest(200), BreakFilter())).items)


async def test_who_lost_their_account_after_the_approval_is_not_paid_and_the_others_are(
    office: Office, till: Till
) -> None:
    await connect_merchant(office.database)
    await till.ready("P2", "P3")
    await office.told(an_order("BIG", channel="P3", paid_minor=9_000_000))
    await till.settled()
    view = await till.planned()
    await till.reserved(view.batch.id)
    await till.payee("P1", real_name="名P1")
    await till.payee("P3", openid="o-P3")
    view = await till.pay(view.batch.id)
    assert await till.states(view) == {"cancelled": 2, "paid": 1}
    assert (await reason(till, view, "P1"), await reason(till, view, "P3")) == ("no-account", "no-real-name")
    assert view.batch.state == "done"
    accounts = await till.accounts()
    assert set(accounts["payable"]) == {"P1", "P3", "C1", "C2"}
    assert "paying" not in accounts


async def test_who_lost_their_account_while_nobody_knows_stays_unknown_and_is_asked_about(
    office: Office, till: Till
) -> None:
    await connect_merchant(office.database)
    await till.ready("P2")
    till.merchants.loses = 1
    view = await till.planned()
    await till.reserved(view.batch.id)
    view = await till.pay(view.batch.id)
    assert await till.states(view) == {"paid": 1, "unknown": 1}
    for code in ("P1", "P2"):
        await till.payee(code, real_name=code)
    await disconnect_merchant(office.database)
    assert await till.states(await till.later(view)) == {"paid": 1, "unknown": 1}
    await connect_merchant(office.database)
    assert await till.states(await till.later(view)) == {"paid": 2}
    assert len(till.merchants.taken) == 2


async def test_what_was_not_taken_and_cannot_be_sent_again_fails_once_that_is_certain(
    office: Office, till: Till
) -> None:
    await connect_merchant(office.database)
    view = await till.planned()
    await till.reserved(view.batch.id)
    await disconnect_merchant(office.database)
    # Somebody took it, and was cut off: it may have been sent.
    async with UnitOfWork(office.database) as work:
        (payout,) = (await till.service.payouts(QIAN, view.batch.id, PageRequest())).items
        await work.session.execute(_CUT_OFF, {"number": payout.payout.number, "at": office.clock()})
    await till.payee("P1", real_name="名P1")
    view = await till.later(view)
    assert await till.states(view) == {"unknown": 1}
    await connect_merchant(office.database)
    view = await till.later(view)
    assert await till.states(view) == {"unknown": 1}, "it is asked once more when nothing can be on its way"
    view = await till.later(view, minutes=9)
    assert (await till.states(view), await reason(till, view, "P1")) == ({"failed": 1}, "no-account")


async def test_whatever_breaks_over_one_payout_the_others_are_paid(office: Office, cashier: Cashier) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    broken = await cashier.payee("P1", openid="o-P1", real_name="名P1")
    cashier.rail.answers = {broken: [ValueError("a bug"), RailAnswer("paid")]}
    await cashier.settled()
    view = await cashier.paid()
    assert await cashier.states(view) == {"paid": 3, "unknown": 1}
    office.clock.advance(minutes=5)
    assert await cashier.states(await cashier.pay(view.batch.id)) == {"paid": 4}


async def test_a_payout_that_was_sent_weeks_after_its_planning_is_asked_about(office: Office, cashier: Cashier) -> None:
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    view = await cashier.planned()
    office.clock.advance(days=26)
    unsaid: list[RailAnswer | Exception] = [RailAnswer("unknown"), RailAnswer("unknown"), RailAnswer("paid")]
    cashier.rail.answers = {await cashier.payee("P1", openid="o-P1", real_name="P1"): unsaid}
    await cashier.reserved(view.batch.id)
    view = await cashier.pay(view.batch.id)
    assert await cashier.states(view) == {"paid": 1, "unknown": 1}
    for _ in range(2):
        office.clock.advance(hours=1)
        view = await cashier.pay(view.batch.id)
    assert await cashier.states(view) == {"paid": 2}


class SharingRail(FakeRail):
    """One that can be asked for ever, and says itself when something has failed."""

    certain_after_s: float | None = None
    forgets = False


async def test_what_is_shared_half_is_asked_about_for_ever_ever_slower_and_stands_as_a_break(
    office: Office, cashier: Cashier
) -> None:
    await connect_merchant(office.database, profit_sharing=True, slug="sharing", mch_id="1900000009")
    payee = await cashier.payee("P1", merchant_receiver="o-P1", real_name="名P1")
    half = RailAnswer("accepted", rail_number="S1", retry_after_s=1)
    rail = SharingRail({payee: [half]})
    cashier.paying = Paying(office.database, {"profit-sharing": rail})
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    await pay_order(office.database, "wechat_pay/sharing", "E1", 30_000)
    view = await cashier.planned(PayoutWish(scheme="promoters", rails=["profit-sharing"]))
    await cashier.reserved(view.batch.id)
    await cashier.pay(view.batch.id)
    for _ in range(26):
        office.clock.advance(days=1)
        view = await cashier.pay(view.batch.id)
    assert await cashier.states(view) == {"accepted": 1}
    (one,) = await breaks(office)
    number = (await cashier.service.payouts(QIAN, view.batch.id, PageRequest())).items[0].payout.number
    assert (one.kind, one.family, one.account, one.number) == ("overdue", "transfer", "wechat_pay/sharing", number)
    assert (one.our_minor, one.their_minor) == (-1_537, 0)
    asked = rail.asked.total()
    for _ in range(24):
        office.clock.advance(hours=1)
        await cashier.pay(view.batch.id)
    assert rail.asked.total() - asked in (3, 4), "every six hours, not every second"
    assert len(await breaks(office)) == 1
    rail.answers = {payee: [RailAnswer("failed", rail_number="S1")]}
    office.clock.advance(hours=7)
    assert await cashier.states(await cashier.pay(view.batch.id)) == {"failed": 1}
    assert await breaks(office) == []


async def test_a_transfer_whose_end_nobody_tells_stands_as_a_break_until_a_bill_does(
    office: Office, cashier: Cashier
) -> None:
    words: dict[str, Literal["paid", "absent"]] = {}

    async def bills(number: str) -> Literal["paid", "absent"] | None:
        return words.get(number)

    payee = await cashier.payee("P1", openid="o-P1", real_name="名P1")
    cashier.rail.answers = {payee: [RailAnswer("unknown")]}
    cashier.paying = Paying(office.database, {"wechat-pay": cashier.rail}, bills)
    await office.told(an_order(channel="P1"))
    await cashier.settled()
    view = await cashier.paid()
    assert await breaks(office) == []
    office.clock.advance(days=26)
    await cashier.pay(view.batch.id)
    (one,) = await breaks(office)
    assert (one.kind, one.number is not None, one.difference_minor) == ("overdue", True, 1_537)
    words[one.number or ""] = "absent"
    office.clock.advance(days=2)
    assert await cashier.states(await cashier.pay(view.batch.id)) == {"failed": 1, "paid": 1}
    assert await breaks(office) == []


async def test_wechat_pay_pays_yuan_and_no_more_than_it_takes(office: Office, till: Till) -> None:
    await connect_merchant(office.database)
    rail = till.rails["wechat-pay"]
    payer = Payer(account="wechat_pay/main", mch_id="1900000001")
    for currency, amount, why in (("USD", 10_000, "currency"), ("CNY", 1_000_000_001, "above-maximum")):
        details = PayoutDetails(openid="o", real_name="名")
        order = PayoutOrder(1, "P" * 32, 1, amount, currency, details, "x", payer, None)
        assert await rail.pay(order, resumed=False) == RailAnswer("failed", reason=why, unsent=True)
        assert await rail.pay(order, resumed=True) == RailAnswer("failed", reason=why, refused=True)
    assert not till.merchants.taken
