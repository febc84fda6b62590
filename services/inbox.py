"""The inbox: a push is stored with one write and acknowledged; reading it comes later, in batches.

A batch is one transaction. When one record in it is refused by the database, or trips what follows from it, the batch
is cut in halves until that record stands alone and goes to quarantine: it holds up no other. A batch that the database
cannot finish in time is tried as a smaller one; a push that alone takes too long three times goes to quarantine, too.

A push may also end the process that reads it, out of memory or by a crash, so that nobody is left to put it aside. Then
whoever takes over suspects the oldest that wait (`InboxService.suspect`): they are read in small groups, then alone,
each try noted before it begins; one that was read alone at three more ends goes to quarantine, as no process that is
killed for another reason meets the same one three times. As long as no process ends, nothing is written for this.

Several batches may be read at once, in one process or in many: while one waits for the database, another is read. They
are taken one after the other, so of two events of one account the one whose push came first has the earlier instant,
whichever batch is done first; by that instant runs are told what they missed. Batches that want the same customers
crosswise are no error either: the database ends one of them, which is read again at once.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from connectors.registry import ConnectorRegistry
from connectors.webhooks import Verified
from domain.problems import UnavailableProblem
from services.inbox_bounds import MOST_QUARANTINED, InboxBounds
from services.intake import MOST_MET, Arrival, Intake
from services.push_failures import may_be_of_a_push, reason_of
from services.push_reading import PushReader
from services.stage_times import StageTimes, added
from storage.engine import Database
from storage.events import EventName
from storage.failures import depends_on_rows, is_deadlock, is_too_slow
from storage.inbox import KEY_MISSING, Inbox, Push, StoredPush
from storage.locks import lock
from storage.notifications import INBOX_CHANNEL, wait_for_notification
from storage.orders import OrderName
from storage.quarantine import Quarantine, QuarantineFilter
from storage.refund_settling import MEET_WITHIN
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

BATCH = 2_000
"""Pushes that one round reads at most; what a round costs beside its pushes is shared by them."""
_AT_A_STRETCH = 50
_LOOK_BACK_EVERY_S = 60.0
_LOOK_BACK_AFTER_FAILURE_S = 10.0
_MEETS_WHEN_SLOW_S = 600.0
FIRST_LOOK_BACK = timedelta(days=3)
_MOST_LOOKS = 20
_BY_AGE_S = 600.0
_TRIES = 5
_SMALLER = 4
_MOST_RELEASED = 10_000
_TURN = "inbox-turn"
_SUSPECTS_TURN = "inbox-suspects"
_MOST_SUSPECTED = 2 * BATCH
_SUSPECTS_AT_ONCE = 100
_SUSPECTS_S = 5.0
MOST_TRIES = 3
"""So many processes may end while they read a push alone."""
_TRIED_IN_A_GROUP = 2
DEADLY = f"{MOST_TRIES} processes ended while they read it alone: out of memory, or a crash"
"""The reason in quarantine of a push that did."""
TOO_SLOW = f"the database did not finish it in time, alone, {MOST_TRIES} times"
"""The reason in quarantine of a push that held up the others so."""


@dataclass(frozen=True, slots=True)
class InboxDrained:
    """What one round of reading did. seconds: what it took, by stage; the commit is not in it.

    announced: what pushes said that there is something new in, by account id and stream.
    """

    read: int = 0
    events: int = 0
    quarantined: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    announced: frozenset[tuple[str, str]] = frozenset()

    def __add__(self, other: "InboxDrained") -> "InboxDrained":
        return InboxDrained(
            self.read + other.read,
            self.events + other.events,
            self.quarantined + other.quarantined,
            added(self.seconds, other.seconds),
            self.announced | other.announced,
        )


class InboxService:
    def __init__(
        self,
        database: Database,
        connectors: ConnectorRegistry,
        intake: Intake | None = None,
        *,
        most_quarantined: int = MOST_QUARANTINED,
    ) -> None:
        self._database = database
        self._bounds = InboxBounds(database, most_quarantined)
        self._reader = PushReader(connectors)
        self._platforms = tuple(connectors)
        self._intake = intake or Intake()
        self._told: set[OrderName] = set()
        self._looks_back_at = 0.0
        self._meets_at = self._meets_far_at = 0.0
        self._may_know_keys = True
        # Who waits for a turn in this process holds no connection meanwhile.
        self._turn = asyncio.Lock()
        self._by_age_until = 0.0
        self._suspects_turn = asyncio.Lock()
        self._outlived: list[int] = []
        self._slow: Counter[int] = Counter()

    async def accept(self, platform: str, account: str, verified: Verified) -> bool:
        """Store a verified push unless it came before; whether it is new. `account` is the slug.

        Of one that holds several messages each is stored by itself, and it is new when one of them is. One that only
        announces is read again when it comes again: two of one second look like one that was sent twice.

        :raises UnavailableProblem: it was not stored; the platform should send it again.
        """
        await self._bounds.refuse_when_full(platform, account)
        pushes = [
            Push(
                platform=platform,
                account=account,
                dedupe_key=part.dedupe_key,
                kind=part.kind,
                payload=part.payload,
                received_at=part.received_at,
                sent_at=part.sent_at,
            )
            for part in verified.parts or (verified,)
        ]
        async with UnitOfWork(self._database) as work:
            is_new = await Inbox(work).add_many(pushes) > 0
            for push in pushes if not is_new else ():
                if self._reader.announced(push):
                    await Inbox(work).wait_again(push)
            return is_new

    async def wait_for_work(self, timeout_s: float) -> bool:
        """True as soon as a push waits, False when the time was up first. Raises UnavailableProblem."""

        async def has_work() -> bool:
            async with UnitOfWork(self._database) as work:
                return await Inbox(work).has_waiting(self._platforms)

        return await wait_for_notification(self._database, INBOX_CHANNEL, timeout_s, has_work)

    async def drain(self, limit: int = BATCH) -> InboxDrained:
        """Read the oldest waiting pushes, of a long queue some of each platform and account (`storage.taking`): what
        they say is taken in and they are done, in one transaction.

        One that cannot be read goes to quarantine with the reason, and holds up no other; one of a platform that this
        process does not know waits an hour for a process that does. What this process wrote before is first held
        against what others wrote at the same moment; once a minute, what any process wrote. A process begins with those
        that others put aside only because they lacked its keys: while keys change, processes get the new one after the
        other.
        """
        if self._may_know_keys:
            await self._release_known_keys()
        await self._settle()
        return await self._drain(limit, None)

    async def suspect(self) -> None:
        """Read the oldest pushes with care from now on: a reader ended without a word, maybe because of one of them."""
        async with UnitOfWork(self._database) as work:
            count = await Inbox(work).suspect(_MOST_SUSPECTED)
        if count:
            log.warning("a reader of the inbox ended without a word, the oldest pushes are read with care", count=count)

    async def _release_known_keys(self) -> None:
        for key in self._database.keyring.ids:
            wanted, found = QuarantineFilter(reason=KEY_MISSING.format(key=key)), _MOST_RELEASED
            while found == _MOST_RELEASED:
                async with UnitOfWork(self._database) as work:
                    found = await Quarantine(work).release(wanted, _MOST_RELEASED)
                if found:
                    log.info("pushes can be decrypted again", key=key, count=found)
        self._may_know_keys = False

    async def _settle(self) -> None:
        # Taken before: what another batch of this process writes from now on is for the next time.
        told, self._told = self._told, set()
        try:
            await self._settle_orders(sorted(told))
        except UnavailableProblem:
            self._told |= told
            raise
        if time.monotonic() >= self._looks_back_at:
            await self._look_back()

    async def _settle_orders(self, orders: Sequence[OrderName]) -> None:
        """Settle what met of these; where it is too much at once, or one of them is to blame, in smaller parts. One
        that cannot be settled waits for what is told of it next: no push waits for it."""
        if not orders:
            return
        try:
            async with UnitOfWork(self._database) as work:
                await self._intake.settle(work, orders)
        except Exception as error:
            if not (depends_on_rows(error) or may_be_of_a_push(error)):
                raise
            if len(orders) > 1:
                middle = len(orders) // 2
                await self._settle_orders(orders[:middle])
                await self._settle_orders(orders[middle:])
                return
            log.exception("a refund and its order that came at one moment were not settled", order=orders[0])

    async def _look_back(self) -> None:
        # Before it begins: one lane of a process looks, and where it cannot, the next batch is read all the same.
        self._looks_back_at = time.monotonic() + _LOOK_BACK_AFTER_FAILURE_S
        wait_s = _LOOK_BACK_EVERY_S
        if time.monotonic() >= self._meets_at and not await self._settle_met():
            wait_s = 0.0
        for _ in range(_MOST_LOOKS):
            async with UnitOfWork(self._database) as work:
                if await self._intake.tell_overdue(work) < MOST_MET:
                    break
        else:
            # More than a minute's: after the next batch it goes on.
            wait_s = 0.0
        self._looks_back_at = time.monotonic() + wait_s

    async def _settle_met(self) -> bool:
        """Whether that was all for now. At first it looks further back than any outage: a process may have ended
        between a batch and what follows. Where the database does not even find what met, it is left alone for a while.
        """
        seen: set[OrderName] = set()
        is_far = time.monotonic() >= self._meets_far_at
        for _ in range(_MOST_LOOKS):
            try:
                async with UnitOfWork(self._database) as work:
                    met = await self._intake.met_lately(work, FIRST_LOOK_BACK if is_far else MEET_WITHIN)
            except UnavailableProblem as problem:
                if not is_too_slow(problem.__cause__):
                    raise
                log.warning("so many refunds wait for their orders that nobody looks for those that met", far=is_far)
                later = time.monotonic() + _MEETS_WHEN_SLOW_S
                if is_far:
                    self._meets_far_at = later
                else:
                    self._meets_at = later
                return True
            await self._settle_orders(sorted(met - seen))
            if not met - seen:
                self._meets_far_at = math.inf if is_far else self._meets_far_at
                return True
            seen |= met
        return False

    async def _drain(self, limit: int, ids: Sequence[int] | None, tries_left: int = _TRIES) -> InboxDrained:
        try:
            return await self._drain_once(limit, ids)
        except UnavailableProblem as problem:
            if is_too_slow(problem.__cause__) and limit > 1:
                log.warning("batch was too large for the database", limit=limit)
                # In shares the slow push would be in every batch; by age it stands alone when its turn comes.
                self._by_age_until = time.monotonic() + _BY_AGE_S
                return await self._drain(max(1, limit // _SMALLER), ids, tries_left)
            if tries_left <= 1 or not (is_deadlock(problem.__cause__) or is_too_slow(problem.__cause__)):
                raise
            log.info("batch begins anew", limit=limit, reason=str(problem), tries_left=tries_left - 1)
            return await self._drain(limit, ids, tries_left - 1)

    async def _drain_once(self, limit: int, ids: Sequence[int] | None) -> InboxDrained:
        taken: list[int] = []
        suspects: list[int] = []
        times = StageTimes()
        try:
            async with AsyncExitStack() as stack:
                with times.of("inbox"):
                    work, waiting = await self._take(stack, limit, ids)
                if ids is None:
                    suspects = [stored.id for stored in waiting if stored.tries]
                    waiting = [stored for stored in waiting if not stored.tries]
                taken = [stored.id for stored in waiting]
                drained, told = await self._read(work, waiting, times)
        except Exception as error:
            reason = self._slow_alone(taken, error)
            if reason is None:
                if not taken or not may_be_of_a_push(error):
                    raise
                # One of the batch is to blame.
                if len(taken) > 1:
                    middle = len(taken) // 2
                    return await self._drain(limit, taken[:middle]) + await self._drain(limit, taken[middle:])
                reason = reason_of(error)
            log.warning("push quarantined", id=taken[0], reason=reason, exc_info=error)
            async with UnitOfWork(self._database) as work:
                await Inbox(work).quarantine({taken[0]: reason})
            return InboxDrained(read=1, quarantined=1)
        # After the commit: whoever holds it against the others must see it.
        self._told |= told
        return drained + await self._read_suspects(suspects) if suspects else drained

    def _slow_alone(self, taken: Sequence[int], error: Exception) -> str | None:
        """Why the push has to be put aside that was read alone and took too long, if it did so often enough."""
        if len(taken) != 1 or not is_too_slow(error.__cause__):
            return None
        self._slow[taken[0]] += 1
        if self._slow[taken[0]] < MOST_TRIES:
            return None
        del self._slow[taken[0]]
        return TOO_SLOW

    async def _read_suspects(self, suspects: Sequence[int]) -> InboxDrained:
        """Those that were never tried since they are suspected in groups, the others one by one. By one process at a
        time, so that each end counts for those that it read."""
        async with self._suspects_turn, UnitOfWork(self._database) as turn:
            await lock(turn, _SUSPECTS_TURN)
            async with UnitOfWork(self._database) as work:
                await Inbox(work).count_tries(self._outlived, -1)
                tries = await Inbox(work).tries_of(suspects)
                deadly = [number for number, count in tries.items() if count >= _TRIED_IN_A_GROUP + MOST_TRIES]
                await Inbox(work).quarantine(dict.fromkeys(deadly, DEADLY))
            self._outlived.clear()
            for number in deadly:
                log.error("push quarantined", id=number, reason=DEADLY)
            drained = InboxDrained(read=len(deadly), quarantined=len(deadly))
            new = [number for number, count in tries.items() if count == 1]
            groups = [new[at : at + _SUSPECTS_AT_ONCE] for at in range(0, len(new), _SUSPECTS_AT_ONCE)]
            groups += [[number] for number, count in tries.items() if count > 1 and number not in deadly]
            end = time.monotonic() + _SUSPECTS_S
            for group in groups:
                if time.monotonic() >= end:
                    break
                async with UnitOfWork(self._database) as work:
                    await Inbox(work).count_tries(group, 1)
                try:
                    got = await self._drain(len(group), group)
                    drained += got
                    if got.read < len(group):
                        # Another lane's batch holds some of them, or the database was too slow: these were not read.
                        async with UnitOfWork(self._database) as work:
                            await Inbox(work).count_tries(group, -1)
                except (Exception, asyncio.CancelledError):
                    # The database is away, or the worker stops: that is no end of the process.
                    self._outlived += group
                    raise
            return drained

    async def _take(
        self, stack: AsyncExitStack, limit: int, ids: Sequence[int] | None
    ) -> tuple[UnitOfWork, list[StoredPush]]:
        """A unit of work that ends with `stack`, and its pushes. It began after those that took older ones."""
        async with self._turn, UnitOfWork(self._database) as turn:
            await lock(turn, _TURN)
            work = await stack.enter_async_context(UnitOfWork(self._database))
            shared = ids is None and time.monotonic() >= self._by_age_until
            return work, await Inbox(work).take_waiting(limit, self._platforms, ids, shared=shared)

    async def _read(
        self, work: UnitOfWork, waiting: Sequence[StoredPush], times: StageTimes
    ) -> tuple[InboxDrained, frozenset[OrderName]]:
        inbox = Inbox(work)
        arrivals: list[Arrival] = []
        done: list[int] = []
        aside: dict[int, str] = {}
        pushed_by: list[tuple[EventName, int]] = []
        announced: set[tuple[str, str]] = set()
        with times.of("parse"):
            senders = await self._reader.senders(work, [stored.push for stored in waiting])
            for place, stored in enumerate(waiting):
                if place % _AT_A_STRETCH == 0:
                    # Whoever else works in this process gets a turn.
                    await asyncio.sleep(0)
                if stored.reason is not None:
                    aside[stored.id] = stored.reason
                    continue
                try:
                    arrived = self._reader.arrivals(stored.push, senders)
                    arrivals += arrived
                    done.append(stored.id)
                    announced.update(self._reader.announced(stored.push))
                    pushed_by += [(each.name, stored.id) for each in arrived]
                except Exception as error:  # a connector's bug on one push must not stop the others
                    aside[stored.id] = reason_of(error)
            for number, reason in aside.items():
                log.warning("push quarantined", id=number, reason=reason)
            await inbox.quarantine(aside)
        taken = await self._intake.take_in(work, arrivals, times)
        with times.of("inbox"):
            await inbox.done(done)
            await inbox.empty({push for name, push in pushed_by if name in taken.erased})
        drained = InboxDrained(len(waiting), taken.events, len(aside), times.seconds, frozenset(announced))
        return drained, taken.orders
