"""How much there is of what: counts for monitoring, over everything, of no person's business."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select, true, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col

from domain.retention import Kind
from storage.accounts import AccountRow
from storage.attributions import SoldOrderRow
from storage.comparisons import ComparisonRow, accuracy_of
from storage.effects import UNSETTLED, EffectRow
from storage.events import EventOutboxRow, EventRow
from storage.human_tasks import HumanTaskRow
from storage.inbox import Inbox, InboxRow
from storage.lookups import LookupRow
from storage.pulls import StreamRow
from storage.request_paces import RequestPaceRow
from storage.retention import Retention
from storage.runs import RunRow
from storage.sale_queue import SaleQueueRow
from storage.subscriptions import DeadLetterRow, SubscriptionRow
from storage.unit_of_work import Repository

RECENT = timedelta(hours=24)
_TOLD_WITHIN = timedelta(hours=1)
_COMPARED_WITHIN = timedelta(hours=50)
"""Two nights: a comparison that failed once is still told by the one before."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Work that waits: how many pieces, since when the oldest, and how many were put aside for a person to look at."""

    waiting: int = 0
    oldest_at: datetime | None = None
    aside: int = 0


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """Over all subscriptions: when the oldest event came that one of them, not paused, has not looked at; how many
    events were delivered; how many dead letters there are."""

    behind_since: datetime | None = None
    delivered: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class FigureSet:
    """lookups: people whom platforms are to be asked about. sales: orders that settlement is to look at; aside, those
    that count and have had no sales for an hour, for want of a rate or of articles. open_runs, ended_runs: by phase;
    the ended ones of the last 24 hours. open_tasks: by queue and state. unsettled: effects, by call, of which nobody
    knows whether they were done, though their run has ended.

    waiting_since: by platform, when the oldest push came that waits to be read. quarantined: by platform, pushes.
    read_until: by platform, up to when all streams of its active accounts were read. accuracy: by platform, the share
    of the records in the newest finished comparison of each stream that were here as the platform has them. unfinished:
    by platform, comparisons that stopped or were given up. requests, delays: by platform, turns that were taken, and
    those that had to be waited for.
    kept_since: when the oldest row of a kind ended that is still there. purged: rows deleted so far.
    """

    inbox: Backlog = field(default_factory=Backlog)
    events: Backlog = field(default_factory=Backlog)
    lookups: Backlog = field(default_factory=Backlog)
    sales: Backlog = field(default_factory=Backlog)
    streams: StreamFigures = field(default_factory=StreamFigures)
    waiting_since: dict[str, datetime] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    open_runs: dict[str, int] = field(default_factory=dict)
    ended_runs: dict[str, int] = field(default_factory=dict)
    open_tasks: dict[tuple[str, str], int] = field(default_factory=dict)
    unsettled: dict[str, int] = field(default_factory=dict)
    read_until: dict[str, datetime] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    unfinished: dict[str, int] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    delays: dict[str, int] = field(default_factory=dict)
    kept_since: dict[Kind, datetime] = field(default_factory=dict)
    purged: dict[Kind, int] = field(default_factory=dict)


class Figures(Repository):
    """Every count reads a partial index or a short range of one, so that asking is cheap on a large installation."""

    async def collect(self) -> FigureSet:
        quarantined = await self._quarantined()
        return FigureSet(
            inbox=await self._inbox(sum(quarantined.values())),
            waiting_since=await Inbox(self.work).waiting_since(),
            quarantined=quarantined,
            events=await self._events(),
            lookups=await self._lookups(),
            sales=await self._sales(),
            streams=await self._streams(),
            open_runs=await self._runs(ended=False),
            ended_runs=await self._runs(ended=True),
            open_tasks=await self._tasks(),
            unsettled=await self._unsettled(),
            read_until=await self._read_until(),
            accuracy=await self._accuracy(),
            unfinished=await self._unfinished(),
            **await self._paces(),
            kept_since=await Retention(self.work).oldest(),
            purged=await Retention(self.work).counted(),
        )

    async def _inbox(self, aside: int) -> Backlog:
        waiting = select(func.count()).where(col(InboxRow.state) == "waiting")
        # The first that came, not the least instant of all: a million wait on a day of promotions.
        first = (
            select(col(InboxRow.received_at))
            .where(col(InboxRow.state) == "waiting")
            .order_by(col(InboxRow.id))
            .limit(1)
        )
        count = await self.session.scalar(waiting) or 0
        return Backlog(count, await self.session.scalar(first), aside)

    async def _quarantined(self) -> dict[str, int]:
        platform = col(InboxRow.platform)
        statement = select(platform, func.count()).where(col(InboxRow.state) == "quarantined").group_by(platform)
        return {str(name): int(count) for name, count in await self.session.execute(statement)}

    async def _events(self) -> Backlog:
        parked = col(EventOutboxRow.parked_at)
        waiting = select(func.count(), func.min(EventOutboxRow.due_at)).where(parked.is_(None))
        aside = select(func.count()).select_from(EventOutboxRow).where(parked.is_not(None))
        count, oldest = (await self.session.execute(waiting)).one()
        return Backlog(count, oldest, await self.session.scalar(aside) or 0)

    async def _lookups(self) -> Backlog:
        due = col(LookupRow.due_at)
        waiting = select(func.count(), func.min(due)).where(due <= self.now)
        aside = select(func.count()).select_from(LookupRow).where(col(LookupRow.problem).is_not(None), due.is_(None))
        count, oldest = (await self.session.execute(waiting)).one()
        return Backlog(count, oldest, await self.session.scalar(aside) or 0)

    async def _sales(self) -> Backlog:
        put_off = col(SaleQueueRow.not_before) > self.now
        since = func.greatest(col(SaleQueueRow.queued_at), col(SaleQueueRow.not_before))
        waiting = select(func.count(), func.min(since)).where(put_off.is_not(True))
        cannot = select(func.count()).select_from(SaleQueueRow).where(put_off)
        # Of most new orders a number is told first, and the rest a moment later.
        is_old = col(SoldOrderRow.counted_at) < self.now - _TOLD_WITHIN
        aside = select(func.count()).select_from(SoldOrderRow).where(col(SoldOrderRow.problem).is_not(None), is_old)
        count, oldest = (await self.session.execute(waiting)).one()
        put_aside = [await self.session.scalar(each) or 0 for each in (aside, cannot)]
        return Backlog(count, oldest, sum(put_aside))

    async def _streams(self) -> StreamFigures:
        place = (col(EventRow.written_in), col(EventRow.seq))
        cursor = tuple_(col(SubscriptionRow.cursor_xact), col(SubscriptionRow.cursor))
        first = (
            select(col(EventRow.received_at)).where(tuple_(*place) > cursor).order_by(*place).limit(1).lateral("first")
        )
        oldest = (
            select(func.min(first.c.received_at))
            .select_from(SubscriptionRow)
            .join(first, true())
            .where(col(SubscriptionRow.paused_at).is_(None))
        )
        delivered = select(func.sum(col(SubscriptionRow.delivered)))
        dead = select(func.count()).select_from(DeadLetterRow)
        return StreamFigures(
            await self.session.scalar(oldest),
            int(await self.session.scalar(delivered) or 0),
            await self.session.scalar(dead) or 0,
        )

    async def _runs(self, *, ended: bool) -> dict[str, int]:
        statement = select(col(RunRow.phase), func.count()).group_by(col(RunRow.phase))
        if ended:
            recent = col(RunRow.created_at) >= self.now - RECENT
            statement = statement.where(recent, col(RunRow.ended_at).is_not(None))
        else:
            statement = statement.where(col(RunRow.ended_at).is_(None))
        found = await self.session.execute(statement)
        return {str(phase): int(count) for phase, count in found}

    async def _tasks(self) -> dict[tuple[str, str], int]:
        row = HumanTaskRow
        statement = (
            select(col(row.queue), col(row.state), func.count())
            .where(col(row.ended_at).is_(None))
            .group_by(col(row.queue), col(row.state))
        )
        return {(queue, state): count for queue, state, count in await self.session.execute(statement)}

    async def _unsettled(self) -> dict[str, int]:
        statement = (
            select(col(EffectRow.call), func.count())
            .join(RunRow, col(RunRow.id) == col(EffectRow.run_id))
            .where(UNSETTLED, col(RunRow.ended_at).is_not(None))
            .group_by(col(EffectRow.call))
        )
        found = await self.session.execute(statement)
        return {str(call): int(count) for call, count in found}

    async def _read_until(self) -> dict[str, datetime]:
        # A stream that never went through was not read since it was first tried.
        reached = func.coalesce(col(StreamRow.reached_at), col(StreamRow.problem_since), col(StreamRow.pulled_at))
        statement = (
            select(col(AccountRow.platform), func.min(reached))
            .join(StreamRow, col(StreamRow.account_id) == col(AccountRow.id))
            .where(col(AccountRow.active))
            .group_by(col(AccountRow.platform))
        )
        return {str(platform): at for platform, at in await self.session.execute(statement)}

    async def _accuracy(self) -> dict[str, float]:
        row = ComparisonRow
        stream = (col(row.account_id), col(row.stream))
        newest = (
            select(row)
            .ext(distinct_on(*stream))
            .where(
                col(row.compared_at) > self.now - _COMPARED_WITHIN,
                col(row.cursor).is_(None),
                col(row.problem).is_(None),
            )
            .order_by(*stream, col(row.compared_at).desc())
            .subquery()
        )
        statement = (
            select(
                col(AccountRow.platform),
                func.sum(newest.c.records),
                func.sum(newest.c.missing + newest.c.differing + newest.c.unread),
            )
            .join(newest, newest.c.account_id == col(AccountRow.id))
            .where(col(AccountRow.active))
            .group_by(col(AccountRow.platform))
        )
        shares = {
            str(platform): accuracy_of(records, wrong)
            for platform, records, wrong in await self.session.execute(statement)
        }
        return {platform: share for platform, share in shares.items() if share is not None}

    async def _unfinished(self) -> dict[str, int]:
        row = ComparisonRow
        statement = (
            select(col(AccountRow.platform), func.count())
            .join(row, col(row.account_id) == col(AccountRow.id))
            .where(col(AccountRow.active), col(row.compared_at) > self.now - _COMPARED_WITHIN)
            .where(col(row.problem).is_not(None))
            .group_by(col(AccountRow.platform))
        )
        return {str(platform): int(count) for platform, count in await self.session.execute(statement)}

    async def _paces(self) -> dict[str, dict[str, int]]:
        row = RequestPaceRow
        platform = func.split_part(col(row.account_id), "/", 1)
        # One that takes a turn of an interface as well is one request.
        made_of_accounts = func.sum(col(row.requests)).filter(func.split_part(col(row.account_id), "/", 3) == "")
        statement = select(platform, func.coalesce(made_of_accounts, 0), func.sum(col(row.delays))).group_by(platform)
        found = [(str(name), int(made), int(put_off)) for name, made, put_off in await self.session.execute(statement)]
        return {
            "requests": {name: made for name, made, _ in found},
            "delays": {name: put_off for name, _, put_off in found},
        }
