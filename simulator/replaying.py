"""Pushes the past once more, through the platforms' real contracts, with the faults in force."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from simulator.history import Past, happening, past
from simulator.platforms.base import PlatformBase
from simulator.pushing import Pusher
from simulator.world import World

log = logging.getLogger(__name__)

WAITING_MOST = 5_000
"""Pushes that may wait at a time, those that a fault delays included."""

TURN = 20
"""Happenings told before deliveries get their turn."""
EVER = datetime(2000, 1, 1, tzinfo=UTC)


class AlreadyReplaying(Exception):
    """Two replays at once would tell nobody anything."""


class ReplayWish(BaseModel):
    """What to push again.

    since, until: the span, all of history when left out. platforms: by name, all when left out. rate: happenings a
    second, as fast as the receiver accepts when left out. order: as it was, or shuffled. concurrency: how many
    deliveries at a time.
    """

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    platforms: list[str] = Field(default_factory=list)
    rate: float | None = Field(default=None, gt=0, le=100_000)
    order: Literal["time", "shuffled"] = "time"
    concurrency: int | None = Field(default=None, ge=1, le=256)


class Replayer:
    """One replay at a time."""

    def __init__(self, world: World, pusher: Pusher, platforms: Mapping[str, PlatformBase]) -> None:
        self._world = world
        self._pusher = pusher
        self._platforms = platforms
        self._task: asyncio.Task[None] | None = None
        self._progress: dict[str, Any] = {"state": "idle"}
        self._pushed: Counter[str] = Counter()

    async def start(self, wish: ReplayWish) -> dict[str, Any]:
        """Begins; the first progress. AlreadyReplaying when one is running, LookupError for an unknown platform."""
        if self._task is not None and not self._task.done():
            raise AlreadyReplaying("a replay is running: wait for it, or DELETE it")
        if unknown := set(wish.platforms) - set(self._platforms):
            raise LookupError(f"no platform {', '.join(sorted(unknown))}: one of {', '.join(self._platforms)}")
        wanted = wish.platforms or list(self._platforms)
        accounts = {row["account"] for name in wanted for row in self._platforms[name].accounts("")}
        self._pushed = Counter()
        self._progress = {"state": "reading", "told": 0, "started_at": self._world.clock.now().isoformat()}
        if wish.concurrency is not None:
            self._pusher.concurrency = wish.concurrency
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._run(wish, accounts, ready))
        await ready.wait()
        return self.progress()

    def progress(self) -> dict[str, Any]:
        """How far it is: happenings told of, pushes made of them by platform, pushes that still wait."""
        return {**self._progress, "pushes": dict(self._pushed), "waiting": len(self._world.pushes)}

    async def stop(self) -> None:
        """Ends a running replay; what was queued is still delivered."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._progress["state"] = "stopped"

    async def _run(self, wish: ReplayWish, accounts: set[str], ready: asyncio.Event) -> None:
        try:
            told = await asyncio.to_thread(self._read, wish, accounts)
            self._progress |= {"state": "running", "happenings": len(told)}
            ready.set()
            await self._tell(told, wish.rate)
        except Exception as error:  # a task of its own: nobody else would hear of it
            log.exception("the replay broke")
            self._progress |= {"state": "broken", "error": f"{type(error).__name__}: {error}"}
        finally:
            ready.set()

    def _read(self, wish: ReplayWish, accounts: set[str]) -> list[Past]:
        told = past(self._world, wish.since or EVER, wish.until or self._world.clock.now(), accounts)
        if wish.order == "shuffled":
            Random(f"{self._world.settings.seed}:replay").shuffle(told)
        return told

    async def _tell(self, told: list[Past], rate: float | None) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, each in enumerate(told):
            if rate is not None and (wait := began + number / rate - loop.time()) > 0:
                await asyncio.sleep(wait)
            await self._pusher.room(WAITING_MOST)
            found = happening(self._world, each)
            if found is not None:
                for push in self._pusher.take(found):
                    self._pushed[push.platform] += 1
            self._progress["told"] = number + 1
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)
        self._progress |= {"state": "done", "seconds": round(loop.time() - began, 3)}
