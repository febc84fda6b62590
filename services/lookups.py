"""Asking platforms about people whom their pushes only name, one by one, as fast as the platform allows.

What a platform answers enters the inbox in the transaction that settles the question: a crash asks again at the worst.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from connectors.http import Link
from connectors.lookups import KnownContact, LookedUp, LooksUp, SharesTags
from connectors.registry import ConnectorRegistry
from domain.canonical import KeyKind
from domain.customers.lookups import asks_after
from domain.problems import (
    AuthenticationProblem,
    NotFoundProblem,
    ProblemError,
    RateLimitProblem,
    RuntimeProblem,
    Text,
    UnavailableProblem,
)
from domain.tags.sharing import Change
from services.connections import Connections
from services.identities import Assigned
from services.intake import Arrival
from services.order_reading import Asked, OrderReading
from services.shared_tags import SharedTags
from storage.engine import Database
from storage.inbox import Inbox, Push
from storage.lookups import Ask, Claimed, Lookups
from storage.notifications import lookups_channel, wait_for_notification
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Questions under way at a time, in each process that serves the platform's queue."""
MOST_ATTEMPTS = 12
_LEASE = timedelta(minutes=5)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 3600.0
_ACCOUNT_PAUSE_S = 30.0


class LookupDesk:
    """Notes, in the transaction that takes a batch in, about whom its platform has to be asked.

    kinds: by platform the kind of key that it is asked by.
    """

    def __init__(self, kinds: Mapping[str, KeyKind]) -> None:
        self._kinds = kinds

    async def ask(self, work: UnitOfWork, arrivals: Sequence[Arrival], assigned: Assigned) -> None:
        """Whom events tell of as changed is asked about, and who is new."""
        asks: dict[int, Ask] = {}
        for arrival in arrivals:
            record = arrival.record
            kind = self._kinds.get(record.account_id.partition("/")[0]) if record is not None else None
            if record is None or kind is None:
                continue
            for key in record.people:
                number = assigned.identities.get(key) if key.kind == kind else None
                if number is None:
                    continue
                after = asks_after(arrival.event, is_new=number in assigned.fresh)
                if after is not None:
                    ask = Ask(number, record.account_id, arrival.event.time or arrival.received_at, after)
                    asks[number] = ask.merged_with(asks.get(number))
        await Lookups(work).ask(asks.values())


class LookupService:
    """Whoever serves a platform's queue asks. Accounts that the platform holds up pause, and hold up no other.

    sharing: what becomes of tags at contacts; without it they are left alone. orders: those that are asked about.
    """

    def __init__(
        self,
        database: Database,
        connectors: ConnectorRegistry,
        connections: Connections,
        link: Link,
        sharing: SharedTags | None = None,
        orders: OrderReading | None = None,
    ) -> None:
        self._database = database
        self._connectors = connectors
        self._connections = connections
        self._link = link
        self._sharing = sharing
        self._orders = orders
        self._paused: dict[str, float] = {}

    async def wait_for_work(self, platform: str, timeout_s: float) -> bool:
        """True as soon as there is something to ask about, False when the time was up first."""

        async def has_work() -> bool:
            async with UnitOfWork(self._database) as work:
                if await Lookups(work).is_due(platform, self._pausing()):
                    return True
                return self._orders is not None and await self._orders.has_work(work, platform)

        return await wait_for_notification(self._database, lookups_channel(platform), timeout_s, has_work)

    async def drain(self, platform: str, limit: int = AT_ONCE * 5) -> Asked:
        """Ask about those who are due the longest, and about orders."""
        orders = await self._orders.drain(platform) if self._orders is not None else Asked()
        async with UnitOfWork(self._database) as work:
            claimed = await Lookups(work).claim(platform, limit, _LEASE, self._pausing())
        free = asyncio.Semaphore(AT_ONCE)

        async def one(each: Claimed) -> bool:
            async with free:
                return await self._ask(platform, each)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(each)) for each in claimed]
        answered = sum(task.result() for task in tasks)
        return Asked(orders.asked + len(claimed), orders.failed + len(claimed) - answered)

    async def _ask(self, platform: str, claimed: Claimed) -> bool:
        try:
            await self._look_up(platform, claimed)
        except Exception as error:  # a connector's bug on one key must not stop the others
            # When the database is away as well, the lease ends, and another round asks.
            with contextlib.suppress(UnavailableProblem):
                await self._put_off(claimed, _as_problem(error))
            return False
        return True

    async def _look_up(self, platform: str, claimed: Claimed) -> None:
        slug = claimed.account_id.partition("/")[2]
        account = await self._connections.account(platform, slug)
        connector = self._connectors.for_platform(platform)
        link = self._link.paced(claimed.account_id, connector.requests_per_second, bulk=True)
        client = connector.open(account, link)
        found = LookedUp(None)
        if isinstance(client, LooksUp) and client.looks_up == claimed.kind:
            async with UnitOfWork(self._database) as work:
                members, version = await Lookups(work).known_of(claimed)
            found = await client.look_up(claimed.value, KnownContact(members, version))
        existing, changes = None, dict[str, Change]()
        sharing = client if self._sharing is not None and isinstance(client, SharesTags) else None
        if self._sharing and sharing and found.held and await self._sharing.misses_any(claimed, found.held):
            existing = await sharing.tag_numbers()
        async with UnitOfWork(self._database) as work:
            if found.record is not None:
                # What is read is told as of what made us read it: a shop's past sets nothing in motion.
                told = replace(found.record, sent_at=claimed.as_of)
                await Inbox(work).add(
                    Push(platform, slug, told.dedupe_key, told.kind, told.payload, told.received_at, told.sent_at)
                )
            if self._sharing is not None and sharing is not None and found.held is not None:
                changes = await self._sharing.compare(work, claimed, found.held, existing)
            if not changes:
                await Lookups(work).answered(claimed)
        if self._sharing is not None and sharing is not None and changes:
            marked = await sharing.change_tags(claimed.value, changes)
            # Who is no contact any more is told of by a push of its own.
            refused = {who: why for who, why in marked.refused.items() if not isinstance(why, NotFoundProblem)}
            async with UnitOfWork(self._database) as work:
                await self._sharing.done(work, claimed, marked)
                if refused:
                    problem = "; ".join(f"{member}: {why}" for member, why in sorted(refused.items()))
                    log.warning("members cannot be given tags", account=claimed.account_id, why=problem)
                    await Lookups(work).failed(claimed, problem, None)
                else:
                    await Lookups(work).answered(claimed)

    async def _put_off(self, claimed: Claimed, problem: ProblemError) -> None:
        said = problem.problem.as_dict()
        waits_s = min(_FIRST_PAUSE_S * 2**claimed.attempts, _LONGEST_PAUSE_S)
        if isinstance(problem, _OF_THE_ACCOUNT):
            told = said.get("retry_after_s")
            waits_s = max(waits_s, float(told) if isinstance(told, int | float) else _ACCOUNT_PAUSE_S)
            self._paused[claimed.account_id] = time.monotonic() + waits_s
        tries_again = said.get("retryable") is True or isinstance(problem, _OF_THE_ACCOUNT)
        given_up = not tries_again or claimed.attempts + 1 >= MOST_ATTEMPTS
        log.warning(
            "lookup failed",
            account=claimed.account_id,
            attempts=claimed.attempts + 1,
            given_up=given_up,
            why=str(problem),
        )
        async with UnitOfWork(self._database) as work:
            again_at = None if given_up else work.now + timedelta(seconds=waits_s)
            await Lookups(work).failed(claimed, str(problem), again_at)

    def _pausing(self) -> list[str]:
        now = time.monotonic()
        self._paused = {account: until for account, until in self._paused.items() if until > now}
        return list(self._paused)


def _as_problem(error: Exception) -> ProblemError:
    if isinstance(error, ProblemError):
        return error
    log.exception("a lookup failed unexpectedly")
    said = type(error).__name__
    return RuntimeProblem(Text(f"内部错误：{said}", f"Internal error: {said}"), retryable=True)


_OF_THE_ACCOUNT = (RateLimitProblem, UnavailableProblem, AuthenticationProblem, NotFoundProblem)
"""Problems that everybody of the account would have: the platform is away or full, or the account is not connected."""
