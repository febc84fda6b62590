"""Streams out: every subscriber gets what it wants, in order and at least once, at its own pace.

A subscription is delivered to by one task at a time, for some seconds, then it is released; so a slow or dead
subscriber costs its own time only. The cursor moves after the subscriber took an event: a crash in between repeats it.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from pydantic import SecretStr

from connectors.subscribers import Subscribers
from domain.events import Event
from domain.ids import derived_id
from domain.privacy import Masking
from domain.problems import AuthorizationProblem, ProblemError
from domain.subscriptions import MOST_ATTEMPTS, MOST_SUBSCRIPTIONS, outgoing, pause_after
from storage.engine import Database
from storage.subscriptions import Claimed, Deliveries, Position, StreamEvent
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

# Longer than a turn and one delivery that times out at its very end.
LEASE = timedelta(seconds=60)
TURN_S = 20.0
_SCANNED = 500
_LARGEST_BATCH = 100
_IDLE = timedelta(seconds=1)
_FORBIDDEN_PAUSE = timedelta(minutes=1)
_GONE = 410


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of a delivery. waits: it was not tried at all, so it does not count as an attempt. asked: how
    long the subscriber asks to be left alone."""

    taken: bool
    reason: str = ""
    gone: bool = False
    waits: bool = False
    asked: timedelta | None = None


class StreamDelivery:
    """Delivers to all subscriptions of the database; several processes may do so at once.

    turn_s: how long one subscription is delivered to before it is released. most_attempts: of one event.
    """

    def __init__(
        self,
        database: Database,
        subscribers: Subscribers,
        masking: Masking,
        *,
        turn_s: float = TURN_S,
        most_attempts: int = MOST_ATTEMPTS,
    ) -> None:
        self._database = database
        self._subscribers = subscribers
        self._masking = masking
        self._turn_s = turn_s
        self._most_attempts = most_attempts
        self._turns: set[asyncio.Task[None]] = set()

    async def drain(self) -> int:
        """Begin a turn for every subscription that is due, and let turns go on; how many began.

        Raises UnavailableProblem when the database is away.
        """
        room = MOST_SUBSCRIPTIONS - len(self._turns)
        if room <= 0:
            return 0
        async with UnitOfWork(self._database) as work:
            claimed = await Deliveries(work).claim(room, LEASE)
        for held in claimed:
            turn = asyncio.create_task(self._turn(held))
            self._turns.add(turn)
            turn.add_done_callback(self._turns.discard)
        return len(claimed)

    async def settled(self) -> None:
        """Returns when no turn is under way."""
        while self._turns:
            await asyncio.wait(set(self._turns))
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Break turns off; what was not noted as delivered is delivered again when its lease is over."""
        turns = list(self._turns)
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*turns, return_exceptions=True)

    async def _turn(self, held: Claimed) -> None:
        end = time.monotonic() + self._turn_s
        try:
            if await self._redrive(held, end):
                await self._follow(held, end)
        except ProblemError as error:
            # The lease ends by itself, and the subscription is claimed again.
            log.warning("stream pauses", subscription=str(held.subscription.id), problem=error.problem.type)
        except Exception:  # a bug met by one subscription must not stop the others
            log.exception("a turn of a stream failed", subscription=str(held.subscription.id))

    async def _redrive(self, held: Claimed, end: float) -> bool:
        """Deliver dead letters that somebody asked for, one attempt each; False when the turn is over."""
        async with UnitOfWork(self._database) as work:
            letters = await Deliveries(work).redriven(held.subscription.id, _LARGEST_BATCH)
        for seq, event in letters:
            if time.monotonic() >= end:
                break
            answer = await self._deliver(held, [seq], [event])
            async with UnitOfWork(self._database) as work:
                if answer.taken:
                    if not await Deliveries(work).redelivered(held, seq):
                        return False
                else:
                    await Deliveries(work).refused_again(held, seq, answer.reason)
        return True

    async def _follow(self, held: Claimed, end: float) -> None:
        """Deliver what comes next until nothing is left, the time is up or a delivery fails."""
        subscription = held.subscription
        position, attempts = Position(subscription.cursor_xact, subscription.cursor), subscription.attempts
        while time.monotonic() < end:
            async with UnitOfWork(self._database) as work:
                ahead = await Deliveries(work).ahead(subscription, position, _SCANNED)
            for part in _parts(ahead, self._batch_size(held, attempts)):
                if time.monotonic() >= end:
                    break
                if not await self._hand_over(held, part, attempts):
                    return
                position, attempts = part[-1].position, 0
            if len(ahead) < _SCANNED:
                break
        async with UnitOfWork(self._database) as work:
            # A full turn left something; it goes on at once, after those that wait longer.
            due_at = work.now if time.monotonic() >= end else work.now + _IDLE
            await Deliveries(work).release(held, due_at)

    def _batch_size(self, held: Claimed, attempts: int) -> int:
        # After a failure one by one: an event that the subscriber chokes on takes no others with it.
        return _LARGEST_BATCH if held.subscription.batched and not attempts else 1

    async def _hand_over(self, held: Claimed, part: Sequence[StreamEvent], attempts: int) -> bool:
        """Deliver the wanted events of a part and note what became of it; whether the turn goes on."""
        position = part[-1].position
        wanted = [(each.position.seq, each.event) for each in part if each.event is not None]
        if not wanted:
            async with UnitOfWork(self._database) as work:
                return await Deliveries(work).advance(held, position, 0)
        answer = await self._deliver(held, [seq for seq, _ in wanted], [event for _, event in wanted])
        async with UnitOfWork(self._database) as work:
            deliveries = Deliveries(work)
            if answer.taken:
                return await deliveries.advance(held, position, len(wanted))
            if answer.gone:
                await deliveries.halt(held, answer.reason)
            elif answer.waits:
                await deliveries.fail(held, answer.reason, work.now + _FORBIDDEN_PAUSE, attempts=attempts)
            elif attempts + 1 < self._most_attempts:
                due_at = work.now + pause_after(attempts + 1, answer.asked)
                await deliveries.fail(held, answer.reason, due_at, attempts=attempts + 1)
            else:
                await deliveries.give_up(held, position, [seq for seq, _ in wanted], answer.reason, attempts + 1)
        return False

    async def _deliver(self, held: Claimed, seqs: Sequence[int], events: Sequence[Event]) -> _Answer:
        subscription = held.subscription
        masking = self._masking if subscription.masked else None
        try:
            reply = await self._subscribers.post(
                subscription.url,
                SecretStr(held.secret),
                f"msg_{derived_id('delivery', str(subscription.id), *map(str, seqs))}",
                [outgoing(event, masking) for event in events],
                self._database.clock(),
                batched=subscription.batched,
                previous=SecretStr(held.previous_secret) if held.previous_secret else None,
            )
        except AuthorizationProblem as error:
            return _Answer(False, str(error), waits=True)
        except ProblemError as error:
            return _Answer(False, str(error))
        except Exception as error:  # an event that cannot be told ends as a dead letter, and blocks no others
            log.exception("an event could not be told", subscription=str(subscription.id), seqs=list(seqs))
            return _Answer(False, f"{type(error).__name__}: {error}")
        if 200 <= reply.status < 300:
            return _Answer(True)
        return _Answer(False, f"HTTP {reply.status}", gone=reply.status == _GONE, asked=reply.wait)


def _parts(ahead: Sequence[StreamEvent], size: int) -> list[list[StreamEvent]]:
    """The events cut so that each part ends behind its last wanted one and holds `size` wanted ones at most; what is
    not wanted goes along with what follows it."""
    parts: list[list[StreamEvent]] = []
    part: list[StreamEvent] = []
    wanted = 0
    for each in ahead:
        part.append(each)
        wanted += each.event is not None
        if wanted == size:
            parts.append(part)
            part, wanted = [], 0
    return [*parts, part] if part else parts
