"""A day's bill: from the platform's text to rows and sums that agree.

The text is CSV with a heading, values behind a back-quote, and behind the rows a heading and a line of sums. Source:
pay.weixin.qq.com, trade bill and fund-flow bill [O].
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from domain.money import minor_from_major
from domain.problems import CommunicationProblem, Text, ValidationProblem

Kind = Literal["trade", "funds"]
FundAccount = Literal["BASIC", "OPERATION"]
"""The accounts of a merchant that transfers are paid from: the operation account where one was opened, else the basic
account. Each has a fund-flow bill of its own."""
Row = Mapping[str, str]
_SUMS_BEGIN: Mapping[Kind, str] = {"trade": "总交易单数", "funds": "资金流水总笔数"}


@dataclass(frozen=True, slots=True)
class Bill:
    """rows: by the platform's own column names. Sums in fen: what came in, what went out, what it cost."""

    rows: Sequence[Row]
    in_minor: int = 0
    out_minor: int = 0
    fee_minor: int = 0


def together(bills: Sequence[Bill]) -> Bill:
    """Several bills as one: the rows of the first, then those of the next."""
    return Bill(
        [row for each in bills for row in each.rows],
        sum(each.in_minor for each in bills),
        sum(each.out_minor for each in bills),
        sum(each.fee_minor for each in bills),
    )


def read_bill(text: str, kind: Kind) -> Bill:
    """The bill. Raises CommunicationProblem when it cannot be read or its sums are not those of its rows."""
    try:
        rows, sums = _tables(text, kind)
        bill = _trade(rows) if kind == "trade" else _funds(rows)
        expected = _told(sums, kind)
    except (ValidationProblem, csv.Error, KeyError, StopIteration, ValueError) as error:
        raise _unreadable(str(error)) from None
    if (len(rows), bill.in_minor, bill.out_minor, bill.fee_minor) != expected:
        raise _unreadable("the sums are not those of the rows")
    return bill


def _tables(text: str, kind: Kind) -> tuple[list[dict[str, str]], Row]:
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    heading = [name.strip() for name in next(lines)]
    rows: list[dict[str, str]] = []
    for line in lines:
        if line and line[0].strip() == _SUMS_BEGIN[kind]:
            return rows, _row([name.strip() for name in line], next(lines), lines.line_num)
        if line:
            rows.append(_row(heading, line, lines.line_num))
    raise KeyError(_SUMS_BEGIN[kind])


def _row(heading: Sequence[str], line: Sequence[str], number: int) -> dict[str, str]:
    if len(line) < len(heading):
        raise ValueError(f"row {number} is too short: there is nothing under {heading[len(line)]}")
    return {name: value.strip().removeprefix("`") for name, value in zip(heading, line, strict=False)}


def _trade(rows: Sequence[Row]) -> Bill:
    """Refunds stand in rows of their own; a payment that was refunded stays a payment."""
    paid = sum(fen_of(row, "应结订单金额") for row in rows if row["交易状态"] == "SUCCESS")
    refunded = sum(fen_of(row, "退款金额") for row in rows)
    fees = sum(fen_of(row, "手续费") for row in rows)
    return Bill(rows, paid, refunded, fees)


def _funds(rows: Sequence[Row]) -> Bill:
    def moved(direction: str) -> Iterator[int]:
        return (fen_of(row, "收支金额(元)") for row in rows if row["收支类型"] == direction)

    return Bill(rows, sum(moved("收入")), sum(moved("支出")))


def _told(sums: Row, kind: Kind) -> tuple[int, int, int, int]:
    if kind == "trade":
        money = [fen_of(sums, name) for name in ("应结订单总金额", "退款总金额", "手续费总金额")]
        return int(sums["总交易单数"]), money[0], money[1], money[2]
    return int(sums["资金流水总笔数"]), fen_of(sums, "收入金额"), fen_of(sums, "支出金额"), 0


def fen_of(row: Row, name: str) -> int:
    """An amount in yuan; the trade bill writes fees with five digits, the last three of them zero."""
    whole, _, fraction = row[name].partition(".")
    return minor_from_major(f"{whole}.{fraction.rstrip('0')}" if fraction.rstrip("0") else whole)


def _unreadable(why: str) -> CommunicationProblem:
    return CommunicationProblem(
        Text(f"微信支付账单无法解读：{why[:100]}", f"The WeChat Pay bill cannot be read: {why[:100]}"),
        platform="wechat_pay",
        retryable=False,
        outcome="not_done",
    )
