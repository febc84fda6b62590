"""A second person on bills from files: in place of a platform's own, and withdrawn when they are wrong."""

import io
from datetime import timedelta

import pytest
from sqlalchemy.exc import SQLAlchemyError

from domain.access import Role
from domain.ids import content_digest
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, ProblemError
from services.bills import Taken
from storage.paging import PageRequest
from tests.actors import an_actor
from tests.services.reconciling import (
    COLUMNS,
    DAY,
    NOON,
    PAY,
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


async def in_place(desk: Desk, *rows: str, why: str | None = "平台账单下载停用") -> Taken:
    content = io.BytesIO("\n".join(["单号,类型,金额,服务费,时间", *rows]).encode())
    digest = content_digest(content.getvalue())
    return await desk.bills.take_file(QIAN, PAY, DAY, COLUMNS, content, digest=digest, replaces=why)


async def test_a_file_never_takes_the_place_of_a_platforms_bill_by_one_person(desk: Desk) -> None:
    for nothing in (None, " "):
        with pytest.raises(ConflictProblem, match="platform makes"):
            await in_place(desk, told("E1", "1.00"), why=nothing)
    waits = (await in_place(desk, told("E1", "1.00"))).bill
    assert waits.state == "waiting"
    with pytest.raises(ConflictProblem, match="no bill"):
        await desk.reconciliation.reconcile(QIAN, PAY, DAY)
    with pytest.raises(AuthorizationProblem):
        await desk.corrections.confirm(an_actor("qian", Role.FINANCE, Role.APPROVER), waits.id)
    await desk.billed(DAY, "trade")
    with pytest.raises(ConflictProblem, match="by now"):
        await desk.corrections.confirm(WU, waits.id)
    assert (await desk.corrections.withdraw(WU, waits.id, "平台账单已到")).state == "withdrawn"
    found = await desk.reconciliation.reconcile(QIAN, PAY, DAY)
    assert (found.rows, found.breaks) == (0, 0), "only the platform's own counts"


async def test_a_second_person_lets_a_file_in_where_the_platforms_bill_cannot_be_had(desk: Desk) -> None:
    await desk.write(an_order("E1", 100, NOON, STORE))
    waits = (await in_place(desk, told("E1", "1.00", fee="0.01"))).bill
    assert (await in_place(desk, told("E1", "1.00", fee="0.01"))).new is False
    with pytest.raises(ConflictProblem):
        await in_place(desk, told("E1", "2.00"))
    let_in = await desk.corrections.confirm(WU, waits.id, "已核对后台")
    assert (let_in.state, let_in.decided_by, let_in.reason) == ("taken", "wu", "平台账单下载停用")
    assert (await desk.reconciliation.reconcile(QIAN, PAY, DAY)).matched == 1
    with pytest.raises(ConflictProblem):
        await desk.corrections.confirm(WU, waits.id)


async def test_a_bill_that_was_read_wrongly_is_withdrawn_and_taken_again(desk: Desk) -> None:
    await desk.write(an_order("E1", 100, NOON), an_order("E2", 200, NOON))
    await desk.file(DAY, told("E1", "1.00"), told("E2", "0.02"), told("E9", "5.00"))
    wrong = (await desk.bills.list(QIAN, PageRequest())).items[0]
    explained = next(each for each in await desk.open_breaks() if each.number == "E2")
    await desk.breaks.explain(QIAN, explained.id, "agreed", "就是这样")
    await desk.breaks.solve(WU, explained.id)
    with pytest.raises(AuthorizationProblem):
        await desk.corrections.withdraw(an_actor("qian", Role.FINANCE, Role.APPROVER), wrong.id, "看错列")
    with pytest.raises(NotFoundProblem):
        await desk.corrections.withdraw(WU, 9_999, "看错列")
    assert (await desk.corrections.withdraw(WU, wrong.id, "看错列")).state == "withdrawn"
    assert await desk.kinds() == [], "nothing is compared with it any more"
    assert [each.day for each in await desk.unreconciled.days(QIAN, POS)][:1] != [DAY], "no bill was ever taken"
    with pytest.raises(ConflictProblem):
        await desk.corrections.withdraw(WU, wrong.id, "再来")
    found = await desk.file(DAY, told("E1", "1.01"), told("E2", "0.02"))
    assert (found.rows, found.matched) == (2, 0)
    assert await desk.kinds() == [("payment", "amount", "E1", 1), ("payment", "amount", "E2", -198)], "open again"
    for statement in (
        "UPDATE bills SET rows = 7",
        "UPDATE bills SET state = 'taken' WHERE state = 'withdrawn'",
        "UPDATE bills SET state = 'withdrawn', decided_by = taken_by WHERE state = 'taken'",
        "DELETE FROM bills",
    ):
        with pytest.raises((SQLAlchemyError, ProblemError)):
            await desk.change(statement)


async def test_what_was_matched_over_days_is_undone_as_a_whole(desk: Desk) -> None:
    await desk.write(an_order("E1", 300, NOON), an_order("E2", 500, NOON))
    next_day = DAY + timedelta(days=1)
    await desk.file(DAY, told("E1", "1.00"), told("E2", "1.00"))
    await desk.file(next_day, told("E1", "2.00", day=next_day), told("E2", "3.00", day=next_day))
    assert await desk.kinds() == [("payment", "amount", "E2", -100)]
    balance = next(each for each in (await desk.bills.list(QIAN, PageRequest())).items if each.day == next_day)
    await desk.corrections.withdraw(WU, balance.id, "导错店铺")
    assert await desk.kinds() == [("payment", "amount", "E1", -200), ("payment", "amount", "E2", -400)]
    await desk.file(next_day, told("E1", "2.00", day=next_day), told("E2", "4.00", day=next_day))
    assert await desk.kinds() == []


async def test_a_platforms_own_bill_is_withdrawn_by_nobody(desk: Desk) -> None:
    await desk.billed(DAY, "trade")
    own = (await desk.bills.list(QIAN, PageRequest())).items[0]
    with pytest.raises(ConflictProblem):
        await desk.corrections.withdraw(WU, own.id, "不要")
    with pytest.raises((SQLAlchemyError, ProblemError)):
        await desk.change("UPDATE bills SET state = 'withdrawn', decided_by = 'wu'")
