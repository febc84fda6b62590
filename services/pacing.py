"""Turns of accounts, shared by all processes: a few are taken from the database at once and given out one by one."""

import asyncio
import time
from dataclasses import dataclass

from connectors.http import Link
from connectors.pacing import REQUESTS_IN_A_CALL
from domain.problems import RateLimitProblem, Text
from storage.engine import Database
from storage.request_paces import Rate, RequestPaces
from storage.unit_of_work import UnitOfWork

BULK_SHARE = 0.5
"""Requests in bulk for each call that may be started: hourly quotas are often half of what the minute's allow."""
PATIENCE_S, BULK_PATIENCE_S = 5.0, 10.0
"""How long a request waits for its turn; those in bulk are read again later, and lose nothing."""
_HELD_S = 60.0
_AHEAD_S = 1.0
_TAKEN_FOR_S = 0.2
_GOOD_FOR_S = 1.0
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5


@dataclass(slots=True)
class _Taken:
    """Turns that were taken and not given out yet."""

    left: int = 0
    until: float = 0.0


class AccountPacer:
    """The `connectors.pacing.Pacer` over PostgreSQL."""

    def __init__(
        self, database: Database, *, patience_s: float = PATIENCE_S, bulk_patience_s: float = BULK_PATIENCE_S
    ) -> None:
        self._database = database
        self._patience_s = {False: patience_s, True: bulk_patience_s}
        self._taken: dict[tuple[str, bool], _Taken] = {}
        self._turns: dict[tuple[str, bool], asyncio.Lock] = {}

    async def turn(self, account_id: str, per_second: float, *, bulk: bool) -> None:
        """Whoever waits in this process is served in the order in which they came."""
        key = account_id, bulk
        taken = self._taken.setdefault(key, _Taken())
        try:
            async with asyncio.timeout(self._patience_s[bulk]), self._turns.setdefault(key, asyncio.Lock()):
                while not taken.left or time.monotonic() > taken.until:
                    taken.left = await self._take(account_id, per_second, bulk)
                    taken.until = time.monotonic() + _GOOD_FOR_S
                    if not taken.left:
                        await asyncio.sleep(min(max(1 / _most(per_second), _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S))
                taken.left -= 1
        except TimeoutError:
            raise _too_many(account_id, per_second) from None

    async def hold(self, account_id: str, seconds: float) -> None:
        """For all processes; turns that were taken already are given out within a second."""
        async with UnitOfWork(self._database) as work:
            await RequestPaces(work).hold(account_id, seconds)

    async def _take(self, account_id: str, per_second: float, bulk: bool) -> int:
        slow = per_second * BULK_SHARE
        wanted = max(1, int(_TAKEN_FOR_S * (slow if bulk else _most(per_second))))
        async with UnitOfWork(self._database) as work:
            return await RequestPaces(work).take(
                account_id, wanted, _rate(_most(per_second)), _rate(slow) if bulk else None
            )


async def hold_back(link: Link, account_id: str, problem: RateLimitProblem) -> None:
    """Let nobody read an account in bulk for a while whose platform itself says that it was too often, no pace of ours:
    asking on would use up what calls need, or get the account blocked."""
    told = problem.problem.as_dict()
    if link.pacer is not None and told.get("platform_code"):
        await link.pacer.hold(account_id, float(told.get("retry_after_s") or _HELD_S))


def _most(per_second: float) -> float:
    """Requests a second to an account whose calls may be started so often."""
    return per_second * REQUESTS_IN_A_CALL


def _rate(per_second: float) -> Rate:
    # However slow: room for one in bulk, and for one beside it.
    return Rate(per_second, max(_AHEAD_S, 2 / per_second))


def _too_many(account_id: str, per_second: float) -> RateLimitProblem:
    return RateLimitProblem(
        Text(
            f"账号 {account_id} 的请求已达每秒 {_most(per_second):g} 次的上限，稍后自动重试",
            f"Requests to {account_id} have reached {_most(per_second):g} a second, the most it may take; "
            "it is tried again later",
        ),
        account=account_id,
        retryable=True,
        outcome="not_done",
        retry_after_s=5.0,
    )
