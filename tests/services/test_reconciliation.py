"""Days reconciled with the simulator's WeChat Pay: clean ones, and every way in which they are not."""

from collections import Counter
from datetime import datetime, timedelta
from hashlib import sha1
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from domain.access import Role
from domain.ids import derived_id
from domain.problems import (
    AuthorizationProblem,
    CommunicationProblem,
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
    ValidationProblem,
)
from domain.settlement.bills import SHANGHAI, day_of
from services.bill_terms import BillTerms
from simulator.platforms import wechat_pay
from simulator.platforms.wechat_pay import bills as simulated
from storage.breaks import BreakFilter, BreakRow
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.reconciling import (
    DAY,
    NOON,
    PAY,
    POS,
    QIAN,
    STORE,
    WU,
    Desk,
    a_refund,
    an_order,
    busiest_day,
    desk,
    moved,
    seed,
    simulator,
    sold_orders,
)

__all__ = ["desk", "simulator"]


async def test_a_clean_day_has_no_break_and_a_second_run_changes_nothing(desk: Desk) -> None:
    await seed(desk)
    day = busiest_day(desk.world)
    first = await desk.day(day)
    assert first.rows >= 2
    assert (first.matched, first.breaks, first.not_compared, first.changed) == (first.rows, 0, [], True)
    assert await desk.open_breaks() == []
    again = await desk.day(day)
    assert (again.digest, again.changed) == (first.digest, False)
    bills = (await desk.bills.list(QIAN, PageRequest())).items
    assert {(each.kind, each.source, each.day) for each in bills} == {
        ("trade", "platform", day),
        ("funds", "platform", day),
    }


async def test_every_kind_of_break_of_a_shop_s_orders(desk: Desk) -> None:
    await seed(desk)
    day = busiest_day(desk.world)
    one, other = [each for each in sold_orders(desk.world) if day_of(each.paid_at) == day][:2]
    at = datetime(day.year, day.month, day.day, 12, tzinfo=SHANGHAI)
    await desk.change("UPDATE orders SET paid_minor = paid_minor - 1 WHERE order_id = :id", id=one.id)
    await desk.change("UPDATE orders SET paid_at = NULL WHERE order_id = :id", id=other.id)
    await desk.write(an_order("LATE", 700, at, STORE), a_refund("R-NONE", "LATE", 300, at, STORE))
    await desk.day(day)
    assert await desk.kinds() == sorted(
        [
            ("payment", "amount", one.id, 1),
            ("payment", "state", other.id, other.paid_minor),
            ("payment", "timing", "LATE", -700),
            ("refund", "timing", "R-NONE", 300),
        ]
    )
    await desk.change("DELETE FROM orders WHERE order_id = :id", id=one.id)
    await desk.reconciliation.reconcile(QIAN, PAY, day)
    assert ("payment", "missing-ours", one.id, one.paid_minor) in await desk.kinds()
    assert ("payment", "amount", one.id, 1) not in await desk.kinds()
    # What is put right is solved by itself.
    await desk.write(an_order(one.id, one.paid_minor, one.paid_at, STORE))
    await desk.change("UPDATE orders SET paid_at = :at WHERE order_id = :id", at=other.paid_at, id=other.id)
    await desk.change("DELETE FROM orders WHERE order_id = 'LATE'")
    await desk.change("DELETE FROM refunds WHERE refund_id = 'R-NONE'")
    assert (await desk.reconciliation.reconcile(QIAN, PAY, day)).breaks == 0
    assert await desk.open_breaks() == []
    solved = (await desk.breaks.list(QIAN, PageRequest(), BreakFilter(state="solved"))).items
    assert {each.solved_by for each in solved} == {None}


async def test_fees_beside_the_agreed_rate_are_breaks(desk: Desk) -> None:
    await seed(desk)
    day = busiest_day(desk.world)
    await desk.agree(BillTerms(PAY, (STORE,), fee_bps=38))
    await desk.day(day)
    assert {(family, kind) for family, kind, _, _ in await desk.kinds()} == {("fee", "amount")}
    await desk.agree(BillTerms(PAY, (STORE,), fee_bps=60))
    assert (await desk.reconciliation.reconcile(QIAN, PAY, day)).breaks == 0
    assert await desk.kinds() == []


async def test_vouchers_of_bills_that_were_taken_before_leave_no_break(desk: Desk) -> None:
    """Such a bill has a line of each voucher, and stays as it was taken."""
    await desk.write(an_order("E1", 10_000, NOON, STORE, discount_minor=0))
    paid = moved(1, "E1", 10_000, "in", kind="payment")._replace(fee_minor=60)
    await desk.billed(DAY, "trade", paid, moved(1, "E1", 300, kind="coupon"))
    opened = BreakRow(
        id=UUID(derived_id("break", PAY, "discount", STORE, "E1")),
        account=PAY,
        day=DAY,
        kind="amount",
        family="discount",
        shop=STORE,
        number="E1",
        lines=[[1, 1, "coupon"]],
        our_minor=0,
        their_minor=300,
        opened_at=desk.clock(),
        changed_at=desk.clock(),
    )
    await desk.write(opened)
    found = await desk.reconciliation.reconcile(QIAN, PAY, DAY)
    assert (found.breaks, "discount" in found.not_compared) == (0, False)
    assert await desk.kinds() == []
    (row,) = (await desk.breaks.list(QIAN, PageRequest(5), BreakFilter(state="solved"))).items
    assert (row.number, row.solved_by) == ("E1", None)
    assert (await desk.reconciliation.reconcile(QIAN, PAY, DAY)).changed is False


async def test_what_nobody_said_is_collected_for_a_shop_is_not_compared(desk: Desk) -> None:
    await desk.change("DELETE FROM bill_terms")
    found = await desk.day(busiest_day(desk.world))
    assert (found.breaks, found.not_compared) == (0, ["payment", "refund"])


async def test_a_shop_is_billed_by_one_account(desk: Desk) -> None:
    with pytest.raises(ConflictProblem, match=PAY):
        await desk.agree(BillTerms(POS, (POS, STORE)))
    with pytest.raises(NotFoundProblem):
        await desk.agree(BillTerms(POS, ("youzan/none",)))


async def test_there_is_no_bill_before_ten_the_next_morning(desk: Desk) -> None:
    today = day_of(desk.clock())
    for day in (today, today + timedelta(days=3)):
        with pytest.raises(ConflictProblem, match="ten"):
            await desk.reader.take_day(PAY, day)
    with pytest.raises(ConflictProblem, match="no bill"):
        await desk.reconciliation.reconcile(QIAN, PAY, today - timedelta(days=9))
    with pytest.raises(NotFoundProblem, match="file"):
        await desk.reader.take_day(STORE, today - timedelta(days=9))


async def test_days_that_were_missed_are_due_within_bounds(desk: Desk) -> None:
    assert await desk.unreconciled.due(PAY) == [], "connected today"
    await desk.change("UPDATE accounts SET created_at = created_at - interval '40 days'")
    today = day_of(desk.clock())
    due = await desk.unreconciled.due(PAY)
    assert due == [today - timedelta(days=14 - number) for number in range(7)]
    await desk.day(due[0])
    assert (await desk.unreconciled.due(PAY))[0] == due[1]


async def test_a_bill_that_the_platform_got_wrong_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    day = busiest_day(desk.world)
    written = simulated.trade_bill

    def shifted(*arguments: Any) -> str | None:
        bill = written(*arguments)
        return bill.replace("`CNY,", "", 1) if bill else None

    def foreign(*arguments: Any) -> str | None:
        bill = written(*arguments)
        return bill.replace("`CNY", "`USD") if bill else None

    def wrong_digest(content: bytes, **more: Any) -> Any:
        return sha1(content + b" ", **more)

    for place, change, said in (
        (simulated, shifted, "row 2 is too short: there is nothing under 费率备注"),
        (simulated, foreign, "Row 2 of the bill, “货币种类”"),
        (wechat_pay, wrong_digest, "digest"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, "sha1" if place is wechat_pay else "trade_bill", change)
            with pytest.raises((CommunicationProblem, ValidationProblem), match=said):
                await desk.reader.take_day(PAY, day)
        assert (await desk.bills.list(QIAN, PageRequest())).items == []


async def test_breaks_of_what_is_not_compared_any_more_stay(desk: Desk) -> None:
    await seed(desk)
    day = busiest_day(desk.world)
    one = next(each for each in sold_orders(desk.world) if day_of(each.paid_at) == day)
    await desk.change("UPDATE orders SET paid_minor = paid_minor - 1 WHERE order_id = :id", id=one.id)
    await desk.agree(BillTerms(PAY, (STORE,), fee_bps=38))
    await desk.day(day)
    before = await desk.kinds()
    assert {family for family, *_ in before} == {"payment", "fee"}
    for terms in (BillTerms(PAY, (STORE,)), BillTerms(PAY, ())):
        await desk.agree(terms)
        await desk.reconciliation.reconcile(QIAN, PAY, day)
        assert await desk.kinds() == before, "nobody has looked at them"
    await desk.agree(BillTerms(PAY, (STORE,), fee_bps=60))
    await desk.reconciliation.reconcile(QIAN, PAY, day)
    assert await desk.kinds() == [("payment", "amount", one.id, 1)]


async def test_what_an_account_bills_is_confirmed_by_somebody_else(desk: Desk) -> None:
    before = (await desk.terms.show(QIAN, PAY)).terms
    both = an_actor("qian", Role.FINANCE, Role.APPROVER)
    first = (await desk.terms.propose(QIAN, BillTerms(PAY, ()))).proposed
    waits = (await desk.terms.propose(QIAN, BillTerms(PAY, (STORE,), fee_bps=38))).proposed
    assert first is not None
    assert waits is not None
    assert (await desk.terms.show(WU, PAY)).terms == before, "a proposal changes nothing"
    for who, what, refusal in (
        (QIAN, waits.id, AuthorizationProblem),
        (both, waits.id, AuthorizationProblem),
        (WU, first.id, ConflictProblem),
    ):
        with pytest.raises(refusal):
            await desk.terms.decide(who, PAY, what, confirm=True)
    assert (await desk.terms.decide(WU, PAY, waits.id, confirm=True)).terms.fee_bps == 38
    with pytest.raises(ConflictProblem):
        await desk.terms.decide(WU, PAY, waits.id, confirm=True)
    again = (await desk.terms.propose(QIAN, BillTerms(PAY, ()))).proposed
    assert again is not None
    assert (await desk.terms.decide(WU, PAY, again.id, confirm=False)).terms.fee_bps == 38
    with pytest.raises((SQLAlchemyError, ProblemError)):
        await desk.change("UPDATE bill_terms SET confirmed_by = changed_by")
    async with UnitOfWork(desk.database) as work:
        found = await work.session.execute(text("SELECT action FROM audit_entries WHERE action LIKE 'bill.terms%'"))
        actions = [action for (action,) in found]
    assert Counter(actions) == {"bill.terms.propose": 4, "bill.terms": 2, "bill.terms.refuse": 1}
