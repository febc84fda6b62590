"""Every report comes to what the journal says, to the cent: of a month, a half, a year, one scheme and all.

As pages, as files, as statements: all rows in one order, nothing that a spreadsheet runs, names masked. In one file,
for which the months are made once.
"""

import io
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from openpyxl import load_workbook
from sqlalchemy import text

from domain.access import Role, Scope
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem
from domain.settlement.report_kinds import REPORTS
from services.report_files import harmless
from services.settlement_reports import ReportService, Wanted
from storage.engine import Database
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.reports.files import file_of, sums_of, table_of
from tests.reports.year_bills import QIAN, WU

YEAR = Wanted(date(2026, 3, 9), None, "year")
MARCH = Wanted(date(2026, 3, 9), "promoters")
FRAMES = {
    "a month of a scheme": Wanted(date(2026, 3, 9), "promoters"),
    "a half month": Wanted(date(2026, 3, 9), "stores"),
    "a quarter of all": Wanted(date(2026, 2, 9), None, "quarter"),
    "a year of all": Wanted(date(2026, 2, 9), None, "year"),
    "a month of all": Wanted(date(2026, 2, 9), None, "month"),
}


async def _all(books: Database, name: str, wanted: Wanted, size: int) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await ReportService(books).page(QIAN, name, wanted, PageRequest(size, cursor))
        found += page.rows.items
        cursor = page.rows.next_cursor
        if cursor is None:
            return found


def test_there_are_more_than_two_dozen() -> None:
    assert len(REPORTS) >= 24


@pytest.mark.parametrize("name", list(REPORTS))
@pytest.mark.parametrize("frame", list(FRAMES))
async def test_it_ties(books: Database, name: str, frame: str) -> None:
    wanted = FRAMES[frame]
    if REPORTS[name].refusal(wanted.filters):
        wanted = wanted._replace(scheme=None)
    for each in await ReportService(books).tie_out(QIAN, wanted, [name]):
        assert each.total == each.journal, f"{name} {frame}: {each}"


async def test_none_of_them_is_empty_over_a_year(books: Database) -> None:
    """A sum of nothing ties with nothing: that would prove little."""
    lines = await ReportService(books).tie_out(QIAN, FRAMES["a year of all"])
    assert [each.report.name for each in lines if not each.rows] == []
    assert [each.report.name for each in lines if not each.total] == []


@pytest.mark.parametrize("name", list(REPORTS))
async def test_pages_and_files_have_the_same_rows(books: Database, name: str) -> None:
    """Few to a page, all at once, as CSV and as XLSX: the same rows in the same order, none twice."""
    report = REPORTS[name]
    some, whole = await _all(books, name, YEAR, 7), await _all(books, name, YEAR, 200)
    assert some == whole
    keys = [tuple(str(row[each]) for each in report.key) for row in whole]
    assert len(set(keys)) == len(keys)
    told = table_of(await file_of(books, name, "csv", YEAR))
    assert len(told) == len(whole) + 1
    sheet = load_workbook(io.BytesIO(await file_of(books, name, "xlsx", YEAR)), read_only=True).worksheets[0]
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    assert [each or "" for each in rows[0]] == told[0]
    assert len(rows) == len(told)
    place = told[0].index(next(each.title.zh for each in report.columns if each.name == report.tie.column))
    for line, row in zip(told[1:], rows[1:], strict=True):
        assert Decimal(line[place]) == Decimal(str(row[place]))


@pytest.mark.parametrize("name", list(REPORTS))
async def test_the_total_of_a_file_is_what_the_journal_says(books: Database, name: str) -> None:
    ties = await ReportService(books).tie_out(QIAN, YEAR, [name])
    assert await sums_of(books, REPORTS[name], YEAR) == {each.currency: (each.rows, each.journal) for each in ties}


async def test_headings_are_of_the_language_that_is_asked_for(books: Database) -> None:
    english = table_of(await file_of(books, "channels", "csv", YEAR, locale="en"))
    assert english[0] == ["Channel", "Currency", "Payees", "Sold", "Earned"]


async def test_one_payee_only(books: Database) -> None:
    rows = await _all(books, "statements", MARCH._replace(payee="P2"), 50)
    assert {row["payee"] for row in rows} == {"P2"}
    whole = await _all(books, "statements", MARCH, 200)
    assert rows == [row for row in whole if row["payee"] == "P2"]
    with pytest.raises(NotFoundProblem):
        await _all(books, "statements", MARCH._replace(payee="nobody"), 50)


@pytest.mark.parametrize("cursor", ["x", "e30", "WyJwYXllZXMiXQ", "WyJwYXllZXMiLCAiMSIsIDIsICIiXQ", "a" * 1_020])
async def test_a_cursor_of_something_else_is_refused(books: Database, cursor: str) -> None:
    with pytest.raises(ValidationProblem):
        await ReportService(books).page(QIAN, "payees", YEAR, PageRequest(5, cursor))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝"])
def test_what_looks_like_a_formula_is_none(start: str) -> None:
    assert harmless(f"{start}HYPERLINK()") == f"'{start}HYPERLINK()"
    assert harmless("a=1") == "a=1"


async def test_names_and_free_text_are_masked_but_for_who_pays_and_says_why(books: Database) -> None:
    shown = await file_of(books, "payouts", "csv", YEAR)
    assert "名P1" not in shown.decode()
    assert "名**" in shown.decode()
    assert "13698765432" not in shown.decode()
    assert "13698765432" not in (await file_of(books, "corrections", "csv", YEAR)).decode()
    clear = await file_of(books, "payouts", "csv", YEAR, by=WU, unmask_for="核对付款")
    assert "名P1" in clear.decode()
    with pytest.raises(ValidationProblem):
        await file_of(books, "payouts", "csv", YEAR, unmask_for=" ")
    auditor = an_actor("he", Role.AUDITOR)
    assert await file_of(books, "payouts", "csv", YEAR, by=auditor)
    with pytest.raises(AuthorizationProblem):
        await file_of(books, "payouts", "csv", YEAR, by=auditor, unmask_for="好奇")
    async with UnitOfWork(books) as work:
        told = text("SELECT action, count(*) FROM audit_entries WHERE action LIKE 'settlement%' GROUP BY action")
        actions = {row[0]: row[1] for row in await work.session.execute(told)}
    assert actions["settlement.export"] >= 3
    assert actions["settlement-report.unmask"] == 1


async def test_only_who_sees_everything_may_see_settlements(books: Database) -> None:
    elsewhere = an_actor("qian", Role.FINANCE, scope=Scope.of_branch("/east/"))
    for actor in (elsewhere, an_actor("wang", Role.AGENT)):
        with pytest.raises(AuthorizationProblem):
            await ReportService(books).page(actor, "payees", YEAR, PageRequest())
    with pytest.raises(NotFoundProblem):
        await ReportService(books).page(QIAN, "nothing", YEAR, PageRequest())
    with pytest.raises(NotFoundProblem):
        await ReportService(books).page(QIAN, "payees", YEAR._replace(scheme="nobody"), PageRequest())
    with pytest.raises(ValidationProblem):
        await ReportService(books).page(QIAN, "payees", YEAR._replace(day=date.max), PageRequest())
