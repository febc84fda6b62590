"""A payee's statement: where every cent is, what became of each payout in these days, and how it is made."""

import io
import threading
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from domain.problems import NotFoundProblem
from domain.settlement.statements import Statement
from services import payee_statements, statement_pdf
from services.payee_statements import PayeeStatements
from services.settlement_reports import ReportService, Wanted
from storage.engine import Database
from storage.paging import PageRequest
from tests.clock import SteppedClock
from tests.reports.by_hand import ByHand
from tests.reports.drawn import drawn
from tests.reports.year_bills import QIAN

YEAR = Wanted(date(2026, 3, 9), None, "year")
MARCH = Wanted(date(2026, 3, 9), "promoters")


def _statements(database: Database) -> PayeeStatements:
    return PayeeStatements(database, ReportService(database))


async def _lines(database: Database, wanted: Wanted) -> list[str]:
    """What a statement says, in one line each."""
    made = await _statements(database).pdf(QIAN, wanted)
    return drawn(made.content).splitlines()


async def test_a_statement_says_where_every_cent_is(books: Database) -> None:
    wanted = MARCH._replace(payee="P2")
    made = await _statements(books).pdf(QIAN, wanted)
    again = await _statements(books).pdf(QIAN, wanted)
    assert made.content == again.content
    assert made.content.startswith(b"%PDF")
    said = drawn(made.content)
    rows = (await ReportService(books).page(QIAN, "statements", wanted, PageRequest(200))).rows.items
    closing = sum(row["amount"] for row in rows)
    for each in (
        "结算对账单",
        "推广提成",
        "分段计算",
        "期初余额",
        "期末余额",
        "核算摘要",
        f"{Decimal(closing) / 100:.2f}",
    ):
        assert each in said, each
    assert "名P2" not in said
    assert "名P2" in drawn((await _statements(books).pdf(QIAN, wanted, unmask_for="打印")).content)
    with pytest.raises(NotFoundProblem):
        await _statements(books).pdf(QIAN, wanted._replace(payee="S1"))


async def test_all_statements_come_as_one_archive(books: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payee_statements, "_MADE_AT_ONCE", 3)
    made = await _statements(books).archive(QIAN, YEAR)
    pieces = [each async for each in made.chunks]
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert archive.testzip() is None
    told = {name.partition("_")[0] for name in archive.namelist()}
    rows: list[Mapping[str, Any]] = []
    cursor: str | None = None
    while not rows or cursor is not None:
        page = (await ReportService(books).page(QIAN, "statements", YEAR, PageRequest(200, cursor))).rows
        rows, cursor = [*rows, *page.items], page.next_cursor
    assert told == {row["payee"] for row in rows}
    assert len(pieces) > len(told) // 3, "it is sent while it is made"


async def test_an_archive_of_one_payee_has_nobody_else_s(books: Database) -> None:
    made = await _statements(books).archive(QIAN, YEAR._replace(payee="P2"))
    content = b"".join([each async for each in made.chunks])
    assert [name.partition("_")[0] for name in zipfile.ZipFile(io.BytesIO(content)).namelist()] == ["P2"]


async def test_nobody_waits_while_statements_are_made(books: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made in another thread than the one that everybody's requests are served by."""
    threads = set()
    make = statement_pdf.statement_pdf

    def noted(statements: Sequence[Statement]) -> bytes:
        threads.add(threading.current_thread())
        return make(statements)

    monkeypatch.setattr(statement_pdf, "statement_pdf", noted)
    await _statements(books).pdf(QIAN, MARCH._replace(payee="P2"))
    made = await _statements(books).archive(QIAN, MARCH)
    assert [each async for each in made.chunks]
    assert threads
    assert threading.main_thread() not in threads


@pytest.fixture
async def hand(database: Database, clock: SteppedClock) -> ByHand:
    """Somebody who had 100.00 at the end of October."""
    clock.now = datetime(2027, 3, 1, 4, tzinfo=UTC)
    found = ByHand(database)
    await found.people("P1")
    october = await found.period("a", date(2026, 10, 1))
    await found.book(october, "P1", "commission", "payable", 10_000, "commission")
    return found


async def test_a_payout_is_paid_in_the_month_in_which_it_is_booked(hand: ByHand) -> None:
    """Planned on 30 November, paid on 2 December: November says that it is under way, December that it was paid."""
    november, december = [await hand.period("a", date(2026, number, 1)) for number in (11, 12)]
    batch = await hand.batch("a", november, date(2026, 11, 30))
    number = await hand.payout(batch, "P1", 10_000, "paid", ended_at=datetime(2026, 12, 2, 4, tzinfo=UTC))
    await hand.book(december, "P1", "paying", "bank", 10_000, "payout-paid", f"payout/{number}")
    of_november = await _lines(hand.database, Wanted(date(2026, 11, 1), "a", "month", "P1"))
    of_december = await _lines(hand.database, Wanted(date(2026, 12, 1), "a", "month", "P1"))
    place = of_november.index(f"　2026-11-30 银行转账 {number}　期末在途（100.00）")
    assert of_november[place - 1] == "0.00"
    assert "-100.00" not in of_november
    place = of_december.index(f"　2026-12-02 银行转账 {number}　已付")
    assert of_december[place - 1] == "-100.00"
    assert of_december[of_december.index("付款") - 1] == "-100.00"


async def test_a_payout_of_which_a_part_was_paid_says_how_much(hand: ByHand) -> None:
    period = await hand.period("a", date(2026, 11, 1))
    batch = await hand.batch("a", period, date(2026, 11, 20))
    ended_at = datetime(2026, 11, 21, 4, tzinfo=UTC)
    number = await hand.payout(
        batch, "P1", 10_000, "failed", ended_at=ended_at, rail="profit-sharing", reason="余额不足"
    )
    await hand.book(period, "P1", "paying", "profit-sharing", 3_000, "payout-paid", f"payout/{number}")
    await hand.book(period, "P1", "paying", "payable", 7_000, "payout-returned", f"payout/{number}")
    said = await _lines(hand.database, Wanted(date(2026, 11, 1), "a", "month", "P1"))
    assert said[said.index("付款") - 1] == "-30.00"
    line = next(each for each in said if number in each)
    assert said[said.index(line) - 1] == "-30.00"
    assert "部分已付：计划 100.00，其余 70.00 已退回余额" in "".join(said).replace("\n", "")
    assert said[said.index("期末余额") - 1] == "70.00"


async def test_what_was_paid_once_more_is_a_line_of_its_own(hand: ByHand) -> None:
    november, december = [await hand.period("a", date(2026, number, 1)) for number in (11, 12)]
    batch = await hand.batch("a", november, date(2026, 11, 20))
    number = await hand.payout(batch, "P1", 10_000, "paid", ended_at=datetime(2026, 11, 21, 4, tzinfo=UTC))
    await hand.book(november, "P1", "paying", "bank", 10_000, "payout-paid", f"payout/{number}")
    await hand.book(november, "P1", "payable", "bank", 10_000, "payout-overpaid", f"payout/{number}")
    await hand.book(december, "P1", "bank", "payable", 10_000, "payout-overpaid", f"payout/{number}")
    said = await _lines(hand.database, Wanted(date(2026, 11, 1), "a", "month", "P1"))
    assert said[said.index("付款") - 1] == "-200.00"
    for state in ("已付", "多付，以后扣除"):
        place = said.index(f"　2026-11-21 银行转账 {number}　{state}")
        assert said[place - 1] == "-100.00"
    assert said[said.index("期末余额") - 1] == said[said.index("　其中可付") - 1] == "-100.00"
    said = await _lines(hand.database, Wanted(date(2026, 12, 1), "a", "month", "P1"))
    place = said.index(f"　2026-11-21 银行转账 {number}　多付的已退回")
    assert said[place - 1] == "100.00"
    assert said[said.index("期末余额") - 1] == "0.00"


async def test_what_a_bank_sent_back_later_was_paid_in_its_month(hand: ByHand) -> None:
    november, december = [await hand.period("a", date(2026, number, 1)) for number in (11, 12)]
    batch = await hand.batch("a", november, date(2026, 11, 20))
    ended_at = datetime(2026, 11, 21, 4, tzinfo=UTC)
    number = await hand.payout(batch, "P1", 10_000, "failed", ended_at=ended_at, reason="returned")
    await hand.book(november, "P1", "paying", "bank", 10_000, "payout-paid", f"payout/{number}")
    await hand.book(december, "P1", "bank", "payable", 10_000, "payout-bounced", f"payout/{number}")
    of_november = await _lines(hand.database, Wanted(date(2026, 11, 1), "a", "month", "P1"))
    of_december = await _lines(hand.database, Wanted(date(2026, 12, 1), "a", "month", "P1"))
    assert f"　2026-11-21 银行转账 {number}　已付" in of_november
    place = of_december.index(f"　2026-11-21 银行转账 {number}　失败，已退回余额")
    assert of_december[place - 1] == "100.00"


async def test_a_payout_that_failed_takes_nothing(hand: ByHand) -> None:
    period = await hand.period("a", date(2026, 11, 1))
    batch = await hand.batch("a", period, date(2026, 11, 20))
    ended_at = datetime(2026, 11, 21, 4, tzinfo=UTC)
    number = await hand.payout(batch, "P1", 10_000, "failed", ended_at=ended_at, reason="户名不符")
    await hand.book(period, "P1", "paying", "payable", 10_000, "payout-returned", f"payout/{number}")
    said = await _lines(hand.database, Wanted(date(2026, 11, 1), "a", "month", "P1"))
    place = said.index(f"　2026-11-21 银行转账 {number}　失败，已退回余额（100.00）")
    assert said[place - 1] == "0.00"
    assert said[said.index("期末余额") - 1] == "100.00"
