"""Reading platforms again: what pushes missed comes in by the same way, and what differs is counted and mended.

A pulled page goes into the inbox in one transaction with the cursor behind it: a crash repeats a page at the worst, and
the inbox knows its records.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from connectors.accounts import Account
from connectors.http import Link
from connectors.pulling import Pullable, PulledPage, Stream
from connectors.registry import ConnectorRegistry
from connectors.webhooks import Verified
from domain.customers.folding import fold
from domain.customers.records import Record, record_of
from domain.events import rfc3339
from domain.ids import content_digest
from domain.organisation import Placement
from domain.problems import CommunicationProblem, NotFoundProblem, ProblemError, Text, UnavailableProblem
from domain.storable import is_storable
from services.connections import Connections
from services.unlisted import ask_about_unlisted
from storage.engine import Database
from storage.inbox import Inbox, Push
from storage.interactions import Interactions
from storage.placements import Placements
from storage.pulls import ComparisonRow, Streams
from storage.record_comparison import Difference, RecordComparison
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

MOST_WAITING = 200_000
"""Pushes that may wait in the inbox before pulling pauses: what platforms push comes first."""

FIRST_REACH = timedelta(days=731)
"""How far back a stream is read when its account is connected, where the platform lets one."""
COMPARED = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Pulled:
    """What one go brought. missed: records that no push had brought. more: whether to go on at once."""

    records: int = 0
    missed: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Wrong:
    """What of a page is not here, or otherwise: the keys of its pushes; and the records that rows are compared with."""

    pushes: frozenset[str]
    records: Sequence[Record] = ()


class PullService:
    """Streams of connected accounts, read by whoever serves the platform's queue."""

    def __init__(self, database: Database, connectors: ConnectorRegistry, connections: Connections, link: Link) -> None:
        self._database = database
        self._connectors = connectors
        self._connections = connections
        self._link = link

    async def pull(
        self, account_id: str, stream: str, *, pages: int = 20, beat: Callable[[], None] = lambda: None
    ) -> Pulled:
        """Read some pages on from where the stream stands, and let the inbox have them. beat: called at every page.

        Raises NotFoundProblem for an account or stream that is not there, UnavailableProblem while the inbox is full,
        and problems as `connectors.errors` describes them; the stream remembers why it stopped.
        """
        account, client, kind = await self._open(account_id, stream)
        cursor = await self._cursor(account_id, stream, kind)
        records = missed = 0
        more = True
        until = self._link.now().replace(microsecond=0)
        for turn in range(pages):
            try:
                page = await client.pull(stream, cursor, until)
            except ProblemError as problem:
                await self._note(account, stream, cursor, problem=str(problem))
                if turn and isinstance(problem, CommunicationProblem) and problem.problem.as_dict().get("retryable"):
                    break  # a bad moment of the platform: what was read is kept, and the next go tries again
                raise
            missed += await self._keep(account, kind, page, until)
            records += len(page.records)
            cursor, more = page.cursor, page.more
            beat()
            if not more:
                break
        return Pulled(records, missed, more)

    async def compare(self, account_id: str, stream: str, *, beat: Callable[[], None] = lambda: None) -> ComparisonRow:
        """Read the last two days again whatever was read before; what Tandem lacks or has otherwise is counted, and
        mended by the inbox, also where the inbox read the same before. Raises as `pull` does."""
        account, client, kind = await self._open(account_id, stream)
        until = self._link.now().replace(microsecond=0)
        since = until - COMPARED
        cursor: Mapping[str, Any] = {"since": rfc3339(since)}
        total, more = Difference(), True
        while more:
            asked_at = self._link.now()
            page = await client.pull(stream, cursor, until)
            difference, page, wrong = await self._difference(account, kind, page)
            total += difference
            await self._mend(account, page, wrong, asked_at)
            cursor, more = page.cursor, page.more
            beat()
        async with UnitOfWork(self._database) as work:
            place = await self._place(work, account_id)
            row = ComparisonRow(
                account_id=account_id,
                unit_path=place.unit_path,
                stream=stream,
                since=since,
                until=until,
                records=total.records,
                missing=total.missing,
                differing=total.differing,
                compared_at=work.now,
            )
            await Streams(work).insert(row)
        log.info("stream compared", account=account_id, stream=stream, missing=total.missing, differing=total.differing)
        return row

    def streams_of(self, platform: str) -> tuple[Stream, ...]:
        """What can be read of a platform; empty when nothing can, or nobody knows it."""
        connector = self._connectors.get(platform)
        return tuple(getattr(connector.client, "streams", ())) if connector is not None else ()

    async def _open(self, account_id: str, stream: str) -> tuple[Account, Pullable, Stream]:
        platform, _, slug = account_id.partition("/")
        kind = next((each for each in self.streams_of(platform) if each.name == stream), None)
        account = await self._connections.account(platform, slug)
        client = self._connectors.for_platform(platform).open(account, self._link)
        if kind is None or not isinstance(client, Pullable):
            known = ", ".join(each.name for each in self.streams_of(platform)) or "–"
            raise NotFoundProblem(
                Text(
                    f"平台 {platform} 没有数据流“{stream}”，可用：{known}",
                    f"{platform} has no stream “{stream}”; there are: {known}",
                ),
                retryable=False,
            )
        return account, client, kind

    async def _cursor(self, account_id: str, stream: str, kind: Stream) -> Mapping[str, Any]:
        async with UnitOfWork(self._database) as work:
            if await Inbox(work).is_fuller_than(MOST_WAITING):
                raise UnavailableProblem(
                    Text(
                        "收件箱积压过多，稍后再拉取平台数据",
                        "Too many pushes wait in the inbox; the platform is read again later",
                    ),
                    retry_after_s=60,
                )
            row = await Streams(work).stand(account_id, stream)
            start = work.now - min(kind.reaches_back, FIRST_REACH)
            return row.cursor if row is not None and row.cursor else {"since": rfc3339(start)}

    async def _keep(self, account: Account, kind: Stream, page: PulledPage, until: datetime) -> int:
        """Store a page and the cursor behind it; how many records were new to the inbox."""
        records, keys = len(page.records), set[str]()
        if kind.lists_everything:
            told = self._told(account, page)
            keys = {each.key[2] for _, records_of in told for each in records_of}
            async with UnitOfWork(self._database) as work:
                _, page = await _compared_with_list(work, _id(account), page, told)
        async with UnitOfWork(self._database) as work:
            new = await Inbox(work).add_many(_pushes(account, page))
            await ask_about_unlisted(work, _id(account), kind.name, page, keys)
            place = await self._place(work, _id(account))
            await Streams(work).note(
                _id(account),
                kind.name,
                place.unit_path,
                page.cursor,
                reached_at=page.reached_at or (until if not page.more else _reached(page.cursor)),
                records=records,
                missed=new,
            )
        return new

    async def _mend(self, account: Account, page: PulledPage, wrong: _Wrong, asked_at: datetime) -> None:
        """Let the inbox have what is wrong here although it may have had it before, and whatever else is new to it."""
        again = [each for each in page.records if each.dedupe_key in wrong.pushes]
        others = [each for each in page.records if each.dedupe_key not in wrong.pushes]
        async with UnitOfWork(self._database) as work:
            await Inbox(work).add_many(_pushes(account, replace(page, records=others)))
            # Pushes before records, as whoever drains takes them.
            await Inbox(work).read_again(_pushes(account, replace(page, records=again)))
            await RecordComparison(work).give_way(wrong.records, asked_at)

    async def _note(self, account: Account, stream: str, cursor: Mapping[str, Any], *, problem: str) -> None:
        async with UnitOfWork(self._database) as work:
            place = await self._place(work, _id(account))
            await Streams(work).note(
                _id(account), stream, place.unit_path, cursor, reached_at=_reached(cursor), problem=problem
            )

    async def _difference(
        self, account: Account, kind: Stream, page: PulledPage
    ) -> tuple[Difference, PulledPage, _Wrong]:
        """How a page compares with what is here; the page, of a list of everything without what is known; and what of
        it is wrong here."""
        told = self._told(account, page)
        async with UnitOfWork(self._database) as work:
            if kind.lists_everything:
                difference, page = await _compared_with_list(work, _id(account), page, told)
                readable = {pulled.dedupe_key for pulled, some in told if some}
                return difference, page, _Wrong(frozenset(readable & {each.dedupe_key for each in page.records}))
            folded = fold(each for _, records in told for each in records)
            difference, wrong = await RecordComparison(work).difference(folded)
        things = {(each.shelf, each.key) for each in wrong}
        pushes = (pulled.dedupe_key for pulled, some in told if any((each.shelf, each.key) in things for each in some))
        return difference, page, _Wrong(frozenset(pushes), wrong)

    def _told(self, account: Account, page: PulledPage) -> list[tuple[Verified, list[Record]]]:
        """The records of a page, none of what cannot be read."""
        connector = self._connectors.for_platform(account.platform)
        told: list[tuple[Verified, list[Record]]] = []
        for pulled in page.records:
            try:
                events = connector.to_events(pulled, account)
                told.append((pulled, [each for event in events if (each := record_of(event, pulled.received_at))]))
            except Exception:  # also a connector's bug on one row: the inbox puts it into quarantine with its reason
                told.append((pulled, []))
        return told

    async def _place(self, work: UnitOfWork, account_id: str) -> Placement:
        return (await Placements(work).of_accounts([account_id]))[account_id]


async def _compared_with_list(
    work: UnitOfWork, account_id: str, page: PulledPage, told: Sequence[tuple[Verified, Sequence[Record]]]
) -> tuple[Difference, PulledPage]:
    keys: dict[str, set[str]] = {}
    for _, records in told:
        for each in records:
            keys.setdefault(each.kind, set()).add(each.key[2])
    known = {kind: await Interactions(work).seen(account_id, kind, some) for kind, some in keys.items()}
    total, kept = Difference(), []
    for pulled, records in told:
        here = [(each, known[each.kind].get(each.key[2])) for each in records]
        missing = sum(found is None for _, found in here)
        said = [(found, (each.values["state"], each.values["details"].get("seen"))) for each, found in here]
        differing = sum(found is not None and found != now for found, now in said)
        total += Difference(len(records), missing, differing)
        if missing or differing or not records:
            kept.append(pulled)
    return total, replace(page, records=kept)


def _id(account: Account) -> str:
    return f"{account.platform}/{account.slug}"


def _reached(cursor: Mapping[str, Any]) -> datetime | None:
    since = cursor.get("since")
    return datetime.fromisoformat(since) if isinstance(since, str) else None


def _storable(key: str) -> str:
    return key if is_storable(key) else content_digest(key.encode("utf-8", "surrogatepass"))


def _pushes(account: Account, page: PulledPage) -> list[Push]:
    return [
        Push(
            platform=account.platform,
            account=account.slug,
            dedupe_key=_storable(each.dedupe_key),
            kind=each.kind,
            payload=each.payload,
            received_at=each.received_at,
            sent_at=each.sent_at,
        )
        for each in page.records
    ]
