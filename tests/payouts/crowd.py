"""Payees at WeChat Pay: each sees a transfer that waits for them, and ends it, soon or late."""

import asyncio
import contextlib
import time
from collections import Counter

import httpx

from tests.payouts.people import end_of
from tests.payouts.stage import Stage

_LOOK_EVERY_S = 0.5
_AT_ONCE = 8


class Crowd:
    """ends: how transfers were ended so far. run, batch: to which transfers that come now belong."""

    def __init__(self, stage: Stage, account: str, seed: int) -> None:
        self.ends: Counter[str] = Counter()
        self.run = 0
        self.batch = 0
        self._stage = stage
        self._account = account
        self._seed = seed
        self._seen = 0
        self._waiting: list[tuple[float, str, str]] = []

    async def live(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(httpx.TransportError):
                await self._look()
            self._waiting.sort()
            due = [each for each in self._waiting if each[0] <= time.monotonic()]
            del self._waiting[: len(due)]
            turns = asyncio.Semaphore(_AT_ONCE)
            await asyncio.gather(*(self._end(number, event, turns) for _, number, event in due))
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _look(self) -> None:
        for entry in await self._stage.ledger("transfer", self._seen):
            self._seen = entry["seq"]
            if entry["effect"]:
                end = end_of(self._seed, self.run, self.batch, entry["openid"])
                self._waiting.append((time.monotonic() + end.after_s, entry["out_bill_no"], end.event))

    async def _end(self, number: str, event: str, turns: asyncio.Semaphore) -> None:
        told = {
            "platform": "wechat_pay",
            "account": self._account,
            "event": event,
            "subjects": {"out_bill_no": number},
        }
        async with turns:
            try:
                await self._stage.sim("POST", "/push", json=told)
            except httpx.HTTPError:
                # Whether it was ended or not: who ends it again changes nothing.
                self._waiting.append((time.monotonic() + 1, number, event))
            else:
                self.ends[event] += 1
