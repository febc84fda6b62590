"""Any flow as a durable workflow: the interpreter on Temporal, under the operators' own names.

The workflow type is `namespace/name`, so a new definition needs no restart, and Temporal's interface, search and
metrics speak the names that operators gave. A run keeps the definition it started with, by digest, for its whole life.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from domain.catalog import CATALOG
    from domain.dsl.host import RunDescriptor
    from domain.dsl.interpreter import Interpreter
    from domain.dsl.journal import Journal
    from domain.dsl.library import LIBRARY
    from domain.dsl.mailbox import Mailbox
    from domain.dsl.run_state import RunState
    from domain.events import Event, rfc3339
    from domain.problems import Problem, ProblemError, RuntimeProblem, Text
    from workflows import messages
    from workflows.failures import failure_of
    from workflows.host import TemporalHost

PHASE_ATTRIBUTE = SearchAttributeKey.for_keyword("TandemPhase")


@workflow.defn(dynamic=True)
class FlowWorkflow:
    """One run of one flow."""

    def __init__(self) -> None:
        self._mailbox = Mailbox()
        self._suspended = False
        self._host: TemporalHost | None = None
        self._journal: Journal | None = None
        self._ended: messages.Phase | None = None
        self._reported: messages.Phase = "running"

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        """The flow's output; fails with the problem that nothing in the flow caught."""
        start = workflow.payload_converter().from_payload(args[0].payload, messages.FlowStart)
        try:
            interpreter = self._prepare(start)
        except ProblemError as error:
            return await self._fault(error.problem, None)
        work = asyncio.ensure_future(interpreter.run(start.input))
        try:
            await self._follow(work, start, interpreter)
            output = work.result()
        except ProblemError as error:
            return await self._fault(error.problem, interpreter)
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await self._report("cancelled")
            raise
        except Exception as error:
            # A bug of ours ends the run where it stands, ready to be taken up again, instead of looping for ever.
            workflow.logger.exception("The interpreter failed")
            detail = f"{type(error).__name__}: {error}"
            bug = RuntimeProblem(Text(f"内部错误：{detail}", f"Internal error: {detail}"))
            return await self._fault(bug.problem, interpreter)
        await self._report("completed", output=output)
        return output

    @workflow.signal(name=messages.EVENT_SIGNAL)
    def deliver(self, delivery: messages.Events) -> None:
        """Events for this run; known ones are ignored."""
        for envelope in delivery.events:
            self._mailbox.deliver(Event.model_validate(envelope))

    @workflow.update(name=messages.COMPLETE_HUMAN_TASK_UPDATE)
    async def complete_human_task(self, command: messages.CompleteHumanTask) -> messages.HumanTaskReceipt:
        """Take a person's form: recorded first, then the flow goes on. A refusal changes nothing."""
        return await self._running_host().complete_human_task(command)

    @complete_human_task.validator
    def _check_completion(self, command: messages.CompleteHumanTask) -> None:
        self._running_host().check_completion(command, suspended=self._suspended)

    @workflow.update(name=messages.SUSPEND_UPDATE)
    async def suspend(self, command: messages.Command) -> None:
        """Halt before the next task; what is under way is finished, people's tasks are put aside."""
        if self._suspended:
            return
        self._suspended = True
        if self._journal is not None:
            self._journal.note_run("suspended", rfc3339(workflow.now()))
        await self._running_host().suspend_human_tasks(command.reason or command.actor)
        await self._report("suspended")

    @workflow.update(name=messages.RESUME_UPDATE)
    async def resume(self, command: messages.Command) -> None:
        """Go on."""
        if not self._suspended:
            return
        if self._journal is not None:
            self._journal.note_run("resumed", rfc3339(workflow.now()))
        await self._running_host().resume_human_tasks(command.reason or command.actor)
        self._suspended = False
        await self._report("running")

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
        state = RunState()
        if start.continuation is None:
            started_at = info.start_time
            journal.note_run("started", rfc3339(workflow.now()))
        else:
            state = RunState.load(start.continuation["state"])
            journal.load(start.continuation["journal"])
            self._mailbox.load(start.continuation["mailbox"])
            self._suspended = start.continuation["suspended"]
            started_at = Event.model_validate(start.continuation["started"]).time or info.start_time
        for envelope in start.events:
            self._mailbox.deliver(Event.model_validate(envelope))
        self._started = {"id": "start", "source": "/tandem", "type": "started", "time": rfc3339(started_at)}
        self._host = TemporalHost(self._mailbox, journal, start, lambda: self._suspended)
        secrets = {name: tuple(members) if members is not None else None for name, members in start.secrets.items()}
        run = RunDescriptor(info.workflow_id, start.subject, started_at, secrets, start.attempt)
        return Interpreter(program, self._host, run, CATALOG, state)

    async def _follow(self, work: "asyncio.Task[Any]", start: messages.FlowStart, interpreter: Interpreter) -> None:
        """Return when the work is done; meanwhile tell the read model of waits, and move house in time."""
        while True:
            await workflow.wait_condition(
                lambda: work.done() or self._phase() != self._reported or workflow.info().is_continue_as_new_suggested()
            )
            if work.done():
                return
            if workflow.info().is_continue_as_new_suggested():
                await self._move(work, start, interpreter)
                return
            if self._phase() == "waiting":
                await self._report("waiting")
            else:
                self._reported = self._phase()

    async def _move(self, work: "asyncio.Task[Any]", start: messages.FlowStart, interpreter: Interpreter) -> None:
        """Continue as new, open waits and timers carried over; nothing new starts until what is under way is done."""
        host = self._running_host()
        host.moving = True
        await workflow.wait_condition(lambda: work.done() or (host.settled and workflow.all_handlers_finished()))
        if work.done():
            return
        start.continuation = self._continuation(interpreter.state)
        start.events = []
        workflow.continue_as_new(start)

    def _continuation(self, state: RunState) -> dict[str, Any]:
        return {
            "state": state.dump(),
            "journal": self._journal.dump() if self._journal else {},
            "mailbox": self._mailbox.dump(),
            "started": self._started,
            "suspended": self._suspended,
        }

    async def _fault(self, problem: Problem, interpreter: Interpreter | None) -> Any:
        continuation = self._continuation(interpreter.state.for_retry()) if interpreter is not None else None
        await self._report("faulted", error=problem.as_dict(), continuation=continuation)
        raise failure_of(problem)

    async def _report(
        self,
        phase: messages.Phase,
        *,
        output: Any = None,
        error: dict[str, Any] | None = None,
        continuation: dict[str, Any] | None = None,
    ) -> None:
        journal, at = self._journal, rfc3339(workflow.now())
        self._reported = phase
        if phase in ("completed", "faulted", "cancelled"):
            self._ended = phase
            if journal is not None:
                journal.note_run(phase, at, **({"error": error} if error else {}))
        else:
            workflow.upsert_search_attributes([PHASE_ATTRIBUTE.value_set(phase)])
        report = messages.RunReport(
            run_id=workflow.info().workflow_id,
            phase=phase,
            at=at,
            tasks=journal.tasks if journal else [],
            dropped_tasks=journal.dropped if journal else 0,
            output=output,
            error=error,
            continuation=continuation,
            events=journal.take_events() if journal else [],
        )
        await workflow.execute_local_activity(
            messages.REPORT_RUN_ACTIVITY,
            report,
            start_to_close_timeout=timedelta(seconds=10),
            schedule_to_close_timeout=timedelta(days=7),
        )

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
