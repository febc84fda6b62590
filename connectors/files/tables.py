"""Which kind of table a file is, by its first bytes and never by its name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from connectors.files.csv_table import csv_rows
from connectors.files.xlsx_table import open_workbook, sheet_rows
from domain.imports import MOST_COLUMNS, Row, Table
from domain.imports.mapping import ImportMapping
from domain.problems import Text, ValidationProblem

_ZIP, _OLD_OFFICE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


@contextmanager
def open_table(file: BinaryIO, mapping: ImportMapping) -> Iterator[Table]:
    """The table in a seekable file, open as long as the block; its rows are read as they are asked for. A row of a
    spreadsheet is as wide as the titles at least, one of a CSV may be cut short.

    :raises ValidationProblem: neither CSV nor XLSX, an unknown encoding or sheet, no column titles, or a file made to
        exhaust its reader.
    """
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    if head == _OLD_OFFICE:
        raise ValidationProblem(
            Text(
                "这是旧版 .xls 或加密的文件，请另存为 .xlsx 或 CSV",
                "An old .xls or a locked file: save it as .xlsx",
            ),
            errors=[],
        )
    if head == _ZIP:
        with open_workbook(file) as workbook:
            yield _as_wide_as_titles(_below_titles(sheet_rows(workbook, mapping.sheet), mapping.header))
    else:
        yield _below_titles(csv_rows(file, mapping.encoding, mapping.delimiter), mapping.header)


def _as_wide_as_titles(table: Table) -> Table:
    """A spreadsheet leaves out the empty cells that a row ends with."""
    width = len(table.columns)
    rows = (
        row._replace(cells=(*row.cells, *(None,) * (width - len(row.cells)))) if row.fault is None else row
        for row in table.rows
    )
    return table._replace(rows=rows)


def _below_titles(rows: Iterator[Row], header: int) -> Table:
    titles: list[str] = []
    for row in rows:
        if row.fault is None and row.line < header:
            continue
        if row.fault is None and row.line == header:
            titles = [str(cell or "").strip().removeprefix("\ufeff") for cell in row.cells]
        break
    while titles and not titles[-1]:
        titles.pop()
    if not titles or len(titles) > MOST_COLUMNS:
        raise ValidationProblem(
            Text(
                f"第 {header} 行没有列标题（最多 {MOST_COLUMNS} 列）；标题不在这一行时，请在映射中写 header",
                f"Line {header} holds no column titles ({MOST_COLUMNS} at most); if they are elsewhere, write `header`",
            ),
            errors=[],
        )
    return Table(tuple(titles), rows)
