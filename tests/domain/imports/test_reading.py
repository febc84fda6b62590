"""Mappings and rows: what becomes of a cell, which rows are one order, and how a mistake is told."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical.records import RECORD_TYPES
from domain.imports import Cell, Row, RowError, Table, Unreadable
from domain.imports.cells import Form, cell_value
from domain.imports.mapping import parse_mapping
from domain.imports.reading import ReadRecord, TableReader
from domain.problems import Text, ValidationProblem

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
CHINA = ZoneInfo("Asia/Shanghai")
ORDERS = """
record: order
fields:
  order_id: 订单编号
  status: {column: 订单状态, values: {交易成功: completed, 等待买家付款: unpaid}, default: unknown}
  paid_minor: 实付金额
  created_at: 下单时间
  buyer.phone: [联系手机, 手机]
  dining: {value: takeaway}
"""
COLUMNS = ("订单编号", "订单状态", "实付金额", "下单时间", "手机")
GOOD: tuple[Cell, ...] = ("T1", "交易成功", "¥1,299.00", "2026/11/1 8:05", "138 0013 8000")


def read(mapping: str, columns: tuple[str, ...], *rows: tuple[Cell, ...]) -> list[ReadRecord | list[RowError]]:
    parsed = parse_mapping(mapping.encode(), "map.yaml")
    table = Table(columns, (Row(line, cells) for line, cells in enumerate(rows, 2)))
    return list(TableReader(parsed, columns, "youzan", "shop").read(table, NOW))


def data_of(found: ReadRecord | list[RowError]) -> dict[str, Any]:
    assert isinstance(found, ReadRecord), found
    return found.data


def errors_of(found: ReadRecord | list[RowError]) -> list[tuple[int, str, str]]:
    assert isinstance(found, list), found
    return [(error.line, error.column, error.reason.en) for error in found]


def test_a_row_becomes_a_record() -> None:
    data = data_of(read(ORDERS, COLUMNS, GOOD)[0])
    assert data == {
        "order_id": "T1",
        "status": "completed",
        "paid_minor": 129900,
        "created_at": "2026-11-01T00:05:00+00:00",
        "occurred_at": "2026-11-01T00:05:00+00:00",
        "buyer": {"phone": "138 0013 8000"},
        "dining": "takeaway",
        "version": 1793491500 // 60,
    }


def test_what_a_platform_tells_is_newer_than_what_an_import_tells() -> None:
    data = data_of(read(ORDERS, COLUMNS, GOOD)[0])
    assert data["version"] < datetime.fromisoformat(data["created_at"]).timestamp()
    later = data_of(read(f"{ORDERS}\nas_of: 2026-11-02T00:00:00+08:00", COLUMNS, GOOD)[0])
    assert later["version"] > data["version"]


@pytest.mark.parametrize(
    ("place", "cell", "reason"),
    [
        (2, "a lot", "no amount"),
        (2, "-1", "negative"),
        (2, "1.234", "no amount"),
        (3, "yesterday", "no time"),
        (3, "2027-01-01", "future"),
        (0, "1.23457E+18", "last digits"),
        (0, 1.23457e18, "last digits"),
        (0, None, "required"),
        (0, Unreadable(Text("公式", "a formula")), "a formula"),
    ],
)
def test_a_wrong_cell_is_told_by_line_and_column_and_never_by_its_content(place: int, cell: Cell, reason: str) -> None:
    row = (*GOOD[:place], cell, *GOOD[place + 1 :])
    first, second = read(ORDERS, COLUMNS, row, GOOD)
    [(line, column, said)] = errors_of(first)
    assert (line, column) == (2, COLUMNS[place])
    assert reason in said
    assert not isinstance(cell, str) or cell not in said or cell == "-1"
    assert data_of(second)["order_id"] == "T1", "its neighbour is read"


def test_a_word_without_a_meaning_is_told_unless_there_is_a_default() -> None:
    strict = ORDERS.replace(", default: unknown", "")
    row = ("T1", "预售中", *GOOD[2:])
    assert data_of(read(ORDERS, COLUMNS, row)[0])["status"] == "unknown"
    assert errors_of(read(strict, COLUMNS, row)[0])[0][:2] == (2, "订单状态")


LINES = """
record: order
fields: {order_id: 单号, status: {value: paid}, paid_minor: 实付, created_at: 时间}
lines: {title: 商品, quantity: 数量, price_minor: 单价}
"""
LINE_COLUMNS = ("单号", "实付", "时间", "商品", "数量", "单价")


def test_neighbouring_rows_of_one_number_are_lines_of_one_order() -> None:
    rows: list[tuple[Cell, ...]] = [
        ("A", "30", "2026-11-01", "猫粮", "2", "10"),
        ("A", "30", "2026-11-01", "猫砂", None, 10.0),
        ("B", "5", "2026-11-01", "梳子", 1, "5"),
    ]
    first, second = read(LINES, LINE_COLUMNS, *rows)
    lines = data_of(first)["lines"]
    assert [(line["line_id"], line["quantity"], line["total_minor"]) for line in lines] == [
        ("1", 2, 2000),
        ("2", 1, 1000),
    ]
    assert isinstance(first, ReadRecord)
    assert (first.line, first.rows) == (2, 2)
    assert data_of(second)["order_id"] == "B"


def test_a_wrong_line_names_its_own_row_and_strays_are_told() -> None:
    rows: list[tuple[Cell, ...]] = [
        ("A", "30", "2026-11-01", "猫粮", "2", "10"),
        ("A", "30", "2026-11-01", "猫砂", "0", "10"),
        ("B", "5", "2026-11-01", "梳子", 1, "5"),
        ("A", "30", "2026-11-01", "梳子", 1, "5"),
    ]
    first, second, third = read(LINES, LINE_COLUMNS, *rows)
    assert errors_of(first)[0][:2] == (3, "数量")
    assert isinstance(second, ReadRecord)
    assert errors_of(third)[0][:2] == (5, "单号")


IN_CURRENCIES = """
record: order
fields: {paid_minor: 实付, currency: 货币, order_id: 单号, status: {value: paid}, created_at: 时间}
"""
CURRENCY_COLUMNS = ("单号", "实付", "时间", "货币")


def paid_in(currency: Cell, amount: Cell, mapping: str = IN_CURRENCIES) -> ReadRecord | list[RowError]:
    return read(mapping, CURRENCY_COLUMNS, ("A", amount, "2026-11-01", currency))[0]


def test_amounts_are_read_by_the_currency_of_their_row() -> None:
    rows: list[tuple[Cell, ...]] = [
        ("A", "¥5,000", "2026-11-01", "JPY"),
        ("B", "1.234", "2026-11-01", "KWD"),
        ("C", "12.34 元", "2026-11-01", "CNY"),
        ("D", "12.34", "2026-11-01", None),
        ("E", 12.5, "2026-11-01", "USD"),
    ]
    found = [data_of(each) for each in read(IN_CURRENCIES, CURRENCY_COLUMNS, *rows)]
    assert [(each["paid_minor"], each.get("currency")) for each in found] == [
        (5000, "JPY"),
        (1234, "KWD"),
        (1234, "CNY"),
        (1234, None),
        (1250, "USD"),
    ]


def test_a_currency_may_be_constant_a_default_or_a_word_and_the_smallest_unit_stays_as_it_is() -> None:
    for source in ("{value: JPY}", "{column: 货币, default: JPY}", "{column: 货币, values: {日元: JPY}, default: JPY}"):
        mapping = IN_CURRENCIES.replace("currency: 货币", f"currency: {source}")
        assert data_of(paid_in(None, "5000", mapping))["paid_minor"] == 5000
    assert data_of(paid_in("日元", "5000", mapping))["paid_minor"] == 5000
    smallest = IN_CURRENCIES.replace("实付", "{column: 实付, form: fen}")
    assert data_of(paid_in("KWD", "1234", smallest))["paid_minor"] == 1234


@pytest.mark.parametrize(
    ("currency", "amount", "column", "reason"),
    [
        ("JPY", "5000.50", "实付", "in JPY"),
        ("KWD", "1.2345", "实付", "in KWD"),
        ("CNY", "1.234", "实付", "in CNY"),
        ("USD", "¥50", "实付", "in USD"),
        ("JPY", "50 元", "实付", "in JPY"),
        ("RMB", "50", "货币", "no known currency"),
        ("jpy", "50", "货币", "no known currency"),
        (Unreadable(Text("公式", "a formula")), "50", "货币", "a formula"),
    ],
)
def test_what_is_no_amount_of_the_rows_currency_is_told_with_its_place(
    currency: Cell, amount: Cell, column: str, reason: str
) -> None:
    [(line, title, said)] = errors_of(paid_in(currency, amount))
    assert (line, title) == (2, column)
    assert reason in said


IN_LINES = IN_CURRENCIES + "lines: {title: 商品, price_minor: 单价}\n"
IN_LINE_COLUMNS = (*CURRENCY_COLUMNS, "商品", "单价")


def test_lines_are_in_their_orders_currency_also_where_only_the_first_row_names_it() -> None:
    rows: list[tuple[Cell, ...]] = [
        ("A", "5000", "2026-11-01", "JPY", "茶", "3000"),
        ("A", None, None, None, "碗", "2000"),
        ("B", "10", "2026-11-01", None, "梳子", "10"),
    ]
    first, second = (data_of(each) for each in read(IN_LINES, IN_LINE_COLUMNS, *rows))
    assert (first["paid_minor"], [line["total_minor"] for line in first["lines"]]) == (5000, [3000, 2000])
    assert (second["paid_minor"], second["lines"][0]["total_minor"]) == (1000, 1000)


def test_lines_of_one_order_in_two_currencies_or_none_are_told_at_the_row() -> None:
    rows: list[tuple[Cell, ...]] = [
        ("A", "5000", "2026-11-01", "JPY", "茶", "3000"),
        ("A", "5000", "2026-11-01", "USD", "碗", "20.5"),
        ("B", "1.234", "2026-11-01", "???", "梳子", "1.234"),
        ("B", "1.234", "2026-11-01", None, "梳子", "1.234"),
    ]
    first, second = read(IN_LINES, IN_LINE_COLUMNS, *rows)
    assert [each[:2] for each in errors_of(first)] == [(3, "货币")]
    assert [each[:2] for each in errors_of(second)] == [(4, "货币")]


def test_refunds_and_coupons_are_read_by_their_currency_too() -> None:
    refunds = """
record: refund
fields: {refund_id: 退单, order_id: 单号, status: {value: refunded}, amount_minor: 退款, currency: 币, occurred_at: 日}
"""
    columns = ("退单", "单号", "退款", "币", "日")
    rows: list[tuple[Cell, ...]] = [
        ("R1", "A", "5000", "JPY", "2026-11-01"),
        ("R2", "A", "50.5", None, "2026-11-01"),
        ("R3", "A", None, None, "2026-11-01"),
        ("R4", "A", "50.5", "JPY", "2026-11-01"),
    ]
    *read_well, refused = read(refunds, columns, *rows)
    found = [(data.get("amount_minor"), data.get("currency")) for data in map(data_of, read_well)]
    assert found == [(5000, "JPY"), (5050, "CNY"), (None, None)], "an amount that was read as yuan is not its order's"
    assert [each[:2] for each in errors_of(refused)] == [(5, "退款")]
    coupons = """
record: coupon
as_of: 2026-11-01T00:00:00Z
fields: {coupon_id: 券, batch_id: 批, state: {value: taken}, value_minor: 面值, threshold_minor: 门槛, currency: 货币}
"""
    data = data_of(read(coupons, ("券", "批", "面值", "门槛", "货币"), ("C1", "B", "100", "500", "JPY"))[0])
    assert (data["value_minor"], data["threshold_minor"]) == (100, 500)


def test_an_order_of_endless_rows_is_refused_and_not_kept() -> None:
    rows: list[tuple[Cell, ...]] = [("A", "1", "2026-11-01", "猫粮", 1, "1")] * 3_000
    [found] = read(LINES, LINE_COLUMNS, *rows)
    assert "500" in errors_of(found)[0][2]


def test_without_any_time_the_reader_asks_for_one() -> None:
    mapping = "record: stock\nfields: {item_id: 货号, available: 库存}"
    assert "as_of" in errors_of(read(mapping, ("货号", "库存"), ("g1", "3"))[0])[0][2]
    dated = f"{mapping}\nas_of: 2026-11-01T00:00:00Z"
    assert data_of(read(dated, ("货号", "库存"), ("g1", "3"))[0])["available"] == 3


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("record: orders\nfields: {order_id: x}", "map.yaml:1:9"),
        ("record: order\nfields:\n  oder_id: x", "map.yaml:3:"),
        ("record: order\nfields:\n  order_id: {value: a, column: b}", "map.yaml:3:"),
        ("record: order\nfields:\n  order_id: {}", "map.yaml:3:"),
        ("record: order\nfields: {order_id: x}\nzone: UTC", "map.yaml:3:"),
        ("record: order\nfields: {order_id: x}\ntimezone: Mars/Base", "map.yaml:3:"),
        ("record: stock\nfields: {item_id: x}\nlines: {title: y}", "map.yaml:3:"),
        ("record: order\nfields:\n  currency: {value: RMB}", "map.yaml:3:"),
        ("record: order\nfields:\n  currency: {column: 货币, values: {日元: YEN}}", "map.yaml:3:"),
        ("record: order\nfields:\n  currency: {column: 货币, default: 1}", "map.yaml:3:"),
        ("record: order\nfields: {platform: x}", "map.yaml:2:"),
        ("record: [", "map.yaml:"),
        ("", "map.yaml:1:1"),
    ],
)
def test_a_wrong_mapping_is_told_by_line_and_column(text: str, place: str) -> None:
    with pytest.raises(ValidationProblem) as error:
        parse_mapping(text.encode(), "map.yaml")
    assert str(error.value).startswith(place)
    assert error.value.problem.as_dict()["findings"]


def test_a_missing_column_lists_those_there_are_and_a_doubled_one_is_not_guessed_at() -> None:
    with pytest.raises(ValidationProblem, match=r"订单编号.*手机"):
        read(ORDERS, ("订单", "手机"))
    with pytest.raises(ValidationProblem, match="more than once"):
        read(ORDERS, (*COLUMNS, "订单编号"))


@pytest.mark.parametrize(
    ("cell", "form", "value"),
    [
        ('="00421"', "text", "00421"),
        ("13800138000\t", "text", "13800138000"),
        (13800138000.0, "text", "13800138000"),
        ("=1+1", "text", "=1+1"),
        ("  ", "text", None),
        (12.1, "yuan", 1210),
        ("12 元", "yuan", 1200),
        ("1210", "fen", 1210),
        ("1,024", "whole", 1024),
        ("是", "yes_no", True),
        ("a, b,,", "list", ["a", "b"]),
        ("2026年11月1日", "date", "2026-11-01"),
        ("2026.11.01 08:05:09", "time", "2026-11-01T00:05:09+00:00"),
        (datetime.fromisoformat("2026-11-01T08:00:00"), "time", "2026-11-01T00:00:00+00:00"),
        ("2026-11-01T08:00:00Z", "time", "2026-11-01T08:00:00+00:00"),
    ],
)
def test_cells_as_people_write_them(cell: Cell, form: Form, value: Any) -> None:
    assert cell_value(cell, form, CHINA) == value


FORMS: list[Form] = ["text", "yuan", "fen", "whole", "yes_no", "time", "date", "list"]


@given(
    cell=st.none() | st.text() | st.integers() | st.floats() | st.booleans() | st.datetimes(),
    form=st.sampled_from(FORMS),
)
def test_any_cell_is_a_value_or_a_reason_in_both_languages(cell: Cell, form: Form) -> None:
    try:
        cell_value(cell, form, CHINA)
    except ValueError as refused:
        reason = refused.args[0]
    else:
        return
    assert isinstance(reason, Text)


@pytest.mark.parametrize("record", RECORD_TYPES)
def test_every_record_type_can_be_mapped_by_its_first_field(record: str) -> None:
    mapping = parse_mapping(f"record: {record}\nfields: {{version: v}}".encode(), "m")
    assert TableReader(mapping, ("v",), "youzan", "shop")
