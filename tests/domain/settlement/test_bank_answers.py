"""What is read of a bank's answer, and what makes a whole file unbelievable."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.imports import Row, Table, Unreadable
from domain.problems import Text, ValidationProblem
from domain.settlement.bank_answers import AnswerRow, read_answer
from domain.settlement.bank_files import HEADING

TITLES = "付款编号,结果,金额(元),币种,银行流水号,失败原因,交易时间"


def number(name: int) -> str:
    return f"P{name:031x}"


def a_table(titles: str, *rows: tuple[Any, ...]) -> Table:
    return Table(tuple(titles.split(",")), iter([Row(line, cells) for line, cells in enumerate(rows, start=2)]))


def read(titles: str, *rows: tuple[Any, ...]) -> tuple[list[AnswerRow], list[tuple[int, str]]]:
    found = read_answer(a_table(titles, *rows))
    return list(found.rows), [(each.line, each.column) for each in found.errors]


def refused(titles: str, *rows: tuple[Any, ...]) -> ValidationProblem:
    with pytest.raises(ValidationProblem) as found:
        read(titles, *rows)
    return found.value


def test_a_whole_answer_in_chinese() -> None:
    rows, errors = read(
        TITLES,
        (number(1), "成功", "1,234.50", "CNY", "S1", None, "2026-12-01 10:30:00"),
        (number(2), "失败", 5, "cny", None, "户名不符", None),
        (number(3), "处理中", "0.01", None, None, None, None),
    )
    assert errors == []
    at = datetime(2026, 12, 1, 2, 30, tzinfo=UTC)
    assert rows == [
        AnswerRow(2, number(1), "paid", "1234.50", "CNY", "S1", None, at),
        AnswerRow(3, number(2), "failed", "5", "CNY", None, "户名不符", None),
        AnswerRow(4, number(3), "pending", "0.01", None, None, None, None),
    ]


def test_the_file_that_was_handed_in_with_columns_added() -> None:
    titles = ",".join((*HEADING, "Result", "serial"))
    rows, errors = read(titles, (number(1), "李小红", "6222", "招行", "1.00", "CNY", "佣金", "PAID", "S1"))
    assert (errors, rows[0].result, rows[0].amount) == ([], "paid", "1.00")


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (("P1", "成功", "1", "CNY", "S1"), "付款编号"),
        ((None, "成功", "1", "CNY", "S1"), "付款编号"),
        ((number(1), "好像成功", "1", "CNY", "S1"), "结果"),
        ((number(1), "成功", None, "CNY", "S1"), "金额(元)"),
        ((number(1), "成功", "1", "CNY", None), "银行流水号"),
        ((number(1), "成功", "1", "CNY", "S" * 65), "银行流水号"),
        ((number(1), "失败", "1", "CNY", None, "因" * 201), "失败原因"),
        ((number(1), "失败", "1", "CNY", None, None, "昨天"), "交易时间"),
        ((number(1), "成功", Unreadable(Text("公式", "a formula")), "CNY", "S1"), "金额(元)"),
        ((number(1), "成功", "1", "CNY", "6.22202E+18"), "银行流水号"),
        ((number(1), "成功", "1", "CNY", "S\x001"), "银行流水号"),
        ((number(1), "成功", "1", "CNY", "S\x1b1"), "银行流水号"),
        ((number(1), "失败", "1", "CNY", None, "户名\x00不符"), "失败原因"),
        ((number(1), "失败", "1", "CNY", None, "户名\x9f不符"), "失败原因"),
        ((number(1), "失败", "1", "CNY", None, None, "0001-01-01 00:00:00"), "交易时间"),
    ],
)
def test_a_wrong_row_is_told_and_holds_up_no_other(row: tuple[Any, ...], column: str) -> None:
    rows, errors = read(TITLES, row, (number(9), "成功", "1", "CNY", "S9"))
    assert errors == [(2, column)]
    assert [each.number for each in rows] == [number(9)]


@pytest.mark.parametrize(
    ("titles", "said"),
    [
        ("付款编号,结果,金额(元)", "银行流水号"),
        ("number,amount,serial", "结果"),
        ("a,b,c", "付款编号"),
        ("付款编号,结果,金额(元),银行流水号,number", "number"),
    ],
)
def test_columns_that_are_missing_or_there_twice(titles: str, said: str) -> None:
    assert said in refused(titles, (number(1), "成功", "1", "S1")).text.zh


GOOD = (number(9), "成功", "1", "CNY", "S9", None, None)


@pytest.mark.parametrize(
    "row",
    [
        ("1", number(1), "成功", "1", "CNY", "S1", None),
        (number(1), None, "成功", "1", "CNY", "S1", None),
        (number(1), "1", "成功", "CNY", "S1", None, None),
        (*GOOD, "more"),
        ("成功", number(1), "1", "CNY", "S1", None, None),
    ],
)
def test_shifted_columns_make_the_whole_file_unbelievable(row: tuple[Any, ...]) -> None:
    problem = refused(TITLES, GOOD, row)
    assert "第 3 行" in problem.text.zh
    assert "未处理" in problem.text.zh


@given(st.integers(1, 6))
def test_a_row_shifted_to_the_right_is_never_taken_for_another(by: int) -> None:
    refused(TITLES, GOOD, (*(None,) * by, *GOOD[:5]))


def test_a_file_with_nothing_in_it_or_what_cannot_be_told_apart() -> None:
    assert "没有一行" in refused(TITLES).text.zh
    broken = Table(tuple(TITLES.split(",")), iter([Row(2, GOOD), Row(3, (), Text("引号", "a quotation"))]))
    with pytest.raises(ValidationProblem):
        read_answer(broken)


def test_the_same_row_twice_counts_once_and_contradicting_ones_never() -> None:
    other = (number(1), "失败", "1", "CNY", None, None, None)
    rows, errors = read(TITLES, GOOD, (number(1), "成功", "1", "CNY", "S1", None, None), GOOD, other)
    assert [each.number for each in rows] == [number(9)]
    assert errors == [(3, ""), (4, ""), (5, "")]
