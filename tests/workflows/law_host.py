"""A host on the virtual clock whose run can be interrupted at any moment, written down and taken up again."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.catalog import CATALOG
from domain.dsl.concurrency import cancel_all
from domain.dsl.host import (
    ENDED_STATUSES,
    CallRequest,
    ChildFlowRequest,
    HumanTaskRequest,
    RunDescriptor,
    TaskChange,
    TaskSite,
)
from domain.dsl.interpreter import Interpreter
from domain.dsl.journal import Journal
from domain.dsl.mailbox import Mailbox
from domain.dsl.program import Program
from domain.dsl.run_state import RunState
from domain.dsl.virtual_clock import VirtualClockLoop, run_virtually
from domain.events import Event
from domain.problems import CommunicationProblem, Problem, ProblemError

START = datetime(2026, 1, 1, tzinfo=UTC)
ANSWER_AFTER_S = 3.5
_A_MOMENT_S = 1e-6


@dataclass
class World:
    """What outlives an interruption: what was done outside, and the people who answer.

    moves: before which checkpoints the run is interrupted; moments: after which virtual seconds. fails: the number of
    the call that fails, once.
    """

    moves: frozenset[int] = frozenset()
    moments: frozenset[float] = frozenset()
    fails: int | None = None
    calls: list[str] = field(default_factory=list)
    emitted: dict[str, str] = field(default_factory=dict)
    opened: dict[str, float] = field(default_factory=dict)
    checkpoints: int = 0
    interruptions: int = 0


@dataclass(frozen=True, eq=False)
class Ending:
    """How a run ended, and what it did outside."""

    output: Any
    error: dict[str, Any] | None
    tasks: list[tuple[str, str]]
    calls: list[str]
    emitted: list[str]
    took_s: float

    def __eq__(self, other: object) -> bool:
        """Moments are written down to the millisecond: the time may differ by a few of them."""
        if not isinstance(other, Ending):
            return NotImplemented
        mine, theirs = (replace(each, took_s=0.0) for each in (self, other))
        return astuple(mine) == astuple(theirs) and abs(self.took_s - other.took_s) < 0.05


class LawHost:
    """The world of one execution of a run; `moving` says that it is about to be interrupted."""

    def __init__(self, loop: VirtualClockLoop, world: World, mailbox: Mailbox, journal: Journal) -> None:
        self._loop, self._world, self.mailbox, self._journal = loop, world, mailbox, journal
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()
        self.under_way = 0
        self.moving = asyncio.Event()
        self.over = False

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.time())

    def random(self) -> float:
        return 0.5

    async def checkpoint(self, site: TaskSite) -> None:
        self._world.checkpoints += 1
        if self._world.checkpoints in self._world.moves:
            self.interrupt()
        await self._may_go_on.wait()

    def interrupt(self) -> None:
        """Nothing new starts from now on."""
        self._may_go_on.clear()
        self.moving.set()

    async def rest(self, length: timedelta) -> None:
        await self._outside()

    async def sleep_until(self, instant: datetime, site: TaskSite) -> None:
        seconds = (instant - self.now()).total_seconds()
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def call(self, request: CallRequest) -> Any:
        await self._outside()
        self._world.calls.append(request.idempotency_key)
        if len(self._world.calls) == self._world.fails:
            raise CommunicationProblem("once")
        return {"refund": len(request.arguments["refund_id"])}

    async def human_task(self, request: HumanTaskRequest) -> Any:
        await self._outside()
        at = self._world.opened.setdefault(request.id, self._loop.time() + ANSWER_AFTER_S)
        await asyncio.sleep(max(at - self._loop.time(), 0))
        return {"form": request.site.name}

    async def receive(
        self, matches: Callable[[Event], bool], site: TaskSite, pause: Callable[[], Awaitable[None]]
    ) -> Event:
        return await self.mailbox.receive(matches, site.path, pause)

    async def emit(self, event: Event, site: TaskSite) -> None:
        self.mailbox.deliver(event)
        await self._outside()
        self._world.emitted.setdefault(event.id, event.type)

    async def child_flow(self, request: ChildFlowRequest) -> Any:
        raise NotImplementedError

    def report(self, change: TaskChange) -> None:
        if self.over:
            return
        self._journal.note(change)
        if change.status in ENDED_STATUSES:
            self.mailbox.forget(change.site.path)

    async def _outside(self) -> None:
        """Something outside is under way: the run cannot be interrupted meanwhile."""
        self.under_way += 1
        try:
            await asyncio.sleep(0)
        finally:
            self.under_way -= 1


def play(program: Program, events: Sequence[tuple[float, str]], world: World, *, retries: int = 0) -> Ending:
    """How a run ends that is interrupted as the world says and, when it fails, taken up again so often."""
    return run_virtually(lambda loop: _Play(loop, program, world, retries).run(events), _nobody_comes)


def _nobody_comes() -> None:
    raise AssertionError("the flow waits for something that never comes")


class _Play:
    def __init__(self, loop: VirtualClockLoop, program: Program, world: World, retries: int) -> None:
        self._loop, self._program, self._world, self._retries = loop, program, world, retries
        self._host = LawHost(loop, world, Mailbox(), self._new_journal())
        self._attempt = 1

    async def run(self, events: Sequence[tuple[float, str]]) -> Ending:
        for number, (seconds, kind) in enumerate(events):
            event = Event(id=f"e{number}", source="/world", type=kind, data={"number": number})
            self._loop.call_later(seconds, self._deliver, event)
        for seconds in self._world.moments:
            self._loop.call_later(seconds, lambda: self._host.interrupt())
        state = RunState()
        while True:
            interpreter = self._interpreter(state)
            work = asyncio.ensure_future(interpreter.run({"n": 0}))
            interruption = asyncio.ensure_future(self._interrupted())
            await asyncio.wait([work, interruption], return_when=asyncio.FIRST_COMPLETED)
            await cancel_all([interruption])
            if work.done():
                error = work.exception()
                if error is None:
                    return self._ending(work.result(), None)
                if not isinstance(error, ProblemError):
                    raise error
                if self._attempt > self._retries:
                    return self._ending(None, error.problem)
                self._attempt += 1
                state = self._written_down(interpreter.state.for_retry())
            else:
                self._world.interruptions += 1
                state = self._written_down(interpreter.state)
                await cancel_all([work])

    def _deliver(self, event: Event) -> None:
        self._host.mailbox.deliver(event)

    async def _interrupted(self) -> None:
        await self._host.moving.wait()
        # The clock moves on only when nothing else can run: then whatever is not under way waits.
        await asyncio.sleep(_A_MOMENT_S)
        assert not self._host.under_way

    def _written_down(self, state: RunState) -> RunState:
        """The state after a journey through JSON; mailbox and journal make the same one, into a new host."""
        old = self._host
        mailbox, journal = Mailbox(), self._new_journal()
        mailbox.load(_through_json(old.mailbox.dump()))
        journal.load(_through_json(old._journal.dump()))
        content = _through_json(state.dump())
        old.over = True
        self._host = LawHost(self._loop, self._world, mailbox, journal)
        return RunState.load(content)

    def _interpreter(self, state: RunState) -> Interpreter:
        run = RunDescriptor("run", "customer:1", START, attempt=self._attempt)
        return Interpreter(self._program, self._host, run, CATALOG, state)

    def _ending(self, output: Any, problem: Problem | None) -> Ending:
        tasks = [(task["path"], task["status"]) for task in self._host._journal.tasks]
        return Ending(
            output,
            problem.as_dict() if problem else None,
            sorted(tasks),
            sorted(set(self._world.calls)),
            sorted(self._world.emitted),
            self._loop.time(),
        )

    def _new_journal(self) -> Journal:
        return Journal("run", {"namespace": "law", "name": "flow", "version": "1.0.0"})


def _through_json(content: Any) -> Any:
    return json.loads(json.dumps(content))
