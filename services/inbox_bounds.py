"""How much the inbox takes: beyond that pushes are refused, and their platforms send them again."""

import time

import structlog

from domain.problems import Text, UnavailableProblem
from storage.engine import Database
from storage.inbox import Inbox
from storage.quarantine import Quarantine
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

MOST_WAITING = 5_000_000
"""Pushes that may wait: a day of promotions many times over. More are refused, and the platforms send them again."""
MOST_QUARANTINED = 100_000
"""Pushes of one account that may be in quarantine, unless the settings say otherwise. None of them is ever given up for
another: beyond that the account's pushes are refused, and its platform sends them again or is read again."""
_LOOKS_EVERY_S = 10.0


class AccountFullProblem(UnavailableProblem):
    """Nothing more is taken of one account: too many of its pushes are in quarantine. Others' are taken."""


class InboxBounds:
    """Whether there is room, as it was some seconds ago."""

    def __init__(self, database: Database, most_quarantined: int) -> None:
        self._database = database
        self._most_quarantined = most_quarantined
        self._full_accounts: frozenset[tuple[str, str]] = frozenset()
        self._is_full, self._measured_at = False, -_LOOKS_EVERY_S

    async def refuse_when_full(self, platform: str, account: str) -> None:
        """Raises UnavailableProblem when nothing more is taken, AccountFullProblem when nothing of this account is."""
        await self._measure()
        if self._is_full:
            raise UnavailableProblem(
                Text(
                    f"收件箱中等待处理的推送超过 {MOST_WAITING} 条，请稍后重发",
                    f"More than {MOST_WAITING:,} pushes wait to be read; send it again later",
                ),
                retry_after_s=60,
            )
        if (platform, account) in self._full_accounts:
            raise AccountFullProblem(
                Text(
                    f"{platform}/{account} 的隔离推送已达 {self._most_quarantined} 条，暂不接收新推送；"
                    "请查看 tandem quarantine groups，排除原因后重新解析或搁置",
                    f"{self._most_quarantined:,} pushes of {platform}/{account} are in quarantine, so that no more are "
                    "taken: see tandem quarantine groups, and read them again or put them away",
                ),
                retry_after_s=60,
            )

    async def _measure(self) -> None:
        if time.monotonic() < self._measured_at + _LOOKS_EVERY_S:
            return
        self._measured_at = time.monotonic()
        async with UnitOfWork(self._database) as work:
            self._is_full = await Inbox(work).is_fuller_than(MOST_WAITING)
            self._full_accounts = await Quarantine(work).full(self._most_quarantined)
        for full in sorted(self._full_accounts):
            log.error("quarantine is full, pushes are refused", account="/".join(full), most=self._most_quarantined)
