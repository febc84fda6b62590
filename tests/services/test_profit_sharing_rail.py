"""Payouts by profit sharing: exact to the fen, whatever the platform does, however often workers repeat it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from random import Random
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from domain.access import Scope
from domain.settlement.payees import PayoutDetails
from domain.settlement.payouts import Payer
from domain.settlement.profit_sharing import CERTAIN_AFTER
from services.calculations import CalculationSteps
from services.paying import Paying
from services.payout_rails import RailAnswer
from services.payouts import PayoutService
from services.shareable_sums import ShareableSums
from simulator import trade
from simulator.platforms.wechat_pay.sharing import SharedPayment
from storage.accounts import Accounts
from storage.engine import Database
from storage.ledger import Ledger
from storage.payout_batches import PayoutBatchRow
from storage.payout_shares import PayoutShares
from storage.payouts import Payouts
from storage.shareable_payments import ShareablePayments
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.connectors.harness import Outside, outside
from tests.services.sharing import MERCHANT, Till
from tests.services.test_selling import an_order
from tests.services.test_settlement_runs import QIAN

ORDERS = {"platform": "wechat_pay", "api": "profitsharing/orders"}
RECEIVERS = {"platform": "wechat_pay", "api": "profitsharing/receivers/add"}


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Outside]:
    async with outside() as world:
        yield world


@pytest.fixture
async def till(database: Database, clock: SteppedClock, running: Outside) -> Till:
    await running.be_new()
    found = Till(database, clock, running)
    await found.open()
    return found


def most_of(amounts: list[int]) -> int:
    return sum(amount * 30 // 100 for amount in amounts)


def trouble(till: Till, transaction: str, reason: str) -> None:
    """Whatever is to come out of a payment is closed for this reason."""
    world = till.world.sim.app.state.world
    payments = world.shelf("wechat_pay_shared_payment", object)
    number = f"demo-wechat-pay/{transaction}"
    row = payments.get(number)
    if row is None:
        row = SharedPayment(id=number)
    payments.put(row.replaced(trouble=reason))


async def test_a_payout_comes_out_of_the_payments_of_the_payees_own_orders(till: Till) -> None:
    amounts = await till.sell(3)
    await till.sell(2, payee="P2")
    await till.billed()
    order = await till.owe(most_of(amounts) - 7)
    assert (await till.rail.pay(order, resumed=False)).state == "accepted"
    answer = await till.finish(order)
    assert (answer.state, answer.paid_minor) == ("paid", 0)
    assert await till.arrived() == order.amount_minor
    assert sum(each.row.amount_minor for each in await till.shares(order)) == order.amount_minor
    assert [shared for _, _, shared, _ in await till.payments()][3:] == [0, 0], "those are another payee's"
    async with UnitOfWork(till.database) as work:
        assert await ShareablePayments(work).available(MERCHANT, [order.payee], 30) == {order.payee: 7}
    await till.move(order, "paid")


async def test_a_plan_reads_the_bills_and_leaves_what_other_payouts_are_to_get(till: Till) -> None:
    amounts = await till.sell(3)
    await till.pass_time(days=2)
    sums, there = ShareableSums(till.bills), most_of(amounts)

    async def found(payee: int, batch: UUID, *, days: int = 0) -> int:
        day = till.clock().date() + timedelta(days=days)
        async with UnitOfWork(till.database) as work:
            return (await sums.of(work, till.payer, [payee], day, batch))[payee]

    order = await till.owe(100)
    async with UnitOfWork(till.database) as work:
        own = (await work.session.scalars(select(col(PayoutBatchRow.id)))).one()
    other = uuid4()
    assert await found(order.payee, other) == 0, "nothing was read yet"
    await sums.freshen()
    assert await found(order.payee, own) == there, "it does not stand in its own way"
    assert await found(order.payee, other) == there - 100
    await till.rail.pay(order, resumed=False)
    assert await found(order.payee, other) == there - 100, "what is cut counts once"
    assert await found(order.payee, other, days=28) == 0, "on that day it is too late for these"
    async with UnitOfWork(till.database) as work:
        await Accounts(work).change(MERCHANT, None, {"profit_sharing": False}, Scope.everything())
    assert await found(order.payee, own) == 0


async def test_less_than_all_of_it_is_not_begun(till: Till) -> None:
    amounts = await till.sell(2)
    order = await till.owe(most_of(amounts) + 1)
    early = await till.rail.pay(order, resumed=False)
    assert (early.state, early.reason) == ("failed", "nothing-to-share"), "no bill was read yet"
    await till.billed()
    assert await till.rail.pay(order, resumed=True) == early, "what was given up stays so"
    other = await till.owe(most_of(amounts) + 1)
    assert await till.finish(other) == RailAnswer("failed", reason="nothing-to-share")
    assert await till.world.effects(kind="share") == 0


@pytest.mark.parametrize("fault", ["timeout_after", "timeout_before", "5xx", "busy", "quota", "429"])
async def test_a_fault_shares_nothing_twice(till: Till, fault: str) -> None:
    amounts = await till.sell(3)
    await till.billed()
    order = await till.owe(most_of(amounts))
    await till.world.break_things({"match": ORDERS, "fault": fault, "times": 2, "seconds": 1})
    assert (await till.finish(order)).state == "paid"
    assert await till.arrived() == order.amount_minor
    assert await till.world.effects(kind="share") == 3
    assert [requests for *_, requests in await till.payments()] == [1, 1, 1], "the numbers stayed"


async def test_what_is_closed_comes_out_of_another_payment(till: Till) -> None:
    amounts = await till.sell(3)
    await till.billed()
    order = await till.owe(most_of(amounts[:2]))
    await till.rail.pay(order, resumed=False)
    first = (await till.shares(order))[0]
    trouble(till, first.transaction_id, "NO_RELATION")
    assert (await till.finish(order)).state == "paid"
    assert await till.arrived() == order.amount_minor
    assert [each.row.state for each in await till.shares(order)] == ["failed", "shared", "shared"]
    assert [(shared, requests) for _, _, shared, requests in await till.payments()] == [
        (0, 1),
        (first.row.amount_minor, 1),
        (first.row.amount_minor, 1),
    ]


async def test_what_was_shared_of_a_payout_that_failed_is_told_to_the_fen(till: Till) -> None:
    amounts = await till.sell(2)
    await till.billed()
    order = await till.owe(most_of(amounts))
    await till.rail.pay(order, resumed=False)
    lost, kept = await till.shares(order)
    trouble(till, lost.transaction_id, "NO_RELATION")
    answer = await till.finish(order)
    assert (answer.state, answer.reason, answer.paid_minor) == ("failed", "NO_RELATION", kept.row.amount_minor)
    assert await till.arrived() == answer.paid_minor
    await till.sell(2)
    await till.billed()
    assert await till.rail.ask(order) == answer, "new payments change nothing: the rest was given back"
    assert await till.rail.pay(order, resumed=True) == answer
    async with UnitOfWork(till.database) as work:
        assert await PayoutShares(work).shared([order.id]) == {order.id: answer.paid_minor}
    await till.move(order, "failed")
    found = await PayoutService(till.database, CalculationSteps(till.database)).payout(QIAN, order.number)
    assert (found.payout.state, found.paid_minor) == ("failed", answer.paid_minor)


async def test_a_receiver_who_can_get_nothing_is_not_tried_again_and_again(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.profit_sharing_rail.MOST_AT_ONCE", 2)
    amounts = await till.sell(8)
    await till.billed()
    details = PayoutDetails(real_name="注销了的代理", merchant_receiver="1900009999")
    order = await till.owe(most_of(amounts), details=details)
    answer = await till.finish(order)
    assert (answer.state, answer.reason, answer.paid_minor) == ("failed", "ACCOUNT_ABNORMAL", 0)
    assert await till.world.effects(kind="share") < 8, "what was not on its way was not sent any more"
    assert await till.states(order) == {"failed": 8}
    assert {shared for _, _, shared, _ in await till.payments()} == {0}, "all of it can be shared with others"


async def test_a_refusal_counts_once_no_request_can_be_on_its_way(till: Till) -> None:
    amounts = await till.sell(2)
    await till.billed()
    payment = till.world.sim.app.state.world.shelf("wechat_pay_shared_payment", object)
    await till.rail.pay(await till.owe(1), resumed=False)
    (row,) = list(payment)
    payment.put(row.replaced(percent=1))
    order = await till.owe(amounts[0] * 30 // 100 - 1)
    answer = await till.rail.pay(order, resumed=False)
    assert (answer.state, await till.states(order)) == ("accepted", {"refused": 1})
    assert answer.retry_after_s == CERTAIN_AFTER.total_seconds()
    assert (await till.rail.ask(order)).state == "accepted", "too early to know"
    assert (await till.states(order)) == {"refused": 1}
    assert ((await till.finish(order)).state, await till.states(order)) == ("paid", {"failed": 1, "shared": 1})
    async with UnitOfWork(till.database) as work:
        left = await ShareablePayments(work).of_payee(MERCHANT, order.payee, 30)
    assert row.id.rpartition("/")[2] not in {each.transaction_id for each in left.values()}, "barred for everybody"


async def test_a_merchant_that_may_not_leaves_the_payout_where_it_is(till: Till) -> None:
    amounts = await till.sell(1)
    await till.billed()
    order = await till.owe(most_of(amounts))
    await till.world.break_things({"match": RECEIVERS, "fault": "forbidden"})
    answer = await till.rail.pay(order, resumed=False)
    assert (answer.state, answer.reason, answer.retry_after_s) == ("reserved", "NO_AUTH", 600.0)
    await till.world.break_things()
    assert (await till.finish(order)).state == "paid"
    assert [requests for *_, requests in await till.payments()] == [1], "its number stayed"


async def test_only_the_merchant_that_was_chosen_shares_and_goes_on(till: Till) -> None:
    amounts = await till.sell(2)
    await till.billed()
    order = await till.owe(most_of(amounts))
    another = replace(order, payer=Payer(account=MERCHANT, mch_id="1999999999"))
    answer = await till.rail.pay(another, resumed=False)
    assert (answer.state, answer.unsent, answer.retry_after_s) == ("reserved", True, 600.0)
    assert "1999999999" in (answer.reason or "")
    assert (await till.rail.pay(replace(order, payer=None), resumed=False)).state == "reserved"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.profit_sharing_rail.MOST_AT_ONCE", 1)
        assert (await till.rail.pay(order, resumed=False)).state == "accepted"
    assert (await till.rail.ask(another)).state == "accepted", "what was begun stands as it is"
    assert await till.world.effects(kind="share") == 1
    assert (await till.finish(order)).state == "paid"


async def test_a_name_that_cannot_be_sealed_ends_the_payout(till: Till) -> None:
    amounts = await till.sell(1)
    await till.billed()
    order = await till.owe(
        most_of(amounts), details=PayoutDetails(real_name="名" * 100, merchant_receiver="1900000110")
    )
    answer = await till.finish(order)
    assert (answer.state, answer.reason) == ("failed", "validation")
    assert await till.world.effects(kind="share") == 0


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        (PayoutDetails(real_name="名"), "no-account"),
        (PayoutDetails(merchant_receiver="1900000110"), "no-real-name"),
    ],
)
async def test_a_payee_who_cannot_be_paid_so_is_told_why(till: Till, details: PayoutDetails, reason: str) -> None:
    order = await till.owe(100, details=details)
    assert await till.rail.pay(order, resumed=False) == RailAnswer("failed", reason=reason)


async def test_what_was_begun_is_ended_although_the_merchant_shares_no_more(till: Till) -> None:
    amounts = await till.sell(2)
    await till.billed()
    order = await till.owe(most_of(amounts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.profit_sharing_rail.MOST_AT_ONCE", 1)
        assert (await till.rail.pay(order, resumed=False)).state == "accepted"
    answer = await till.finish(replace(order, details=PayoutDetails(real_name="名")))
    half = amounts[0] * 30 // 100
    assert (answer.state, answer.reason, answer.paid_minor) == ("failed", "no-account", half)
    assert await till.arrived() == half


@pytest.mark.parametrize("sent", [0, 1])
async def test_what_is_withheld_is_not_shared_any_further(till: Till, sent: int) -> None:
    amounts = await till.sell(2)
    await till.billed()
    order = await till.owe(most_of(amounts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.profit_sharing_rail.MOST_AT_ONCE", sent)
        begun = await till.rail.pay(order, resumed=False)
    assert (begun.state, begun.unsent) == (("accepted", False) if sent else ("reserved", True))
    answer = await till.finish(replace(order, withheld="account-changed"))
    half = amounts[0] * 30 // 100 * sent
    assert (answer.state, answer.reason, answer.paid_minor) == ("failed", "account-changed", half)
    assert (await till.world.effects(kind="share"), await till.arrived()) == (sent, half)


async def test_asking_about_what_was_never_begun_begins_nothing(till: Till) -> None:
    amounts = await till.sell(1)
    await till.billed()
    order = await till.owe(most_of(amounts))
    assert await till.rail.ask(order) == RailAnswer("reserved")
    assert await till.shares(order) == []


async def test_two_payouts_share_what_there_is(till: Till) -> None:
    amounts = await till.sell(4)
    await till.billed()
    most = most_of(amounts)
    orders = [await till.owe(most // 2), await till.owe(most // 2), await till.owe(most // 2)]
    await asyncio.gather(*(till.rail.pay(order, resumed=False) for order in orders))
    answers = [await till.finish(order) for order in orders]
    assert sorted(answer.state for answer in answers) == ["failed", "paid", "paid"]
    assert await till.arrived() == 2 * (most // 2)


async def test_a_bill_is_read_once_and_its_refunds_with_it(till: Till) -> None:
    order = await till.placed()
    await till.tell(order)
    (amount,) = await till.sell(1)
    world = till.world.sim.app.state.world
    refund = trade.request_refund(world, order, amount_minor=1_000, returns_goods=False)
    trade.pay_back(world, refund, refund.version)
    await till.billed()
    before = await till.payments()
    assert sorted(before, reverse=True) == [(amount, 1_000, 0, 0), (amount, 0, 0, 0)]
    again = await till.read_bills()
    assert (again.bills, again.payments, await till.payments()) == (0, 0, before)
    most = amount * 30 // 100 + (amount - 1_000) * 30 // 100
    assert (await till.rail.pay(await till.owe(most + 1), resumed=False)).state == "failed"
    assert (await till.finish(await till.owe(most))).state == "paid"
    await till.pass_time(days=61)
    await till.read_bills()
    assert len(await till.payments()) == 2, "they were shared"


async def test_payments_that_nobody_shared_are_forgotten(till: Till) -> None:
    await till.sell(1)
    await till.billed()
    await till.pass_time(days=61)
    await till.read_bills()
    assert await till.payments() == []


async def test_a_payment_whose_order_comes_late_is_found_then(till: Till) -> None:
    order = await till.placed()
    await till.billed()
    assert (await till.rail.pay(await till.owe(1), resumed=False)).state == "failed"
    await till.tell(order)
    assert (await till.read_bills()).matched == 1
    assert (await till.finish(await till.owe(1))).state == "paid"


async def test_a_number_that_two_shops_have_is_nobodys_unless_the_merchant_says_which(till: Till) -> None:
    order = await till.placed()
    await till.tell(order)
    at = order.paid_at
    assert at is not None
    await till.counter.told(an_order(order.id, created_at=at, paid_at=at, occurred_at=at), at=at)
    await till.billed()
    assert await till.payments() == []
    async with UnitOfWork(till.database) as work:
        assert await ShareablePayments(work).match(MERCHANT, ["wechat_store/main"]) == 1


@pytest.mark.parametrize("loses", [False, True])
async def test_the_books_say_what_arrived_and_what_went_back(till: Till, loses: bool) -> None:
    amounts = await till.sell(2)
    await till.billed()
    order = await till.owe(most_of(amounts))
    if loses:
        trouble(till, (await transactions(till))[0], "NO_RELATION")
    paying = Paying(till.database, {"profit-sharing": till.rail})
    async with UnitOfWork(till.database) as work:
        row = await Payouts(work).find(order.number)
        assert row is not None
        batch = row.batch
    for _ in range(20):
        left = await paying.pay_chunk(batch, order.id, order.id)
        if not left.open:
            break
        await till.pass_time(seconds=left.wait_s)
    async with UnitOfWork(till.database) as work:
        row = await Payouts(work).find(order.number)
        balances = {each.kind: each.balance_minor for each in await Ledger(work).balances()}
    assert row is not None
    arrived = await till.arrived()
    back = {"payable": order.amount_minor - arrived} if loses else {}
    assert row.state == ("failed" if loses else "paid")
    assert arrived == order.amount_minor // (2 if loses else 1)
    assert balances == {"profit-sharing": arrived, **back, "paying": -order.amount_minor}


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_goes_wrong_the_sums_are_the_outside_worlds(till: Till, seed: int) -> None:
    amounts = await till.sell(6)
    await till.billed()
    each = most_of(amounts) // 4
    orders = [await till.owe(each + number) for number in range(3)]
    pick = Random(seed)
    faults = ["timeout_after", "timeout_before", "5xx", "busy", "quota", "429"]
    await till.world.break_things(
        *(
            {"match": {**ORDERS, "api": "profitsharing/*"}, "fault": fault, "probability": 0.1, "seconds": 1}
            for fault in pick.sample(faults, 4)
        )
    )
    trouble(till, pick.choice(await transactions(till)), "NO_RELATION")
    await asyncio.gather(*(till.rail.pay(order, resumed=False) for order in orders for _ in range(2)))
    answers = [await till.finish(order) for order in orders]
    assert {answer.state for answer in answers} <= {"paid", "failed"}
    got = [
        order.amount_minor if answer.state == "paid" else answer.paid_minor
        for order, answer in zip(orders, answers, strict=True)
    ]
    assert sum(got) == await till.arrived() == sum(shared for _, _, shared, _ in await till.payments())
    for order, answer in zip(orders, answers, strict=True):
        await till.move(order, answer.state)


async def transactions(till: Till) -> list[str]:
    """The payments of orders that are here."""
    async with UnitOfWork(till.database) as work:
        statement = text("SELECT transaction_id FROM shareable_payments WHERE order_id IS NOT NULL ORDER BY paid_at")
        return list((await work.session.scalars(statement)).all())
