"""XLSX, read as a stream. Formulas are never computed, and their stored results are not believed either: such a cell is
told as one that holds no value.

Source: ECMA-376, by `openpyxl` in its read-only mode; XML is read with entities refused (`defusedxml`).
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.xml import DEFUSEDXML

from domain.imports import MOST_COLUMNS, Cell, Row, Unreadable
from domain.problems import ConfigurationProblem, Text, ValidationProblem

MOST_PARTS = 2_000
LARGEST_SHARED_TEXTS = 256 * 1024 * 1024
LARGEST_WHOLE = 4 * 1024 * 1024 * 1024
_BROKEN = (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, SyntaxError, EOFError, OSError, TypeError)


@contextmanager
def open_workbook(file: BinaryIO) -> Iterator[Any]:
    """The workbook, open as long as the block; raises ValidationProblem for one that is broken or a bomb."""
    if not DEFUSEDXML:
        raise ConfigurationProblem(Text("读取 XLSX 需要 defusedxml", "Reading XLSX needs defusedxml"))
    try:
        _refuse_bombs(file)
        file.seek(0)
        workbook = load_workbook(file, read_only=True, data_only=False, keep_links=False)
    except _BROKEN as error:
        raise _broken(error) from None
    try:
        yield workbook
    finally:
        workbook.close()


def sheet_rows(workbook: Any, sheet: str | None) -> Iterator[Row]:
    """The rows of a sheet, the first one when none is named; raises ValidationProblem when there is no such sheet."""
    names = list(workbook.sheetnames)
    if sheet is not None and sheet not in names:
        known = ", ".join(names[:20])
        raise ValidationProblem(
            Text(f"没有工作表“{sheet}”，有：{known}", f"There is no sheet “{sheet}”; there are: {known}"), errors=[]
        )
    worksheet = workbook[sheet or names[0]] if names else None
    if worksheet is None or not hasattr(worksheet, "reset_dimensions"):
        raise ValidationProblem(Text("工作簿中没有表格", "The workbook holds no table"), errors=[])
    # What a file says of its own size is not believed.
    worksheet.reset_dimensions()
    return _rows(worksheet)


def _rows(worksheet: Any) -> Iterator[Row]:
    line = 0
    try:
        for line, cells in enumerate(worksheet.iter_rows(), 1):
            # Each row is as long as what stands in it: asked for so many columns, each would be filled up to them.
            values = tuple(_value(cell) for cell in cells[: MOST_COLUMNS + 1])
            if any(value not in (None, "") for value in values):
                yield Row(line, values)
    except _BROKEN as error:
        yield Row(
            line + 1, (), Text(f"文件已损坏（{type(error).__name__}）", f"the file is broken ({type(error).__name__})")
        )


def _value(cell: Any) -> Cell:
    value = cell.value
    if value is None or isinstance(value, str | int | float | datetime | date):
        if cell.data_type == "f":
            return Unreadable(
                Text(
                    "单元格是公式：请复制后“粘贴为数值”", "this cell is a formula: copy the column and paste its values"
                )
            )
        if cell.data_type == "e":
            return Unreadable(Text("单元格是错误值", "this cell holds an error"))
        return value
    if isinstance(value, time | timedelta):
        return str(value)
    return Unreadable(Text("单元格是公式或无法读取的内容", "this cell holds a formula or what cannot be read"))


def _refuse_bombs(file: BinaryIO) -> None:
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
    shared = sum(part.file_size for part in parts if "sharedStrings" in part.filename or "styles" in part.filename)
    whole = sum(part.file_size for part in parts)
    if len(parts) > MOST_PARTS or shared > LARGEST_SHARED_TEXTS or whole > LARGEST_WHOLE:
        raise ValidationProblem(
            Text("展开后的文件过大，请拆分或另存为 CSV", "The unpacked file is too large: split it, or save it as CSV"),
            errors=[],
        )


def _broken(error: Exception) -> ValidationProblem:
    kind = type(error).__name__
    return ValidationProblem(Text(f"不是完好的 XLSX 文件（{kind}）", f"This is no sound XLSX file ({kind})"), errors=[])
