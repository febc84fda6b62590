"""Tables written as CSV and XLSX, row by row, the same bytes for the same rows whenever that is.

A text is written as a text, whatever it looks like; whole and decimal numbers are numbers in XLSX. Sources: RFC 4180;
ECMA-376 parts 1 and 2, of which only what a table needs is written: `openpyxl` takes ten times as long for it, and
notes the time.
"""

import codecs
import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import BinaryIO
from xml.sax.saxutils import escape, quoteattr
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

Value = str | int | Decimal | None
Sheet = tuple[str, Iterable[Sequence[Value]]]
"""A title, and rows from the first line on."""

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_AT_ONCE = 500
_ILLEGAL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF), " ")
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def write_csv(file: BinaryIO, rows: Iterable[Sequence[Value]]) -> None:
    """UTF-8 with a byte order mark, which spreadsheets need to tell it from GB18030; lines end as RFC 4180 says."""
    file.write(codecs.BOM_UTF8)
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    for row in rows:
        writer.writerow(["" if each is None else str(each) for each in row])
    text.detach()


def write_xlsx(file: BinaryIO, sheets: Sequence[Sheet]) -> None:
    """A workbook with these sheets; no more than some hundred rows of it are in memory at a time."""
    with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=6) as archive:
        for name, text in _around([title for title, _ in sheets]).items():
            archive.writestr(_member(name), text)
        for number, (_, rows) in enumerate(sheets, 1):
            with archive.open(_member(_sheet(number)), "w", force_zip64=True) as part:
                part.write(f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
                told: list[str] = []
                for line, row in enumerate(rows, 1):
                    told.append(f'<row r="{line}">{"".join(map(_cell, row))}</row>')
                    if len(told) == _AT_ONCE:
                        part.write("".join(told).encode())
                        told.clear()
                part.write(("".join(told) + "</sheetData></worksheet>").encode())


def _cell(value: Value) -> str:
    if value is None or value == "":
        return "<c/>"
    if isinstance(value, str):
        text = escape(value.translate(_ILLEGAL), {"\r": "&#13;"})
        return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
    return f"<c><v>{value}</v></c>"


def _around(titles: Sequence[str]) -> dict[str, str]:
    """The parts of a workbook beside its sheets."""
    numbers = range(1, len(titles) + 1)
    sheets = "".join(
        f'<sheet name={quoteattr(title)} sheetId="{number}" r:id="rId{number}"/>'
        for number, title in zip(numbers, titles, strict=True)
    )
    kinds = "".join(
        f'<Override PartName="/{_sheet(number)}" ContentType="{_KIND}.worksheet+xml"/>' for number in numbers
    )
    targets = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/worksheet" Target="/{_sheet(number)}"/>' for number in numbers
    )
    return {
        "[Content_Types].xml": f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>{kinds}</Types>',
        "_rels/.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="/xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{sheets}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{targets}'
        "</Relationships>",
    }


def _sheet(number: int) -> str:
    return f"xl/worksheets/sheet{number}.xml"


def _member(name: str) -> ZipInfo:
    """A member of the archive that does not say when it was written."""
    member = ZipInfo(name, _LONG_AGO)
    member.compress_type = ZIP_DEFLATED
    return member
