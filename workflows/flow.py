"""Any flow as a durable workflow: the interpreter on Temporal, under the operators' own names.

The workflow type is `namespace/name`, so a new definition needs no restart, and Temporal's interface, search and
metrics speak the names that operators gave. A run keeps the definition it started with, by digest, for its whole life.
"""

import asyncio
import contextlib
import json
from collections.abc import Coroutine, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from domain.catalog import CATALOG
    from domain.dsl.host import RunDescriptor
    from domain.dsl.interpreter import Interpreter
    from domain.dsl.journal import Journal
    from domain.dsl.library import LIBRARY
    from domain.dsl.mailbox import Mailbox
    from domain.dsl.run_state import RunState
    from domain.events import Event, rfc3339
    from domain.problems import ConflictProblem, Problem, ProblemError, RuntimeProblem, Text
    from workflows import labels, messages
    from workflows.failures import failure_of
    from workflows.host import TemporalHost

LARGEST_CONTINUATION_BYTES = 1_800_000
"""What a run carries over when it continues as new; Temporal takes payloads of 2 MiB."""

LONGEST_HISTORY = 36_000
LARGEST_HISTORY_BYTES = 40_000_000
"""Where a run ends that cannot continue as new, because it waits for a child: Temporal would end it without a word at
51,200 events or 50 MiB, and takes 10,000 signals."""

REMEMBERED_RECEIPTS = 100
"""Completed human tasks whose receipt can be given again."""


@workflow.defn(dynamic=True)
class FlowWorkflow:
    """One run of one flow."""

    def __init__(self) -> None:
        self._mailbox = Mailbox()
        self._early: list[dict[str, Any]] | None = []
        self._suspended = False
        self._orders = asyncio.Lock()
        self._host: TemporalHost | None = None
        self._journal: Journal | None = None
        self._ended: messages.Phase | None = None
        self._reported: messages.Phase = "running"
        self._started_at = ""
        self._in_place = False
        self._revision = 0
        self._is_shown_running = True
        self._receipts: dict[str, dict[str, Any]] = {}

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        """The flow's output; fails with the problem that nothing in the flow caught."""
        try:
            start = workflow.payload_converter().from_payload(args[0].payload, messages.FlowStart)
            self._revision = start.revision
            interpreter = self._prepare(start)
        except Exception as error:  # a run ends with a problem, whatever happened: else its task is tried for ever
            return await self._fault(error, None)
        work = asyncio.ensure_future(interpreter.run(start.input))
        try:
            await self._follow(work, start, interpreter)
            output = work.result()
        except asyncio.CancelledError:
            await _give_up(work)
            await self._end("cancelled")
            raise
        except Exception as error:  # as above
            return await self._fault(error, interpreter)
        await self._end("completed", output=output)
        return output

    @workflow.signal(name=messages.EVENT_SIGNAL)
    def deliver(self, delivery: messages.Events) -> None:
        """Events for this run; known ones are ignored, broken ones dropped."""
        if self._early is not None:
            # The run has not begun: what came with its start, or with the execution before, comes first.
            self._early += delivery.events
            return
        for envelope in delivery.events:
            try:
                self._mailbox.deliver(Event.model_validate(envelope))
            except ValueError as error:
                # Raised, it would come back with every attempt of this workflow task.
                workflow.logger.warning("An event is not complete and was dropped: %s", error)

    @workflow.update(name=messages.COMPLETE_HUMAN_TASK_UPDATE)
    async def complete_human_task(self, command: messages.CompleteHumanTask) -> messages.HumanTaskReceipt:
        """Take a person's form: recorded first, then the flow goes on. A refusal changes nothing.

        The same key again gets the same receipt: the server repeats an update whose execution ended meanwhile.
        """
        await workflow.wait_condition(lambda: self._in_place)
        if command.key not in self._receipts:
            self._check_completion(command)
            receipt = await self._running_host().complete_human_task(command)
            self._receipts[command.key] = asdict(receipt)
            while len(self._receipts) > REMEMBERED_RECEIPTS:
                del self._receipts[next(iter(self._receipts))]
        return messages.HumanTaskReceipt(**self._receipts[command.key])

    @complete_human_task.validator
    def _refuse_completion(self, command: messages.CompleteHumanTask) -> None:
        # Before the run has got to where an earlier execution of it stood, only the handler can tell.
        if self._in_place and command.key not in self._receipts:
            self._check_completion(command)

    @workflow.update(name=messages.SUSPEND_UPDATE)
    async def suspend(self, command: messages.Command) -> None:
        """Halt before the next task; what is under way is finished, people's tasks are put aside."""
        await workflow.wait_condition(lambda: self._in_place)
        host = self._running_host()
        async with self._orders:
            if self._suspended:
                return
            self._suspended = True
            self._note_run("suspended")
            await _accepted()
            await host.suspend_human_tasks(command.reason or command.actor)
            await self._report("suspended")

    @suspend.validator
    def _refuse_suspend(self, command: messages.Command) -> None:
        self._refuse_when_ended()

    @workflow.update(name=messages.RESUME_UPDATE)
    async def resume(self, command: messages.Command) -> None:
        """Go on."""
        await workflow.wait_condition(lambda: self._in_place)
        host = self._running_host()
        async with self._orders:
            if not self._suspended:
                return
            self._note_run("resumed")
            await _accepted()
            await host.resume_human_tasks(command.reason or command.actor)
            self._suspended = False
            await self._report(self._phase())

    @resume.validator
    def _refuse_resume(self, command: messages.Command) -> None:
        self._refuse_when_ended()

    @workflow.query(name=messages.PROGRESS_QUERY)
    def progress(self) -> messages.Progress:
        """Where the run stands now."""
        journal = self._journal
        return messages.Progress(self._phase(), journal.tasks if journal else [], journal.dropped if journal else 0)

    def _prepare(self, start: messages.FlowStart) -> Interpreter:
        info = workflow.info()
        flow = {"namespace": start.namespace, "name": start.name, "version": start.version}
        program = LIBRARY.get(start.definition.digest)
        wants_task_events = program.flow.document.metadata.get("lifecycleEvents") == "all"
        journal = self._journal = Journal(info.workflow_id, flow, task_events=wants_task_events)
        state, started_at = RunState(), info.start_time
        before = start.continuation
        if before is not None:
            state = RunState.load(before["state"])
            journal.load(before["journal"])
            self._mailbox.load(before["mailbox"])
            self._suspended = before["suspended"]
            self._receipts = dict(before["receipts"])
            # As the execution before was shown.
            self._is_shown_running = False
            started_at = datetime.fromisoformat(before["startedAt"])
        if before is None or before["ended"]:
            self._note_run("started" if before is None else "resumed")
        early, self._early = self._early or [], None
        self.deliver(messages.Events([*start.events, *early]))
        self._started_at = rfc3339(started_at)
        self._host = TemporalHost(self._mailbox, journal, start, lambda: self._suspended)
        secrets = {name: tuple(members) if members is not None else None for name, members in start.secrets.items()}
        run = RunDescriptor(info.workflow_id, start.subject, started_at, secrets, start.attempt)
        return Interpreter(program, self._host, run, CATALOG, state)

    async def _follow(self, work: "asyncio.Task[Any]", start: messages.FlowStart, interpreter: Interpreter) -> None:
        """Return when the work is done; meanwhile tell the read model of waits, and move house in time."""
        host = self._running_host()
        # Conditions are looked at when nothing else can run: by then all that was carried over waits again.
        await workflow.wait_condition(lambda: True)
        self._in_place = True
        while True:
            await workflow.wait_condition(
                lambda: work.done() or self._phase() != self._reported or self._should_move(host) or _is_stuck(host)
            )
            if work.done():
                return
            if _is_stuck(host):
                await _give_up(work)
                raise RuntimeProblem(
                    Text(
                        "等待子流程期间发生的事情太多，无法继续；请把子流程改为不等待（await: false），用事件告知结果",
                        "Too much happened while the run waited for a child flow; let the child go (await: false) and "
                        "have it tell its result by an event",
                    )
                )
            if self._should_move(host):
                await self._move(work, start, interpreter, host)
            elif self._phase() == "waiting":
                await _see_through(self._report("waiting"))
            else:
                self._reported = self._phase()

    def _should_move(self, host: TemporalHost) -> bool:
        return workflow.info().is_continue_as_new_suggested() and host.can_move

    async def _move(
        self, work: "asyncio.Task[Any]", start: messages.FlowStart, interpreter: Interpreter, host: TemporalHost
    ) -> None:
        """Continue as new, open waits and timers carried over; nothing new starts until what is under way is done."""
        host.moving = True
        await workflow.wait_condition(lambda: work.done() or (host.settled and workflow.all_handlers_finished()))
        if work.done():
            return
        continuation = self._continuation(interpreter.state)
        size = len(json.dumps(continuation, ensure_ascii=False).encode())
        if size > LARGEST_CONTINUATION_BYTES:
            await _give_up(work)
            raise RuntimeProblem(
                Text(
                    f"流程携带的数据太大（{size} 字节），无法继续；请只保留编号，需要时再读取",
                    f"The flow carries too much data ({size} bytes) to go on; keep ids and read the rest when needed",
                )
            )
        start.continuation, start.events, start.input = continuation, [], None
        workflow.continue_as_new(start)

    def _continuation(self, state: RunState, *, ended: bool = False) -> dict[str, Any]:
        """Where the run stands. ended: whether it failed there, to be taken up again later if somebody says so."""
        return {
            "state": state.dump(),
            "journal": self._journal.dump() if self._journal else {},
            "mailbox": self._mailbox.dump(),
            "startedAt": self._started_at,
            "suspended": self._suspended and not ended,
            "receipts": self._receipts,
            "ended": ended,
        }

    async def _fault(self, error: Exception, interpreter: Interpreter | None) -> Any:
        if isinstance(error, ProblemError):
            problem = error.problem
        else:
            # A bug of ours ends the run where it stands, ready to be taken up again, instead of looping for ever.
            workflow.logger.exception("The interpreter failed", exc_info=error)
            detail = f"{type(error).__name__}: {error}"
            problem = RuntimeProblem(Text(f"内部错误：{detail}", f"Internal error: {detail}")).problem
        state = interpreter.state.for_retry() if interpreter is not None else None
        await self._end("faulted", problem=problem, state=state)
        raise failure_of(problem)

    async def _end(
        self,
        phase: messages.Phase,
        *,
        output: Any = None,
        problem: Problem | None = None,
        state: RunState | None = None,
    ) -> None:
        """Report the end, whatever is asked of the run meanwhile, and let handlers answer before it closes."""
        self._ended, self._in_place = phase, True
        error = problem.as_dict() if problem is not None else None
        self._note_run(phase, **({"error": error} if error else {}))

        async def finish() -> None:
            await self._report(phase, output=output, error=error, state=state)
            await workflow.wait_condition(workflow.all_handlers_finished)

        with contextlib.suppress(asyncio.CancelledError):
            await _see_through(finish())

    async def _report(
        self,
        phase: messages.Phase,
        *,
        output: Any = None,
        error: dict[str, Any] | None = None,
        state: RunState | None = None,
    ) -> None:
        journal = self._journal
        self._reported = phase
        if self._ended is None or (self._revision >= 1 and not self._is_shown_running):
            # A run that never waited is over in no time; saying so would take as long as the whole run.
            workflow.upsert_search_attributes([labels.PHASE.value_set(phase)])
            self._is_shown_running = False
        events = journal.take_events() if journal else []
        report = messages.RunReport(
            run_id=workflow.info().workflow_id,
            phase=phase,
            at=rfc3339(workflow.now()),
            tasks=journal.tasks if journal else [],
            dropped_tasks=journal.dropped if journal else 0,
            output=output,
            error=error,
            continuation=self._continuation(state, ended=True) if state is not None else None,
            events=events,
        )
        await workflow.execute_local_activity(
            messages.REPORT_RUN_ACTIVITY,
            report,
            start_to_close_timeout=timedelta(seconds=10),
            schedule_to_close_timeout=timedelta(days=7),
        )

    def _note_run(self, phase: str, **data: Any) -> None:
        if self._journal is not None:
            self._journal.note_run(phase, rfc3339(workflow.now()), **data)

    def _phase(self) -> messages.Phase:
        if self._ended is not None:
            return self._ended
        if self._suspended:
            return "suspended"
        return "waiting" if self._host is not None and self._host.only_waits else "running"

    def _running_host(self) -> TemporalHost:
        if self._host is None:
            raise failure_of(RuntimeProblem(Text("流程尚未开始", "The run has not started yet")).problem)
        return self._host

    def _check_completion(self, command: messages.CompleteHumanTask) -> None:
        self._running_host().check_completion(command, suspended=self._suspended)

    def _refuse_when_ended(self) -> None:
        if self._ended is not None:
            raise failure_of(ConflictProblem(Text("运行已结束", "The run has ended"), phase=self._ended).problem)


def _is_stuck(host: TemporalHost) -> bool:
    """Whether the history is about to be too long while the run cannot continue as new."""
    info = workflow.info()
    is_long = info.get_current_history_length() > LONGEST_HISTORY
    return (is_long or info.get_current_history_size() > LARGEST_HISTORY_BYTES) and not host.can_move


async def _give_up(work: "asyncio.Task[Any]") -> None:
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def _accepted() -> None:
    """Return once the server has the update that is being handled.

    Until then a worker that dies takes it along, and what a local activity wrote meanwhile would stand alone.
    """
    await workflow.sleep(timedelta(milliseconds=1))


async def _see_through(work: Coroutine[Any, Any, None]) -> None:
    """Let the work end, even when the run is cancelled meanwhile; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError
