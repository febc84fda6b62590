"""The rows of a bank's file: nothing in them is a formula or breaks a line, and a changed one changes the digest."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.imports import Row, Table
from domain.problems import ValidationProblem
from domain.settlement.bank_files import HEADING, BankLine, bank_line, cells, harmless, read_lines, summary_of

LI = bank_line("P1", "李小红", "6222020200112233445", "招商银行", (68_765, "CNY"), "佣金")
MONEY = st.tuples(st.integers(1, 10**13), st.sampled_from(["CNY", "JPY", "KWD"]))
LINES = st.builds(bank_line, st.just("P1"), st.text(), st.from_regex(r"[0-9]{8,30}", fullmatch=True), st.text(), MONEY,
                  st.text())  # fmt: skip


def a_table(*rows: tuple[Any, ...], columns: tuple[str, ...] = HEADING) -> Table:
    return Table(columns, iter([Row(line, cells) for line, cells in enumerate(rows, start=2)]))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("李小红", "李小红"),
        ("=HYPERLINK(0)", "'=HYPERLINK(0)"),
        (" \t@SUM(1)", "'@SUM(1)"),
        ("\u200e+86", "'+86"),
        ("＝1+1", "'＝1+1"),
        ("-2", "'-2"),
        ('a\r\nb,"c"\u2028d', 'a b,"c" d'),
        ("\u202eevil\x00", "evil"),
        ("王👨‍👩‍👧小明", "王👨‍👩‍👧小明"),
    ],
)
def test_what_people_wrote_is_made_harmless(text: str, written: str) -> None:
    assert harmless(text) == written


@given(st.text())
def test_nothing_is_a_formula_and_nothing_breaks_a_line(text: str) -> None:
    found = harmless(text)
    assert not found.startswith(("=", "+", "-", "@"))
    assert len(found.splitlines()) <= 1
    assert harmless(found) == found


@given(st.lists(LINES))
def test_what_was_written_is_read_again(lines: list[BankLine]) -> None:
    read = list(read_lines(a_table(*map(cells, lines))))
    assert read == lines
    assert summary_of(read) == summary_of(lines)
    assert summary_of(lines)[:2] == (len(lines), sum(each.amount_minor for each in lines))


@given(st.lists(LINES, min_size=1, max_size=5), st.data())
def test_a_changed_file_has_another_digest(lines: list[BankLine], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(lines) - 1))
    line = lines[place]
    others = [line._replace(amount_minor=line.amount_minor + 1), line._replace(account=line.account + "1")]
    others += [line._replace(payee=line.payee + "1"), line._replace(bank=""), line._replace(memo=line.memo + " ")]
    other = data.draw(st.sampled_from([each for each in others if each != line]))
    digest = summary_of(lines).digest
    assert summary_of([*lines[:place], other, *lines[place + 1 :]]).digest != digest
    assert summary_of([*lines, other]).digest != digest
    assert summary_of(lines[:-1]).digest != digest


@pytest.mark.parametrize(
    "table",
    [
        a_table(cells(LI), columns=HEADING[1:]),
        a_table(cells(LI), columns=(HEADING[1], HEADING[0], *HEADING[2:])),
        a_table((*cells(LI), "more")),
        a_table(("", *cells(LI)[:-1])),
        a_table((*cells(LI)[:4], "六百", "CNY", "")),
    ],
)
def test_what_is_no_such_file_any_more(table: Table) -> None:
    with pytest.raises(ValidationProblem):
        list(read_lines(table))
