"""Breaks as people work through them, and what they come to."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import SQLAlchemyError

from domain.access import Actor, Role, Scope
from domain.catalog.breaks import BreaksLeftArguments
from domain.problems import (
    AuthorizationProblem,
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
)
from domain.settlement.approvals import ApprovalPolicy
from services.bill_terms import BillTerms
from services.breaks import AGES, BreakService, age_of
from storage.breaks import BreakFilter, Breaks
from storage.events import Events
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.reconciling import (
    DAY,
    NOON,
    POS,
    QIAN,
    STORE,
    WU,
    Desk,
    an_order,
    desk,
    simulator,
    told,
)

__all__ = ["desk", "simulator"]


async def test_finance_is_told_once_of_a_day_that_differs(desk: Desk) -> None:
    await desk.write(an_order("E1", 100, NOON), an_order("E2", 100, NOON))
    await desk.file(DAY, told("E1", "1.05"), told("X", "2.00"))
    await desk.reconciliation.reconcile(QIAN, POS, DAY)
    async with UnitOfWork(desk.database) as work:
        (event,) = [each.event for each in await Events(work).claim(10, timedelta(minutes=1))]
    assert (event.type, event.source, event.subject) == (
        "tandem.breaks.opened",
        "/generic/pos",
        f"bill:{POS}/{DAY}",
    )
    assert event.data == {
        "platform": "generic",
        "account": "pos",
        "day": str(DAY),
        "breaks": 2,
        "difference_minor": 205,
        "kinds": {"amount": 1, "missing-ours": 1},
    }, "what may still come is told of to nobody"


async def test_a_day_may_have_more_breaks_than_a_statement_may_have_values(desk: Desk) -> None:
    one = await one_break(desk)
    ids = [one, *(uuid4() for _ in range(70_000))]
    async with UnitOfWork(desk.database) as work:
        assert await Breaks(work).existing(ids) == {one: True}
        assert list(await Breaks(work).known(ids)) == [one]


async def test_many_breaks_are_opened_at_once(desk: Desk) -> None:
    rows = [told(f"X{number}", "2.00") for number in range(500)]
    assert (await desk.file(DAY, *rows)).breaks == 500
    (aged,) = await desk.breaks.aged(QIAN)
    assert (aged.kind, aged.breaks, aged.difference_minor) == ("missing-ours", 500, 100_000)
    first = (await desk.open_breaks())[0]
    assert (first.state, first.stands, len(first.lines), first.shop) == ("open", True, 1, None)


async def test_finance_is_told_by_the_day_that_a_break_is_of(desk: Desk) -> None:
    await desk.write(an_order("E1", 100, NOON))
    await desk.file(DAY, told("X", "0.00"))
    await days_after(desk, 1, 2)
    last = DAY + timedelta(days=3)
    await desk.file(last, told("E9", "2.00", day=last))
    async with UnitOfWork(desk.database) as work:
        found = [each.event for each in await Events(work).claim(10, timedelta(minutes=1))]
    told_of = {each.data["day"]: each.data["kinds"] for each in found}
    assert told_of == {str(DAY): {"missing-theirs": 1}, str(last): {"missing-ours": 1}}
    left = await desk.breaks.left(BreaksLeftArguments(platform="generic", account="pos", day=DAY))
    assert (left.open, left.explained, [each.number for each in left.items]) == (1, 0, ["E1"])


async def one_break(desk: Desk) -> UUID:
    await desk.write(an_order("E1", 100, NOON))
    await desk.file(DAY, told("E1", "1.05"))
    return (await desk.open_breaks())[0].id


async def test_breaks_and_bills_are_listed_page_after_page(desk: Desk) -> None:
    for number in range(3):
        day = DAY + timedelta(days=number)
        await desk.file(day, told(f"X{number}", "2.00", day=day))
    breaks: list[str | None] = []
    bills: list[date] = []
    cursor: str | None = None
    while page := await desk.breaks.list(QIAN, PageRequest(1, cursor), BreakFilter()):
        breaks, cursor = [*breaks, *(each.number for each in page.items)], page.next_cursor
        if cursor is None:
            break
    while found := await desk.bills.list(QIAN, PageRequest(2, cursor)):
        bills, cursor = [*bills, *(each.day for each in found.items)], found.next_cursor
        if cursor is None:
            break
    assert breaks == ["X0", "X1", "X2"]
    assert bills == [DAY + timedelta(days=number) for number in (2, 1, 0)]


async def test_a_difference_goes_by_two_people(desk: Desk) -> None:
    each = await one_break(desk)
    with pytest.raises(ConflictProblem):
        await desk.breaks.solve(WU, each)
    with pytest.raises(NotFoundProblem):
        await desk.breaks.assign(QIAN, each, "nobody")
    assert (await desk.breaks.assign(QIAN, each, None, "T-1")).ticket == "T-1"
    assert (await desk.breaks.explain(QIAN, each, "write-off", "五分钱尾差")).state == "explained"
    both = an_actor("qian", Role.FINANCE, Role.APPROVER)
    for who in (QIAN, both):
        with pytest.raises(AuthorizationProblem):
            await desk.breaks.solve(who, each)
    with pytest.raises((SQLAlchemyError, ProblemError)):
        await desk.change("UPDATE breaks SET state = 'solved', solved_by = 'qian'")
    assert (await desk.breaks.refuse(WU, each, "请附凭证")).state == "open"
    await desk.breaks.explain(QIAN, each, "write-off", "五分钱尾差，凭证 12")
    await desk.reconciliation.reconcile(QIAN, POS, DAY)
    assert (await desk.breaks.show(QIAN, each)).state == "explained", "it stands as it did"
    assert (await desk.breaks.solve(WU, each)).solved_by == "wu"
    await desk.reconciliation.reconcile(QIAN, POS, DAY)
    assert (await desk.breaks.show(QIAN, each)).state == "solved"
    with pytest.raises(ConflictProblem):
        await desk.breaks.explain(QIAN, each, "agreed", "再说一次")
    # Another difference is another matter.
    await desk.change("UPDATE orders SET paid_minor = 99")
    await desk.reconciliation.reconcile(QIAN, POS, DAY)
    row = await desk.breaks.show(QIAN, each)
    assert (row.state, row.difference_minor, row.solved_by, row.reason) == ("open", 6, None, None)


async def test_a_difference_of_more_than_a_person_may_approve_is_solved_by_somebody_who_may(desk: Desk) -> None:
    each = await one_break(desk)
    await desk.breaks.explain(QIAN, each, "write-off", "五分钱尾差")
    for limit, may in ((4, False), (5, True)):
        breaks = BreakService(desk.database, ApprovalPolicy(limits_minor={Role.APPROVER: limit}))
        if not may:
            with pytest.raises(AuthorizationProblem, match="more than wu may approve"):
                await breaks.solve(WU, each)
            assert (await breaks.refuse(WU, each, "请附凭证")).state == "open"
            await breaks.explain(QIAN, each, "write-off", "五分钱尾差，凭证 12")
        else:
            assert (await breaks.solve(WU, each)).state == "solved"


async def test_breaks_age_and_are_seen_by_who_sees_the_account(desk: Desk) -> None:
    each = await one_break(desk)
    (aged,) = await desk.breaks.aged(QIAN)
    assert (aged.account, aged.kind, aged.age, aged.breaks, aged.difference_minor) == (POS, "amount", ">30", 1, 5)
    elsewhere: Actor = an_actor("ma", Role.FINANCE, scope=Scope.of_accounts(STORE))
    assert await desk.breaks.aged(elsewhere) == []
    assert (await desk.breaks.list(elsewhere, PageRequest(), BreakFilter())).items == []
    assert (await desk.bills.list(elsewhere, PageRequest())).items == []
    with pytest.raises(NotFoundProblem):
        await desk.breaks.show(elsewhere, each)
    with pytest.raises(NotFoundProblem):
        await desk.reconciliation.reconcile(elsewhere, POS, DAY)
    ages = [age_of(DAY - timedelta(days=days), DAY) for days in (0, 1, 2, 3, 4, 7, 8, 30, 31)]
    assert ages == ["0-1", "0-1", "2-3", "2-3", "4-7", "4-7", "8-30", "8-30", ">30"]
    assert [name for name, _ in AGES] == ["0-1", "2-3", "4-7", "8-30", ">30"]


async def days_after(desk: Desk, *numbers: int) -> None:
    """Bills of later days, that tell of nothing here."""
    for number in numbers:
        day = DAY + timedelta(days=number)
        await desk.file(day, told(f"X{number}", "0.00", day=day))


async def test_a_break_that_is_lost_is_noticed(desk: Desk) -> None:
    await one_break(desk)
    assert await desk.untied() == []
    await desk.change("DELETE FROM breaks")
    assert {each.difference for each in await desk.untied()} == {-5}


async def test_a_fee_that_differs_stays_a_break_on_later_days(desk: Desk) -> None:
    await desk.agree(BillTerms(POS, (POS,), fee_bps=60))
    await desk.write(an_order("E1", 10_000, NOON), an_order("E2", 10_000, NOON))
    await desk.file(DAY, told("E1", "100.00", fee="0.61"), told("E2", "100.00", fee="0.60"))
    await days_after(desk, 1, 2, 5)
    assert await desk.kinds() == [("fee", "amount", "E1", -1)]
    await desk.agree(BillTerms(POS, (POS,), fee_bps=61))
    await desk.reconciliation.reconcile(QIAN, POS, DAY)
    assert await desk.kinds() == [("fee", "amount", "E2", 1)]


async def test_lines_of_one_order_stay_one_break_whichever_day_is_looked_at_again(desk: Desk) -> None:
    await desk.write(an_order("E1", 600, NOON))
    await desk.file(DAY, told("E1", "1.00"))
    for number, sum_minor in ((1, -300), (9, -200)):
        day = DAY + timedelta(days=number)
        await desk.file(day, told("E1", "2.00" if number == 1 else "1.00", day=day))
        for again in (DAY, day):
            await desk.reconciliation.reconcile(QIAN, POS, again)
            assert await desk.kinds() == [("payment", "amount", "E1", sum_minor)]
    last = DAY + timedelta(days=20)
    await desk.file(last, told("E1", "2.00", day=last))
    for again in (last, DAY, DAY + timedelta(days=1), DAY + timedelta(days=9), last):
        await desk.reconciliation.reconcile(QIAN, POS, again)
        assert await desk.kinds() == []


async def test_an_order_that_is_told_late_solves_the_line_that_only_the_bill_had(desk: Desk) -> None:
    await desk.file(DAY, told("E1", "1.00"))
    await days_after(desk, 1, 2, 3, 4, 5)
    assert await desk.kinds() == [("payment", "missing-ours", "E1", 100)]
    await desk.write(an_order("E1", 100, NOON + timedelta(days=5)))
    await desk.reconciliation.reconcile(QIAN, POS, DAY + timedelta(days=5))
    assert await desk.kinds() == []


async def test_what_was_let_go_and_agrees_after_all_is_no_difference_any_more(desk: Desk) -> None:
    each = await one_break(desk)
    await desk.breaks.explain(QIAN, each, "write-off", "五分钱尾差")
    await desk.breaks.solve(WU, each)
    assert await desk.kinds() == [], "it still counts: bill and books differ"
    await desk.change("UPDATE orders SET paid_minor = 105")
    await desk.reconciliation.reconcile(QIAN, POS, DAY)
    row = await desk.breaks.show(QIAN, each)
    assert (row.state, row.solved_by, row.stands) == ("solved", "wu", False)
    assert await desk.kinds() == []
    await desk.change("UPDATE orders SET paid_minor = 100")
    assert (await desk.reconciliation.reconcile(QIAN, POS, DAY)).changed
    row = await desk.breaks.show(QIAN, each)
    assert (row.state, row.solved_by, row.stands) == ("solved", "wu", True), "it stands as it did"
    assert await desk.kinds() == []
