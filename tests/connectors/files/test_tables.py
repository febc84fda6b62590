"""Files as people export them: encodings, quotations, formulas, bombs; and large ones in little memory."""

import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from openpyxl import Workbook

from connectors.files import open_table
from domain.imports import Row, Unreadable
from domain.imports.mapping import ImportMapping
from domain.problems import ValidationProblem

TEXT = '订单编号,商品\r\nT1,羊毛大衣\r\n\r\nT2,"多行\r\n商品"\r\nT3,㐂\r\n'


def read(content: bytes, **options: Any) -> tuple[tuple[str, ...], list[Row]]:
    mapping = ImportMapping(record="order", fields={}, **options)
    with open_table(io.BytesIO(content), mapping) as table:
        return table.columns, list(table.rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_are_told_apart_and_lines_counted(encoding: str) -> None:
    columns, rows = read(TEXT.encode(encoding))
    assert columns == ("订单编号", "商品")
    assert [(row.line, row.cells) for row in rows] == [
        (2, ("T1", "羊毛大衣")),
        (4, ("T2", "多行\r\n商品")),
        (6, ("T3", "㐂")),
    ]


def test_an_encoding_that_fits_nothing_is_told_with_its_line() -> None:
    with pytest.raises(ValidationProblem, match="Line 2"):
        read(b"a,b\n\xff\xff\xff,1\n")
    with pytest.raises(ValidationProblem, match="Line 1"):
        read(TEXT.encode("gb18030"), encoding="utf-8")


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_delimiter_is_seen_from_the_titles(sign: str) -> None:
    assert read(f"a{sign}b\n1{sign}2\n".encode())[1][0].cells == ("1", "2")


def test_titles_may_stand_further_down() -> None:
    columns, rows = read("店铺导出\n2026-11-11\na,b\n1,2\n".encode(), header=3)
    assert (columns, rows[0].line) == (("a", "b"), 4)


@pytest.mark.parametrize("content", [b"", b"\n\n", b",,\n1,2\n"])
def test_a_file_without_titles_says_so(content: bytes) -> None:
    with pytest.raises(ValidationProblem, match="titles"):
        read(content)


@pytest.mark.parametrize("broken", ['2,"open\n3,x\n' + "y" * 140_000, '2,"a"b\n'])
def test_a_broken_quotation_ends_the_reading_with_its_line(broken: str) -> None:
    rows = read(f"a,b\n1,x\n{broken}".encode())[1]
    assert [(row.line, row.fault is None) for row in rows] == [(2, True), (3, False)]


MORNING = datetime.fromisoformat("2026-11-01T08:00:00")


def sheet(*rows: list[Any], title: str = "订单") -> bytes:
    workbook = Workbook()
    workbook.active.title = title
    for row in rows:
        workbook.active.append(row)
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def test_a_sheet_is_read_with_its_kinds_and_formulas_hold_no_value() -> None:
    content = sheet(["a", "b", "c", "d"], ["T1", 12.5, MORNING, "=1+1"], [], ["T2", 3, None, "#N/A"])
    columns, rows = read(content)
    assert columns == ("a", "b", "c", "d")
    assert rows[0].cells[:3] == ("T1", 12.5, MORNING)
    assert isinstance(rows[0].cells[3], Unreadable)
    assert isinstance(rows[1].cells[3], Unreadable)
    assert (rows[1].line, rows[1].cells[1]) == (4, 3)


def test_what_a_spreadsheet_leaves_out_is_not_cut_short_and_what_a_csv_leaves_out_may_be() -> None:
    assert [row.cells for row in read(sheet(["a", "b", "c"], ["T1"], ["T2", 1, 2, 3]))[1]] == [
        ("T1", None, None),
        ("T2", 1, 2, 3),
    ]
    assert [row.cells for row in read(b"a,b,c\nT1\n")[1]] == [("T1",)]


def test_a_sheet_is_chosen_by_its_name() -> None:
    content = sheet(["a"], ["1"])
    assert read(content, sheet="订单")[0] == ("a",)
    with pytest.raises(ValidationProblem, match="订单"):
        read(content, sheet="退款")


def rebuilt(content: bytes, change: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, change.get(part.filename, old.read(part)))
    return file.getvalue()


ENTITY = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]>'
    b'<worksheet><sheetData><row r="1"><c t="str"><v>&a;</v></c></row></sheetData></worksheet>'
)


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 not a zip",
        b"\xd0\xcf\x11\xe0 old office",
        rebuilt(sheet(["a"]), {"xl/workbook.xml": b"<broken"}),
        rebuilt(sheet(["a"]), {"xl/worksheets/sheet1.xml": ENTITY}),
        rebuilt(sheet(["a"]), {"xl/styles.xml": b" " * 300_000_000}),
    ],
    ids=["no zip", "old", "broken", "entity", "bomb"],
)
def test_hostile_and_broken_workbooks_are_refused(content: bytes) -> None:
    with pytest.raises(ValidationProblem):
        read(content)


def test_a_sheet_that_breaks_off_keeps_what_came_before() -> None:
    whole = sheet(["a"], *([str(number)] for number in range(50)))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        xml = archive.read("xl/worksheets/sheet1.xml")
    rows = read(rebuilt(whole, {"xl/worksheets/sheet1.xml": xml[: len(xml) // 2]}))[1]
    assert rows[0].cells[0] == "0"
    assert rows[-1].fault is not None


class Endless(io.RawIOBase):
    """A CSV of many megabytes that is nowhere whole."""

    def __init__(self, rows: int) -> None:
        self._line = b"T00000001,%s\n" % (b"x" * 90)
        self._size = 4 + rows * len(self._line)
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = 0) -> int:
        self._place = place if whence == 0 else self._place + place if whence == 1 else self._size + place
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._place)
        chunk = bytes(self._bytes(self._place, count))
        buffer[:count] = chunk
        self._place += count
        return count

    def _bytes(self, start: int, count: int) -> bytes:
        if start < 4:
            head = b"a,b\n"[start : start + count]
            return head + self._bytes(4, count - len(head)) if count > len(head) else head
        offset = (start - 4) % len(self._line)
        return (self._line * (count // len(self._line) + 2))[offset : offset + count]


def test_a_large_file_takes_no_more_memory_than_a_small_one() -> None:
    def peak(rows: int) -> int:
        tracemalloc.start()
        with open_table(io.BufferedReader(Endless(rows)), ImportMapping(record="order", fields={})) as table:
            assert sum(1 for _ in _each(table.rows)) == rows
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(60_000) < peak(30_000) + 500_000


def _each(rows: Iterator[Row]) -> Iterator[Row]:
    yield from rows
