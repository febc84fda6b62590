"""When people buy: more on weekends and at night, far more around 6.18 and 11.11, less in the spring festival."""

from __future__ import annotations

from bisect import bisect
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from random import Random

from simulator.seeding.numbers import CHINA

WEEKEND = 1.25
FESTIVALS = (
    # (first, last day of the festival as (month, day), how much more is bought)
    ((1, 20), (2, 8), 0.6),
    ((6, 1), (6, 15), 1.5),
    ((6, 16), (6, 20), 5.0),
    ((10, 20), (11, 8), 1.6),
    ((11, 9), (11, 12), 7.0),
    ((12, 10), (12, 12), 2.5),
)
NIGHT_HOURS = (3, 2, 1, 1, 1, 1, 2, 3, 5, 7, 8, 8, 9, 8, 7, 7, 7, 7, 8, 10, 14, 16, 14, 8)
MEAL_HOURS = (1, 0, 0, 0, 0, 0, 1, 3, 4, 3, 6, 20, 22, 10, 4, 3, 4, 12, 20, 16, 8, 6, 4, 2)


class Seasons:
    """Draws instants between `since` and `until`."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self._first = since.astimezone(CHINA).date()
        self._until = until
        days = (until.astimezone(CHINA).date() - self._first).days + 1
        self._grown = list(accumulate(_weight(self._first + timedelta(days=day)) for day in range(days)))
        self._hours = {hours: list(accumulate(hours)) for hours in (NIGHT_HOURS, MEAL_HOURS)}

    def draw(self, pick: Random, since: datetime, meals: bool = False) -> datetime:
        """An instant not before `since` and not after the end, UTC."""
        place = max((since.astimezone(CHINA).date() - self._first).days, 0)
        least = self._grown[place - 1] if place else 0.0
        day = bisect(self._grown, least + pick.random() * (self._grown[-1] - least))
        on = self._first + timedelta(days=min(day, len(self._grown) - 1))
        hours = self._hours[MEAL_HOURS if meals else NIGHT_HOURS]
        hour = bisect(hours, pick.random() * hours[-1])
        at = datetime.combine(on, time(min(hour, 23)), CHINA) + timedelta(seconds=pick.random() * 3599)
        at = at.astimezone(UTC).replace(microsecond=0)
        return at if since <= at <= self._until else since + pick.random() * (self._until - since)


def _weight(day: date) -> float:
    weight = WEEKEND if day.weekday() >= 5 else 1.0
    for first, last, more in FESTIVALS:
        if first <= (day.month, day.day) <= last:
            weight *= more
    return weight
