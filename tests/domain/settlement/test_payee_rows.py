"""Payees from a table: what is read of a row, and what is told of one that is wrong."""

from datetime import date
from typing import Any

import pytest

from domain.imports import Row, RowError, Table
from domain.problems import ValidationProblem
from domain.settlement.payee_rows import PayeeLine, read_payees

TODAY = date(2026, 5, 3)


def read(titles: str, *rows: tuple[Any, ...]) -> list[PayeeLine | list[RowError]]:
    table = Table(tuple(titles.split(",")), iter([Row(line, cells) for line, cells in enumerate(rows, start=2)]))
    return list(read_payees(table, TODAY))


def test_a_whole_row() -> None:
    titles = "编号,姓名,角色,组织,周期,启用,上级,自,渠道,店铺,银行账号,开户行"
    row = (
        "P1",
        "李小红",
        "promoter",
        "/east/",
        "day",
        "否",
        "C1",
        date(2026, 1, 1),
        "live-7; live-8；",
        "youzan/a",
        "622202020011",
        "招行",
    )
    (found,) = read(titles, row)
    assert isinstance(found, PayeeLine)
    assert (found.payee.code, found.payee.cycle, found.payee.active) == ("P1", "day", False)
    assert found.payee.details.bank_account == "622202020011"
    assert found.upline is not None
    assert (found.upline.upline, found.upline.since) == ("C1", date(2026, 1, 1))
    keys = [(each.kind, each.value, each.since) for each in found.keys]
    assert keys == [
        (kind, value, date(2026, 1, 1))
        for kind, value in (("channel", "live-7"), ("channel", "live-8"), ("shop", "youzan/a"))
    ]


def test_what_a_row_leaves_out() -> None:
    (found, *rest) = read("code,name,role,channel", ("P1", "Li", "promoter", "live"), (None, "", None))
    assert isinstance(found, PayeeLine)
    assert rest == [], "an empty row is none"
    assert (found.payee.unit_path, found.payee.active, found.upline) == ("/", True, None)
    assert found.keys[0].since == TODAY


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (("", "Li", "promoter", "1"), "code"),
        (("P 1", "Li", "promoter", "1"), "code"),
        (("P1", "Li", "Promoter!", "1"), "role"),
        (("P1", "李**", "promoter", "1"), "name"),
        (("P1", "Li", "promoter", "perhaps"), "active"),
    ],
)
def test_a_wrong_cell_is_told_by_its_column_without_what_stands_in_it(row: tuple[str, ...], column: str) -> None:
    (errors,) = read("code,name,role,active", row)
    assert isinstance(errors, list)
    assert [(each.line, each.column) for each in errors] == [(2, column)]
    assert errors[0].reason.zh
    assert "Li" not in errors[0].reason.zh + errors[0].reason.en


@pytest.mark.parametrize(("titles", "said"), [("code,name,rol", "role"), ("code,name", "role"), ("a,b", "编号")])
def test_columns_that_are_unknown_or_missing(titles: str, said: str) -> None:
    with pytest.raises(ValidationProblem) as refused:
        read(titles, ("P1", "Li"))
    assert said in refused.value.text.zh + refused.value.text.en
