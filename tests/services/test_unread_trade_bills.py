"""Payouts by profit sharing while bills that tell of payments cannot be had, or make no sense."""

from datetime import date

import pytest

from connectors.reading import CHINA
from simulator.platforms.wechat_pay import bills
from simulator.world import World
from tests.services.sharing import MERCHANT, Till
from tests.services.test_profit_sharing_rail import most_of, running, till

__all__ = ["running", "till"]
TRADE_BILLS = {"platform": "wechat_pay", "api": "bill/tradebill"}


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


async def test_a_bill_that_makes_no_sense_holds_up_only_who_may_be_paid_out_of_it(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    await till.sell(1)
    first = till.clock().astimezone(CHINA).date()
    await till.pass_time(days=1)
    amounts = await till.sell(1)
    await till.pass_time(days=2)
    told = bills.trade_bill

    def shifted(world: World, mch_id: str, app_id: str, day: date) -> str | None:
        found = told(world, mch_id, app_id, day)
        return found.replace("总交易单数", "总单数") if found is not None and day == first else found

    monkeypatch.setattr(bills, "trade_bill", shifted)
    assert set((await till.read_bills()).unread) == {MERCHANT}
    assert (await till.finish(await till.owe(most_of(amounts)))).state == "paid", "there is enough in what was read"
    more = await till.owe(1)
    assert (await till.rail.pay(more, resumed=False)).state == "reserved"
    monkeypatch.undo()
    await till.pass_time(minutes=15)
    assert (await till.finish(more)).state == "paid"
