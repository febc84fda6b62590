"""How fast an account may be asked: every request of every process waits for its turn.

What a person or a flow waits for goes first. Reading in bulk (pulls, comparisons, questions about people) makes one
request for two calls that may be started, and leaves what is booked ahead to the others.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

REQUESTS_IN_A_CALL = 4
"""At most: so the calls that a queue starts never wait for turns of their own."""


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

    async def turn_at(self, interface: str, requests_per_second: float) -> None:
        """A turn at one interface of the account, besides: for platforms that count by interface. Those in bulk are
        asked for as all others: their turns of the account leave half of the interface's to calls. Raises as
        `Pacer.turn`."""
        await self.pacer.turn(f"{self.account_id}/{interface}", requests_per_second / REQUESTS_IN_A_CALL, bulk=False)


class Slots:
    """How many may do something at the same time, in this process, by what it is. What takes many requests is done
    sooner one after the other: where all of many wait for each of their turns, none is done in time."""

    def __init__(self) -> None:
        self._slots: dict[str, asyncio.Semaphore] = {}

    def of(self, name: str, at_once: int) -> asyncio.Semaphore:
        """The slots of one name, in the order in which they are waited for."""
        return self._slots.setdefault(name, asyncio.Semaphore(at_once))
