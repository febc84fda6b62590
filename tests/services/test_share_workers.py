"""Workers that share for one payout: repeated, cut off, dying or late, they share once."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from domain.problems import ProblemError
from services.payout_rails import RailAnswer
from services.share_requests import ShareRequests
from storage.payout_shares import PayoutShares
from storage.unit_of_work import UnitOfWork
from tests.services.sharing import MERCHANT, Till
from tests.services.test_profit_sharing_rail import most_of, running, till

__all__ = ["running", "till"]


async def test_workers_that_repeat_each_other_share_once(till: Till) -> None:
    amounts = await till.sell(5)
    await till.billed()
    order = await till.owe(most_of(amounts))
    answers = await asyncio.gather(*(till.rail.pay(order, resumed=True) for _ in range(4)), return_exceptions=True)
    assert all(isinstance(each, RailAnswer) and each.state in ("unknown", "accepted") for each in answers), answers
    assert (await till.finish(order)).state == "paid"
    assert await till.arrived() == order.amount_minor
    assert await till.world.effects(kind="share") == 5


async def test_a_worker_that_was_cut_off_sends_nothing_once_another_goes_on(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    amounts = await till.sell(2)
    await till.billed()
    order = await till.owe(most_of(amounts))
    go_on, held = ShareRequests.go_on, asyncio.Event()

    async def slowly(self: ShareRequests, share: Any, *, given_up: bool) -> Any:
        await held.wait()
        return await go_on(self, share, given_up=given_up)

    monkeypatch.setattr(ShareRequests, "go_on", slowly)
    cut_off = asyncio.create_task(till.rail.pay(order, resumed=False))
    await asyncio.sleep(0.5)
    monkeypatch.setattr(ShareRequests, "go_on", go_on)
    # Meanwhile somebody else finds that it was not taken, and the payout is taken back.
    async with UnitOfWork(till.database) as work:
        await PayoutShares(work).take_over(order.id, MERCHANT)
    await till.move(order, "cancelled")
    held.set()
    assert (await cut_off).state == "unknown"
    assert await till.world.effects(kind="share") == 0
    await till.read_bills()
    assert await till.states(order) == {"failed": 2}
    assert {shared for _, _, shared, _ in await till.payments()} == {0}


@pytest.mark.parametrize("sent", [False, True])
async def test_a_worker_that_dies_while_it_asks_leaves_nothing_behind(till: Till, sent: bool) -> None:
    amounts = await till.sell(2)
    await till.billed()
    order = await till.owe(most_of(amounts))
    share = ShareRequests.go_on

    class Died(Exception):
        pass

    async def dying(self: ShareRequests, *arguments: Any, **more: Any) -> Any:
        if sent:
            await share(self, *arguments, **more)
            async with UnitOfWork(till.database) as work:
                # As it stood before the answer was noted.
                await work.session.execute(
                    text("UPDATE payout_shares SET state = 'submitting', sharing_id = NULL WHERE state = 'processing'")
                )
        else:
            async with UnitOfWork(till.database) as work:
                await PayoutShares(work).begin(order.id, arguments[0].row.out_order_no, self._hand)
        raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShareRequests, "go_on", dying)
        with pytest.raises(Died):
            await till.rail.pay(order, resumed=False)
    assert await till.states(order) == {"submitting": 1, "planned": 1}
    assert (await till.finish(order)).state == "paid"
    assert (await till.arrived(), await till.world.effects(kind="share")) == (order.amount_minor, 2)


async def test_the_database_ends_no_payout_whose_shares_are_on_their_way(till: Till) -> None:
    amounts = await till.sell(2)
    await till.billed()
    order = await till.owe(most_of(amounts))
    await till.rail.pay(order, resumed=False)
    for state in ("paid", "failed", "cancelled"):
        with pytest.raises((SQLAlchemyError, ProblemError)):
            await till.move(order, state)
    payment = (await till.shares(order))[0].row.payment

    async def share_once_more() -> None:
        async with UnitOfWork(till.database) as work:
            await PayoutShares(work).add(order.id, order.number, 2, {payment: 1})

    with pytest.raises((SQLAlchemyError, ProblemError)):
        await share_once_more()
