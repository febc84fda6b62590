"""What a bank answers to a file of payouts, row by row. A file of the wrong shape is refused as a whole.

Columns are known by their Chinese or English titles; others are passed over, so the file that was handed in may come
back with columns added to it.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from domain.imports import Row, RowError, Table
from domain.imports.cells import Form, cell_text, cell_value, printed
from domain.problems import Text, ValidationProblem
from domain.settlement.bank_files import HEADING
from domain.settlement.bills import is_of_this_age

Result = Literal["paid", "failed", "pending"]
TITLES: Mapping[str, tuple[str, ...]] = {
    "number": ("付款编号", "number", HEADING[0]),
    "result": ("结果", "交易结果", "result"),
    "amount": ("金额(元)", "金额（元）", "金额", "amount", HEADING[4]),
    "currency": ("币种", "currency", HEADING[5]),
    "serial": ("银行流水号", "流水号", "serial"),
    "reason": ("失败原因", "原因", "reason"),
    "time": ("交易时间", "时间", "time"),
}
NEEDED = ("number", "result", "amount", "serial")
RESULTS: Mapping[str, Result] = {
    **dict.fromkeys(("成功", "交易成功", "付款成功", "已付款", "paid", "success", "succeeded"), "paid"),
    **dict.fromkeys(("失败", "交易失败", "付款失败", "退票", "failed", "failure", "returned"), "failed"),
    **dict.fromkeys(("处理中", "待处理", "pending", "processing"), "pending"),
}
BANK = "bank/payouts"
"""What stands for an account where a bank's answers are breaks."""
MOST_SHAPE_ERRORS = 20
LONGEST_SERIAL, LONGEST_REASON = 64, 200
_NUMBER = re.compile(r"P[0-9a-f]{31}")
_SHANGHAI = ZoneInfo("Asia/Shanghai")
_SHIFTED = Text(
    "这一行错列了：编号或结果不在自己的列里", "the columns of this row are shifted: its number or result is elsewhere"
)


class AnswerRow(NamedTuple):
    """What a bank says of one payout. amount: in major units, as it stands there. at: when, by the bank's clock."""

    line: int
    number: str
    result: Result
    amount: str
    currency: str | None
    serial: str | None
    reason: str | None
    at: datetime | None


class Answer(NamedTuple):
    """A whole file: rows that can be understood, each number once, and what is wrong with the others."""

    rows: Sequence[AnswerRow]
    errors: Sequence[RowError]


def read_answer(table: Table) -> Answer:
    """A bank's answer.

    :raises ValidationProblem: a column is missing or there twice, columns are shifted, a row cannot be told apart, or
        there is none; `errors` names the lines. Nothing of such a file may be believed.
    """
    places = _places(table.columns)
    read: list[AnswerRow | RowError] = []
    broken: list[RowError] = []
    for row in table.rows:
        fault = row.fault or (_SHIFTED if _is_shifted(row, places, len(table.columns)) else None)
        if fault is None:
            read.append(_read(row, places, table.columns))
        elif len(broken) < MOST_SHAPE_ERRORS:
            broken.append(RowError(row.line, "", fault))
    if broken or not read:
        raise _wrong_shape(broken)
    rows = [each for each in read if isinstance(each, AnswerRow)]
    errors = [each for each in read if isinstance(each, RowError)]
    once, doubled = _once(rows)
    return Answer(once, sorted([*errors, *doubled]))


def _places(columns: tuple[str, ...]) -> Mapping[str, int]:
    known = {_plain(title): field for field, titles in TITLES.items() for title in titles}
    found: dict[str, int] = {}
    for place, title in enumerate(columns):
        field = known.get(_plain(title))
        if field in found:
            raise ValidationProblem(
                Text(f"“{title}”一列出现两次，无法分辨", f"There is more than one column “{title}”"), errors=[]
            )
        if field is not None:
            found[field] = place
    if missing := [field for field in NEEDED if field not in found]:
        zh, en = "、".join(TITLES[field][0] for field in missing), ", ".join(missing)
        raise ValidationProblem(
            Text(f"缺少列：{zh}；整个文件未处理", f"Missing columns: {en}; nothing was taken over"), errors=[]
        )
    return found


def _plain(title: str) -> str:
    return re.sub(r"\s", "", title).lower()


def _is_shifted(row: Row, places: Mapping[str, int], width: int) -> bool:
    """Whether what belongs in one column stands in another one."""
    texts = [each.strip() if isinstance(each, str) else "" for each in row.cells]
    if any(each not in (None, "") for each in row.cells[width:]):
        return True
    number, result = (texts[places[field]] if places[field] < len(texts) else "" for field in ("number", "result"))
    if not _NUMBER.fullmatch(number) and any(map(_NUMBER.fullmatch, texts)):
        return True
    spoken = {places[field] for field in ("reason",) if field in places}
    others = (each for place, each in enumerate(texts) if place not in spoken)
    return result.lower() not in RESULTS and any(each.lower() in RESULTS for each in others)


def _read(row: Row, places: Mapping[str, int], columns: tuple[str, ...]) -> AnswerRow | RowError:
    values: dict[str, Any] = {}
    for field, place in places.items():
        form: Form = "time" if field == "time" else "text"
        cell = row.cells[place] if place < len(row.cells) else None
        try:
            value = cell_text(cell) if field == "amount" else cell_value(cell, form, _SHANGHAI)
            values[field] = value if field == "time" else printed(value)
        except ValueError as error:
            return RowError(row.line, columns[place], error.args[0])
    wrong = _unfit(values)
    if wrong is not None:
        field, reason = wrong
        return RowError(row.line, columns[places[field]], reason)
    at = values.get("time")
    return AnswerRow(
        row.line,
        values["number"],
        RESULTS[values["result"].lower()],
        values["amount"].replace(",", ""),
        (values.get("currency") or "").upper() or None,
        values.get("serial"),
        values.get("reason"),
        datetime.fromisoformat(at) if at else None,
    )


def _unfit(values: Mapping[str, Any]) -> tuple[str, Text] | None:
    """The first value that is not what its column is for, and why; without saying what stands there."""
    if not _NUMBER.fullmatch(values["number"] or ""):
        return "number", Text("不是付款编号", "this is no payout's number")
    result = RESULTS.get((values["result"] or "").lower())
    if result is None:
        return "result", Text("应为 成功、失败 或 处理中", "this must be paid, failed or pending")
    if not values["amount"]:
        return "amount", Text("缺少金额", "the amount is missing")
    serial = values.get("serial")
    if result == "paid" and not serial:
        return "serial", Text("已付款的行需要银行流水号", "a row that is paid needs the bank's serial number")
    if serial and len(serial) > LONGEST_SERIAL:
        return "serial", Text(f"最长 {LONGEST_SERIAL} 字", f"at most {LONGEST_SERIAL} characters")
    if len(values.get("reason") or "") > LONGEST_REASON:
        return "reason", Text(f"最长 {LONGEST_REASON} 字", f"at most {LONGEST_REASON} characters")
    at = values.get("time")
    if at is not None and not is_of_this_age(datetime.fromisoformat(at)):
        return "time", Text("时间超出范围", "this time is out of range")
    return None


def _once(rows: Sequence[AnswerRow]) -> tuple[list[AnswerRow], list[RowError]]:
    """Each number once. Of rows that say the same of it the first counts; where they differ, none does."""
    by_number: dict[str, list[AnswerRow]] = {}
    for row in rows:
        by_number.setdefault(row.number, []).append(row)
    kept: list[AnswerRow] = []
    errors: list[RowError] = []
    for first, *others in by_number.values():
        if all(each[1:] == first[1:] for each in others):
            kept.append(first)
            reason = Text(f"与第 {first.line} 行重复", f"the same as line {first.line}")
            errors += [RowError(each.line, "", reason) for each in others]
        else:
            lines = ", ".join(str(each.line) for each in (first, *others))
            reason = Text(
                f"同一编号的各行（{lines}）说法不一，均未处理",
                f"the rows of this number ({lines}) contradict each other; none was taken over",
            )
            errors += [RowError(each.line, "", reason) for each in (first, *others)]
    return kept, errors


def _wrong_shape(broken: Sequence[RowError]) -> ValidationProblem:
    if not broken:
        return ValidationProblem(Text("文件里没有一行结果", "There is no row in the file"), errors=[])
    first = broken[0]
    return ValidationProblem(
        Text(
            f"第 {first.line} 行：{first.reason.zh}；整个文件未处理",
            f"Line {first.line}: {first.reason.en}; nothing was taken over",
        ),
        errors=[{"line": each.line, "column": each.column, "message": each.reason.as_dict()} for each in broken],
    )
