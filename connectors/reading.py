"""Reading a platform's fields into ours: yuan into fen, China time into UTC, with refusals that name the field.

Every refusal is a ValidationProblem: in a push it sends the record to quarantine with this reason.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, TypeVar

from domain.canonical import ParcelState
from domain.problems import Text, ValidationProblem

CHINA = timezone(timedelta(hours=8))
# A push from the future is a forged or broken one; this much is the clocks' fault.
FUTURE_TOLERANCE = timedelta(hours=1)
_LAST_SECOND = 4_102_444_800
_YUAN = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2}0{0,6})?")
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_LONGEST_CODE, _LONGEST_TEXT = 64, 100_000
_MOST_PIECES = 1_000_000
_LOCAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
State = TypeVar("State", bound=str)


def anomaly(field: str, why: Text) -> ValidationProblem:
    """The refusal of one field."""
    return ValidationProblem(Text(f"字段“{field}”{why.zh}", f"Field “{field}” {why.en}"), field=field, retryable=False)


def mapping(value: Any, field: str) -> Mapping[str, Any]:
    """An object."""
    if not isinstance(value, Mapping):
        raise anomaly(field, Text("应为对象", "must be an object"))
    return value


def optional_mapping(value: Any) -> Mapping[str, Any]:
    """An object, or an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def objects(source: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    """The objects of a list; none when there is no list or nothing in its place."""
    value = source.get(field) or []
    if not isinstance(value, list):
        raise anomaly(field, Text("应为列表", "must be a list"))
    return [mapping(each, field) for each in value]


def text(source: Mapping[str, Any], field: str, *, limit: int = 64) -> str:
    """An identifier or short text that must be there; numbers are taken as their digits."""
    value = optional_text(source, field, limit=limit)
    if value is None:
        raise anomaly(field, Text("缺失", "is missing"))
    return value


def optional_text(source: Mapping[str, Any], field: str, *, limit: int = 2048) -> str | None:
    """A text, or None when it is missing or empty."""
    value = source.get(field)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int):
            raise anomaly(field, Text("应为文本", "must be a text"))
        value = str(value)
    if len(value) > limit:
        raise anomaly(field, Text(f"超过 {limit} 个字符", f"is longer than {limit} characters"))
    return value


def merchant_code(source: Mapping[str, Any], *fields: str) -> str | None:
    """What the merchant calls an article, from the first of these fields that says it; a text too long for a code says
    nothing."""
    for field in fields:
        told = optional_text(source, field, limit=_LONGEST_TEXT)
        if told is not None and (code := told.strip()):
            return code if len(code) <= _LONGEST_CODE else None
    return None


def state_of(words: Mapping[str, State], source: Mapping[str, Any], field: str, unsaid: State) -> State:
    """What the platform's word for a state means in ours; `unsaid` where it gives none.

    A word that nobody here knows is refused, whatever else the record says: taken for no word at all, a refund would
    stay at what it was before, and nobody would see that it moved.
    """
    word = optional_text(source, field)
    if word is None:
        return unsaid
    if word not in words:
        shown = word[:_LONGEST_CODE]
        raise anomaly(
            field,
            Text(
                f"的状态“{shown}”是本版本不认识的；升级到认识它的版本后，可用 tandem quarantine retry 重新收下",
                f"says “{shown}”, a state that this release does not know; after a release that does, "
                "`tandem quarantine retry` takes it in",
            ),
        )
    return words[word]


def parcel_state(words: Mapping[str, ParcelState], source: Mapping[str, Any], field: str) -> ParcelState:
    """Where a parcel is by the word for it; `unknown`, which leaves it where it was, for none and for any other word.

    Carriers' scans are in no document, and one that is new comes with every parcel: its number, its carrier and its
    order are worth having all the same.
    """
    return words.get(optional_text(source, field) or "", "unknown")


def said_by_all(told: Sequence[str | None]) -> str | None:
    """What all articles of a basket say alike. An order is sold by one or by nobody: whoever showed one article is not
    to be paid for the others."""
    return told[0] if told and len(set(told)) == 1 else None


def whole_number(source: Mapping[str, Any], field: str, default: int | None = None) -> int:
    """An integer of at most 18 digits, also when it comes as text."""
    value = source.get(field)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not _WHOLE.fullmatch(str(value)):
        raise anomaly(field, Text("应为整数", "must be an integer"))
    return int(str(value))


def optional_whole_number(source: Mapping[str, Any], field: str) -> int | None:
    """As `whole_number`, or None when it is missing."""
    return whole_number(source, field) if source.get(field) is not None else None


def number_if_told(source: Mapping[str, Any], field: str) -> int | None:
    """A number that came as a number or in digits; None where it is missing or is none, and that is no trouble."""
    value = source.get(field)
    digits = value if isinstance(value, str) else str(value)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def pieces(source: Mapping[str, Any], field: str) -> int:
    """How many pieces of an article a line is of: one at least, fewer than a million."""
    count = whole_number(source, field)
    if not 0 < count < _MOST_PIECES:
        raise anomaly(field, Text("不是有效的件数", "is no valid number of pieces"))
    return count


def fen(source: Mapping[str, Any], field: str) -> int:
    """An amount in yuan as fen; never negative, never finer than a fen."""
    value = source.get(field)
    if isinstance(value, bool) or not _YUAN.fullmatch(str(value)):
        raise anomaly(field, Text("不是有效的金额（元）", "is no valid amount in yuan"))
    yuan, _, part = str(value).partition(".")
    return int(yuan) * 100 + int(f"{part[:2]:0<2}")


def optional_fen(source: Mapping[str, Any], field: str) -> int | None:
    """As `fen`, or None when it is missing or empty."""
    return None if source.get(field) in (None, "") else fen(source, field)


def minor(source: Mapping[str, Any], field: str) -> int:
    """An amount that the platform tells in whole fen; never negative."""
    value = whole_number(source, field)
    if not 0 <= value < 10**15:
        raise anomaly(field, Text("不是有效的金额（分）", "is no valid amount in fen"))
    return value


def optional_minor(source: Mapping[str, Any], field: str) -> int | None:
    """As `minor`, or None when it is missing or empty."""
    return None if source.get(field) in (None, "") else minor(source, field)


def unix_time(source: Mapping[str, Any], field: str) -> datetime | None:
    """Seconds since 1970 as UTC, or None when it is missing, empty or 0."""
    if source.get(field) in (None, "", 0, "0"):
        return None
    seconds = whole_number(source, field)
    if not 0 < seconds < _LAST_SECOND:
        raise anomaly(field, Text("不是有效的时间", "is no valid time"))
    return datetime.fromtimestamp(seconds, UTC)


def china_time(source: Mapping[str, Any], field: str) -> datetime | None:
    """`yyyy-MM-dd HH:mm:ss` in China as UTC, or None when it is missing or empty."""
    value = optional_text(source, field, limit=19)
    if value is None:
        return None
    instant = _in_utc(value)
    if instant is None:
        raise anomaly(field, Text("不是有效的时间", "is no valid time"))
    return instant


# What happens within a batch happens at few different seconds.
@lru_cache(maxsize=4_096)
def _in_utc(local: str) -> datetime | None:
    """A time in China, None when it is none."""
    try:
        instant = datetime.fromisoformat(local) if _LOCAL_TIME.fullmatch(local) else None
        return instant.replace(tzinfo=CHINA).astimezone(UTC) if instant is not None else None
    except (ValueError, OverflowError):
        return None


def rfc3339(source: Mapping[str, Any], field: str) -> datetime | None:
    """An RFC 3339 instant as UTC, or None when it is missing or empty."""
    value = optional_text(source, field, limit=40)
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise anomaly(field, Text("不是带时区的时间", "is no instant with a time zone"))


def not_from_the_future(instant: datetime | None, received_at: datetime, field: str) -> datetime | None:
    """The instant itself, refused when it lies past the moment it was received."""
    if instant is not None and instant > received_at + FUTURE_TOLERANCE:
        raise anomaly(field, Text("晚于收到的时间", "lies in the future"))
    return instant
