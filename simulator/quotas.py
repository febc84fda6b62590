"""Call quotas per account and API, with the platform's block after a breach."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Limit:
    """At most `calls` in any `per_s` seconds; a breach blocks for `block_s`."""

    calls: int
    per_s: float
    block_s: float


class Quotas:
    """Counts calls by key against all limits."""

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self.limits = limits
        self._calls: dict[tuple[str, Limit], deque[datetime]] = {}
        self._blocked_until: dict[str, datetime] = {}

    def take(self, key: str, now: datetime) -> bool:
        """Counts one call; False when it is over a limit or within the block that follows a breach."""
        until = self._blocked_until.get(key)
        if until is not None and now < until:
            return False
        for limit in self.limits:
            calls = self._calls.setdefault((key, limit), deque())
            while calls and now - calls[0] >= timedelta(seconds=limit.per_s):
                calls.popleft()
            if len(calls) >= limit.calls:
                self._blocked_until[key] = now + timedelta(seconds=limit.block_s)
                return False
        for limit in self.limits:
            self._calls[key, limit].append(now)
        return True

    def clear(self) -> None:
        """Forgets all calls and blocks."""
        self._calls.clear()
        self._blocked_until.clear()
