"""Reading a list that changes while it is read: window by window, each from its last page to its first.

Lists are sorted by the time of the last change, the newest first. A record that changes meanwhile leaves its window (it
comes again in a later one) and moves those behind it to lower pages; read from the last page down, they are seen twice
at the worst, never missed. A window with more records than the platform shows is halved.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connectors.pulling import Cursor, PulledPage
from connectors.webhooks import Verified
from domain.events import rfc3339

SHORTEST_WINDOW = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Listing:
    """How a platform lists. longest: the longest window it takes; most: how many records of a window it shows."""

    longest: timedelta
    page_size: int
    most: int


ReadPage = Callable[[datetime, datetime, int], Awaitable[tuple[int, Sequence[Mapping[str, Any]]]]]
"""(from, to, page from 1) → (how many there are in the window, the page's records)."""


async def read_backwards(
    listing: Listing,
    cursor: Cursor,
    until: datetime,
    read: ReadPage,
    record: Callable[[Mapping[str, Any]], Verified],
) -> PulledPage:
    """The next page. The cursor is `{since, until, page}`: the window under way and the page to read next, if any."""
    since = datetime.fromisoformat(cursor["since"])
    if since >= until and "page" not in cursor:
        return PulledPage((), {"since": rfc3339(since)}, more=False)
    if "page" not in cursor:
        return await _open_window(listing, since, min(since + listing.longest, until), until, read, record)
    end, page = datetime.fromisoformat(cursor["until"]), int(cursor["page"])
    total, rows = await read(since, end, page)
    return _after(since, end, page, until, [record(row) for row in rows], total)


async def _open_window(
    listing: Listing,
    since: datetime,
    end: datetime,
    until: datetime,
    read: ReadPage,
    record: Callable[[Mapping[str, Any]], Verified],
) -> PulledPage:
    total, rows = await read(since, end, 1)
    if total > listing.most and end - since > SHORTEST_WINDOW:
        half = since + max((end - since) / 2, SHORTEST_WINDOW)
        return await _open_window(listing, since, half.replace(microsecond=0), until, read, record)
    last = max(1, -(-min(total, listing.most) // listing.page_size))
    if last == 1:
        return _after(since, end, 1, until, [record(row) for row in rows], total)
    cursor = {"since": rfc3339(since), "until": rfc3339(end), "page": last}
    return PulledPage((), cursor, more=True, total=total)


def _after(
    since: datetime, end: datetime, page: int, until: datetime, records: Sequence[Verified], total: int
) -> PulledPage:
    if page > 1:
        cursor = {"since": rfc3339(since), "until": rfc3339(end), "page": page - 1}
        return PulledPage(records, cursor, more=True, total=total)
    return PulledPage(records, {"since": rfc3339(end)}, more=end < until, total=total)
