"""Asking platforms about orders of which a push told a step alone, while its event waits for the rest.

What a platform answers enters the inbox, and completes what waits when it is read there. One that is not as far yet, or
cannot be told, is asked about again until its event waits no more; where more come than can be asked about, the list,
read every five minutes, tells the rest.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass

import structlog

from connectors.http import Link
from connectors.lookups import TellsWholeOrders
from connectors.registry import ConnectorRegistry
from domain.problems import (
    AuthenticationProblem,
    AuthorizationProblem,
    CommunicationProblem,
    ConfigurationProblem,
    NotFoundProblem,
    ProblemError,
    RateLimitProblem,
    TimeoutProblem,
    UnavailableProblem,
)
from services.connections import Connections
from services.pacing import hold_back
from storage.awaited_orders import AwaitedOrders
from storage.engine import Database
from storage.inbox import Inbox, Push
from storage.orders import OrderName
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Questions under way at a time, in each process that serves the platform's queue."""
_ACCOUNT_PAUSE_S = 30.0
_OF_THE_ACCOUNT = (
    AuthenticationProblem,
    AuthorizationProblem,
    ConfigurationProblem,
    RateLimitProblem,
    TimeoutProblem,
    UnavailableProblem,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one round did."""

    asked: int = 0
    failed: int = 0


class OrderReading:
    """Whoever serves a platform's queue asks, at the pace of reading in bulk. Accounts that the platform holds up
    pause, and hold up no other."""

    def __init__(self, database: Database, connectors: ConnectorRegistry, connections: Connections, link: Link) -> None:
        self._database = database
        self._connectors = connectors
        self._connections = connections
        self._link = link
        self._paused: dict[str, float] = {}

    async def has_work(self, work: UnitOfWork, platform: str) -> bool:
        """Whether there is an order to ask about."""
        return await AwaitedOrders(work).is_due(platform, self._pausing())

    async def drain(self, platform: str, limit: int = AT_ONCE * 5) -> Asked:
        """Ask about some orders."""
        async with UnitOfWork(self._database) as work:
            claimed = await AwaitedOrders(work).claim(platform, limit, self._pausing())
        free = asyncio.Semaphore(AT_ONCE)

        async def one(order: OrderName) -> bool:
            async with free:
                return await self._ask(platform, order)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(order)) for order in claimed]
        return Asked(len(claimed), sum(not task.result() for task in tasks))

    async def _ask(self, platform: str, order: OrderName) -> bool:
        account_id, order_id = order
        if account_id in self._pausing():
            return False
        try:
            await self._read(platform, account_id, order_id)
        except Exception as error:  # a connector's bug on one order must not stop the others
            if isinstance(error, ProblemError) and _is_of_the_account(error):
                await self._pause(account_id, error)
            is_known = isinstance(error, ProblemError)
            log.warning(
                "order is read later", order=order_id, account=account_id, why=str(error), exc_info=not is_known
            )
            return False
        return True

    async def _pause(self, account_id: str, problem: ProblemError) -> None:
        told = problem.problem.as_dict().get("retry_after_s")
        waits_s = float(told) if isinstance(told, int | float) else _ACCOUNT_PAUSE_S
        self._paused[account_id] = time.monotonic() + waits_s
        if isinstance(problem, RateLimitProblem):
            # Without the database the pause holds in this process alone.
            with contextlib.suppress(UnavailableProblem):
                await hold_back(self._link, account_id, problem)

    async def _read(self, platform: str, account_id: str, order_id: str) -> None:
        slug = account_id.partition("/")[2]
        try:
            account = await self._connections.account(platform, slug)
        except NotFoundProblem:
            # Disconnected: its other orders need not be tried.
            self._paused[account_id] = time.monotonic() + _ACCOUNT_PAUSE_S
            raise
        connector = self._connectors.for_platform(platform)
        client = connector.open(account, self._link.paced(account_id, connector.requests_per_second, bulk=True))
        if isinstance(client, TellsWholeOrders):
            told = await client.whole_order(order_id)
            async with UnitOfWork(self._database) as work:
                push = Push(platform, slug, told.dedupe_key, told.kind, told.payload, told.received_at, told.sent_at)
                # The same answer as before completes what came since. One that could not be read stays put aside.
                if not await Inbox(work).add(push):
                    await Inbox(work).wait_again(push)

    def _pausing(self) -> list[str]:
        now = time.monotonic()
        self._paused = {account: until for account, until in self._paused.items() if until > now}
        return list(self._paused)


def _is_of_the_account(error: ProblemError) -> bool:
    """Whether every order of the account would fail like this one: it is not let in, too fast, or does not answer."""
    if isinstance(error, CommunicationProblem):
        # Final, and so of this order alone, is what the platform refused for a reason that nobody listed.
        return error.problem.as_dict().get("retryable") is True
    return isinstance(error, _OF_THE_ACCOUNT)
