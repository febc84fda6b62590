"""One payment that a bank's answer and its statement both tell of, or that is told of again, is booked once."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.accounts import NewAccount
from domain.ids import content_digest
from domain.problems import ConflictProblem
from domain.settlement.bills import BillLine, Direction
from services.bill_corrections import BillCorrections
from services.bill_terms import BillTerms, BillTermsService
from services.bills import take
from services.overdue_payouts import note_unanswered
from services.reconciliation import ReconciliationService
from storage.accounts import Accounts
from storage.breaks import BreakFilter, BreakRow, Reason
from storage.paging import PageRequest
from storage.payouts import Payouts
from storage.reconciliations import Reconciliations
from storage.unit_of_work import UnitOfWork
from tests.services.reconciling import POS, moved
from tests.services.test_bank_breaks import untied
from tests.services.test_bank_payouts import AMOUNTS, PAID_1, QIAN, TODAY, WU, Cashier, cashier
from tests.services.test_calculations import office

__all__ = ["cashier", "office"]
AMOUNT = AMOUNTS["P1"]
NEXT_DAY = TODAY + timedelta(days=1)
BANK = "bank/payouts"
ONCE_MORE = ("P1", "成功", "687.65", "S9", "")
SENT_BACK = ("P1", "退票", "687.65", "", "账户已销户")


class Bank:
    """The bank of a batch of which P1 was paid: what it answers, and what its statements have."""

    def __init__(self, cashier: Cashier) -> None:
        self.cashier = cashier
        self.number = ""
        self.batch: UUID | None = None
        self._reconciliation = ReconciliationService(cashier.database)
        self._corrections = BillCorrections(cashier.database, self._reconciliation)

    async def begin(self) -> None:
        platform, _, slug = POS.partition("/")
        async with UnitOfWork(self.cashier.database) as work:
            await Accounts(work).add(NewAccount(platform=platform, slug=slug, name="付款户", credentials={}))
        terms = BillTermsService(self.cashier.database)
        proposed = (await terms.propose(QIAN, BillTerms(POS, (), bank=True))).proposed
        assert proposed is not None
        await terms.decide(WU, POS, proposed.id, confirm=True)
        self.batch = await self.cashier.batch(AMOUNTS)
        await self.cashier.files.make(QIAN, self.batch)
        self.number = self.cashier.numbers["P1"]
        await self.answers(PAID_1)

    async def answers(self, *rows: tuple[str, str, str, str, str]) -> None:
        assert self.batch is not None
        await self.cashier.answer(self.batch, *rows)

    async def states(self, day: date, *lines: BillLine, note: str = "") -> int:
        """A statement of a day, reconciled; the number of the bill. note: makes it another file."""
        digest = content_digest(repr(lines) + note)
        taken = await take(self.cashier.database, QIAN, POS, day, "funds", "file", digest, lines)
        await self._reconciliation.reconcile(QIAN, POS, day)
        return taken.bill.id

    async def reconcile(self, *days: date) -> None:
        for day in days:
            await self._reconciliation.reconcile(QIAN, POS, day)

    async def withdraw(self, bill: int) -> None:
        await self._corrections.withdraw(WU, bill, "导错")

    def out(self, line: int, day: date = TODAY) -> BillLine:
        return moved(line, self.number, AMOUNT, "out", day)

    def back(self, line: int, day: date = NEXT_DAY) -> BillLine:
        return moved(line, self.number, AMOUNT, "in", day)

    async def open(self, account: str | None = None) -> Sequence[BreakRow]:
        found = (await self.cashier.breaks.list(QIAN, PageRequest(200), BreakFilter(account))).items
        return [each for each in found if each.number == self.number]

    async def said(self, account: str, reason: Reason = "paid-after-all") -> None:
        """Two people say so of the only break that is open there."""
        (found,) = await self.open(account)
        await self.cashier.breaks.explain(QIAN, found.id, reason, "附回单")
        await self.cashier.breaks.solve(WU, found.id)

    async def ended_otherwise(self) -> Sequence[date]:
        async with UnitOfWork(self.cashier.database) as work:
            return await Reconciliations(work).ended_otherwise(POS)

    async def payable(self) -> int:
        return (await self.cashier.balances()).get("payable", 0)

    async def state(self) -> str:
        return (await self.cashier.states())["P1"][0]


@pytest.fixture
async def bank(cashier: Cashier) -> Bank:
    found = Bank(cashier)
    await found.begin()
    return found


@pytest.mark.parametrize("first", [BANK, POS])
async def test_what_the_answer_and_the_statement_tell_of_is_let_go_together(bank: Bank, first: str) -> None:
    await bank.answers(ONCE_MORE)
    await bank.states(TODAY, bank.out(2), bank.out(3))
    assert {(each.account, each.kind) for each in await bank.open()} == {(BANK, "duplicate"), (POS, "duplicate")}
    before = await bank.payable()
    await bank.said(first)
    assert await bank.open() == []
    assert await bank.payable() == before - AMOUNT
    await bank.answers(ONCE_MORE)
    await bank.reconcile(TODAY)
    assert await bank.open() == []


@pytest.mark.parametrize("both_explained", [False, True])
async def test_the_statement_that_comes_later_tells_of_nothing_new(bank: Bank, both_explained: bool) -> None:
    await bank.answers(ONCE_MORE)
    if both_explained:
        await bank.states(TODAY, bank.out(2), bank.out(3))
        for each in await bank.open():
            await bank.cashier.breaks.explain(QIAN, each.id, "paid-after-all", "附回单")
        for each in await bank.open():
            await bank.cashier.breaks.solve(WU, each.id)
    else:
        await bank.said(BANK)
        await bank.states(TODAY, bank.out(2), bank.out(3))
        await bank.said(POS)
    assert await bank.payable() == -AMOUNT


async def test_an_answer_after_the_statement_tells_of_nothing_new(bank: Bank) -> None:
    await bank.states(TODAY, bank.out(2), bank.out(3))
    await bank.said(POS)
    await bank.answers(ONCE_MORE)
    await bank.said(BANK)
    assert await bank.payable() == -AMOUNT


async def test_a_statement_that_is_withdrawn_and_taken_again_takes_nothing_off_again(bank: Bank) -> None:
    bill = await bank.states(TODAY, bank.out(2), bank.out(3))
    await bank.said(POS)
    await bank.withdraw(bill)
    assert await bank.payable() == -AMOUNT
    await bank.states(TODAY, bank.out(2), bank.out(3), note="again")
    await bank.said(POS)
    assert await bank.payable() == -AMOUNT


async def test_what_was_paid_three_times_is_taken_off_twice(bank: Bank) -> None:
    await bank.answers(ONCE_MORE)
    await bank.said(BANK)
    await bank.states(TODAY, bank.out(2), bank.out(3), bank.out(4))
    for each in await bank.open(POS):
        await bank.cashier.breaks.explain(QIAN, each.id, "paid-after-all", "附回单")
        await bank.cashier.breaks.solve(WU, each.id)
    assert await bank.payable() == -2 * AMOUNT
    await bank.answers(("P1", "成功", "687.65", "S10", ""))
    await bank.said(BANK)
    assert await bank.payable() == -2 * AMOUNT
    assert await untied(bank.cashier) == []


async def test_what_was_paid_once_more_and_came_back_leaves_the_payout_paid(bank: Bank) -> None:
    await bank.states(TODAY, bank.out(2), bank.out(3))
    await bank.said(POS)
    await bank.states(NEXT_DAY, bank.back(2))
    await bank.said(POS, "returned")
    assert (await bank.payable(), await bank.state()) == (0, "paid")
    await bank.reconcile(TODAY, NEXT_DAY)
    assert await bank.open() == []
    assert await untied(bank.cashier) == []


async def test_a_return_does_not_hide_that_it_was_paid_once_more(bank: Bank) -> None:
    await bank.answers(ONCE_MORE)
    await bank.answers(SENT_BACK)
    (returned,) = [each for each in await bank.open() if each.kind == "state"]
    await bank.cashier.breaks.explain(QIAN, returned.id, "returned", "附回单")
    await bank.cashier.breaks.solve(WU, returned.id)
    assert (await bank.payable(), await bank.state()) == (AMOUNT, "failed")
    await bank.said(BANK)
    assert (await bank.payable(), await bank.state()) == (0, "paid"), "by the other of the two"
    assert await bank.open() == []


async def test_each_return_gives_the_sum_back(bank: Bank) -> None:
    for payable in (AMOUNT, 0, AMOUNT):
        await bank.answers(SENT_BACK if payable else PAID_1)
        await bank.said(BANK, "returned" if payable else "paid-after-all")
        assert (await bank.payable(), await bank.state()) == (payable, "failed" if payable else "paid")
        assert await untied(bank.cashier) == []
    await bank.answers(SENT_BACK)
    assert await bank.open() == []


async def test_nobody_books_a_payout_back_and_forth_for_ever(bank: Bank) -> None:
    for _ in range(20):
        await bank.answers(SENT_BACK)
        await bank.said(BANK, "returned")
        await bank.answers(PAID_1)
        await bank.said(BANK)
    await bank.answers(SENT_BACK)
    with pytest.raises(ConflictProblem, match="20 times"):
        await bank.said(BANK, "returned")
    assert (await bank.payable(), await bank.state()) == (0, "paid")


async def test_what_the_answer_told_first_is_found_out_by_the_statement_too(bank: Bank) -> None:
    """Paid by the statement, failed by our books: solved by the answer, its break on the statement goes by itself."""
    await bank.answers(SENT_BACK)
    await bank.said(BANK, "returned")
    await bank.states(TODAY, bank.out(2))
    assert [(each.account, each.kind) for each in await bank.open()] == [(POS, "state")]
    await bank.answers(PAID_1)
    await bank.said(BANK)
    days = await bank.ended_otherwise()
    assert days == [TODAY]
    await bank.reconcile(*days)
    assert await bank.open() == []
    assert await bank.ended_otherwise() == []


async def test_the_serial_of_what_came_back_is_not_that_of_the_next_payment(bank: Bank) -> None:
    await bank.answers(SENT_BACK)
    await bank.said(BANK, "returned")
    await bank.states(TODAY, bank.out(2), bank.back(3, TODAY), bank.out(4))
    await bank.said(POS)
    assert (await bank.payable(), await bank.state()) == (0, "paid")
    await bank.answers(PAID_1)
    assert await bank.open() == [], "handed in again, it changes nothing"
    await bank.answers(("P1", "成功", "687.65", "S2", ""))
    await bank.said(BANK)
    assert (await bank.payable(), await bank.state()) == (0, "paid"), "the statement told of that payment"
    assert await untied(bank.cashier) == []


@pytest.mark.parametrize("first", [BANK, POS])
async def test_one_return_that_both_tell_of_is_booked_once(bank: Bank, first: str) -> None:
    await bank.states(TODAY, bank.out(2), bank.out(3))
    await bank.said(POS)
    for account in (first, POS if first == BANK else BANK):
        await (bank.answers(SENT_BACK) if account == BANK else bank.states(NEXT_DAY, bank.back(2)))
        for each in await bank.open(account):
            await bank.cashier.breaks.explain(QIAN, each.id, "returned", "附回单")
            await bank.cashier.breaks.solve(WU, each.id)
        assert (await bank.payable(), await bank.state()) == (0, "paid"), account
    assert await untied(bank.cashier) == []


@pytest.mark.parametrize(
    ("directions", "came_back"), [(["out"], False), (["out", "in"], True), (["in"], True)], ids=str
)
async def test_nobody_says_that_a_payout_was_never_paid_which_the_statement_has(
    bank: Bank, directions: list[Direction], came_back: bool
) -> None:
    number, amount = bank.cashier.numbers["P3"], AMOUNTS["P3"]
    lines = [moved(line, number, amount, direction, TODAY) for line, direction in enumerate(directions, 5)]
    await bank.states(TODAY, bank.out(4), *lines)
    bank.cashier.office.clock.advance(days=11)
    async with UnitOfWork(bank.cashier.database) as work:
        assert await note_unanswered(work, 10) == 2
    found = (await bank.cashier.breaks.list(QIAN, PageRequest(200), BreakFilter(BANK))).items
    (overdue,) = [each for each in found if each.number == number]
    for reason in ("late", "agreed", "write-off"):
        with pytest.raises(ConflictProblem, match="no other reason ends it"):
            await bank.cashier.breaks.explain(QIAN, overdue.id, reason, "再等等")
    if came_back:
        await bank.cashier.breaks.explain(QIAN, overdue.id, "never-paid", "流水里有退回")
    else:
        with pytest.raises(ConflictProblem, match="has money that left"):
            await bank.cashier.breaks.explain(QIAN, overdue.id, "never-paid", "没有付")
        await bank.cashier.breaks.explain(QIAN, overdue.id, "paid-after-all", "流水里有")
    await bank.cashier.breaks.solve(WU, overdue.id)
    assert (await bank.cashier.states())["P3"][0] == ("failed" if came_back else "paid")
    assert await bank.payable() == (amount if came_back else 0)


async def test_who_explains_a_break_waits_for_who_ends_its_payout_and_holds_nothing_meanwhile(bank: Bank) -> None:
    await bank.answers(SENT_BACK)
    (found,) = await bank.open()
    async with UnitOfWork(bank.cashier.database) as work:
        await Payouts(work).find(bank.number, for_update=True)
        explaining = asyncio.create_task(bank.cashier.breaks.explain(QIAN, found.id, "returned", "附回单"))
        await asyncio.sleep(0.5)
        assert not explaining.done()
        locked = text("SELECT id FROM breaks WHERE id = :id FOR UPDATE NOWAIT")
        assert (await work.session.execute(locked, {"id": found.id})).all()
    assert (await explaining).state == "explained"
