"""Dates and times of expressions: UTC only, English names only, and nothing of the machine's settings.

Broken-down time is jq's: `[year, month 0-11, day, hour, minute, second, weekday 0 = Sunday, day of the year 0-365]`.
Unlike C's library, a date that does not exist (30 February) and text left over are refused, and `%z` counts.
Source: the jq 1.8 manual, "Dates"; strftime(3).
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.dsl.expressions.failures import Failure
from domain.dsl.expressions.meter import Meter
from domain.dsl.expressions.values import is_number, number, numeric

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
ISO_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def _moment(seconds: int | float) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=int(seconds))
    except (OverflowError, ValueError):
        raise Failure("时间超出了可表示的范围", "error converting number of seconds since epoch to datetime") from None


def _broken_down(moment: datetime, fraction: float = 0) -> list[int | float]:
    return [
        moment.year,
        moment.month - 1,
        moment.day,
        moment.hour,
        moment.minute,
        number(moment.second + fraction),
        moment.isoweekday() % 7,
        moment.timetuple().tm_yday - 1,
    ]


def gmtime(value: Any, _meter: Meter) -> list[int | float]:
    """Seconds since 1970 as broken-down UTC time."""
    seconds = numeric(value)
    return _broken_down(_moment(seconds), seconds - seconds // 1)


def _from_broken_down(value: Any, function: str) -> datetime:
    if not (isinstance(value, list) and 3 <= len(value) <= 8 and all(map(is_number, value))):
        raise Failure(f"{function} 需要秒数或拆分后的时间数组", f"{function} requires parsed datetime inputs")
    parts = [*value[:6], 0, 0, 0][:6]
    if any(abs(part) > 10**9 or part != part for part in parts):
        raise Failure("时间超出了可表示的范围", f"{function} requires a time that can exist")
    year, month, day, hour, minute, second = map(int, parts)
    try:
        start = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        return start + timedelta(days=day - 1, hours=hour, minutes=minute, seconds=second)
    except (OverflowError, ValueError):
        raise Failure("时间超出了可表示的范围", f"{function} requires a time that can exist") from None


def mktime(value: Any, _meter: Meter) -> int:
    """Seconds since 1970 of a broken-down time, read as UTC."""
    return (_from_broken_down(value, "mktime") - _EPOCH) // timedelta(seconds=1)


def strftime(value: Any, meter: Meter, layout: Any) -> str:
    """A time, as seconds or broken down, written after a layout, in UTC."""
    if not isinstance(layout, str):
        raise Failure("strftime 的格式必须是文本", "strftime/1 requires a string format")
    moment = _moment(value) if is_number(value) else _from_broken_down(value, "strftime")
    meter.spend(len(layout))
    meter.allocate(32 * len(layout))
    written: list[str] = []
    characters = iter(layout)
    for character in characters:
        if character != "%":
            written.append(character)
            continue
        directive = next(characters, "")
        write = _WRITERS.get(directive)
        if write is None:
            raise _unknown_directive(directive)
        written.append(write(moment))
    return "".join(written)


def _unknown_directive(directive: str) -> Failure:
    return Failure(f"不支持的时间格式 %{directive}", f"the time format %{directive} is not supported")


def _week(moment: datetime, first_weekday: int) -> str:
    """The week of the year, weeks beginning on `first_weekday` (0 = Sunday)."""
    since = (moment.isoweekday() - first_weekday) % 7
    return f"{(moment.timetuple().tm_yday + 6 - since) // 7:02d}"


_WRITERS: dict[str, Callable[[datetime], str]] = {
    "Y": lambda at: str(at.year),
    "C": lambda at: f"{at.year // 100:02d}",
    "y": lambda at: f"{at.year % 100:02d}",
    "m": lambda at: f"{at.month:02d}",
    "d": lambda at: f"{at.day:02d}",
    "e": lambda at: f"{at.day:2d}",
    "j": lambda at: f"{at.timetuple().tm_yday:03d}",
    "H": lambda at: f"{at.hour:02d}",
    "k": lambda at: f"{at.hour:2d}",
    "I": lambda at: f"{(at.hour + 11) % 12 + 1:02d}",
    "l": lambda at: f"{(at.hour + 11) % 12 + 1:2d}",
    "M": lambda at: f"{at.minute:02d}",
    "S": lambda at: f"{at.second:02d}",
    "p": lambda at: "AM" if at.hour < 12 else "PM",
    "a": lambda at: _WEEKDAYS[at.weekday()][:3],
    "A": lambda at: _WEEKDAYS[at.weekday()],
    "b": lambda at: _MONTHS[at.month - 1][:3],
    "h": lambda at: _MONTHS[at.month - 1][:3],
    "B": lambda at: _MONTHS[at.month - 1],
    "u": lambda at: str(at.isoweekday()),
    "w": lambda at: str(at.isoweekday() % 7),
    "U": lambda at: _week(at, 0),
    "W": lambda at: _week(at, 1),
    "V": lambda at: f"{at.isocalendar().week:02d}",
    "G": lambda at: str(at.isocalendar().year),
    "Z": lambda _at: "UTC",
    "z": lambda _at: "+0000",
    "s": lambda at: str((at - _EPOCH) // timedelta(seconds=1)),
    "F": lambda at: f"{at.year}-{at.month:02d}-{at.day:02d}",
    "T": lambda at: f"{at.hour:02d}:{at.minute:02d}:{at.second:02d}",
    "R": lambda at: f"{at.hour:02d}:{at.minute:02d}",
    "D": lambda at: f"{at.month:02d}/{at.day:02d}/{at.year % 100:02d}",
    "n": lambda _at: "\n",
    "t": lambda _at: "\t",
    "%": lambda _at: "%",
}
_COMPOSED = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y"}
# directive: (field, most digits, least, greatest)
_DIGITS = {
    "Y": ("year", 4, 0, 9999),
    "m": ("month", 2, 1, 12),
    "d": ("day", 2, 1, 31),
    "e": ("day", 2, 1, 31),
    "H": ("hour", 2, 0, 23),
    "I": ("hour12", 2, 1, 12),
    "M": ("minute", 2, 0, 59),
    "S": ("second", 2, 0, 60),
    "y": ("short_year", 2, 0, 99),
    "s": ("epoch", 12, 0, 10**12),
}


class _Reader:
    """Reads one text after one layout, left to right, without backtracking."""

    def __init__(self, text: str, layout: str) -> None:
        self._text = text
        self._layout = layout
        self._at = 0
        self.fields: dict[str, int] = {}

    def read(self) -> datetime:
        self._follow(self._layout)
        if self._at != len(self._text):
            raise self._mismatch()
        fields = self.fields
        try:
            if "epoch" in fields:
                return _EPOCH + timedelta(seconds=fields["epoch"])
            year = fields.get("year", 1900)
            if "short_year" in fields:
                year = fields["short_year"] + (2000 if fields["short_year"] < 69 else 1900)
            hour = fields.get("hour", 0)
            if "hour12" in fields:
                hour = fields["hour12"] % 12 + fields.get("afternoon", 0)
            day = date(year, fields.get("month", 1), fields.get("day", 1))
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            seconds = fields.get("second", 0) - fields.get("offset_s", 0)
            return start + timedelta(hours=hour, minutes=fields.get("minute", 0), seconds=seconds)
        except (ValueError, OverflowError):
            raise self._mismatch() from None

    def _mismatch(self) -> Failure:
        return Failure(f"时间文本与格式 {self._layout} 不符", f'the date does not match the format "{self._layout}"')

    def _follow(self, layout: str) -> None:
        characters = iter(layout)
        for character in characters:
            if character.isspace():
                self._skip_space()
            elif character != "%":
                self._literal(character)
            else:
                self._directive(next(characters, ""))

    def _directive(self, directive: str) -> None:
        if directive in _COMPOSED:
            self._follow(_COMPOSED[directive])
        elif directive in _DIGITS:
            field, most, least, greatest = _DIGITS[directive]
            if directive == "e":
                self._skip_space()
            self.fields[field] = self._digits(most, least, greatest)
        elif directive in ("b", "B", "h"):
            self.fields["month"] = self._name(_MONTHS) + 1
        elif directive in ("a", "A"):
            self._name(_WEEKDAYS)
        elif directive == "p":
            self.fields["afternoon"] = 12 * self._name(["AM", "PM"])
        elif directive == "Z":
            self._name(["UTC", "GMT", "Z"])
        elif directive == "z":
            self.fields["offset_s"] = self._offset()
        elif directive in ("n", "t"):
            self._skip_space()
        elif directive == "%":
            self._literal("%")
        else:
            raise _unknown_directive(directive)

    def _skip_space(self) -> None:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1

    def _literal(self, character: str) -> None:
        if self._text[self._at : self._at + 1] != character:
            raise self._mismatch()
        self._at += 1

    def _digits(self, most: int, least: int, greatest: int) -> int:
        end = self._at
        while end < len(self._text) and end - self._at < most and self._text[end] in "0123456789":
            end += 1
        if end == self._at or not least <= (value := int(self._text[self._at : end])) <= greatest:
            raise self._mismatch()
        self._at = end
        return value

    def _name(self, names: list[str]) -> int:
        rest = self._text[self._at : self._at + 9].lower()
        for place, name in enumerate(names):
            for form in (name, name[:3]):
                if rest.startswith(form.lower()):
                    self._at += len(form)
                    return place
        raise self._mismatch()

    def _offset(self) -> int:
        sign = self._text[self._at : self._at + 1]
        self._at += 1
        if sign in ("Z", "z"):
            return 0
        if sign not in ("+", "-") or not sign:
            raise self._mismatch()
        hours = self._digits(2, 0, 14)
        if self._text[self._at : self._at + 1] == ":":
            self._at += 1
        seconds = 3600 * hours + 60 * self._digits(2, 0, 59)
        return seconds if sign == "+" else -seconds


def strptime(value: Any, meter: Meter, layout: Any) -> list[int | float]:
    """A broken-down UTC time read from text. Raises Failure when the text does not match the layout."""
    if not isinstance(value, str) or not isinstance(layout, str):
        raise Failure("strptime 的输入和格式都必须是文本", "strptime/1 requires string inputs and arguments")
    meter.spend(len(layout) + len(value))
    return _broken_down(_Reader(value, layout).read())
