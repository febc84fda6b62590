"""Reports as CSV and XLSX: written row by row into a file that has no name, however many rows there are.

What a spreadsheet might take for a formula is written so that it cannot. Amounts are in major units, as people and
spreadsheets count.
"""

import asyncio
import csv
import io
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any, Literal
from zoneinfo import ZoneInfo

import xlsxwriter

from domain.access import Actor
from domain.money import major_from_minor
from domain.problems import Text
from domain.settlement.exact import WEIGHT
from domain.settlement.reports import Column, Report
from services.settlement_reports import (
    ReportService,
    Row,
    Wanted,
    note_clear,
    note_export,
    require_clear,
    require_report,
)
from storage.engine import Database
from storage.report_rows import NAME, ReportRows
from storage.unit_of_work import UnitOfWork

FileFormat = Literal["csv", "xlsx"]
Cell = str | int | Decimal | None
MEDIA_TYPES: Mapping[FileFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
ROWS_OF_A_SHEET = 1_000_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_SHANGHAI = ZoneInfo("Asia/Shanghai")
_CHUNK = 65_536
_PAYEE_NAME = Column(NAME, "text", Text("姓名", "Name"))
_WIDTH = 16


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A file to be handed out. `chunks` may be read once. Nothing of it has to be masked any more."""

    name: str
    media_type: str
    rows: int
    content: IO[bytes]
    masked: bool = False

    def chunks(self) -> Iterator[bytes]:
        """The content from its beginning; the file is gone afterwards."""
        with self.content as file:
            file.seek(0)
            yield from iter(lambda: file.read(_CHUNK), b"")


class ReportFiles:
    """Exports, each audited."""

    def __init__(self, database: Database, reports: ReportService) -> None:
        self._database = database
        self._reports = reports

    async def export(
        self,
        actor: Actor,
        name: str,
        wanted: Wanted,
        form: FileFormat,
        *,
        unmask_for: str | None = None,
        locale: str = "zh",
    ) -> ReportFile:
        """All rows of a report at one moment. Raises as `ReportService.page` does."""
        report = require_report(actor, name)
        require_clear(actor, unmask_for)
        async with UnitOfWork(self._database) as work:
            await note_export(work, actor, name, wanted, form, unmask_for)
            await note_clear(work, actor, report, unmask_for)
        async with UnitOfWork(self._database) as work:
            await ReportRows(work).read_as_of_now()
            frame = await self._reports.frame(work, report, wanted)
            rows = self._reports.rows(work, report, frame, in_clear=unmask_for is not None)
            named = f"{name}_{wanted.scheme or 'all'}_{frame.days.start}_{frame.days.end}"
            return await table_file(named, report_columns(report), form, rows, locale)


async def table_file(
    name: str, columns: Sequence[Column], form: FileFormat, rows: AsyncIterator[Row], locale: str
) -> ReportFile:
    """A file of rows under the titles of their columns; its name gets the form's ending."""
    content = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever reads it
    count = await write_table(content, columns, form, rows, locale)
    return ReportFile(f"{name}.{form}", MEDIA_TYPES[form], count, content)


async def write_table(
    content: IO[bytes], columns: Sequence[Column], form: FileFormat, rows: AsyncIterator[Row], locale: str
) -> int:
    """Write rows under the titles of their columns, one after the other; how many there were."""
    sheet = _Csv(content) if form == "csv" else _Xlsx(content)
    sheet.begin([each.title.zh if locale == "zh" else each.title.en for each in columns])
    count = 0
    async for row in rows:
        sheet.add([cell_of(each, row) for each in columns])
        count += 1
    await asyncio.to_thread(sheet.end)
    return count


def report_columns(report: Report) -> list[Column]:
    """The columns of a report's file."""
    return beside_names(report.columns)


def beside_names(columns: Sequence[Column]) -> list[Column]:
    """The columns of a file: a payee's name stands beside their code."""
    found: list[Column] = []
    for each in columns:
        found += [each, _PAYEE_NAME] if each.kind == "payee" else [each]
    return found


def cell_of(column: Column, row: Row) -> Cell:
    """What a person reads in a place of a row: amounts in major units, instants in Shanghai's time."""
    value = row[column.name]
    match column.kind:
        case _ if value is None:
            return None
        case "money":
            return Decimal(major_from_minor(value, row["currency"]))
        case "measure":
            return measured(row, column.name)
        case "abroad":
            return measured({**row, "currency": row["foreign_currency"]}, column.name)
        case "rate":
            return Decimal(value) if value else None
        case "instant":
            return f"{value.astimezone(_SHANGHAI):%Y-%m-%d %H:%M:%S}"
        case "count":
            return int(value)
        case _:
            return str(value)


def measured(row: Row, name: str = "base") -> Decimal:
    """What a component counted: an amount in major units, or how many; without decimals that say nothing."""
    units = Decimal(row[name]) / WEIGHT
    if row["measured"] == "money":
        major = units * Decimal(major_from_minor(1, row["currency"]))
        cents = Decimal(major_from_minor(0, row["currency"]))
        return major.quantize(cents) if major == major.quantize(cents) else major.normalize()
    return units.quantize(Decimal(1)) if units == units.to_integral_value() else units.normalize()


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


class _Csv:
    """UTF-8 with the mark that Excel knows it by."""

    def __init__(self, content: IO[bytes]) -> None:
        self._text = io.TextIOWrapper(content, encoding="utf-8-sig", newline="", write_through=True)
        self._writer = csv.writer(self._text)

    def begin(self, titles: Sequence[str]) -> None:
        self._writer.writerow(titles)

    def add(self, cells: Sequence[Cell]) -> None:
        self._writer.writerow([_written(each) for each in cells])

    def end(self) -> None:
        self._text.flush()
        self._text.detach()


class _Xlsx:
    """A workbook that keeps one row in memory; a sheet that is full is followed by another."""

    def __init__(self, content: IO[bytes]) -> None:
        self._book = xlsxwriter.Workbook(content, {"constant_memory": True, "in_memory": False})
        self._bold = self._book.add_format({"bold": True})
        self._formats: dict[int, Any] = {}
        self._titles: Sequence[str] = ()
        self._sheet: Any = None
        self._row = 0

    def begin(self, titles: Sequence[str]) -> None:
        self._titles = titles
        self._sheet, self._row = self._book.add_worksheet(), 1
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_column(0, max(len(titles) - 1, 0), _WIDTH)
        for place, title in enumerate(titles):
            self._sheet.write_string(0, place, title, self._bold)

    def add(self, cells: Sequence[Cell]) -> None:
        if self._row > ROWS_OF_A_SHEET:
            self.begin(self._titles)
        for place, cell in enumerate(cells):
            if isinstance(cell, Decimal):
                self._sheet.write_number(self._row, place, float(cell), self._format(cell))
            elif isinstance(cell, int):
                self._sheet.write_number(self._row, place, cell)
            elif cell:
                self._sheet.write_string(self._row, place, harmless(cell))
        self._row += 1

    def end(self) -> None:
        self._book.close()

    def _format(self, cell: Decimal) -> Any:
        """As many decimals as the amount has."""
        exponent = cell.as_tuple().exponent
        decimals = max(-exponent, 0) if isinstance(exponent, int) else 0
        if decimals not in self._formats:
            shown = "#,##0" + ("." + "0" * decimals if decimals else "")
            self._formats[decimals] = self._book.add_format({"num_format": shown})
        return self._formats[decimals]


def _written(cell: Cell) -> str:
    if cell is None:
        return ""
    return harmless(cell) if isinstance(cell, str) else format(cell, "f") if isinstance(cell, Decimal) else str(cell)
