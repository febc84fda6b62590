"""Reading what changed in a stretch of time, where the platform itself gives out the key of the next page.

Where pages have numbers, `connectors.page_windows` is the way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connectors.pulling import Cursor, Stream
from domain.events import rfc3339
from domain.problems import Text, ValidationProblem


@dataclass(frozen=True, slots=True)
class Window:
    """Changes from `since` to `until`, whole seconds, UTC. place: the platform's own position within it, if any."""

    since: datetime
    until: datetime
    place: Any = None

    @property
    def seconds(self) -> tuple[int, int]:
        """Both ends in seconds since 1970."""
        return int(self.since.timestamp()), int(self.until.timestamp())

    def at(self, place: Any) -> Cursor:
        """The cursor that goes on within this window."""
        return {"since": rfc3339(self.since), "until": rfc3339(self.until), "place": place}

    def behind(self, asked: datetime) -> tuple[Cursor, bool]:
        """The cursor behind this window, and whether there is more up to `asked`."""
        return {"since": rfc3339(self.until)}, self.until < asked


def settled(asked: datetime, stream: Stream, now: datetime) -> datetime:
    """The latest instant, in whole seconds, before which nothing can appear in the platform's list any more.

    What is told later than that is read with the next window.
    """
    return min(asked, now - stream.lag).replace(microsecond=0)


def window_of(cursor: Cursor, asked: datetime, stream: Stream, *, longest: timedelta, now: datetime) -> Window:
    """The window a cursor stands in, else the next one: not longer than `longest`, not older than the stream reaches.

    `asked` is settled. :raises ValidationProblem: the cursor is none of ours.
    """
    oldest = now.replace(microsecond=0) - stream.reaches_back
    since = max(_instant(cursor, "since") or oldest, oldest)
    until = _instant(cursor, "until")
    if until is None or until <= oldest:
        return Window(since, max(min(since + longest, asked), since))
    return Window(since, until, cursor.get("place"))


def _instant(cursor: Mapping[str, Any], name: str) -> datetime | None:
    value = cursor.get(name)
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(str(value)).replace(microsecond=0)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ValidationProblem(
            Text(f"游标的 {name} 不是有效的时间", f"The cursor's {name} is no valid instant"), retryable=False
        )
    return instant
