"""Payouts through a bank: a file that never changes, answers that are taken over once."""

import asyncio
import csv
import io
import threading
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from openpyxl import load_workbook
from sqlalchemy import text

from domain.access import Role
from domain.problems import (
    AuthorizationProblem,
    ConflictProblem,
    NotFoundProblem,
    RuntimeProblem,
    ValidationProblem,
)
from domain.settlement.bank_files import bank_line
from domain.settlement.payees import NewPayee, NewPayoutDetails
from services import bank_payouts
from services.bank_answers import AnswerOutcome, BankAnswers
from services.bank_payouts import BankPayouts
from services.breaks import BreakService
from services.payout_booking import booking_period
from storage.ledger import Ledger
from storage.payees import Payees
from storage.payout_batches import PayoutBatches, PayoutBatchRow
from storage.payouts import PayoutRow, Payouts
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_calculations import Office, office
from tests.services.test_selling import NOW

__all__ = ["office"]
QIAN, WU = an_actor("qian", Role.FINANCE), an_actor("wu", Role.APPROVER)
TODAY = date(2026, 5, 3)
AMOUNTS = {"P1": 68_765, "P2": 1_000, "P3": 250_000}


class Cashier:
    """A merchant with an approved batch of payouts by bank."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.database = office.database
        self.files = BankPayouts(office.database)
        self.answers = BankAnswers(office.database)
        self.breaks = BreakService(office.database)
        self.numbers: dict[str, str] = {}

    async def accounts(self, names: Mapping[str, str | None]) -> None:
        """Banks of payees by code; None for one without an account."""
        payees = [
            NewPayee(
                code=code,
                name=code,
                role="promoter",
                details=NewPayoutDetails(
                    real_name=name, bank_account="6222020200112233445" if name else None, bank_name="招商银行, \n上海"
                ),
            )
            for code, name in names.items()
        ]
        await self.office.register.put(QIAN, payees)

    async def batch(self, amounts: Mapping[str, int], *, later: Sequence[str] = (), state: Any = "paying") -> UUID:
        """A batch as it is once others approved it. later: who is to be paid tomorrow."""
        async with UnitOfWork(self.database) as work:
            period = await booking_period(work, "promoters", TODAY)
            batch = PayoutBatchRow(
                id=uuid4(), scheme="promoters", currency="CNY", period=period.id, day=TODAY, state=state, terms={},
                asked_by="qian", asked_at=work.now,
            )  # fmt: skip
            await PayoutBatches(work).add(batch)
            rows = await Payees(work).rows(amounts)
            for code, amount in amounts.items():
                number = f"P{uuid4().hex[:31]}"
                self.numbers[code] = number
                row = PayoutRow(
                    batch=batch.id, part=0, number=number, payee=rows[code].id, rail="bank", amount_minor=amount,
                    offset_minor=0, currency="CNY", state="reserved",
                    pay_on=TODAY + timedelta(days=1) if code in later else TODAY,
                    next_at=work.now, created_at=work.now, changed_at=work.now,
                )  # fmt: skip
                await Payouts(work).insert(row)
            return batch.id

    async def export(self, number: str, form: Any = "csv") -> bytes:
        return (await self.files.export(QIAN, number, form, "五月付款")).content

    async def answer(self, batch: UUID | str, *rows: tuple[str, str, str, str, str]) -> AnswerOutcome:
        """rows: code, result, amount, serial, reason."""
        lines = [",".join((self.numbers.get(code, code), *rest)) for code, *rest in (("付款编号", *TITLES), *rows)]
        return await self.answers.import_answer(QIAN, batch, "\n".join(lines).encode("gb18030"))

    async def states(self) -> dict[str, tuple[str, str | None, str | None]]:
        """By code: state, the bank's number, why it failed."""
        async with UnitOfWork(self.database) as work:
            found: dict[str, tuple[str, str | None, str | None]] = {}
            for code, number in self.numbers.items():
                row = await Payouts(work).find(number)
                assert row is not None
                found[code] = (row.state, row.rail_number, row.reason)
            return found

    async def balances(self) -> dict[str, int]:
        async with UnitOfWork(self.database) as work:
            rows = await Ledger(work).balances()
            assert sum(each.balance_minor for each in rows) == 0, "balanced"
            sums: dict[str, int] = {}
            for each in rows:
                sums[each.kind] = sums.get(each.kind, 0) + each.balance_minor
            return sums

    async def audited(self) -> list[str]:
        async with UnitOfWork(self.database) as work:
            rows = await work.session.execute(text("SELECT action FROM audit_entries ORDER BY at, id"))
            return [action for (action,) in rows if action.startswith("bank-file.")]


TITLES = ("结果", "金额(元)", "银行流水号", "失败原因")
PAID_1 = ("P1", "成功", "687.65", "S1", "")
FAILED_2 = ("P2", "失败", "10.00", "", "户名不符")


@pytest.fixture
async def cashier(office: Office) -> Cashier:
    office.clock.now = NOW
    found = Cashier(office)
    await found.accounts({"P1": "李小红", "P2": "=cmd|'/c calc'!A0", "P3": "王👨‍👩‍👧小明"})
    return found


def rows_of(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


async def test_what_is_due_is_written_down_before_it_is_handed_out(cashier: Cashier) -> None:
    batch = await cashier.batch(AMOUNTS, later=["P3"])
    made = await cashier.files.make(QIAN, batch)
    assert (made.row.payouts, made.row.total_minor, made.open, made.withheld) == (2, 69_765, 2, {})
    assert {code: state for code, (state, _, _) in (await cashier.states()).items()} == {
        "P1": "submitting",
        "P2": "submitting",
        "P3": "reserved",
    }
    heading, first, second = rows_of(await cashier.export(made.row.number))
    assert heading[0] == "付款编号 number"
    assert first[:6] == [cashier.numbers["P1"], "李小红", "6222020200112233445", "招商银行, 上海", "687.65", "CNY"]
    assert second[1] == "'=cmd|'/c calc'!A0"
    assert sorted(await cashier.audited()) == ["bank-file.export", "bank-file.make"], "in the same instant"
    assert await cashier.balances() == {}, "handing out a file books nothing"


@pytest.mark.parametrize("form", ["csv", "xlsx"])
async def test_a_file_is_the_same_for_ever_whatever_changes(cashier: Cashier, form: str) -> None:
    batch = await cashier.batch(AMOUNTS, later=["P3"])
    number = (await cashier.files.make(QIAN, batch)).row.number
    before = await cashier.export(number, form)
    await cashier.accounts({"P1": "另一个人", "P2": None})
    assert (await cashier.files.make(QIAN, batch)).row.number == number, "nothing more is due"
    await cashier.answer(batch, PAID_1)
    cashier.office.clock.advance(days=1)
    second = await cashier.files.make(QIAN, batch)
    assert (second.row.number, second.row.payouts) == (f"{number[:-1]}2", 1)
    assert await cashier.export(number, form) == before
    assert [(each.row.number, each.open) for each in await cashier.files.list(WU, batch)] == [
        (number, 1),
        (second.row.number, 1),
    ]


async def test_a_workbook_keeps_every_digit_and_says_what_it_comes_to(cashier: Cashier) -> None:
    made = await cashier.files.make(QIAN, await cashier.batch(AMOUNTS))
    book = load_workbook(io.BytesIO(await cashier.export(made.row.number, "xlsx")))
    rows = list(book.worksheets[0].iter_rows(values_only=True))
    assert [(row[2], row[4]) for row in rows[1:]] == [
        ("6222020200112233445", 687.65),
        ("6222020200112233445", 10),
        ("6222020200112233445", 2_500),
    ]
    summary = {row[0]: row[1] for row in book.worksheets[1].iter_rows(values_only=True)}
    assert (summary["笔数 payouts"], summary["摘要值 digest"]) == (3, made.row.digest)


async def test_a_file_that_somebody_changed_is_noticed(cashier: Cashier) -> None:
    made = await cashier.files.make(QIAN, await cashier.batch(AMOUNTS))
    for form in ("csv", "xlsx"):
        await cashier.files.check(QIAN, made.row.number, await cashier.export(made.row.number, form))
    content = await cashier.export(made.row.number)
    for changed in (content.replace(b"10.00", b"90.00"), content.replace("李小红".encode(), "李小虹".encode())):
        with pytest.raises(ConflictProblem) as refused:
            await cashier.files.check(QIAN, made.row.number, changed)
        assert "重新导出" in refused.value.text.zh
    with pytest.raises(NotFoundProblem):
        await cashier.files.check(QIAN, "B999-1", content)
    async with UnitOfWork(cashier.database) as work:
        await work.session.execute(text("DELETE FROM bank_file_lines WHERE payout = (SELECT min(id) FROM payouts)"))
    with pytest.raises(RuntimeProblem):
        await cashier.export(made.row.number)


async def test_two_who_make_a_file_at_once_make_one(cashier: Cashier) -> None:
    batch = await cashier.batch(AMOUNTS)
    made = await asyncio.gather(*(BankPayouts(cashier.database).make(QIAN, batch) for _ in range(4)))
    assert {each.row.number for each in made} == {made[0].row.number}


async def test_a_large_file_is_added_up_in_slices_beside_everybody_elses_work(
    cashier: Cashier, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set()

    def watched(*told: Any) -> Any:
        threads.add(threading.current_thread())
        return bank_line(*told)

    monkeypatch.setattr(bank_payouts, "_AT_ONCE", 2)
    monkeypatch.setattr(bank_payouts, "bank_line", watched)
    made = await cashier.files.make(QIAN, await cashier.batch(AMOUNTS))
    assert (made.row.payouts, made.row.total_minor) == (3, sum(AMOUNTS.values()))
    await cashier.files.check(QIAN, made.row.number, await cashier.export(made.row.number))
    assert threads
    assert threading.main_thread() not in threads


async def test_who_cannot_be_paid_any_more_is_left_out_and_named(cashier: Cashier) -> None:
    await cashier.accounts({"P2": None})
    batch = await cashier.batch({"P1": 5, "P2": 7})
    made = await cashier.files.make(QIAN, batch)
    assert (made.row.payouts, made.withheld) == (1, {"P2": "no-account"})
    assert (await cashier.states())["P2"][0] == "reserved"
    await cashier.accounts({"P2": "李小红"})
    assert (await cashier.files.make(QIAN, batch)).row.payouts == 1


async def test_nothing_is_handed_out_that_is_not_due_approved_or_there(cashier: Cashier) -> None:
    with pytest.raises(NotFoundProblem):
        await cashier.files.make(QIAN, uuid4())
    batch = await cashier.batch({"P1": 5}, later=["P1"])
    with pytest.raises(ConflictProblem) as early:
        await cashier.files.make(QIAN, batch)
    assert "2026-05-04" in early.value.text.zh
    waiting = await cashier.batch({"P2": 5}, state="reserving")
    with pytest.raises(ConflictProblem):
        await cashier.files.make(QIAN, waiting)
    await cashier.accounts({"P3": None})
    with pytest.raises(ConflictProblem) as nobody:
        await cashier.files.make(QIAN, await cashier.batch({"P3": 5}))
    assert "P3" in nobody.value.text.zh


async def test_only_finance_with_a_reason_sees_accounts(cashier: Cashier) -> None:
    batch = await cashier.batch(AMOUNTS)
    for who in (WU, an_actor("admin"), an_actor("he", Role.AUDITOR)):
        with pytest.raises(AuthorizationProblem):
            await cashier.files.make(who, batch)
        with pytest.raises(AuthorizationProblem):
            await cashier.files.export(who, "B1-1", "csv", "看看")
        with pytest.raises(AuthorizationProblem):
            await cashier.answers.import_answer(who, batch, b"")
    number = (await cashier.files.make(QIAN, batch)).row.number
    with pytest.raises(ValidationProblem):
        await cashier.files.export(QIAN, number, "csv", " ")
    with pytest.raises(NotFoundProblem):
        await cashier.files.export(QIAN, "B999-9", "csv", "付款")
    assert await cashier.audited() == ["bank-file.make"]


async def test_an_answer_is_booked_with_the_state_and_again_changes_nothing(cashier: Cashier) -> None:
    batch = await cashier.batch(AMOUNTS)
    await cashier.files.make(QIAN, batch)
    outcome = await cashier.answer(batch, PAID_1, FAILED_2)
    assert (outcome.paid, outcome.paid_minor, outcome.failed, outcome.failed_minor) == (1, 68_765, 1, 1_000)
    assert (outcome.open, outcome.errors, outcome.breaks) == (1, [], [])
    ended = {"P1": ("paid", "S1", None), "P2": ("failed", None, "户名不符"), "P3": ("submitting", None, None)}
    assert await cashier.states() == ended
    booked = {"paying": -69_765, "bank": 68_765, "payable": 1_000}
    assert await cashier.balances() == booked
    again = await cashier.answer(batch, PAID_1, FAILED_2, ("P3", "处理中", "2500", "", ""))
    assert (again.paid, again.failed, again.known, again.pending, again.open) == (0, 0, 2, 1, 1)
    assert (await cashier.states(), await cashier.balances()) == (ended, booked)


async def test_the_same_answer_handed_in_at_once_by_many(cashier: Cashier) -> None:
    batch = await cashier.batch(AMOUNTS)
    await cashier.files.make(QIAN, batch)
    outcomes = await asyncio.gather(*(cashier.answer(batch, PAID_1, FAILED_2) for _ in range(4)))
    assert (sum(each.paid for each in outcomes), sum(each.known for each in outcomes)) == (1, 6)
    assert (await cashier.balances())["bank"] == 68_765


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (PAID_1, ("P1", "失败", "687.65", "", "退汇"), "矛盾"),
        (("P1", "失败", "687.65", "", "退汇"), PAID_1, "矛盾"),
        (PAID_1, ("P1", "成功", "687.65", "S2", ""), "两次"),
    ],
)
async def test_an_answer_that_contradicts_is_told_and_changes_nothing(
    cashier: Cashier, first: tuple[str, str, str, str, str], then: tuple[str, str, str, str, str], said: str
) -> None:
    batch = await cashier.batch(AMOUNTS)
    await cashier.files.make(QIAN, batch)
    await cashier.answer(batch, first)
    before = (await cashier.states(), await cashier.balances())
    outcome = await cashier.answer(batch, then, FAILED_2)
    (broken,) = outcome.breaks
    assert (broken.number, broken.error.line) == (cashier.numbers["P1"], 2)
    assert said in broken.error.reason.zh
    assert outcome.failed == 1, "the other row is taken over"
    assert (await cashier.states())["P1"] == before[0]["P1"]


async def test_rows_that_are_not_what_was_handed_in(cashier: Cashier) -> None:
    batch = await cashier.batch(AMOUNTS, later=["P3"])
    number = (await cashier.files.make(QIAN, batch)).row.number
    outcome = await cashier.answer(
        number,
        ("P1", "成功", "687.64", "S1", ""),
        ("P" + "0" * 31, "成功", "1.00", "S2", ""),
        ("P3", "成功", "2500.00", "S3", ""),
        ("P2", "成功", "十元", "S4", ""),
        ("编号", "成功", "1.00", "S5", ""),
    )
    assert [each.line for each in outcome.errors] == [2, 3, 4, 5, 6]
    assert (outcome.rows, outcome.paid, outcome.open) == (5, 0, 2)
    assert await cashier.balances() == {}
    lines = ["付款编号,结果,金额,流水号,币种", f"{cashier.numbers['P1']},成功,687.65,S1,USD"]
    other = await cashier.answers.import_answer(QIAN, number, "\n".join(lines).encode())
    assert "CNY" in other.errors[0].reason.zh
    with pytest.raises(NotFoundProblem):
        await cashier.answer("B999-1", PAID_1)
    with pytest.raises(NotFoundProblem):
        await cashier.answer(uuid4(), PAID_1)
    elsewhere = await cashier.answer(await cashier.batch({"P4": 5}), PAID_1)
    assert len(elsewhere.errors) == 1, "that payout is of another batch"


async def test_nothing_of_a_file_of_the_wrong_shape_is_taken_over(cashier: Cashier) -> None:
    batch = await cashier.batch(AMOUNTS)
    await cashier.files.make(QIAN, batch)
    with pytest.raises(ValidationProblem) as shifted:
        await cashier.answer(batch, PAID_1, ("", cashier.numbers["P2"], "失败", "10.00", ""))
    assert "第 3 行" in shifted.value.text.zh
    for content in (b"", b"\xd0\xcf\x11\xe0", b"PK\x03\x04", "付款编号,结果\n".encode()):
        with pytest.raises(ValidationProblem):
            await cashier.answers.import_answer(QIAN, batch, content)
    assert (await cashier.states())["P1"][0] == "submitting"
    assert await cashier.balances() == {}
