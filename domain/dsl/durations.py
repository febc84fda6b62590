"""Durations as authors write them: parts, or ISO 8601."""

import re
from datetime import timedelta
from typing import Any

from domain.dsl.model import DurationFields
from domain.problems import Text, ValidationProblem

_ISO_8601 = re.compile(
    r"^P(?=\d|T\d)(?:(?P<years>\d+(?:\.\d+)?)Y)?(?:(?P<months>\d+(?:\.\d+)?)M)?(?:(?P<weeks>\d+(?:\.\d+)?)W)?"
    r"(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?$"
)
_SECONDS = {"years": 31_536_000, "months": 2_592_000, "weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60}

LONGEST = timedelta(days=3_660)
"""No wait of a flow is longer: every wait has an end."""


def parse_duration(value: Any) -> timedelta:
    """The length of `{days: 1}`, `PT15M` or a DurationFields; a year counts 365 days, a month 30.

    Raises ValidationProblem when it is neither, or longer than ten years.
    """
    if isinstance(value, dict):
        length = _from_parts(value)
    elif isinstance(value, DurationFields):
        length = timedelta(**value.model_dump())
    elif isinstance(value, str):
        length = _from_iso(value)
    else:
        raise _refused(value)
    if length > LONGEST:
        raise ValidationProblem(
            Text(f"时长 {value} 超过十年上限", f"The duration {value} is longer than ten years"), value=str(value)
        )
    return length


def _from_parts(parts: dict[str, Any]) -> timedelta:
    try:
        return timedelta(**DurationFields.model_validate(parts).model_dump())
    except (ValueError, OverflowError):
        raise _refused(parts) from None


def _from_iso(text: str) -> timedelta:
    found = _ISO_8601.match(text.strip())
    if found is None:
        raise _refused(text)
    parts = {name: float(number) for name, number in found.groupdict().items() if number}
    try:
        return timedelta(seconds=sum(number * _SECONDS.get(name, 1) for name, number in parts.items()))
    except OverflowError:
        raise _refused(text) from None


def _refused(value: Any) -> ValidationProblem:
    return ValidationProblem(
        Text(
            f"“{value}”不是时长：请写 PT15M、P1D 这样的 ISO 8601 时长，或 days、hours、minutes、seconds 字段",
            f"“{value}” is no duration: write ISO 8601 such as PT15M or P1D, or days, hours, minutes, seconds",
        ),
        value=str(value),
    )
