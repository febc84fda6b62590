"""Reading a platform's records page by page, for what its pushes missed.

A client that can be pulled from has streams (`orders`, `refunds`, `contacts` …) and a method
`async pull(stream, cursor, until) -> PulledPage`. How the platform wants to be read (windows, last page first, cursors
with two indices, a lag behind the push) is the method's business; the caller only gives the cursor back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from connectors.webhooks import Verified
from domain.problems import ConflictProblem, NotFoundProblem, Text

Cursor = Mapping[str, Any]
"""Where a stream stands, JSON-ready; empty at the very beginning."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Records of one kind that can be read again.

    reaches_back: how far the platform lets one read. lag: how long after a change it may still be missing there.
    lists_everything: what is read is how things stand, changed or not; what is known already is left out of the inbox.
    announced_by: kinds of pushes that tell nothing but that there is something new; it is read at once then.
    read_every: how often it is read on; more often where it is the first to tell, and asking costs the platform little.
    asked_again: for how long after each of these strokes it is asked again every second once its end is reached, where
    it tells in place of pushes; some seconds shorter than `read_every`.
    compared: how far back it is compared each night; where a platform lists things by when they began, as far as they
    change. Nothing for a queue, whose records are new by nature: one that waits there is none that was missed.
    """

    name: str
    reaches_back: timedelta
    lag: timedelta = timedelta()
    lists_everything: bool = False
    announced_by: tuple[str, ...] = ()
    read_every: timedelta = timedelta(minutes=5)
    asked_again: timedelta = timedelta()
    compared: timedelta = timedelta(days=2)

    def is_asked_again(self, at: datetime) -> bool:
        """Whether it is asked again at this instant. Not shortly before the next stroke, which would be left out while
        this reading lasts; after one that was late, on to the stroke that comes then."""
        return timedelta(seconds=at.timestamp() % self.read_every.total_seconds()) < self.asked_again


@dataclass(frozen=True, slots=True)
class PulledPage:
    """One page. records: as pushes are, so that `Connector.to_events` reads both; dedupe_key holds the version.

    cursor: where to go on, also after a crash: reading a page again is harmless. more: whether to go on at once.
    reached_at: everything changed before it was read, where that is another instant than `until`. listed_since: when
    the list of everything was begun that this page is of. is_last: the page ends it; all there is was on its pages.
    listed_before: when the reading before it was begun, which came to its end. in_vain: asking cost much and brought
    nothing of this account; the stream is not asked again before its next stroke.
    """

    records: Sequence[Verified]
    cursor: Cursor
    more: bool
    total: int | None = field(default=None)
    reached_at: datetime | None = field(default=None)
    listed_since: datetime | None = field(default=None)
    is_last: bool = field(default=False)
    listed_before: datetime | None = field(default=None)
    in_vain: bool = field(default=False)


@runtime_checkable
class Pullable(Protocol):
    """A client whose platform can be read page by page."""

    @property
    def streams(self) -> tuple[Stream, ...]:
        """What can be read."""

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next page of a stream, changes up to `until`. An empty cursor starts as far back as the caller's window.

        cursor may hold `since` (RFC 3339) alone: start there. Raises problems as `connectors.errors` describes them.
        """


@runtime_checkable
class AsksAboutUnlisted(Protocol):
    """A client that is asked, at the end of a list of everything, how those stand here whom no page of it named."""

    async def about_unlisted(self, known: Mapping[str, int]) -> Sequence[Verified]:
        """What the platform says of them, as a page's records. known: by number the version of what is known here; what
        is told now is newer. Raises problems as `connectors.errors` describes them."""


def streams_announced(client: type[Any], kind: str) -> tuple[str, ...]:
    """The names of a client's streams that have something new when a push of this kind comes."""
    streams: Sequence[Stream] = getattr(client, "streams", ())
    return tuple(stream.name for stream in streams if kind in stream.announced_by)


def not_compared(name: str) -> ConflictProblem:
    """The refusal to compare a stream that is a queue."""
    return ConflictProblem(
        Text(
            f"数据流“{name}”是消息队列，读过即无，无法比对；请比对订单、退款等其他数据流",
            f"The stream “{name}” is a queue: what was read of it is not told again, so it cannot be compared. Compare "
            "the orders and refunds it tells of",
        ),
        retryable=False,
    )


def stream_named(streams: Sequence[Stream], name: str) -> Stream:
    """The stream of that name; raises NotFoundProblem that lists those there are."""
    for stream in streams:
        if stream.name == name:
            return stream
    known = ", ".join(stream.name for stream in streams) or "–"
    raise NotFoundProblem(
        Text(f"没有数据流“{name}”，可用：{known}", f"There is no stream “{name}”; available: {known}"), retryable=False
    )
