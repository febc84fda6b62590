"""Every report comes to what the journal says, to the cent: of a month, a half, a year, one scheme and all.

As pages, as files, as statements: all rows in one order, nothing that a spreadsheet runs, names masked. In one file,
for which the months are made once.
"""

import csv
import io
import re
import zipfile
import zlib
from base64 import a85decode
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
from services.payee_statements import PayeeStatements
from services.report_files import FileFormat, ReportFiles, harmless
from services.settlement_reports import ReportService, Wanted
from storage.engine import Database
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
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


async def _file(books: Database, name: str, form: FileFormat, wanted: Wanted = YEAR, **more: Any) -> bytes:
    made = await ReportFiles(books, ReportService(books)).export(more.pop("by", QIAN), name, wanted, form, **more)
    return b"".join(made.chunks())


def _csv(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))


def test_there_are_more_than_two_dozen() -> None:
    assert len(REPORTS) >= 24


@pytest.mark.parametrize("name", list(REPORTS))
@pytest.mark.parametrize("frame", list(FRAMES))
async def test_it_ties(books: Database, name: str, frame: str) -> None:
    for each in await ReportService(books).tie_out(QIAN, FRAMES[frame], [name]):
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
    told = _csv(await _file(books, name, "csv"))
    assert len(told) == len(whole) + 1
    sheet = load_workbook(io.BytesIO(await _file(books, name, "xlsx")), read_only=True).worksheets[0]
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    assert [each or "" for each in rows[0]] == told[0]
    assert len(rows) == len(told)
    place = told[0].index(next(each.title.zh for each in report.columns if each.name == report.tie.column))
    for line, row in zip(told[1:], rows[1:], strict=True):
        assert Decimal(line[place]) == Decimal(str(row[place]))


async def test_the_total_of_a_file_is_what_the_journal_says(books: Database) -> None:
    (tie,) = await ReportService(books).tie_out(QIAN, YEAR, ["channels"])
    head, *rows = _csv(await _file(books, "channels", "csv"))
    assert sum(Decimal(row[head.index("收入")]) for row in rows) == Decimal(tie.journal) / 100
    english = _csv(await _file(books, "channels", "csv", locale="en"))
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
    shown = await _file(books, "payouts", "csv")
    assert "名P1" not in shown.decode()
    assert "名**" in shown.decode()
    assert "13698765432" not in shown.decode()
    assert "13698765432" not in (await _file(books, "corrections", "csv")).decode()
    clear = await _file(books, "payouts", "csv", by=WU, unmask_for="核对付款")
    assert "名P1" in clear.decode()
    with pytest.raises(ValidationProblem):
        await _file(books, "payouts", "csv", unmask_for=" ")
    auditor = an_actor("he", Role.AUDITOR)
    assert await _file(books, "payouts", "csv", by=auditor)
    with pytest.raises(AuthorizationProblem):
        await _file(books, "payouts", "csv", by=auditor, unmask_for="好奇")
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


def _drawn(content: bytes) -> str:
    """The texts of a PDF of ours: UCS-2 in strings of its streams."""
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
        try:
            drawn = zlib.decompress(a85decode(stream.strip().removesuffix(b"~>")))
        except (ValueError, zlib.error):
            continue
        for told in re.findall(rb"\(((?:\\.|[^\\)])*)\) Tj", drawn, re.DOTALL):
            plain = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), told)
            plain = re.sub(rb"\\(.)", rb"\1", plain, flags=re.DOTALL)
            found.append(plain.decode("utf-16-be", "replace"))
    return "\n".join(found)


async def test_a_statement_says_where_every_cent_is(books: Database) -> None:
    statements = PayeeStatements(books, ReportService(books))
    wanted = MARCH._replace(payee="P2")
    made = await statements.pdf(QIAN, wanted)
    again = await statements.pdf(QIAN, wanted)
    assert made.content == again.content
    assert made.content.startswith(b"%PDF")
    said = _drawn(made.content)
    rows = await _all(books, "statements", wanted, 200)
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
    assert "名P2" in _drawn((await statements.pdf(QIAN, wanted, unmask_for="打印")).content)
    with pytest.raises(NotFoundProblem):
        await statements.pdf(QIAN, wanted._replace(payee="S1"))


async def test_all_statements_come_as_one_archive(books: Database) -> None:
    statements = PayeeStatements(books, ReportService(books))
    made = await statements.archive(QIAN, YEAR)
    pieces = [each async for each in made.chunks]
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert archive.testzip() is None
    told = {name.partition("_")[0] for name in archive.namelist()}
    assert told == {row["payee"] for row in await _all(books, "statements", YEAR, 200)}
    assert len(pieces) > len(told), "it is sent while it is made"
