"""Payouts by profit sharing while bills that tell of payments cannot be had, or make no sense."""

from datetime import date

import pytest
from sqlalchemy import text

from connectors.reading import CHINA
from simulator import trade
from simulator.platforms.wechat_pay import bills
from simulator.world import World
from storage.unit_of_work import UnitOfWork
from tests.services.sharing import MERCHANT, Till
from tests.services.test_profit_sharing_rail import most_of, running, till

__all__ = ["running", "till"]
TRADE_BILLS = {"platform": "wechat_pay", "api": "bill/tradebill"}


def break_bill(monkeypatch: pytest.MonkeyPatch, broken: date) -> None:
    """Let the bill of a day make no sense."""
    told = bills.trade_bill

    def shifted(world: World, mch_id: str, app_id: str, day: date) -> str | None:
        found = told(world, mch_id, app_id, day)
        return found.replace("总交易单数", "总单数") if found is not None and day == broken else found

    monkeypatch.setattr(bills, "trade_bill", shifted)


async def test_nobody_gives_up_because_a_bill_could_not_be_had(till: Till) -> None:
    amounts = await till.sell(1)
    await till.pass_time(days=2)
    await till.world.break_things({"match": TRADE_BILLS, "fault": "forbidden"})
    order = await till.owe(most_of(amounts))
    for _ in range(2):
        answer = await till.rail.pay(order, resumed=False)
        assert (answer.state, answer.unsent, answer.retry_after_s) == ("reserved", True, 900.0)
    await till.world.break_things()
    await till.pass_time(minutes=15)
    assert (await till.finish(order)).state == "paid"


async def test_a_refund_counts_although_the_bill_of_its_payment_is_read_later(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = till.clock().astimezone(CHINA).date()
    order = await till.placed()
    await till.tell(order)
    await till.pass_time(days=1)
    shops = till.world.sim.app.state.world
    refund = trade.request_refund(shops, order, amount_minor=order.paid_minor, returns_goods=False)
    trade.pay_back(shops, refund, refund.version)
    await till.pass_time(days=2)
    break_bill(monkeypatch, first)
    assert set((await till.read_bills()).unread) == {MERCHANT}
    monkeypatch.undo()
    assert not (await till.read_bills()).unread
    async with UnitOfWork(till.database) as work:
        rows = await work.session.execute(text("SELECT paid_minor, refunded_minor FROM shareable_payments"))
        assert [tuple(each) for each in rows] == [(order.paid_minor, order.paid_minor)]
    assert (await till.rail.pay(await till.owe(1), resumed=False)).state == "failed", "nothing is left to share"


async def test_a_bill_that_makes_no_sense_holds_up_only_who_may_be_paid_out_of_it(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    await till.sell(1)
    first = till.clock().astimezone(CHINA).date()
    await till.pass_time(days=1)
    amounts = await till.sell(1)
    await till.pass_time(days=2)
    break_bill(monkeypatch, first)
    assert set((await till.read_bills()).unread) == {MERCHANT}
    assert (await till.finish(await till.owe(most_of(amounts)))).state == "paid", "there is enough in what was read"
    more = await till.owe(1)
    assert (await till.rail.pay(more, resumed=False)).state == "reserved"
    monkeypatch.undo()
    await till.pass_time(minutes=15)
    assert (await till.finish(more)).state == "paid"
