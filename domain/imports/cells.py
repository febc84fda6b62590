"""From what stands in a cell to a field's value. Nothing is evaluated: a formula is refused, never computed.

Every function raises ValueError with a `Text` as its argument; reasons never repeat what stands in the cell, which may
be somebody's number.
"""

import re
from datetime import UTC, date, datetime, time
from typing import Any, Literal
from zoneinfo import ZoneInfo

from domain.imports import Cell, Unreadable
from domain.money import CURRENCIES, HOME_CURRENCY, minor_from_major
from domain.problems import ProblemError, Text

Form = Literal["text", "yuan", "fen", "whole", "yes_no", "time", "date", "list"]
"""How a cell is to be read. yuan: an amount in major units; fen: in minor units; list: texts between separators."""

_KEPT_AS_TEXT = re.compile(r'="([^"]*)"')
_LOST_DIGITS = re.compile(r"[0-9](\.[0-9]+)?[eE]\+[0-9]+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_MOST_EXACT = 10**15
_TIMES = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y%m%d%H%M%S", "%Y%m%d")
_YES, _NO = frozenset({"是", "有", "yes", "y", "true", "1", "√"}), frozenset({"否", "无", "no", "n", "false", "0", "×"})
_MONEY_DECORATION = re.compile(r"[,，\s]")
_MARKS = {HOME_CURRENCY: re.compile("[¥￥元]|CNY|RMB"), "JPY": re.compile("[¥￥円]|JPY|日元")}
"""What people write beside an amount; a mark of another currency makes it no amount of this one."""


def cell_text(cell: Cell) -> str | None:
    """What a person reads in the cell, trimmed; None when nothing stands there.

    `="0042"`, with which exports keep leading zeros, is the text 0042.
    """
    if isinstance(cell, Unreadable):
        raise ValueError(cell.reason)
    if cell is None:
        return None
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, float):
        return _number_text(cell)
    if isinstance(cell, str):
        plain = cell.strip().strip("\u200b\ufeff").strip()
        kept = _KEPT_AS_TEXT.fullmatch(plain)
        return (kept[1].strip() if kept else plain) or None
    return str(cell)


def printed(text: str | None) -> str | None:
    """The text of a number or a reason: what cannot be seen in it would be kept, compared and never found."""
    if text is not None and _CONTROL.search(text):
        raise ValueError(Text("含有控制字符，请重新导出", "there are control characters in it: export it again"))
    return text


def cell_value(cell: Cell, form: Form, zone: ZoneInfo, separator: str = ",", *, currency: str = HOME_CURRENCY) -> Any:
    """The JSON-ready value of a cell; None when nothing stands there. currency: what an amount is of."""
    if isinstance(cell, datetime | date) and form in ("time", "date"):
        return _instant(cell, zone) if form == "time" else _day(cell)
    text = cell_text(cell)
    if text is None:
        return None
    if form == "text":
        return _exact(text, cell)
    if form in ("yuan", "fen"):
        return _amount(text, form, currency)
    if form == "whole":
        return _whole(text)
    if form == "yes_no":
        return _yes_or_no(text)
    if form == "list":
        return [part.strip() for part in text.split(separator) if part.strip()]
    moment = _moment(text, zone)
    return _instant(moment, zone) if form == "time" else _day(moment)


def _number_text(number: float) -> str:
    if abs(number) >= _MOST_EXACT:
        raise ValueError(_DIGITS_LOST)
    return str(int(number)) if number.is_integer() else format(number, ".15g")


def _exact(text: str, cell: Cell) -> str:
    if isinstance(cell, str) and _LOST_DIGITS.fullmatch(text):
        raise ValueError(_DIGITS_LOST)
    return text


def known_currency(value: Any) -> str:
    """The currency that a value names; a currency whose smallest unit nobody knows would make amounts wrong unseen."""
    if value not in CURRENCIES:
        raise ValueError(
            Text(
                "不是已知的货币代码，例如 CNY、JPY；其他写法请用映射的 values 对应",
                "this is no known currency such as CNY or JPY; the mapping's `values` say what other words mean",
            )
        )
    return str(value)


def _amount(text: str, form: Form, currency: str) -> int:
    marks = _MARKS.get(currency) or re.compile(currency)
    plain = marks.sub("", _MONEY_DECORATION.sub("", text))
    if form == "fen":
        return _whole(plain)
    try:
        return minor_from_major(plain, currency)
    except ProblemError:
        reason = Text(f"不是有效的{currency}金额", f"this is no amount of money in {currency}")
        raise ValueError(reason) from None


def _whole(text: str) -> int:
    plain = text.replace(",", "").removesuffix(".0")
    if not re.fullmatch(r"-?[0-9]{1,18}", plain):
        raise ValueError(Text("应为整数", "this must be a whole number"))
    return int(plain)


def _yes_or_no(text: str) -> bool:
    folded = text.casefold()
    if folded in _YES:
        return True
    if folded in _NO:
        return False
    raise ValueError(Text("应为 是 或 否", "this must be yes or no"))


def _moment(text: str, zone: ZoneInfo) -> datetime:
    plain = re.sub(r"[/.年月](?=\d{1,2}(\D|$))", "-", text, count=2).replace("日", "", 1)
    try:
        return _within(datetime.fromisoformat(plain), zone)
    except ValueError:
        pass
    for pattern in _TIMES:
        try:
            return datetime.strptime(plain, pattern).replace(tzinfo=zone)
        except ValueError:
            continue
    raise ValueError(Text("不是有效的时间，例如 2026-11-11 08:30:00", "this is no time such as 2026-11-11 08:30:00"))


def _instant(moment: datetime | date, zone: ZoneInfo) -> str:
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(), zone)
    try:
        return _within(moment, zone).astimezone(UTC).isoformat()
    except OverflowError:
        raise ValueError(Text("时间超出范围", "this time is out of range")) from None


def _within(moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment in its own zone or, when it says none, in the mapping's."""
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _day(moment: datetime | date) -> str:
    return (moment.date() if isinstance(moment, datetime) else moment).isoformat()


_DIGITS_LOST = Text(
    "长数字已被表格软件改成科学计数法，丢失了末几位：请把该列设为文本后重新导出",
    "a spreadsheet cut the last digits of this long number: make the column text and export it again",
)
