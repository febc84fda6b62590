"""Periods of a cycle: Shanghai days, half-open."""

from collections.abc import Collection, Iterator
from datetime import date, timedelta
from typing import get_args

from domain.settlement.days import require_day
from domain.settlement.scheme import Cycle

CYCLES: tuple[Cycle, ...] = get_args(Cycle)


def period_of(cycle: Cycle, day: date) -> tuple[date, date]:
    """The period that a day is in. Weeks begin on Monday; a month has two halves, the first of fifteen days.

    :raises ValidationProblem: the day is of another age.
    """
    require_day(day)
    match cycle:
        case "day":
            return day, day + timedelta(days=1)
        case "week":
            start = day - timedelta(days=day.weekday())
            return start, start + timedelta(days=7)
        case "half-month":
            first = day.replace(day=1)
            middle = first + timedelta(days=15)
            return (first, middle) if day < middle else (middle, _next_month(day))
        case "month":
            return day.replace(day=1), _next_month(day)


def periods_over(cycle: Cycle, since: date, today: date) -> Iterator[tuple[date, date]]:
    """The periods of a cycle that are over today and end after another day, the earliest first."""
    start, end = period_of(cycle, since)
    while end <= today:
        yield start, end
        start, end = period_of(cycle, end)


def next_common_start(cycles: Collection[Cycle], day: date) -> date:
    """The first day from this one on that begins a period of each of these cycles."""
    while any(period_of(cycle, day)[0] != day for cycle in cycles):
        day += timedelta(days=1)
    return day


def begun_between(cycle: Cycle, day: date, upto: date, most: int) -> int:
    """How many periods begin after the one that a day is in, up to another day; `most` of them at most."""
    count, start = 0, period_of(cycle, day)[1]
    while count < most and start <= upto:
        count, start = count + 1, period_of(cycle, start)[1]
    return count


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
