"""How fast an account may be asked: every request of every process waits for its turn.

What a person or a flow waits for goes first. Reading in bulk (pulls, comparisons, questions about people) makes one
request for two calls that may be started, and leaves what is booked ahead to the others.
"""

from dataclasses import dataclass
from typing import Protocol


class Pacer(Protocol):
    """Who gives out turns."""

    async def turn(self, account_id: str, per_second: float, *, bulk: bool) -> None:
        """Returns when one request may go out. Raises RateLimitProblem (retryable, nothing was sent) when that would
        take too long."""

    async def hold(self, account_id: str, seconds: float) -> None:
        """Let no request in bulk out for so long: the platform said that it was asked too often."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The turns of one account. per_second: calls that may be started; each makes up to four requests."""

    pacer: Pacer
    account_id: str
    per_second: float
    bulk: bool

    async def turn(self) -> None:
        """As `Pacer.turn`."""
        await self.pacer.turn(self.account_id, self.per_second, bulk=self.bulk)
