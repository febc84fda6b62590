"""Reading platforms again: what pushes missed comes in by the same way, and what differs is counted and mended.

A pulled page goes into the inbox in one transaction with the cursor behind it: a crash repeats a page at the worst, and
the inbox knows its records.
"""

import time
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from connectors.accounts import Account
from connectors.http import Link
from connectors.pulling import Pullable, PulledPage, Stream, not_compared
from connectors.registry import ConnectorRegistry
from domain.events import rfc3339
from domain.organisation import Placement
from domain.problems import (
    CommunicationProblem,
    NotFoundProblem,
    ProblemError,
    RateLimitProblem,
    Text,
    TimeoutProblem,
    UnavailableProblem,
)
from services.connections import Connections
from services.inbox_room import InboxFullProblem, InboxRoom
from services.listed import compared_with_list
from services.pacing import hold_back
from services.pulled_pages import Wrong, compared_with_rows, pushes_of, told_by
from services.unlisted import follow_list, names_in, with_unlisted
from storage.comparisons import ComparisonRow, Comparisons
from storage.engine import Database
from storage.inbox import Inbox
from storage.placements import Placements
from storage.pulls import StreamRow, Streams
from storage.record_comparison import Difference, RecordComparison
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

FIRST_REACH = timedelta(days=731)
"""How far back a stream is read when its account is connected, where the platform lets one."""
_PRESENT = timedelta(days=1)
"""What changed so lately is no past: after hours without its platform a stream has refunds in it that nobody told."""
_NOTED_EVERY = timedelta(seconds=15)
"""So old may be what is written of a stream that is asked every second and has nothing new."""
_CLOCKS_DIFFER = timedelta(minutes=1)
_READ_AGAIN = timedelta(hours=1)
_BAD_MOMENT_S = 5.0
_NO_FURTHER_PAGE_AFTER_S = 120.0
"""A platform that slows us down may take minutes for a page; a go of several pages ends well before its time is up."""
_PASSES = (CommunicationProblem, RateLimitProblem, TimeoutProblem, InboxFullProblem)


@dataclass(frozen=True, slots=True)
class Pulled:
    """What one go brought. missed: records that no push had brought. more: whether to go on, after `wait_s`. in_vain:
    as of `PulledPage`."""

    records: int = 0
    missed: int = 0
    more: bool = False
    in_vain: bool = False
    wait_s: float = 0.0


class PullService:
    """Streams of connected accounts, read by whoever serves the platform's queue."""

    def __init__(
        self,
        database: Database,
        connectors: ConnectorRegistry,
        connections: Connections,
        link: Link,
        room: InboxRoom | None = None,
    ) -> None:
        self._database = database
        self._connectors = connectors
        self._connections = connections
        self._link = link
        self._room = room or InboxRoom(database)

    async def pull(self, account_id: str, stream: str, *, pages: int = 20) -> Pulled:
        """Read some pages on from where the stream stands, and let the inbox have them.

        What is far behind now stops at a page while the inbox is full for the past, what stands in for pushes only
        while it is full for the present (`services.inbox_room`). Raises NotFoundProblem for an account or stream that
        is not there, InboxFullProblem, and problems as `connectors.errors` describes them; the stream remembers why it
        stopped.
        """
        kind = self._stream(account_id, stream)
        account, client = await self._open(account_id)
        until = self._link.now().replace(microsecond=0)
        row, now = await self._stand(account_id, stream)
        begin = {"since": rfc3339(now - min(kind.reaches_back, FIRST_REACH))}
        cursor = _within(row.cursor if row is not None and row.cursor else begin, until)
        reached = row.reached_at if row is not None else None
        records = missed = 0
        more, in_vain, wait_s = True, False, 0.0
        end = time.monotonic() + _NO_FURTHER_PAGE_AFTER_S
        for turn in range(pages):
            if turn and time.monotonic() > end:
                break
            try:
                await self._room.refuse_when_full(past=_is_past(kind, reached, until))
                page = await self._paced(account_id, client.pull(stream, cursor, until))
                asked = with_unlisted(self._database, account, client, stream, page)
                page = await self._paced(account_id, asked)
            except ProblemError as problem:
                await self._note(account, stream, cursor, problem=str(problem))
                if turn and _passes(problem):
                    wait_s = _wait_s(problem)
                    break  # what was read is kept, and the next go tries again
                raise
            if turn or not _is_noted(row, page, now):
                missed += await self._keep(account, kind, page, until)
            records += len(page.records)
            cursor, more, in_vain = page.cursor, page.more, page.in_vain
            reached = max((at for at in (reached, _read_until(page, until)) if at is not None), default=None)
            if not more:
                break
        return Pulled(records, missed, more, in_vain, wait_s)

    async def compare(self, account_id: str, stream: str) -> ComparisonRow:
        """Read the last days again (`Stream.compared`) whatever was read before; what Tandem lacks or has otherwise is
        counted, and mended by the inbox, also where the inbox read the same before. Raises as `pull` does."""
        row, _, _ = await self._compare(account_id, stream, None)
        return row

    async def compare_on(self, account_id: str, stream: str, *, pages: int = 20) -> Pulled:
        """Some pages of `compare`, from where it stopped. missed: records that were not here.

        Raises as `pull` does; the comparison remembers why it stopped.
        """
        row, before, wait_s = await self._compare(account_id, stream, pages)
        found = (row.records - before.records, row.missing - before.missing)
        return Pulled(*found, more=row.cursor is not None, wait_s=wait_s)

    async def _compare(
        self, account_id: str, stream: str, pages: int | None
    ) -> tuple[ComparisonRow, Difference, float]:
        """Where it stands, what it had found before, and how long to wait before it goes on."""
        kind = self._stream(account_id, stream)
        if not kind.compared:
            raise not_compared(stream)
        until = self._link.now().replace(microsecond=0)
        since = until - kind.compared
        async with UnitOfWork(self._database) as work:
            place = await self._place(work, account_id)
            begin = {"since": rfc3339(since)}
            row = await Comparisons(work).begin(account_id, stream, place.unit_path, since, until, begin)
        before, turn, wait_s = row.found, 0, 0.0
        end = time.monotonic() + _NO_FURTHER_PAGE_AFTER_S
        try:
            account, client = await self._open(account_id)
            while row.cursor is not None and (pages is None or not turn or (turn < pages and time.monotonic() < end)):
                try:
                    await self._room.refuse_when_full(past=True)
                    row = await self._compare_page(row, account, client, kind)
                except ProblemError as problem:
                    if pages is None or not turn or not _passes(problem):
                        raise
                    wait_s = _wait_s(problem)
                    break  # what was compared is kept, and the next go tries again
                turn += 1
        except Exception as error:
            with suppress(UnavailableProblem):
                async with UnitOfWork(self._database) as work:
                    await Comparisons(work).stopped(row, _why(error))
            raise
        if row.cursor is None:
            log.info("stream compared", account=account_id, stream=stream, missing=row.missing, differing=row.differing)
        return row, before, wait_s

    async def _compare_page(
        self, row: ComparisonRow, account: Account, client: Pullable, kind: Stream
    ) -> ComparisonRow:
        """Count and mend one page; where the comparison stands then."""
        asked_at, cursor = self._link.now(), row.cursor or {}
        page = await self._paced(_id(account), client.pull(row.stream, cursor, row.until))
        told, unread = told_by(self._connectors.for_platform(account.platform), account, page)
        async with UnitOfWork(self._database) as work:
            wrong = Wrong(frozenset())
            if kind.lists_everything:
                found, page = await compared_with_list(work, _id(account), page, told)
                readable = {pulled.dedupe_key for pulled, some in told if some}
                wrong = Wrong(frozenset(readable & {each.dedupe_key for each in page.records}))
            else:
                found, wrong = await compared_with_rows(work, told)
            found = row.found + found + Difference(records=unread, unread=unread)
        async with UnitOfWork(self._database) as work:
            gone_on = await Comparisons(work).advance(row, found, page.cursor if page.more else None)
            if gone_on is None:
                raise UnavailableProblem(
                    Text("另一个进程正在做同一次比对", "Another process is at the same comparison"), retry_after_s=60
                )
            await _mend(work, account, page, wrong, asked_at)
        return gone_on

    def is_asked_again(self, account_id: str, stream: str) -> bool:
        """Whether a stream is asked again, its end being reached (`Stream.asked_again`). Raises NotFoundProblem."""
        return self._stream(account_id, stream).is_asked_again(self._link.now())

    def streams_of(self, platform: str) -> tuple[Stream, ...]:
        """What can be read of a platform; empty when nothing can, or nobody knows it."""
        connector = self._connectors.get(platform)
        return tuple(getattr(connector.client, "streams", ())) if connector is not None else ()

    def _stream(self, account_id: str, stream: str) -> Stream:
        platform = account_id.partition("/")[0]
        kind = next((each for each in self.streams_of(platform) if each.name == stream), None)
        if kind is None:
            known = ", ".join(each.name for each in self.streams_of(platform)) or "–"
            raise NotFoundProblem(
                Text(
                    f"平台 {platform} 没有数据流“{stream}”，可用：{known}",
                    f"{platform} has no stream “{stream}”; there are: {known}",
                ),
                retryable=False,
            )
        return kind

    async def _open(self, account_id: str) -> tuple[Account, Pullable]:
        """An account and the client that reads in bulk for it."""
        platform, _, slug = account_id.partition("/")
        account = await self._connections.account(platform, slug)
        connector = self._connectors.for_platform(platform)
        client: Pullable = connector.open(
            account, self._link.paced(account_id, connector.requests_per_second, bulk=True)
        )
        return account, client

    async def _paced(self, account_id: str, asking: Awaitable[PulledPage]) -> PulledPage:
        try:
            return await asking
        except RateLimitProblem as problem:
            await hold_back(self._link, account_id, problem)
            raise

    async def _stand(self, account_id: str, stream: str) -> tuple[StreamRow | None, datetime]:
        """Where a stream stands, None when it was never read; and what time it is."""
        async with UnitOfWork(self._database) as work:
            return await Streams(work).stand(account_id, stream), work.now

    async def _keep(self, account: Account, kind: Stream, page: PulledPage, until: datetime) -> int:
        """Store a page and the cursor behind it; how many records were new to the inbox."""
        records, keys = len(page.records), set[str]()
        if kind.lists_everything or page.listed_since is not None:
            told, unread = told_by(self._connectors.for_platform(account.platform), account, page)
            keys = names_in(told, unread)
        if kind.lists_everything:
            async with UnitOfWork(self._database) as work:
                _, page = await compared_with_list(work, _id(account), page, told)
        async with UnitOfWork(self._database) as work:
            new = await Inbox(work).add_many(pushes_of(account, page))
            await follow_list(work, account, kind.name, page, keys)
            place = await self._place(work, _id(account))
            await Streams(work).note(
                _id(account),
                kind.name,
                place.unit_path,
                page.cursor,
                reached_at=_read_until(page, until),
                records=records,
                missed=new,
            )
        return new

    async def _note(self, account: Account, stream: str, cursor: Mapping[str, Any], *, problem: str) -> None:
        async with UnitOfWork(self._database) as work:
            place = await self._place(work, _id(account))
            await Streams(work).note(
                _id(account), stream, place.unit_path, cursor, reached_at=_reached(cursor), problem=problem
            )

    async def _place(self, work: UnitOfWork, account_id: str) -> Placement:
        return (await Placements(work).of_accounts([account_id]))[account_id]


def _id(account: Account) -> str:
    return f"{account.platform}/{account.slug}"


def _reached(cursor: Mapping[str, Any]) -> datetime | None:
    since = cursor.get("since")
    return datetime.fromisoformat(since) if isinstance(since, str) else None


def _read_until(page: PulledPage, until: datetime) -> datetime | None:
    """Up to when everything was read once this page is; None where the page does not tell."""
    return page.reached_at or (until if not page.more else _reached(page.cursor))


def _is_noted(row: StreamRow | None, page: PulledPage, now: datetime) -> bool:
    """Whether a page says no more than what was written down a moment ago."""
    is_news = page.records or page.more or page.listed_since is not None
    if row is None or row.problem is not None or is_news:
        return False
    return row.cursor == page.cursor and now - row.pulled_at < _NOTED_EVERY


def _is_past(kind: Stream, reached: datetime | None, until: datetime) -> bool:
    """Whether what is read next happened long ago: the history of a new account, or what was not read for days. What is
    the first to tell is never past."""
    return not kind.asked_again and (reached is None or until - reached > _PRESENT)


def _within(cursor: Mapping[str, Any], until: datetime) -> Mapping[str, Any]:
    """The cursor; one that lies ahead of us, because a clock was fast when it was written, as far back instead: what
    changed since then was not read, however far it says that it was."""
    since = _reached(cursor)
    if since is None or since <= until + _CLOCKS_DIFFER:
        return cursor
    log.warning("a stream was read up to an instant to come, it is read again", since=rfc3339(since))
    return {"since": rfc3339(until - (since - until) - _READ_AGAIN)}


def _passes(problem: ProblemError) -> bool:
    """Whether it is a bad moment: of the platform, or one without room in the inbox."""
    return isinstance(problem, _PASSES) and problem.problem.as_dict().get("retryable") is True


def _wait_s(problem: ProblemError) -> float:
    """How long a bad moment is given to pass: what the platform asks for, where it does."""
    asked_s = problem.problem.as_dict().get("retry_after_s")
    return max(_BAD_MOMENT_S, float(asked_s) if isinstance(asked_s, int | float) else 0.0)


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, ProblemError) else f"{type(error).__name__}: {error}"


async def _mend(work: UnitOfWork, account: Account, page: PulledPage, wrong: Wrong, asked_at: datetime) -> None:
    """Let the inbox have what is wrong here although it may have had it before, and whatever else is new to it."""
    again = [each for each in page.records if each.dedupe_key in wrong.pushes]
    others = [each for each in page.records if each.dedupe_key not in wrong.pushes]
    await Inbox(work).add_many(pushes_of(account, replace(page, records=others)))
    # Pushes before records, as whoever drains takes them.
    await Inbox(work).read_again(pushes_of(account, replace(page, records=again)))
    await RecordComparison(work).give_way(wrong.records, asked_at)
