"""A flow tried out: the same interpreter on a virtual clock, with scripted events and harmless calls."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from domain.calls import Catalog
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
from domain.dsl.virtual_clock import VirtualClockLoop, run_virtually
from domain.events import Event
from domain.human_tasks import declared_failed
from domain.problems import NotFoundProblem, ProblemError, RuntimeProblem, Text

HUMAN_TASK_COMPLETED = "tandem.human-task.completed"
HUMAN_TASK_FAILED = "tandem.human-task.failed"
MOST_STEPS = 120_000
DEFAULT_START = datetime(2026, 1, 1, tzinfo=UTC)

Status = Literal["completed", "faulted", "cancelled"]

Perform = Callable[[CallRequest], Any]
"""What answers a call of a dry-run; blocking, raises ProblemError. It runs in a thread."""


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """An event that arrives so long after the start."""

    after: timedelta
    event: Event


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. `tasks` are as in `Journal.tasks`; `calls` and `emitted` are what it would have done."""

    status: Status
    output: Any
    error: dict[str, Any] | None
    tasks: list[dict[str, Any]]
    calls: list[dict[str, Any]] = field(default_factory=list)
    emitted: list[dict[str, Any]] = field(default_factory=list)
    virtual_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a dry-run starts with.

    flows: programs that child flows may name, by `namespace/name`. perform: answers calls; None answers with the
    example of each declaration, so that nothing outside is touched. most_steps: after so many it is given up. A human
    task is completed by an event of type `tandem.human-task.completed` whose data is `{task: name, form: {…}}`, and
    declared failed by one of `tandem.human-task.failed`, whose data may have a `comment`; without either it waits until
    its timeout.
    """

    input: Any = None
    events: tuple[TimedEvent, ...] = ()
    subject: str = ""
    start: datetime = DEFAULT_START
    run_id: str = "dry-run"
    secrets: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    flows: Mapping[str, Program] = field(default_factory=dict)
    perform: Perform | None = None
    most_steps: int = MOST_STEPS


def dry_run(program: Program, catalog: Catalog, scenario: Scenario) -> RunResult:
    """Run a program to its end on the virtual clock; days take milliseconds."""
    rehearsal = _Rehearsal(program, catalog, scenario)
    return run_virtually(rehearsal.play, rehearsal.stall)


class _Rehearsal:
    """One dry-run: the script, and what all flows of it share."""

    def __init__(self, program: Program, catalog: Catalog, scenario: Scenario) -> None:
        self.program, self.catalog, self.scenario = program, catalog, scenario
        self.mailbox = Mailbox()
        self.calls: list[dict[str, Any]] = []
        self.emitted: list[dict[str, Any]] = []
        self._work: asyncio.Task[Any] | None = None
        self._steps = 0
        self._given_up: ProblemError | None = None

    async def play(self, loop: VirtualClockLoop) -> RunResult:
        scenario = self.scenario
        for after in dict.fromkeys(timed.after for timed in scenario.events):
            together = [timed.event for timed in scenario.events if timed.after == after]
            loop.call_later(max(after.total_seconds(), 0), self._deliver, together)
        host = _VirtualHost(self, loop, self.program, scenario.run_id)
        status: Status = "completed"
        output, problem = None, None
        self._work = asyncio.ensure_future(host.run(scenario.input))
        try:
            output = await self._work
        except ProblemError as error:
            status, problem = "faulted", error.problem
        except asyncio.CancelledError:
            status, problem = ("faulted", self._given_up.problem) if self._given_up else ("cancelled", None)
        finally:
            await cancel_all(host.background)
        fault = problem.as_dict() if problem is not None else None
        return RunResult(status, output, fault, host.journal.tasks, self.calls, self.emitted, loop.time())

    def _deliver(self, events: list[Event]) -> None:
        # One timer for one instant: the loop keeps no order among timers that are due at the same time.
        for event in events:
            self.mailbox.deliver(event)

    def stall(self) -> None:
        """Nothing will ever come: no timer, no event. Whoever waits is told so, and the run ends."""
        self._give_up(waits_for_ever())

    def count_step(self) -> None:
        """A flow that waits in circles has all the time in the world on this clock, so its steps are counted."""
        self._steps += 1
        if self._steps == self.scenario.most_steps:
            self._give_up(_endless(self._steps))

    def _give_up(self, reason: ProblemError) -> None:
        self._given_up = reason
        if self._work is not None:
            self._work.cancel()


class _VirtualHost:
    """The world of one flow in a dry-run."""

    def __init__(self, rehearsal: _Rehearsal, loop: VirtualClockLoop, program: Program, run_id: str) -> None:
        document = program.flow.document
        flow = {"namespace": document.namespace, "name": document.name, "version": document.version}
        self._rehearsal, self._loop, self._program, self._run_id = rehearsal, loop, program, run_id
        self._random = random.Random(run_id)  # noqa: S311 - jitter, the same on every repetition
        self.journal = Journal(run_id, flow)
        self.background: list[asyncio.Task[Any]] = []

    async def run(self, flow_input: Any) -> Any:
        """The output of this flow."""
        scenario = self._rehearsal.scenario
        run = RunDescriptor(self._run_id, scenario.subject, self.now(), scenario.secrets)
        return await Interpreter(self._program, self, run, self._rehearsal.catalog).run(flow_input)

    def now(self) -> datetime:
        return self._rehearsal.scenario.start + timedelta(seconds=self._loop.time())

    def random(self) -> float:
        return self._random.random()

    async def checkpoint(self, site: TaskSite) -> None:
        self._rehearsal.count_step()

    async def rest(self, length: timedelta) -> None:
        return None

    async def sleep_until(self, instant: datetime, site: TaskSite) -> None:
        seconds = (instant - self.now()).total_seconds()
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def call(self, request: CallRequest) -> Any:
        entry = {"call": request.call.name, "arguments": dict(request.arguments), "reference": request.site.reference}
        self._rehearsal.calls.append(entry)
        perform = self._rehearsal.scenario.perform
        if perform is None:
            return dict(request.call.example)
        return await self._loop.wait_outside(lambda: perform(request))

    async def human_task(self, request: HumanTaskRequest) -> Any:
        def completes(event: Event) -> bool:
            data = event.data if isinstance(event.data, dict) else {}
            is_end = event.type in (HUMAN_TASK_COMPLETED, HUMAN_TASK_FAILED)
            return is_end and data.get("task") in (request.site.name, request.id)

        ended = await self._rehearsal.mailbox.receive(completes, self._reader(request.site))
        form = ended.data.get("form", {})
        if ended.type == HUMAN_TASK_FAILED:
            raise declared_failed("tandem", form, ended.data.get("comment"))
        return form

    async def receive(
        self, matches: Callable[[Event], bool], site: TaskSite, pause: Callable[[], Awaitable[None]]
    ) -> Event:
        return await self._rehearsal.mailbox.receive(matches, self._reader(site), pause)

    async def emit(self, event: Event, site: TaskSite) -> None:
        self._rehearsal.emitted.append(event.envelope())
        self._rehearsal.mailbox.deliver(event)

    async def child_flow(self, request: ChildFlowRequest) -> Any:
        program = self._rehearsal.scenario.flows.get(f"{request.namespace}/{request.name}")
        if program is None or request.version not in ("latest", program.flow.document.version):
            raise no_such_flow(request.namespace, request.name, request.version)
        child = _VirtualHost(self._rehearsal, self._loop, program, request.id)
        work = asyncio.ensure_future(child.run(request.input))
        self.background.append(work)
        if not request.awaited:
            return None
        try:
            return await work
        finally:
            await cancel_all([work, *child.background])

    def report(self, change: TaskChange) -> None:
        self.journal.note(change)
        if change.status in ENDED_STATUSES:
            self._rehearsal.mailbox.forget(self._reader(change.site))

    def _reader(self, site: TaskSite) -> str:
        return f"{self._run_id}{site.path}"


def no_such_flow(namespace: str, name: str, version: str) -> ProblemError:
    """Why a child flow does not run in a dry-run: the same kind of problem as when it was never published."""
    flow = f"{namespace}/{name} {version}"
    return NotFoundProblem(Text(f"找不到子流程 {flow}", f"There is no flow {flow} to run as a child"))


def _endless(steps: int) -> ProblemError:
    return RuntimeProblem(
        Text(
            f"试运行执行了 {steps} 步仍未结束：请检查循环，或给流程加 timeout",
            f"The dry-run did not end within {steps} steps: look for a circle, or give the flow a timeout",
        )
    )


def waits_for_ever() -> ProblemError:
    """Why a dry-run ends whose flow waits for what is not in its scenario."""
    return RuntimeProblem(
        Text(
            "流程在等待一个不会到来的事件或人工任务：请在 --events 中补上它，或给这一步加 timeout",
            "The flow waits for an event or a person that never comes: add it to --events, or give the step a timeout",
        )
    )
