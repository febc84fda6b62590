"""Guessing passwords is slowed down, for all processes together.

An attempt is counted before the password is looked at, so that many at once are no way around. A success gives its
attempt back: hundreds of people behind one address can begin their shift at the same minute.
"""

import hmac
from datetime import timedelta

from domain.problems import RateLimitProblem, Text
from storage.engine import Database
from storage.login_attempts import LoginAttempts
from storage.unit_of_work import UnitOfWork

WINDOW = timedelta(minutes=15)
PER_LOGIN_AND_ADDRESS = 5
PER_LOGIN = 50
PER_ADDRESS = 100


class LoginGuard:
    """Counts failures per login, per address and per both; pepper: what the counters' names are hashed with."""

    def __init__(self, database: Database, pepper: bytes) -> None:
        self._database = database
        self._pepper = pepper

    async def count(self, login: str, address: str) -> None:
        """One more attempt; raises RateLimitProblem, whose member `retry_after_s` says when to come back."""
        limits = self._limits(login, address)
        async with UnitOfWork(self._database) as work:
            attempts = LoginAttempts(work)
            counted = {key: await attempts.count(key, WINDOW) for key in sorted(limits)}
            now = work.now
        waits = [(ends_at - now).total_seconds() for key, (count, ends_at) in counted.items() if count > limits[key]]
        if waits:
            wait_s = max(1, int(max(waits)))
            raise RateLimitProblem(
                Text(
                    f"尝试过多，请在 {wait_s // 60 + 1} 分钟后再试",
                    f"Too many attempts: try again in {wait_s // 60 + 1} minutes",
                ),
                retry_after_s=wait_s,
            )

    async def succeeded(self, work: UnitOfWork, login: str, address: str) -> None:
        """Forget the failures of this login from this address, and take the last attempt off the other counters."""
        attempts = LoginAttempts(work)
        pair, *others = self._limits(login, address)
        await attempts.forget(pair)
        for key in sorted(others):
            await attempts.give_back(key)

    def _limits(self, login: str, address: str) -> dict[str, int]:
        return {
            self._key("login+address", login, address): PER_LOGIN_AND_ADDRESS,
            self._key("login", login): PER_LOGIN,
            self._key("address", address): PER_ADDRESS,
        }

    def _key(self, *parts: str) -> str:
        return hmac.digest(self._pepper, "\x1f".join(("attempt", *parts)).encode(), "sha256").hex()
