"""On which days payouts are made: what a rail takes in a day holds for all batches of a merchant, however late."""

from datetime import UTC, date, datetime, timedelta

import pytest

from domain.settlement.payouts import RailQuota
from services.connections import Connections
from services.payouts import BatchView, PayoutWish
from services.wechat_pay_rail import WechatPayRail
from simulator.platforms.wechat_pay.transfers import DayLimit
from storage.paging import PageRequest
from tests.connectors.harness import outside
from tests.services.cashier import Cashier, cashier
from tests.services.merchants import connect_merchant, quota_exceeded
from tests.services.test_calculations import MAY, SCHEME, Office, office
from tests.services.test_payers import Till, till
from tests.services.test_payout_flow import connect
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import QIAN, WU

__all__ = ["cashier", "office", "till"]
THREE_A_DAY = PayoutWish(scheme="promoters", quotas={"wechat-pay": RailQuota(payouts=3)})


def days(view: BatchView, start: date) -> list[tuple[int, int]]:
    """How many days after the start how many payouts are made."""
    return [((each.day - start).days, each.payouts) for each in view.calendar]


async def test_batches_of_one_merchant_share_what_it_may_pay_in_a_day(office: Office, cashier: Cashier) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    await cashier.settled()
    first = await cashier.planned(THREE_A_DAY)
    start = first.batch.day
    await cashier.reserved(first.batch.id)
    assert await cashier.states(await cashier.pay(first.batch.id)) == {"paid": 3, "reserved": 1}
    await office.told(*(an_order(f"N{number}", channel=f"P{number}") for number in (1, 2)))
    await cashier.settled()
    second = await cashier.planned(THREE_A_DAY)
    assert days(second, start) == [(1, 2), (2, 2)], "today is full, and of tomorrow one is taken"
    await cashier.reserved(second.batch.id)
    paid = []
    for _ in range(3):
        states = [await cashier.states(await cashier.pay(view.batch.id)) for view in (first, second)]
        paid.append(sum(each.get("paid", 0) for each in states))
        office.clock.advance(days=1)
    assert paid == [3, 6, 8]


async def test_what_another_merchant_pays_does_not_count(office: Office, cashier: Cashier) -> None:
    await connect_merchant(office.database, "other", "1900000002")
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    await cashier.settled()
    for slug in ("main", "other"):
        wish = PayoutWish(scheme="promoters", quotas=THREE_A_DAY.quotas, accounts={"wechat-pay": slug})
        view = await cashier.planned(wish)
        assert days(view, view.batch.day) == [(0, 3), (1, 1)]
        await cashier.reserved(view.batch.id)
        await office.told(an_order(f"{slug}1", channel="P1"), an_order(f"{slug}2", channel="P2"))
        await cashier.settled()


async def test_a_batch_that_is_approved_late_begins_on_that_day(office: Office, cashier: Cashier) -> None:
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    await cashier.settled()
    planned = await cashier.planned(THREE_A_DAY)
    office.clock.advance(days=3)
    start = planned.batch.day + timedelta(days=3)
    assert days(await cashier.service.show(QIAN, planned.batch.id), start) == [(0, 3), (1, 1)], "no day is over"
    await cashier.reserved(planned.batch.id)
    view = await cashier.pay(planned.batch.id)
    assert await cashier.states(view) == {"paid": 3, "reserved": 1}
    assert days(view, start) == [(0, 3), (1, 1)]
    office.clock.advance(days=1)
    assert await cashier.states(await cashier.pay(planned.batch.id)) == {"paid": 4}


async def test_days_on_which_nobody_paid_are_not_made_up_for_at_once(office: Office, cashier: Cashier) -> None:
    await office.told(*(an_order(f"E{number}", channel=f"P{number}") for number in (1, 2, 3, 4)))
    for code in ("P3", "P4"):
        await cashier.payee(code, openid=f"o-{code}", real_name=code)
    await cashier.settled()
    view = await cashier.planned(PayoutWish(scheme="promoters", quotas={"wechat-pay": RailQuota(payouts=2)}))
    await cashier.reserved(view.batch.id)
    office.clock.advance(days=5)
    for paid in (2, 4, 6):
        view = await cashier.pay(view.batch.id)
        assert (await cashier.states(view))["paid"] == paid
        office.clock.advance(days=1)


async def test_when_the_platform_takes_no_more_today_the_number_is_tried_tomorrow(office: Office, till: Till) -> None:
    await connect_merchant(office.database, "a", "1001")
    till.merchants.refuses = [quota_exceeded()]
    view = await till.paid()
    assert await till.states(view) == {"reserved": 1}
    (payout,) = [each.payout for each in (await till.service.payouts(QIAN, view.batch.id, PageRequest())).items]
    assert (payout.put_off, payout.pay_on) == (1, view.batch.day + timedelta(days=1))
    assert "limit" in (payout.reason or "")
    assert days(view, view.batch.day) == [(1, 1)]
    asked = till.merchants.asked.total()
    assert await till.states(await till.later(view, hours=1)) == {"reserved": 1}
    assert till.merchants.asked.total() == asked, "not before tomorrow"
    assert await till.states(await till.later(view, days=1)) == {"paid": 1}
    assert list(till.merchants.taken) == [("1001", payout.number)]


async def test_the_platforms_own_word_for_its_days_limit_is_understood(office: Office) -> None:
    async with outside() as world:
        await connect(office, world, "wechat_pay", "main")
        limits = world.sim.app.state.world.shelf("wechat_pay_day_limit", DayLimit)
        limits.put(DayLimit(id="demo-wechat-pay", amount_minor=1))
        office.clock.now = max(office.clock.now, datetime.now(UTC))
        cashier = Cashier(office, {"wechat-pay": WechatPayRail(Connections(office.database), world.link)})
        await cashier.payee("P1", openid="o-P1", real_name="林晓")
        await office.told(an_order(channel="P1"))
        await cashier.settled()
        view = await cashier.paid()
        (payout,) = [each.payout for each in (await cashier.service.payouts(QIAN, view.batch.id, PageRequest())).items]
        assert (payout.state, payout.put_off) == ("reserved", 1)
        limits.put(DayLimit(id="demo-wechat-pay", amount_minor=1_000_000))
        office.clock.advance(days=1)
        assert await cashier.states(await cashier.pay(view.batch.id)) == {"awaiting_user": 1}


async def test_what_is_put_off_from_day_to_day_fails_in_the_end(office: Office, till: Till) -> None:
    await connect_merchant(office.database, "a", "1001")
    till.merchants.refuses = [quota_exceeded()] * 100
    view = await till.later(await till.paid(), 13, days=1)
    assert await till.states(view) == {"reserved": 1}
    view = await till.later(await till.later(view, 2, days=1), 2, minutes=9)
    assert await till.states(view) == {"failed": 1}
    assert (await till.accounts())["payable"]["P1"] == 1_537


@pytest.mark.parametrize("approve", [True, False])
async def test_a_plan_takes_its_days_until_it_is_refused(office: Office, cashier: Cashier, approve: bool) -> None:
    """Also of another scheme."""
    await office.scheme("1.0.0", text=SCHEME.replace("name: promoters", "name: others"))
    await office.told(an_order(channel="P1"), an_order("E2", channel="P2"))
    await cashier.settled()
    view = await cashier.planned(THREE_A_DAY)
    await cashier.service.decide(WU, view.batch.id, approve=approve)
    await settled_by(cashier, "others")
    other = await cashier.planned(PayoutWish(scheme="others", quotas=THREE_A_DAY.quotas))
    assert days(other, view.batch.day) == ([(1, 2), (2, 2)] if approve else [(0, 3), (1, 1)])


async def settled_by(cashier: Cashier, scheme: str) -> None:
    """As `Books.settled`, by another scheme."""
    run = (await cashier.runs.ask(QIAN, scheme, MAY)).run.id
    for each in (await cashier.runs.show(QIAN, run)).calculations:
        await cashier.office.steps.run(each.id)
    await cashier.runs.computed(run)
    await cashier.runs.decide(WU, run, approve=True)
    await cashier.book(run)
