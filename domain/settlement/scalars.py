"""Numbers and days of a scheme as people write them: fractions are quoted, so that YAML cannot make floats of them."""

import re
from datetime import date
from typing import Any

from domain.money import minor_from_major
from domain.problems import ProblemError, Text
from domain.remarks import Remarks
from domain.settlement.exact import RATE, WEIGHT

_PERCENT = re.compile(r"(\d{1,3})(?:\.(\d{1,4}))?%")
_TIMES = re.compile(r"(\d{1,3})(?:\.(\d{1,4}))?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
"""Of components, roles and scores."""
LARGEST_COUNT = 10**9
MOST_TIMES = 100 * WEIGHT


def read_rate(value: Any, pointer: str, remarks: Remarks, *, most: int = RATE) -> int | None:
    """A percentage in millionths, 0 to 100 %; None with a remark."""
    if isinstance(value, float):
        _unquoted(f"'{value * 100:g}%'", pointer, remarks)
        return None
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    rate = int(found[1]) * 10_000 + int((found[2] or "").ljust(4, "0")) if found else None
    if rate is None or rate > most:
        text = Text(
            f"这里要写 0 到 {most // 10_000} 的百分比，加引号，最多四位小数，例如 '5%'",
            f"A percentage of 0 to {most // 10_000} belongs here, quoted, with four decimals at most, such as '5%'",
        )
        remarks.error("bad-rate", pointer, text)
        return None
    return rate


def read_times(value: Any, pointer: str, remarks: Remarks) -> int | None:
    """How many times something counts, in ten-thousandths; None with a remark."""
    if isinstance(value, float):
        _unquoted(f"'{value:g}'", pointer, remarks)
        return None
    shown = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    found = _TIMES.fullmatch(shown)
    times = int(found[1]) * WEIGHT + int((found[2] or "").ljust(4, "0")) if found else None
    if times is None or times > MOST_TIMES:
        text = Text(
            "这里要写倍数，加引号，0 到 100，最多四位小数，例如 '1.5'",
            "How many times, quoted, 0 to 100 with four decimals at most, such as '1.5'",
        )
        remarks.error("bad-times", pointer, text)
        return None
    return times


def read_amount(value: Any, currency: str, pointer: str, remarks: Remarks) -> int | None:
    """An amount in minor units, not negative; None with a remark."""
    if not isinstance(value, str):
        shown = f"'{value:.2f}'" if isinstance(value, int | float) and not isinstance(value, bool) else "'500.00'"
        _unquoted(shown, pointer, remarks)
        return None
    try:
        amount = minor_from_major(value, currency)
    except ProblemError as problem:
        remarks.problem("bad-amount", pointer, problem)
        return None
    if amount < 0:
        text = Text(
            "金额不能为负；要扣减请写 deducts: true",
            "An amount is not negative; what is to be taken off has `deducts: true`",
        )
        remarks.error("negative-amount", pointer, text)
        return None
    return amount


def read_count(value: Any, pointer: str, remarks: Remarks, *, least: int = 0, most: int = LARGEST_COUNT) -> int | None:
    """A whole number; None with a remark."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        text = Text(
            f"这里要写 {least} 到 {most} 的整数",
            f"A whole number of {least} to {most:,} belongs here",
        )
        remarks.error("bad-count", pointer, text)
        return None
    return value


def read_day(value: Any, pointer: str, remarks: Remarks) -> date | None:
    """A day; None with a remark."""
    if type(value) is date:
        return value
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    remarks.error("bad-days", pointer, Text("这里写日期，例如 2026-11-01", "A day belongs here, such as 2026-11-01"))
    return None


def _unquoted(shown: str, pointer: str, remarks: Remarks) -> None:
    text = Text(
        f"小数和金额要加引号，例如 {shown}：不加引号时 YAML 会读成近似值",
        f"Fractions and amounts are quoted, such as {shown}: without quotes YAML reads them as approximations",
    )
    remarks.error("unquoted-fraction", pointer, text)
