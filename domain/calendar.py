"""Working days and hours of a named calendar, Chinese holidays and make-up working days included."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import chinese_calendar

from domain.catalog.flow import WaitUntilArguments
from domain.problems import Text, ValidationProblem

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HORIZON_DAYS = 400


def _chinese_working_day(day: date) -> bool:
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        # Holidays of a year are announced the autumn before; until then its weekdays count as working days.
        return day.weekday() < 5


@dataclass(frozen=True, slots=True)
class Calendar:
    """When people work: a time zone, the working days, one window of hours a day (local, half-open)."""

    zone: ZoneInfo
    is_working_day: Callable[[date], bool]
    opens: time
    closes: time


CALENDARS = {
    "cn": Calendar(ZoneInfo("Asia/Shanghai"), _chinese_working_day, time(9), time(18)),
    "always": Calendar(ZoneInfo("Asia/Shanghai"), lambda _: True, time(0), time.max),
}


def named_calendar(name: str) -> Calendar:
    """The calendar of that name. Raises ValidationProblem when there is none."""
    calendar = CALENDARS.get(name)
    if calendar is None:
        known = ", ".join(CALENDARS)
        raise ValidationProblem(
            Text(f"没有名为“{name}”的日历，可用：{known}", f"There is no calendar “{name}”; there are {known}")
        )
    return calendar


def next_moment(wait: WaitUntilArguments, now: datetime) -> datetime:
    """The first instant from now on that satisfies everything the wait asks for, UTC.

    Raises ValidationProblem when `at` is no time, or nothing within 400 days satisfies it.
    """
    calendar = named_calendar(wait.calendar)
    at = _parse_at(wait.at)
    if isinstance(at, datetime):
        return max(at, now).astimezone(UTC)
    local_now = now.astimezone(calendar.zone)
    for offset in range(_HORIZON_DAYS):
        day = local_now.date() + timedelta(days=offset)
        if wait.weekdays and _WEEKDAYS[day.weekday()] not in wait.weekdays:
            continue
        if (wait.working_days or wait.working_hours) and not calendar.is_working_day(day):
            continue
        opens, closes = (calendar.opens, calendar.closes) if wait.working_hours else (time(0), time.max)
        earliest = datetime.combine(day, at or opens, tzinfo=calendar.zone)
        moment = max(earliest, local_now) if at is None else earliest
        if moment >= local_now and moment.date() == day and opens <= moment.time() < closes:
            return moment.astimezone(UTC)
    raise ValidationProblem(
        Text(
            "未来 400 天内没有满足条件的时刻，请检查 wait-until", "No moment within 400 days satisfies this wait-until"
        )
    )


def _parse_at(text: str | None) -> datetime | time | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text) if "T" in text else time.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or (isinstance(at, datetime) and at.tzinfo is None):
        raise ValidationProblem(
            Text(
                f"“{text}”不是时刻：请写 20:30 或带时区的 2026-11-11T00:00:00+08:00",
                f"“{text}” is no moment: write 20:30, or 2026-11-11T00:00:00+08:00 with its time zone",
            )
        )
    return at
