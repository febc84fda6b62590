"""The rows of a bill of WeChat Pay as lines that can be compared with our books.

Source: pay.weixin.qq.com, trade bill and fund-flow bill [O]. See `UNVERIFIED`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from connectors.wechat_pay.bills import Bill, Kind, Row
from domain.imports import RowError
from domain.imports.cells import printed
from domain.money import minor_from_major
from domain.problems import Text, ValidationProblem
from domain.settlement.bills import SHANGHAI, BillLine, LineKind, check_day, unbelievable

UNVERIFIED = (
    "that the fund-flow bill names the merchant's own number of a transfer as its voucher (业务凭证号)",
    "in the fund-flow bill of which account a transfer stands, so both are read",
    "what the platform says of the operation account of a merchant who has none",
    "how money is named that a merchant moves between accounts of their own",
)
_TIME: Mapping[Kind, str] = {"trade": "交易时间", "funds": "记账时间"}
_NAMES: Sequence[tuple[str, LineKind]] = (
    ("分账", "share"),
    ("退款", "refund"),
    ("交易", "payment"),
    ("转账", "transfer"),
    ("手续费", "fee"),
)
"""By a word in the name of a movement; what has none of them is compared with nothing."""


def bill_lines(bill: Bill, kind: Kind, day: date, mch_id: str) -> list[BillLine]:
    """The lines. Raises ValidationProblem with row and column for a bill that is shifted, foreign or another day's."""
    lines: list[BillLine] = []
    errors: list[RowError] = []
    for number, row in enumerate(bill.rows, 2):
        reader = _Reader(number, row)
        try:
            lines += _traded(reader, mch_id) if kind == "trade" else _moved(reader)
        except ValueError as error:
            errors.append(error.args[0])
    if errors:
        raise unbelievable(errors)
    check_day(lines, day, _TIME[kind])
    return lines


def _traded(row: "_Reader", mch_id: str) -> Iterator[BillLine]:
    at, fee = row.time("交易时间"), row.amount("手续费")
    if row.text("货币种类") != "CNY":
        raise row.wrong("货币种类", Text("不是人民币", "this is not CNY"))
    if row.text("商户号") != mch_id:
        raise row.wrong("商户号", Text("是另一个商户的账单", "this is another merchant's"))
    state, back = row.text("交易状态"), row.amount("退款金额")
    if state == "SUCCESS":
        paid, number = row.amount("应结订单金额"), row.text("商户订单号")
        yield BillLine(row.line, "payment", "in", paid, at, number, row.text("微信订单号"), fee)
        # 代金券金额 is what WeChat's voucher paid of it, no discount of the shop's: our books have nothing like it.
    elif state in ("REFUND", "REVOKED"):
        yield BillLine(row.line, "refund", "out", back, at, row.text("商户退款单号"), row.text("微信退款单号"), fee)
    else:
        raise row.wrong("交易状态", Text("不认识的状态，各列可能已错位", "an unknown state: columns may be shifted"))


def _moved(row: "_Reader") -> Iterator[BillLine]:
    name = row.text("业务名称")
    kind: LineKind = next((known for word, known in _NAMES if word in name), "other")
    direction = row.text("收支类型")
    if direction not in ("收入", "支出"):
        raise row.wrong(
            "收支类型", Text("应为收入或支出，各列可能已错位", "neither in nor out: columns may be shifted")
        )
    amount, at = row.amount("收支金额(元)"), row.time("记账时间")
    number, channel = row.text("业务凭证号") or None, row.text("微信支付业务单号") or None
    yield BillLine(row.line, kind, "in" if direction == "收入" else "out", amount, at, number, channel)


class _Reader:
    """The cells of one row; what is wrong is raised as a ValueError with a `RowError`."""

    def __init__(self, line: int, row: Row) -> None:
        self.line = line
        self._row = row

    def text(self, column: str) -> str:
        value = self._row.get(column)
        if value is None:
            raise self.wrong(column, Text("缺少这一列", "this column is missing"))
        try:
            return printed(value) or ""
        except ValueError as error:
            raise self.wrong(column, error.args[0]) from None

    def amount(self, column: str) -> int:
        """In fen; fees have five digits, of which the last three are nothing."""
        whole, _, fraction = self.text(column).partition(".")
        try:
            return minor_from_major(f"{whole}.{fraction.rstrip('0') or '0'}")
        except ValidationProblem:
            raise self.wrong(column, Text("不是金额，各列可能已错位", "no amount: columns may be shifted")) from None

    def time(self, column: str) -> datetime:
        try:
            return datetime.strptime(self.text(column), "%Y-%m-%d %H:%M:%S").replace(tzinfo=SHANGHAI)
        except ValueError as error:
            if error.args and isinstance(error.args[0], RowError):
                raise
            raise self.wrong(column, Text("不是时间，各列可能已错位", "no time: columns may be shifted")) from None

    def wrong(self, column: str, reason: Text) -> ValueError:
        return ValueError(RowError(self.line, column, reason))
