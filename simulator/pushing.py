"""Delivers pushes the way the platforms do: signed, with retries, in no promised order."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import chain

from simulator.courier import Courier, DeliveryFailed
from simulator.entities import Push, PushState
from simulator.faults import Fault, FaultBook
from simulator.happenings import Happening
from simulator.platforms.base import PlatformBase
from simulator.world import World

log = logging.getLogger(__name__)

DONE_KEPT = 5_000
AWAY_LOOK_S = 0.25
"""How often is looked whether a platform that was away is back."""

Line = list[tuple[datetime, int, str]]
"""What a platform has to push, as a heap: when, in which order, and the id."""


class QueueFull(Exception):
    """More pushes wait than the queue holds."""


class Pusher:
    """A bounded queue of pushes, delivered by a bounded number of requests at a time.

    Platforms take turns, so that one which has an hour to tell keeps no other waiting. What waits is journaled, so a
    restart goes on; what is done is kept in memory for a while.
    """

    def __init__(self, world: World, book: FaultBook, platforms: Mapping[str, PlatformBase]) -> None:
        self._world = world
        self._book = book
        self._platforms = platforms
        self._lines: dict[str, Line] = {}
        self._order = 0
        self._wake = asyncio.Event()
        self._landing = asyncio.Event()
        self.concurrency = world.settings.push_concurrency
        self._running: set[asyncio.Task[None]] = set()
        self._loop_task: asyncio.Task[None] | None = None
        self._courier = Courier(world.settings.push_timeout_s)
        self.done: deque[Push] = deque(maxlen=DONE_KEPT)
        self.totals: Counter[str] = Counter()
        for push in world.pushes:
            self._schedule(push)

    def submit(self, push: Push) -> Push:
        """Queues a push, with whatever the fault rules add, delay or take away. QueueFull when there is no room.

        A message that the application fetches is left for it at once, and waits here only while it is held back.
        """
        self.ensure_room()
        if not self._platforms[push.platform].is_fetched and self.target_of(push.platform, push.account) is None:
            return self._finish(push, PushState.DROPPED, "no push target")
        for rule in self._book.for_push(push.platform, push.account, push.event):
            if rule.fault is Fault.DROP_PUSH:
                return self._finish(push, PushState.DROPPED, "dropped by a fault rule")
            if rule.fault is Fault.REORDER_PUSH:
                delay = timedelta(seconds=1.0 if rule.seconds is None else rule.seconds)
                push = push.replaced(due_at=push.due_at + delay)
            else:
                for copy in range(1, rule.copies + 1):
                    forged = rule.fault is Fault.FORGE_PUSH
                    twin = {"id": f"{push.id}-{rule.fault}-{copy}", "bad_signature": forged}
                    self._keep(push.replaced(**twin))
        return self._keep(push)

    def take(self, happening: Happening) -> list[Push]:
        """Queues what the account's platform pushes about a happening; what finds no room is dropped."""
        platform = self._platforms.get(self._world.platform_of(happening.account))
        pushes = list(platform.pushes_for(happening)) if platform else []
        for push in pushes:
            try:
                self.submit(push)
            except QueueFull as error:
                self._finish(push, PushState.DROPPED, str(error))
        return pushes

    async def room(self, most: int) -> None:
        """Waits until fewer than `most` pushes wait."""
        while len(self._world.pushes) >= most:
            self._landing.clear()
            await self._landing.wait()

    def ensure_room(self) -> None:
        """QueueFull when there is no room for a push."""
        if len(self._world.pushes) >= self._world.settings.push_queue_limit:
            raise QueueFull(f"{len(self._world.pushes)} pushes are waiting already")

    def find(self, push_id: str) -> Push | None:
        """A push by id or message id, waiting or done."""
        for push in chain(self._world.pushes, self.done):
            if push_id in (push.id, push.message_id):
                return push
        return None

    def target_of(self, platform: str, account: str) -> str | None:
        """The URL that an account's pushes go to; None when there is none."""
        target = self._world.targets.get(f"{platform}/{account}")
        if target is not None:
            return target.url
        base = self._world.settings.push_base
        return f"{base.rstrip('/')}/hooks/{platform}/{account}" if base else None

    async def verify(self, platform: str, account: str) -> tuple[bool, str]:
        """Asks an account's receiver to prove its URL; whether it did, and what it answered otherwise.

        LookupError when the platform has no such step or the account no target.
        """
        url, wanted = self.target_of(platform, account), self._platforms[platform].verification(account)
        if url is None or wanted is None:
            raise LookupError(f"{platform}/{account} has no URL verification or no target")
        query, echo = wanted
        try:
            answer = await self._courier.send("GET", url, query=query)
        except DeliveryFailed as error:
            return False, str(error)
        said = answer.body.decode("utf-8", "replace")
        return answer.status == 200 and said == echo, f"HTTP {answer.status}: {said[:200]}"

    def start(self) -> None:
        """Begins delivering."""
        self._loop_task = asyncio.create_task(self._loop())

    async def stop(self) -> None:
        """Stops delivering; what waits stays in the journal."""
        tasks = [task for task in (self._loop_task, *self._running) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._courier.close()

    def forget(self) -> None:
        """Drops everything that waits (reset)."""
        self._lines.clear()
        self.done.clear()
        self.totals.clear()

    async def _loop(self) -> None:
        while True:
            self._wake.clear()
            now = self._world.clock.wall()
            while len(self._running) < self.concurrency and (line := self._due(now)) is not None:
                push = self._world.pushes.get(heapq.heappop(line)[2])
                if push is None:
                    continue
                if self._book.is_down(push.platform, push.account):
                    self._put_off(push)
                elif self._is_message(push):
                    self._leave(push)
                else:
                    self._launch(push)
            await self._sleep(now)

    def _due(self, now: datetime) -> Line | None:
        """The line of a platform that has something to push by now, which is the last to have a turn again."""
        for name, line in self._lines.items():
            if line and line[0][0] <= now:
                self._lines[name] = self._lines.pop(name)
                return line
        return None

    async def _sleep(self, now: datetime) -> None:
        busy = len(self._running) >= self.concurrency
        heads = [line[0][0] for line in self._lines.values() if line]
        wait_s = None if busy or not heads else max((min(heads) - now).total_seconds(), 0)
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _put_off(self, push: Push) -> None:
        """A platform that is away sends nothing, and tries when it is back."""
        self._order += 1
        due = self._world.clock.wall() + timedelta(seconds=AWAY_LOOK_S)
        heapq.heappush(self._lines.setdefault(push.platform, []), (due, self._order, push.id))

    def _launch(self, push: Push) -> None:
        task = asyncio.create_task(self._deliver(push))
        self._running.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()
        self._landing.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a push failed in the simulator itself", exc_info=error)

    async def _deliver(self, push: Push) -> None:
        error = await self._attempt(push)
        self.totals["attempts"] += 1
        if self._world.pushes.get(push.id) is None:
            return
        push = push.replaced(attempts=push.attempts + 1, last_error=error)
        delays = self._platforms[push.platform].retry_delays_s
        if not error:
            self._finish(push, PushState.DELIVERED, "")
        elif push.bad_signature or push.attempts > len(delays):
            self._finish(push, PushState.FAILED, error)
        else:
            delay = delays[push.attempts - 1] * self._world.settings.push_retry_scale
            due = self._world.clock.wall() + timedelta(seconds=delay)
            log.info("push %s of %s not accepted (%s), again in %.0f s", push.event, push.account, error, delay)
            self._keep(push.replaced(due_at=due))

    async def _attempt(self, push: Push) -> str:
        """Delivers once; "" when accepted, otherwise why not."""
        url = self.target_of(push.platform, push.account)
        if url is None:
            return "no push target"
        platform = self._platforms[push.platform]
        try:
            request = platform.sign(push)
            answer = await self._courier.send(
                "POST", url, body=request.body, headers=request.headers, query=request.query
            )
        except (DeliveryFailed, LookupError) as error:
            return str(error)
        return "" if platform.accepts(answer.status, answer.body) else f"HTTP {answer.status}"

    def _is_message(self, push: Push) -> bool:
        return self._platforms[push.platform].is_fetched and not push.bad_signature

    def _leave(self, push: Push) -> Push:
        self._platforms[push.platform].leave(push)
        return self._finish(push, PushState.DELIVERED, "")

    def _keep(self, push: Push) -> Push:
        if self._is_message(push) and push.due_at <= self._world.clock.wall():
            return self._leave(push)
        self._world.pushes.put(push)
        self._schedule(push)
        return push

    def _schedule(self, push: Push) -> None:
        self._order += 1
        heapq.heappush(self._lines.setdefault(push.platform, []), (push.due_at, self._order, push.id))
        self._wake.set()

    def _finish(self, push: Push, state: PushState, error: str) -> Push:
        push = push.replaced(state=state, last_error=error)
        self._world.pushes.remove(push.id)
        self._landing.set()
        self.done.append(push)
        self.totals[state.value] += 1
        return push
