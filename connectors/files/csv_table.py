"""CSV, as Chinese shop consoles export it: UTF-8 with or without a byte order mark, GB18030, UTF-16 with a mark.

Source: RFC 4180.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

from domain.imports import MOST_COLUMNS, Row
from domain.problems import Text, ValidationProblem

_CHUNK = 1 << 20
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DELIMITERS = (",", "\t", ";", "|")


def csv_rows(file: BinaryIO, encoding: str, delimiter: str) -> Iterator[Row]:
    """The rows of a CSV file. encoding and delimiter may be `auto`.

    :raises ValidationProblem: the file is not in that encoding; `line` says where.
    """
    found = _encoding_of(file) if encoding == "auto" else _checked(file, encoding)
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=found, newline="")
    sign = _delimiter_of(text) if delimiter == "auto" else delimiter
    text.seek(0)
    return _rows(text, sign)


def _rows(text: io.TextIOWrapper, sign: str) -> Iterator[Row]:
    """Rows with something in them. What breaks the quotation ends the reading: what follows cannot be told apart."""
    reader = csv.reader(text, delimiter=sign, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield Row(line, tuple(cells[: MOST_COLUMNS + 1]))
            line = reader.line_num + 1
    except csv.Error as error:
        reason = Text(
            f"引号不成对或单元格过长，从这一行起无法读取（{error}）",
            f"a quotation mark is missing or a cell is too long; nothing can be read from here on ({error})",
        )
        yield Row(line, (), reason)
    finally:
        if not text.closed:
            text.detach()


def _encoding_of(file: BinaryIO) -> str:
    """The encoding, by its mark, else the first of UTF-8 and GB18030 in which the whole file makes sense."""
    file.seek(0)
    head = file.read(4)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return _checked(file, name)
    try:
        return _checked(file, "utf-8")
    except ValidationProblem:
        return _checked(file, "gb18030")


def _checked(file: BinaryIO, encoding: str) -> str:
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    line = 1
    while True:
        chunk = file.read(_CHUNK)
        try:
            line += decoder.decode(chunk, final=not chunk).count("\n")
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            raise ValidationProblem(
                Text(
                    f"第 {line} 行不是 {encoding} 编码；请另存为 UTF-8，或在映射中写明 encoding",
                    f"Line {line} is not in {encoding}; save the file as UTF-8, or name its encoding in the mapping",
                ),
                errors=[],
                line=line,
            ) from None
        if not chunk:
            return encoding


def _delimiter_of(text: io.TextIOWrapper) -> str:
    first = text.readline(65_536)
    return max(_DELIMITERS, key=first.count)
