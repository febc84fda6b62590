"""Days that nobody has reconciled: listed, caught up with where the platform makes bills, told to finance."""

from datetime import timedelta

import pytest

from domain.access import Role, Scope
from domain.problems import NotFoundProblem
from domain.settlement.bills import day_of
from services.bill_terms import BillTerms
from storage.events import Events
from storage.reconciliations import Reconciliations
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.reconciling import (
    DAY,
    NOON,
    PAY,
    POS,
    QIAN,
    STORE,
    Desk,
    an_order,
    desk,
    moved,
    simulator,
    told,
)
from tests.services.test_reconciled_payouts import a_payout

__all__ = ["desk", "simulator"]


async def test_a_day_whose_file_was_forgotten_is_listed_until_it_is_reconciled(desk: Desk) -> None:
    assert await desk.unreconciled.days(QIAN, POS) == [], "nobody ever reconciled this shop"
    await desk.write(an_order("E1", 100, NOON), an_order("E2", 100, NOON + timedelta(days=1)))
    await desk.file(DAY, told("E1", "1.00"))
    await desk.take(DAY + timedelta(days=2), told("X", "0.00", day=DAY + timedelta(days=2)))
    found = await desk.unreconciled.days(QIAN, POS)
    assert [(each.day - DAY, each.why, each.missing) for each in found[:3]] == [
        (timedelta(days=1), "no-bill", ["trade"]),
        (timedelta(days=2), "not-reconciled", ()),
        (timedelta(days=3), "no-bill", ["trade"]),
    ]
    assert found[-1].day == day_of(desk.clock()) - timedelta(days=1)
    await desk.file(DAY + timedelta(days=1), told("E2", "1.00", day=DAY + timedelta(days=1)))
    assert (await desk.unreconciled.days(QIAN, POS))[0].day == DAY + timedelta(days=2)
    elsewhere = an_actor("ma", Role.FINANCE, scope=Scope.of_accounts(STORE))
    assert await desk.unreconciled.days(elsewhere) == []
    with pytest.raises(NotFoundProblem):
        await desk.unreconciled.days(elsewhere, POS)


async def test_a_merchants_day_that_is_too_old_to_be_fetched_is_listed(desk: Desk) -> None:
    await desk.change("UPDATE accounts SET created_at = created_at - interval '40 days' WHERE id = :id", id=PAY)
    aged = {each.age: each.days for each in await desk.unreconciled.aged(QIAN) if each.account == PAY}
    assert sum(aged.values()) == 40
    assert aged[">30"] >= 9
    assert day_of(desk.clock()) - (await desk.unreconciled.due(PAY))[0] == timedelta(days=14)


async def test_a_day_with_one_bill_of_two_is_fetched_again(desk: Desk) -> None:
    await desk.change("UPDATE accounts SET created_at = created_at - interval '3 days'")
    day = (await desk.unreconciled.due(PAY))[0]
    await desk.billed(day, "trade")
    found = await desk.reconciliation.reconcile(QIAN, PAY, day)
    assert found.not_compared == ["transfer", "share"], "its bill is not there"
    assert (await desk.unreconciled.due(PAY))[0] == day
    assert (await desk.unreconciled.days(QIAN, PAY))[0].missing == ["funds"]
    await desk.billed(day, "funds")
    assert (await desk.unreconciled.due(PAY))[0] == day, "it is not compared yet"
    assert (await desk.reconciliation.reconcile(QIAN, PAY, day)).not_compared == []
    assert day not in await desk.unreconciled.due(PAY)


async def test_a_payout_that_the_bill_has_and_that_fails_later_is_looked_at_again(desk: Desk) -> None:
    await a_payout(desk, "POPEN", "accepted", NOON, 1_000)
    await desk.billed(DAY, "trade")
    await desk.billed(DAY, "funds", moved(2, "POPEN", 1_000))
    assert (await desk.reconciliation.reconcile(QIAN, PAY, DAY)).breaks == 0
    await desk.change("UPDATE payouts SET state = 'failed', ended_at = :at", at=desk.clock())
    assert (await desk.unreconciled.due(PAY))[0] == DAY
    assert [each.why for each in await desk.unreconciled.days(QIAN, PAY) if each.day == DAY] == ["ended-otherwise"]
    async with UnitOfWork(desk.database) as work:
        own, later = Reconciliations(work).known(PAY, DAY, DAY), DAY + timedelta(days=1)
        assert (await own).ended_otherwise == [DAY]
        assert (await Reconciliations(work).known(PAY, later, later)).ended_otherwise == [], "no other day is looked at"
    await desk.reconciliation.reconcile(QIAN, PAY, DAY)
    assert await desk.kinds() == [("transfer", "state", "POPEN", -1_000)], "the bill says paid, and it is paid again"
    assert DAY not in await desk.unreconciled.due(PAY)


async def test_a_transfer_that_lapsed_and_failed_is_no_difference(desk: Desk) -> None:
    await a_payout(desk, "PLAPSED", "accepted", NOON, 1_000)
    next_day = DAY + timedelta(days=1)
    await desk.billed(DAY, "funds", moved(2, "PLAPSED", 1_000))
    await desk.reconciliation.reconcile(QIAN, PAY, DAY)
    await desk.billed(next_day, "funds", moved(2, "PLAPSED", 1_000, "in", next_day))
    await desk.reconciliation.reconcile(QIAN, PAY, next_day)
    assert await desk.kinds() == [("transfer", "duplicate", "PLAPSED", 1_000)]
    await desk.change("UPDATE payouts SET state = 'failed', ended_at = :at", at=desk.clock())
    for day in await desk.unreconciled.due(PAY):
        if day <= next_day:
            await desk.reconciliation.reconcile(QIAN, PAY, day)
    assert await desk.kinds() == [], "nothing moved on balance, as our books say"
    assert DAY not in await desk.unreconciled.due(PAY)


async def test_finance_is_told_once_a_week_of_days_that_are_missing(desk: Desk) -> None:
    await desk.file(DAY, told("E1", "1.00"))
    assert await desk.unreconciled.tell() == 1
    assert await desk.unreconciled.tell() == 0
    desk.clock.advance(days=7)
    assert await desk.unreconciled.tell() == 2, "the merchant's days are missing by now as well"
    async with UnitOfWork(desk.database) as work:
        found = [each.event for each in await Events(work).claim(10, timedelta(minutes=1))]
    (event,) = [each for each in found if each.type == "tandem.bills.missing" and each.source == f"/{PAY}"]
    assert event.data["listed"][0]["missing"] == ["funds", "trade"]


async def test_terms_count_from_their_day_on(desk: Desk) -> None:
    await desk.agree(BillTerms(POS, (POS,)))
    assert await desk.unreconciled.days(QIAN, POS) == [], "today is not over"
    desk.clock.advance(days=2)
    assert len(await desk.unreconciled.days(QIAN, POS)) in (1, 2)
