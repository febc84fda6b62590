"""Quiet hours: the part of the day in which nobody wants to hear from a shop."""

from datetime import datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, field_validator, model_validator


class QuietHours(BaseModel):
    """A daily window in local time, `start` included and `end` not; `22:00`-`08:00` runs over midnight."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: time = time(22)
    end: time = time(8)
    time_zone: str = "Asia/Shanghai"

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"没有时区 {value} · there is no time zone {value}") from None
        return value

    @model_validator(mode="after")
    def _a_window(self) -> Self:
        if self.start == self.end:
            raise ValueError("开始与结束不能相同 · start and end must differ")
        if self.start.tzinfo is not None or self.end.tzinfo is not None:
            raise ValueError("只写本地时间，时区在 time_zone · write local times; the zone is time_zone")
        return self

    def covers(self, instant: datetime) -> bool:
        """Whether the instant is quiet."""
        local = instant.astimezone(ZoneInfo(self.time_zone)).time()
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end

    def over_at(self, instant: datetime) -> datetime:
        """The instant itself when it is not quiet, else the next moment that is not, in UTC."""
        if not self.covers(instant):
            return instant
        zone = ZoneInfo(self.time_zone)
        local = instant.astimezone(zone)
        day = local.date() if local.time() < self.end else local.date() + timedelta(days=1)
        over = datetime.combine(day, self.end, zone).astimezone(instant.tzinfo)
        # On the night when clocks go back, the local end can lie before an instant that is still quiet.
        while self.covers(over) or over < instant:
            over += timedelta(minutes=15)
        return over
