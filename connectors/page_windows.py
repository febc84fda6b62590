"""Reading changes by time: window after window, each from its last page to its first.

While a window is read, records change and leave it, and what lies behind them moves up a page. Reading from the end, a
record that moves up is met again; reading from the start, it would be missed. What appears late does the opposite, so a
window that is to be done with ends before anything can appear late. What is newer is read too, and then once more.

A platform that lists narrow windows best is asked for those, but where little changed each is twice as wide as the one
before: months of a quiet shop take few requests, and a busy one is never asked for more than it can list.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from connectors.pulling import Cursor, PulledPage, Stream
from connectors.webhooks import Verified
from domain.events import rfc3339
from domain.problems import CommunicationProblem, Text, ValidationProblem

# What was settled since the last pull waits for the next one while it is less than this.
_WORTH_A_WINDOW = timedelta(minutes=1)
# A window of more pages is cut while it is wider than it need be.
_MANY_PAGES = 20


class Window(NamedTuple):
    """From `start` to `end`, both included."""

    start: datetime
    end: datetime


FirstPage = Callable[[Window], Awaitable[tuple[int, Sequence[Verified]]]]
"""How many records a window holds, and those on its first page."""
ReadPage = Callable[[Window, int], Awaitable[Sequence[Verified]]]


@dataclass(frozen=True, slots=True)
class WindowedReader:
    """How one stream is cut. widest: of a window. settles: how near to now a window may end.

    most: how many records of a window the platform shows; one that holds more is halved. narrow: how wide a reading's
    first window is, where that is not `widest`; what follows a window of one page is twice as wide.

    `stream.lag` is how long a change may be missing: windows that end earlier than that are read once.
    """

    stream: Stream
    widest: timedelta
    page_size: int
    settles: timedelta = timedelta()
    most: int | None = None
    narrow: timedelta | None = None

    async def pull(self, cursor: Cursor, until: datetime, first_page: FirstPage, read_page: ReadPage) -> PulledPage:
        """The next page; see `connectors.pulling.Pullable`.

        cursor: `since`, how many seconds `wide` the next window is, and while one is open `until`, `page` and whether
        it is read `again`. first_page: it is all that a window of one page is asked for. read_page: the records of one
        page, from 1.
        """
        oldest = until - self.stream.reaches_back
        start = max(_instant(cursor, "since") or oldest, oldest)
        end = _instant(cursor, "until")
        if end is not None and end > start:
            window, number = Window(start, end), int(cursor["page"])
            return self._page(window, number, bool(cursor.get("again")), await read_page(window, number), None)
        settled, latest = until - self.stream.lag, until - self.settles
        again = start > settled - _WORTH_A_WINDOW
        end = min(start + self.widest, latest) if again else min(start + self._width(cursor), settled)
        if end <= start:
            return PulledPage((), {"since": rfc3339(start)}, more=False)
        window = Window(start, end)
        total, records = await first_page(window)
        while self._holds_too_much(window, total, again):
            window = _half(window, total)
            total, records = await first_page(window)
        number = -(-total // self.page_size)
        if number > 1:
            records = await read_page(window, number)
        return self._page(window, number, again, records, total)

    def _page(
        self, window: Window, page: int, again: bool, records: Sequence[Verified], total: int | None
    ) -> PulledPage:
        if page > 1:
            still = {"since": rfc3339(window.start), "until": rfc3339(window.end), "page": page - 1, "again": again}
            return PulledPage(records, still, more=True, total=total)
        if again:
            return PulledPage(records, {"since": rfc3339(window.start)}, more=False, total=total)
        following: dict[str, Any] = {"since": rfc3339(window.end)}
        if self.narrow is not None:
            is_one_page = total is not None and total <= self.page_size
            following["wide"] = int((window.end - window.start).total_seconds()) * (2 if is_one_page else 1)
        return PulledPage(records, following, more=True, total=total)

    def _width(self, cursor: Cursor) -> timedelta:
        if self.narrow is None:
            return self.widest
        return min(max(timedelta(seconds=int(cursor.get("wide", 0))), self.narrow), self.widest)

    def _holds_too_much(self, window: Window, total: int, again: bool) -> bool:
        if self.most is not None and total > self.most:
            return True
        # The newest window is as wide as the lag, and what was cut off it would wait until it is settled.
        is_wide = self.narrow is not None and not again and window.end - window.start > self.narrow
        return is_wide and total > _MANY_PAGES * self.page_size


def _half(window: Window, total: int) -> Window:
    """The earlier half of a window. Raises CommunicationProblem for one that cannot be cut any more."""
    seconds = int((window.end - window.start).total_seconds()) // 2
    if seconds < 1:
        raise CommunicationProblem(
            Text(
                f"平台在一秒内有 {total} 条变更，超过可读的条数，请人工核对",
                f"The platform has {total} changes within a second, more than it shows: check by hand",
            ),
            retryable=False,
            outcome="not_done",
        )
    return Window(window.start, window.start + timedelta(seconds=seconds))


def _instant(cursor: Mapping[str, Any], name: str) -> datetime | None:
    value = cursor.get(name)
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ValidationProblem(
            Text(f"拉取位置中的“{name}”不是有效的时间", f"“{name}” in the cursor is no instant with a time zone"),
            retryable=False,
        )
    return instant
