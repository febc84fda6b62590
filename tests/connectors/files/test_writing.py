"""Tables written and read again: the same texts, whatever stands in them, and the same bytes every time."""

import io
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from connectors.files import open_table, write_csv, write_xlsx
from connectors.files.writing import Value
from domain.imports.mapping import ImportMapping
from domain.settlement.bank_files import HEADING, BankLine, bank_line, cells, read_lines

HOSTILE = [
    "=1+1",
    "#N/A",
    "#REF!",
    'a"b',
    "<v>&amp;]]>",
    "a,b;c\td",
    "👨‍👩‍👧",
    "0042",
    "6222020200112233445",
    "TRUE",
    "1e5",
]
LINES = st.builds(
    bank_line,
    st.from_regex(r"P[0-9a-f]{31}", fullmatch=True),
    st.text(max_size=20) | st.sampled_from(HOSTILE),
    st.from_regex(r"[0-9]{8,30}", fullmatch=True),
    st.text(max_size=20) | st.sampled_from(HOSTILE),
    st.tuples(st.integers(1, 10**12), st.just("CNY")),
    st.just("佣金"),
)


def written(kind: str, rows: list[tuple[Value, ...]]) -> bytes:
    file = io.BytesIO()
    if kind == "csv":
        write_csv(file, rows)
    else:
        write_xlsx(file, [("付款 <1>", rows), ("汇总", [("笔数", 1)])])
    return file.getvalue()


def read(content: bytes) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    with open_table(io.BytesIO(content), ImportMapping(record="bank-file", fields={})) as table:
        return table.columns, [row.cells for row in table.rows]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@settings(max_examples=25, deadline=None)
@given(lines=st.lists(LINES, max_size=4))
def test_a_file_of_payouts_is_read_as_it_was_written(kind: str, lines: list[BankLine]) -> None:
    content = written(kind, [HEADING, *map(cells, lines)])
    with open_table(io.BytesIO(content), ImportMapping(record="bank-file", fields={})) as table:
        assert list(read_lines(table)) == lines
    assert written(kind, [HEADING, *map(cells, lines)]) == content


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_texts_stay_texts(kind: str) -> None:
    columns, rows = read(written(kind, [("a", "b"), *((each, "x") for each in HOSTILE)]))
    assert (columns, [row[0] for row in rows]) == (("a", "b"), HOSTILE)


def test_a_workbook_has_numbers_empty_cells_and_every_sheet() -> None:
    content = written("xlsx", [("a", None, Decimal("1234567890123.45"), 7, "", "a\x00\ud800b\r\n")])
    book = load_workbook(io.BytesIO(content))
    assert book.sheetnames == ["付款 <1>", "汇总"]
    (row,) = book["付款 <1>"].iter_rows(values_only=True)
    assert row == ("a", None, 1_234_567_890_123.45, 7, None, "a  b\r\n")
    assert [cell.data_type for cell in next(book["付款 <1>"].iter_rows())] == ["s", "n", "n", "n", "n", "s"]


def test_a_csv_has_a_mark_and_lines_that_end_as_they_should() -> None:
    assert written("csv", [("甲", None, 1)]) == "\ufeff甲,,1\r\n".encode()
