"""Bills from files: read by a mapping of their columns, or refused as a whole with the place."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import pytest

from domain.imports import Row, Table
from domain.problems import ValidationProblem
from domain.settlement.bill_rows import parse_columns, read_bill_table
from domain.settlement.bills import BillSums, Told, check_sums, sums_of

DAY = date(2026, 6, 1)
MAPPING = """
columns:
  { at: 时间, kind: 业务类型, number: 商户订单号, channel_number: 流水号, amount: 金额, fee: 服务费, currency: 币种 }
kinds: { 交易: payment, 退款: refund, 优惠券: coupon, 服务费: fee }
until: 合计
"""
TITLES = ("时间", "业务类型", "商户订单号", "流水号", "金额", "服务费", "币种")
PAID = ("2026-06-01 10:00:00", "交易", "E1", "42001", "299.00", "1.79000", "CNY")
REFUND = ("2026-06-01 11:00:00", "退款", "R1", "50001", "-99.00", "-0.59", "人民币")


def read(rows: Iterable[tuple[Any, ...]], titles: tuple[str, ...] = TITLES, mapping: str = MAPPING) -> list[Any]:
    table = Table(titles, (Row(number, cells) for number, cells in enumerate(rows, 2)))
    return read_bill_table(table, parse_columns(mapping.encode(), "columns.yaml"), DAY)


def refusal(*rows: tuple[Any, ...], titles: tuple[str, ...] = TITLES) -> tuple[int, str]:
    """Where a bill with these rows is refused."""
    with pytest.raises(ValidationProblem) as refused:
        read(rows, titles)
    errors = refused.value.problem.as_dict()["errors"]
    return (errors[0]["line"], errors[0]["column"])


def test_rows_become_lines_and_sums() -> None:
    lines = read([PAID, REFUND, ("合计", "2", "", "", "200.00", "1.20", "")])
    assert [(each.kind, each.direction, each.amount_minor, each.fee_minor, each.number) for each in lines] == [
        ("payment", "in", 29_900, 179, "E1"),
        ("refund", "out", 9_900, -59, "R1"),
    ]
    assert sums_of(lines) == BillSums(2, 29_900, 9_900, 120)


def test_two_columns_for_what_came_and_what_went_and_words_for_directions() -> None:
    apart = "columns: { number: 单号, in: 收入, out: 支出, at: 时间 }\nevery: payment"
    titles = ("时间", "单号", "收入", "支出")
    lines = read([("2026-06-01", "E1", "10.00", ""), ("2026-06-01", "E2", "0.00", "3.00")], titles, apart)
    assert [(each.direction, each.amount_minor) for each in lines] == [("in", 1_000), ("out", 300)]
    words = "columns: { number: 单号, amount: 金额, direction: 收支, at: 时间 }\nevery: payment"
    titles = ("时间", "单号", "金额", "收支")
    lines = read([("2026-06-01", "E1", "10.00", "收入"), ("2026-06-01", "E2", "-3.00", "支出")], titles, words)
    assert [(each.direction, each.amount_minor) for each in lines] == [("in", 1_000), ("out", 300)]


def test_what_is_wrong_is_refused_whole_with_row_and_column() -> None:
    shifted = (PAID[0], PAID[1], "", *PAID[2:])
    assert refusal(PAID, shifted) == (3, "")
    assert refusal((*PAID[1:], "")) == (2, "时间")
    assert refusal(PAID, (*PAID[:4], "1.79000x", *PAID[5:])) == (3, "金额")
    assert refusal((PAID[0], "E1", "交易", *PAID[3:])) == (2, "业务类型")
    assert refusal((*PAID[:6], "USD")) == (2, "币种")
    assert refusal(PAID, ("2026-06-02 00:00:00", *PAID[1:])) == (3, "时间")
    assert refusal((*PAID[:5], "1.791", "CNY")) == (2, "服务费")


def test_a_row_that_ends_too_early_is_refused_with_the_first_column_that_it_lacks() -> None:
    for width, column in ((6, "币种"), (5, "服务费"), (4, "金额"), (1, "业务类型")):
        assert refusal(PAID, PAID[:width]) == (3, column)
    assert len(read([(*PAID, "")], (*TITLES, "备注"))) == 1
    assert len(read([PAID], (*TITLES, "备注"))) == 1, "nobody reads that column"


def test_a_column_that_is_not_there_or_twice_is_named() -> None:
    for titles in (TITLES[:-1], (*TITLES, "币种")):
        with pytest.raises(ValidationProblem, match="币种"):
            read([PAID], titles)


@pytest.mark.parametrize("told", [Told(rows=3), Told(in_minor=29_901), Told(out_minor=0), Told(fee_minor=119)])
def test_a_bill_that_does_not_come_to_what_was_told_is_refused(told: Told) -> None:
    sums = sums_of(read([PAID, REFUND]))
    check_sums(sums, Told(2, 29_900, 9_900, 120))
    with pytest.raises(ValidationProblem):
        check_sums(sums, told)


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("columns: { number: 单号, amount: 金额 }\nevery: payment", "at"),
        ("columns: { at: 时间 }\nevery: payment", "amount"),
        ("columns: { at: 时间, amount: 金额, in: 收入 }\nevery: payment", "amount"),
        ("columns: { at: 时间, amount: 金额 }", "every"),
        ("columns: { at: 时间, amount: 金额, kind: 类型 }", "kinds"),
        ("columns: { at: 时间, amount: 金额, total: 合计 }\nevery: payment", "channel_number"),
        ("- 1", ""),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused_with_its_place(mapping: str, said: str) -> None:
    with pytest.raises(ValidationProblem, match=r"^columns.yaml:\d+:\d+") as refused:
        parse_columns(mapping.encode(), "columns.yaml")
    assert said in str(refused.value.problem.as_dict())


@pytest.mark.parametrize("at", ["9999-12-31T20:00:00+00:00", "0001-01-01T00:00:00+08:00", "2026-06-01T00:00:00+00:00x"])
def test_a_time_of_another_age_is_refused_with_its_place(at: str) -> None:
    assert refusal((at, *PAID[1:])) == (2, "时间")


@pytest.mark.parametrize("odd", ["E\x001", "E\x071", "E\x851", "E\n1"])
def test_a_number_with_control_characters_is_refused_with_its_place(odd: str) -> None:
    assert refusal(PAID, (*PAID[:2], odd, *PAID[3:])) == (3, "商户订单号")
    assert refusal((*PAID[:3], odd, *PAID[4:])) == (2, "流水号")
