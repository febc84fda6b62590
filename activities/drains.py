"""The drains: a minute of work at a time, woken by the database, let go at once when the worker stops."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from domain.access import system_actor
from domain.problems import UnavailableProblem
from services.audit import seal_pending
from services.bill_schedules import BillSchedules
from services.category_filling import CategoryFilling
from services.due_settlements import DueSettlements
from services.erasure import ErasureWorker
from services.event_dispatch import EventDispatcher
from services.inbox import BATCH, InboxService
from services.payee_terms import TermsTakingEffect
from services.payout_starts import PayoutStarts
from services.pull_schedules import PullSchedules
from services.retention import RetentionService
from services.run_reports import RunReports
from services.run_starts import RunStarter
from services.schedules import ScheduleService
from services.selling import BATCH as SALES_BATCH
from services.selling import Selling
from services.settlements import SettlementService
from services.streams import StreamDelivery
from services.tag_keeping import TagKeeping
from services.tagging import Tagging
from services.unreconciled import Unreconciled
from storage.engine import Database
from storage.failures import is_deadlock
from workflows import messages

log = structlog.get_logger(__name__)

ROUND_S = 60.0
IDLE_S = 5.0
# A round costs nearly the same for one event as for hundreds: what comes while work goes on shares the next round.
GATHER_S = 0.1
_LOOK_AFTER_S = 10.0
_STREAM_PAUSE_S = 0.5
_TIDY_S = 300.0
_BEGIN_S = 60.0
_DUE_EVERY_S = 1800.0
_CHECK_S = 5.0
# Days are what matters here; while much is due, a second of it now and then holds nobody up.
_PURGE_EVERY_S = 3600.0
_PURGE_AGAIN_S = 10.0
_PURGE_BUDGET_S = 1.0
_ERASE_BUDGET_S = 1.0
_BEAT_S = 1.0

_RETENTION = system_actor("retention")

Step = Callable[[], Awaitable[bool]]
"""One batch of work; True when there may be more at once."""


class Drains:
    """The work of each drain. Several workers may serve the same drain: batches are claimed row by row."""

    def __init__(
        self,
        database: Database,
        inbox: InboxService,
        dispatcher: EventDispatcher,
        starter: RunStarter,
        reports: RunReports,
        schedules: ScheduleService,
        pull_schedules: PullSchedules,
        bill_schedules: BillSchedules,
        unreconciled: Unreconciled,
        due: DueSettlements,
        retention: RetentionService,
        tagging: Tagging,
        erasure: ErasureWorker,
        streams: StreamDelivery,
        selling: Selling,
        settlements: SettlementService,
        payouts: PayoutStarts,
    ) -> None:
        self._database = database
        self._inbox = inbox
        self._dispatcher = dispatcher
        self._starter = starter
        self._reports = reports
        self._schedules = schedules
        self._pull_schedules = pull_schedules
        self._bill_schedules = bill_schedules
        self._unreconciled = unreconciled
        self._due = due
        self._retention = retention
        self._tags = TagKeeping(tagging, CategoryFilling(database, tagging, selling))
        self._selling = selling
        self._terms = TermsTakingEffect(database)
        self._settlements = settlements
        self._payouts = payouts
        self._erasure = erasure
        self._streams = streams
        self._tidied_at = self._followed_at = self._purge_at = self._begun_at = self._due_at = 0.0
        self._steps: Mapping[str, Step] = {
            "inbox": self._drain_inbox,
            "events": self._dispatch_events,
            "runs": self._look_after_runs,
            "tags": self._keep_tags,
            "streams": self._deliver_streams,
            "sales": self._make_sales,
        }

    @activity.defn(name=messages.DRAIN_ACTIVITY)
    async def drain(self, drain: messages.Drain) -> None:
        """Work for a minute. Raises ApplicationError (not retryable) for a drain that does not exist."""
        step = self._steps.get(drain.name)
        if step is None:
            raise ApplicationError(f"there is no drain {drain.name}", non_retryable=True)
        if drain.name == "inbox" and activity.info().attempt > 1:
            await self._inbox.suspect()
        await work_for_a_round(drain.name, step)

    async def _drain_inbox(self) -> bool:
        drained = await self._inbox.drain()
        self._pull_schedules.begin(drained.announced)
        if drained.read:
            if drained.read < BATCH:
                await pause(GATHER_S)
            return True
        return await self._inbox.wait_for_work(IDLE_S)

    async def _dispatch_events(self) -> bool:
        drained = await self._dispatcher.drain()
        if drained.dispatched or drained.retried or drained.parked:
            await pause(GATHER_S)
            return True
        return await self._dispatcher.wait_for_work(IDLE_S)

    async def _deliver_streams(self) -> bool:
        """Turns go on beside the drain, each for its own time: a slow subscriber holds up no other."""
        began = await self._streams.drain()
        await pause(_STREAM_PAUSE_S)
        return began > 0

    async def _make_sales(self) -> bool:
        """What happened to orders becomes sales of payees, and what was said of payees for today holds; settlements and
        payouts asked for in vain begin."""
        try:
            looked = await self._selling.drain()
        except Exception:
            # Whatever keeps orders from being looked at, it keeps nobody's money.
            await self._begin_what_waits()
            raise
        has_time = looked.orders < SALES_BATCH and not (looked.swept and await self._selling.has_work())
        if has_time or time.monotonic() - self._begun_at > _BEGIN_S:
            await self._begin_what_waits()
        if has_time:
            await pause(GATHER_S if looked.orders else IDLE_S)
        return bool(looked.orders)

    async def _begin_what_waits(self) -> None:
        self._begun_at = time.monotonic()
        await self._terms.sweep()
        await self._settlements.sweep()
        await self._payouts.sweep()

    async def _look_after_runs(self) -> bool:
        """Start what was written but not started, end what ended unseen, seal the audit chain, erase who asked for it,
        delete what is over, schedule the reading of shops that were connected, tell of days without a bill and of
        periods that are due."""
        started = await self._starter.sweep()
        sealed = await seal_pending(self._database)
        erased = await self._erase()
        if time.monotonic() >= self._purge_at:
            await self._purge()
        if time.monotonic() - self._tidied_at > _TIDY_S:
            await self._reports.reconcile()
            await self._schedules.sync_all()
            await self._pull_schedules.sync()
            await self._bill_schedules.sync()
            await self._unreconciled.tell()
            self._tidied_at = time.monotonic()
        elif time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + _DUE_EVERY_S
            await self._due.look_after()
        elif time.monotonic() - self._followed_at > IDLE_S:
            await self._pull_schedules.follow()
            self._followed_at = time.monotonic()
        if not started and not sealed:
            await pause(GATHER_S if erased else _LOOK_AFTER_S)
        return bool(started)

    async def _keep_tags(self) -> bool:
        """See `services.tag_keeping`."""
        if await self._tags.round():
            return True
        await pause(_CHECK_S)
        return False

    async def _erase(self) -> bool:
        """Batches of erasures for a second at most; whether more may be due at once."""
        end = time.monotonic() + _ERASE_BUDGET_S
        while await self._erasure.work():
            if time.monotonic() >= end:
                return True
        return False

    async def _purge(self) -> None:
        # Set before: a database that is slow today must not keep the rest of the drain from its turn.
        self._purge_at = time.monotonic() + _PURGE_AGAIN_S
        purged = await self._retention.purge(_RETENTION, budget_s=_PURGE_BUDGET_S)
        if purged.complete:
            self._purge_at = time.monotonic() + _PURGE_EVERY_S
        if purged.rows:
            log.info("purged", **{kind.value: count for kind, count in purged.rows.items()})


async def work_for_a_round(name: str, step: Callable[[], Awaitable[object]]) -> None:
    """One batch of work after the other for a minute, or until the worker stops; pauses while the database is away."""
    end = time.monotonic() + ROUND_S
    async with heart_beating():
        while time.monotonic() < end and not activity.is_worker_shutdown():
            try:
                await step()
            except UnavailableProblem as error:
                if is_deadlock(error.__cause__):
                    log.info("batch begins anew, another one wanted the same customers", drain=name)
                    await pause(GATHER_S)
                else:
                    log.warning("drain pauses", drain=name, reason=str(error))
                    await pause(IDLE_S)


async def pause(seconds: float) -> None:
    """Wait; return at once when the worker begins to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await activity.wait_for_worker_shutdown()


@contextlib.asynccontextmanager
async def heart_beating(*details: object) -> AsyncIterator[None]:
    """Tell the server that this process lives, however long one batch takes: when it dies, another one takes over.

    details: what it works at, which whoever looks at the pending activity in Temporal sees.
    """

    async def beat() -> None:
        while True:
            activity.heartbeat(*details)
            await asyncio.sleep(_BEAT_S)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
