"""What a bank answers against what it said before: breaks, and what is booked back by the word of two."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.access import Role, Scope
from domain.problems import AuthorizationProblem, ConflictProblem
from domain.settlement.report_kinds import REPORTS
from services.overdue_payouts import note_unanswered
from services.settlement_reports import ReportService, Wanted
from storage.breaks import BreakFilter, Reason
from storage.events import Events
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_bank_payouts import AMOUNTS, FAILED_2, PAID_1, QIAN, TODAY, WU, Cashier, cashier
from tests.services.test_calculations import office

__all__ = ["cashier", "office"]


async def breaks_of(cashier: Cashier) -> list[tuple[str, str, str | None, int, str]]:
    found = (await cashier.breaks.list(QIAN, PageRequest(200), BreakFilter("bank/payouts"))).items
    return sorted((each.kind, each.family, each.number, each.difference_minor, each.state) for each in found)


async def untied(cashier: Cashier) -> list[Any]:
    """The reports that do not come to what the journal says; without what a scheme plans, for here is none."""
    reports = ReportService(cashier.database)
    frames = [Wanted(TODAY, None, "month"), Wanted(TODAY, None, "year")]
    found = [await reports.tie_out(QIAN, each, sorted(set(REPORTS) - {"forecast"})) for each in frames]
    return [each for lines in found for each in lines if each.difference]


async def test_a_payout_that_the_bank_sends_back_is_paid_again_by_the_word_of_two(cashier: Cashier) -> None:
    batch = await cashier.batch(AMOUNTS)
    await cashier.files.make(QIAN, batch)
    await cashier.answer(batch, PAID_1, FAILED_2)
    sent_back = ("P1", "退票", "687.65", "", "账户已销户")
    for _ in range(2):
        assert len((await cashier.answer(batch, sent_back)).breaks) == 1
    number = cashier.numbers["P1"]
    assert await breaks_of(cashier) == [("state", "transfer", number, 68_765, "open")], "once, however often it is told"
    assert await untied(cashier) == []
    async with UnitOfWork(cashier.database) as work:
        events = [each.event for each in await Events(work).claim(10, timedelta(minutes=1))]
    assert [(each.type, each.data["platform"], each.data["breaks"]) for each in events] == [
        ("tandem.breaks.opened", "bank", 1)
    ]
    (found,) = (await cashier.breaks.list(QIAN, PageRequest(), BreakFilter())).items
    await cashier.breaks.explain(QIAN, found.id, "returned", "银行退票，附回单")
    with pytest.raises(AuthorizationProblem):
        await cashier.breaks.solve(an_actor("qian", Role.FINANCE, Role.APPROVER), found.id)
    before = await cashier.balances()
    assert (await cashier.breaks.solve(WU, found.id)).state == "solved"
    after = await cashier.balances()
    assert (after["bank"], after["payable"]) == (before["bank"] - 68_765, before["payable"] + 68_765)
    assert (await cashier.states())["P1"] == ("failed", "S1", "returned")
    again = await cashier.answer(batch, sent_back)
    assert (again.known, again.breaks, await cashier.balances()) == (1, [], after)
    assert await breaks_of(cashier) == []
    assert await untied(cashier) == []
    with pytest.raises(ConflictProblem):
        await cashier.breaks.explain(QIAN, found.id, "returned", "再来一次")


async def two_paid_otherwise(cashier: Cashier) -> UUID:
    """A batch in whose answers P1 was paid twice, and P2 was paid after it had failed."""
    batch = await cashier.batch(AMOUNTS)
    await cashier.files.make(QIAN, batch)
    await cashier.answer(batch, PAID_1, FAILED_2)
    await cashier.answer(batch, ("P1", "成功", "687.65", "S9", ""), ("P2", "成功", "10.00", "S2", ""))
    one, two = cashier.numbers["P1"], cashier.numbers["P2"]
    assert set(await breaks_of(cashier)) == {
        ("duplicate", "transfer", one, -68_765, "open"),
        ("state", "transfer", two, -1_000, "open"),
    }
    assert await untied(cashier) == []
    return batch


async def test_what_was_paid_twice_or_after_all_and_came_back_books_nothing(cashier: Cashier) -> None:
    await two_paid_otherwise(cashier)
    booked = await cashier.balances()
    for each in (await cashier.breaks.list(QIAN, PageRequest(), BreakFilter())).items:
        with pytest.raises(ConflictProblem):
            await cashier.breaks.explain(QIAN, each.id, "returned", "退票")
        await cashier.breaks.explain(QIAN, each.id, "platform-error", "银行重复付款，已追回")
        await cashier.breaks.solve(WU, each.id)
    assert await cashier.balances() == booked


async def test_what_was_paid_twice_or_after_all_and_stays_with_the_payee_is_taken_off_what_they_get_next(
    cashier: Cashier,
) -> None:
    batch = await two_paid_otherwise(cashier)
    before = await cashier.balances()
    assert before["payable"] == 1_000, "P2's, who would be paid once more"
    for each in (await cashier.breaks.list(QIAN, PageRequest(), BreakFilter())).items:
        await cashier.breaks.explain(QIAN, each.id, "paid-after-all", "收款人确认收到，附回单")
        with pytest.raises(AuthorizationProblem):
            await cashier.breaks.solve(an_actor("qian", Role.FINANCE, Role.APPROVER), each.id)
        await cashier.breaks.solve(WU, each.id)
    after = await cashier.balances()
    assert (after["bank"], after["payable"]) == (before["bank"] + 69_765, -68_765), "P1 owes what was paid twice"
    assert (await cashier.states())["P2"][::2] == ("paid", "paid-after-all")
    assert await breaks_of(cashier) == []
    assert await untied(cashier) == []
    await cashier.answer(batch, ("P2", "成功", "10.00", "S2", ""))
    assert await breaks_of(cashier) == [], "it agrees by now"
    assert await cashier.balances() == after


async def test_what_never_failed_was_not_paid_after_all(cashier: Cashier) -> None:
    batch = await cashier.batch(AMOUNTS)
    await cashier.files.make(QIAN, batch)
    await cashier.answer(batch, PAID_1)
    await cashier.answer(batch, ("P1", "退票", "687.65", "", ""))
    (found,) = (await cashier.breaks.list(QIAN, PageRequest(), BreakFilter())).items
    with pytest.raises(ConflictProblem, match="paid after all"):
        await cashier.breaks.explain(QIAN, found.id, "paid-after-all", "并没有")


async def test_breaks_of_banks_are_seen_by_who_sees_everything(cashier: Cashier) -> None:
    batch = await cashier.batch(AMOUNTS)
    await cashier.files.make(QIAN, batch)
    await cashier.answer(batch, PAID_1)
    await cashier.answer(batch, ("P1", "退票", "687.65", "", ""))
    elsewhere = an_actor("ma", Role.FINANCE, scope=Scope.of_accounts("youzan/flagship"))
    assert (await cashier.breaks.list(elsewhere, PageRequest(), BreakFilter())).items == []
    assert await cashier.breaks.aged(elsewhere) == []
    (aged,) = await cashier.breaks.aged(QIAN)
    assert (aged.account, aged.breaks, aged.difference_minor) == ("bank/payouts", 1, 68_765)


async def test_a_bank_that_does_not_answer_is_told_of_until_it_does(cashier: Cashier) -> None:
    async def noted() -> int:
        async with UnitOfWork(cashier.database) as work:
            return await note_unanswered(work, 10)

    batch = await cashier.batch(AMOUNTS, later=["P3"])
    await cashier.files.make(QIAN, batch)
    await cashier.answer(batch, FAILED_2)
    cashier.office.clock.advance(days=9)
    assert await noted() == 0
    cashier.office.clock.advance(days=2)
    assert [await noted() for _ in range(2)] == [1, 0], "once, and nothing of what no bank was handed"
    number = cashier.numbers["P1"]
    assert await breaks_of(cashier) == [("overdue", "transfer", number, 68_765, "open")]
    assert await untied(cashier) == []
    async with UnitOfWork(cashier.database) as work:
        events = [each.event for each in await Events(work).claim(10, timedelta(minutes=1))]
    assert [(each.type, each.data["breaks"], each.data["kinds"]) for each in events] == [
        ("tandem.breaks.opened", 1, {"overdue": 1})
    ]
    assert (await cashier.answer(batch, PAID_1)).paid == 1
    assert await breaks_of(cashier) == []
    assert await untied(cashier) == []


async def test_two_people_say_how_a_payout_ended_that_the_bank_never_answers(cashier: Cashier) -> None:
    batch = await cashier.batch(AMOUNTS)
    await cashier.files.make(QIAN, batch)
    await cashier.answer(batch, FAILED_2)
    cashier.office.clock.advance(days=11)
    async with UnitOfWork(cashier.database) as work:
        assert await note_unanswered(work, 10) == 2
    reasons: dict[str | None, Reason] = {
        cashier.numbers["P1"]: "never-paid",
        cashier.numbers["P3"]: "paid-after-all",
    }
    before = await cashier.balances()
    for each in (await cashier.breaks.list(QIAN, PageRequest(), BreakFilter())).items:
        await cashier.breaks.explain(QIAN, each.id, reasons[each.number], "与银行核实，附回单")
        assert await cashier.balances() == before, "one person alone books nothing"
        await cashier.breaks.solve(WU, each.id)
        before = await cashier.balances()
        with pytest.raises(ConflictProblem):
            await cashier.breaks.explain(QIAN, each.id, "never-paid", "再来一次")
    found = await cashier.states()
    assert (found["P1"][::2], found["P3"][::2]) == (("failed", "never-paid"), ("paid", "paid-after-all"))
    assert (before["bank"], before["payable"]) == (AMOUNTS["P3"], AMOUNTS["P1"] + AMOUNTS["P2"])
    assert await breaks_of(cashier) == []
    assert await untied(cashier) == []
    # The bank answers after all, and otherwise: that is another break.
    await cashier.answer(batch, PAID_1)
    assert [kind for kind, *_ in await breaks_of(cashier)] == ["state"]


async def test_only_of_what_is_overdue_people_say_that_it_was_never_paid(cashier: Cashier) -> None:
    batch = await cashier.batch(AMOUNTS)
    await cashier.files.make(QIAN, batch)
    await cashier.answer(batch, PAID_1)
    await cashier.answer(batch, ("P1", "退票", "687.65", "", ""))
    (found,) = (await cashier.breaks.list(QIAN, PageRequest(), BreakFilter())).items
    with pytest.raises(ConflictProblem, match="overdue"):
        await cashier.breaks.explain(QIAN, found.id, "never-paid", "没有付")
