"""Shanghai days that settlement knows: a typing error in a year is told, and nothing is computed of it."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator

from domain.problems import Text, ValidationProblem

FIRST_DAY, LAST_DAY = date(2001, 1, 1), date(2100, 12, 31)
"""The first is a Monday: no period begins before it."""
_SAID = Text(f"日期应在 {FIRST_DAY} 至 {LAST_DAY} 之间", f"the day has to be of {FIRST_DAY} to {LAST_DAY}")


def require_day(day: date) -> date:
    """The day; raises ValidationProblem when it is of another age."""
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValidationProblem(Text(f"{_SAID.zh}，而不是 {day}", f"{_SAID.en}, and is {day}"))
    return day


def _checked(day: date) -> date:
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"{_SAID.zh} · {_SAID.en}")
    return day


Day = Annotated[date, AfterValidator(_checked)]
"""A day in a request."""
