"""Temporal as the interpreter's host: calls are activities, waits are timers, people answer by update.

Names of steps are given to Temporal as summaries, so that its own interface shows what operators wrote.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ChildWorkflowError, is_cancelled_exception

from domain.dsl.expressions import compile_condition
from domain.dsl.host import CallRequest, ChildFlowRequest, HumanTaskRequest, TaskChange, TaskSite
from domain.dsl.journal import Journal
from domain.dsl.mailbox import Mailbox
from domain.events import Event, rfc3339
from domain.problems import ConflictProblem, Problem, ProblemError, Text, ValidationProblem
from workflows import messages
from workflows.failures import failure_of, problem_of

YIELD_EVERY = 200
"""Tasks executed in one workflow task; then the server is told, lest a busy flow looks like a stuck one."""

_INNER = timedelta(seconds=10)
_INNER_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=30)
)
_INNER_DEADLINE = timedelta(days=7)


class TemporalHost:
    """The world of one run. `moving` is set when the run is about to continue as new: nothing new starts then."""

    def __init__(
        self,
        mailbox: Mailbox,
        journal: Journal,
        start: messages.FlowStart,
        suspended: Callable[[], bool],
    ) -> None:
        self._mailbox = mailbox
        self._journal = journal
        self._start = start
        self._suspended = suspended
        self._open: dict[str, HumanTaskRequest] = {}
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._turns = 0
        self._waits = 0
        self._under_way = 0
        self._children = 0
        self.moving = False

    @property
    def only_waits(self) -> bool:
        """Whether nothing is under way but waiting: for time, for events, for people, for a child."""
        return self._under_way == 0 and self._waits + self._children > 0

    @property
    def settled(self) -> bool:
        """Whether the run could continue as new: timers and listeners can be carried over, calls and children not."""
        return self._under_way == 0 and self._children == 0

    def now(self) -> datetime:
        return workflow.now()

    def random(self) -> float:
        return workflow.random().random()

    async def checkpoint(self, site: TaskSite) -> None:
        self._turns += 1
        if self._turns % YIELD_EVERY == 0:
            await workflow.sleep(timedelta(milliseconds=1))
        if self.moving or self._suspended():
            await workflow.wait_condition(lambda: not self.moving and not self._suspended())

    async def sleep_until(self, instant: datetime, site: TaskSite) -> None:
        length = instant - workflow.now()
        if length > timedelta():
            self._waits += 1
            try:
                await workflow.sleep(length, summary=site.name)
            finally:
                self._waits -= 1

    async def call(self, request: CallRequest) -> Any:
        call = request.call
        envelope = messages.CallEnvelope(
            call.name,
            dict(request.arguments),
            request.idempotency_key,
            workflow.info().workflow_id,
            request.site.reference,
            self._start.subject,
        )
        retry = RetryPolicy(
            initial_interval=timedelta(seconds=call.retry.initial_s),
            backoff_coefficient=call.retry.factor,
            maximum_interval=timedelta(seconds=call.retry.ceiling_s),
            maximum_attempts=call.retry.attempts,
        )
        timeout, deadline = timedelta(seconds=call.timeout_s), timedelta(seconds=call.deadline_s)
        if call.kind == "inside":
            work = workflow.execute_local_activity(
                call.name,
                envelope,
                start_to_close_timeout=timeout,
                schedule_to_close_timeout=deadline,
                retry_policy=retry,
                summary=request.site.name,
            )
        else:
            work = workflow.execute_activity(
                call.name,
                envelope,
                task_queue=call.queue,
                start_to_close_timeout=timeout,
                schedule_to_close_timeout=deadline,
                retry_policy=retry,
                summary=request.site.name,
                priority=Priority(fairness_key=f"{self._start.namespace}/{self._start.name}"),
            )
        return await self._finish(work)

    async def human_task(self, request: HumanTaskRequest) -> Any:
        self._open[request.id] = request
        answer = self._answers.setdefault(request.id, asyncio.get_running_loop().create_future())
        try:
            await self._inner(
                messages.OPEN_HUMAN_TASK_ACTIVITY,
                messages.OpenHumanTask(
                    request.id,
                    workflow.info().workflow_id,
                    request.site.name,
                    request.site.reference,
                    self._start.subject,
                    request.arguments.model_dump(mode="json"),
                    rfc3339(workflow.now()),
                ),
                request.site.name,
            )
            self._waits += 1
            try:
                return await answer
            finally:
                self._waits -= 1
        except asyncio.CancelledError:
            if not answer.done() or answer.cancelled():
                await self._close_human_task(request.id, "exited", "the flow no longer waits for it")
            raise
        finally:
            self._open.pop(request.id, None)
            self._answers.pop(request.id, None)

    async def receive(self, matches: Callable[[Event], bool], site: TaskSite) -> Event:
        self._waits += 1
        try:
            return await self._mailbox.receive(matches)
        finally:
            self._waits -= 1

    async def emit(self, event: Event, site: TaskSite) -> None:
        self._mailbox.deliver(event)
        await self._inner(
            messages.PUBLISH_EVENTS_ACTIVITY,
            messages.PublishEvents(workflow.info().workflow_id, [event.envelope()]),
            site.name,
        )

    async def child_flow(self, request: ChildFlowRequest) -> Any:
        parent = workflow.info().workflow_id
        child_id = f"{parent}/{request.id}"
        resolved: messages.ResolvedFlow = await self._inner(
            messages.RESOLVE_FLOW_ACTIVITY,
            messages.ResolveFlow(
                child_id,
                parent,
                request.namespace,
                request.name,
                request.version,
                self._start.subject,
                self._start.subjects,
            ),
            request.site.name,
            messages.ResolvedFlow,
        )
        start = messages.FlowStart(
            resolved.definition,
            request.namespace,
            request.name,
            resolved.version,
            request.input,
            self._start.subject,
            self._start.subjects,
            resolved.secrets,
        )
        policy = workflow.ParentClosePolicy.REQUEST_CANCEL if request.awaited else workflow.ParentClosePolicy.ABANDON
        handle = await workflow.start_child_workflow(
            f"{request.namespace}/{request.name}",
            start,
            id=child_id,
            parent_close_policy=policy,
            static_summary=request.site.name,
        )
        if not request.awaited:
            return None
        self._children += 1
        try:
            return await handle
        except ChildWorkflowError as error:
            raise _failure(error) from error
        finally:
            self._children -= 1

    def report(self, change: TaskChange) -> None:
        self._journal.note(change)

    def check_completion(self, command: messages.CompleteHumanTask, *, suspended: bool) -> None:
        """Refuse a form that the flow cannot take: the task is not open here, or a check of the step says no."""
        request = self._open.get(command.task_id)
        answer = self._answers.get(command.task_id)
        if request is None or answer is None or answer.done():
            raise failure_of(
                ConflictProblem(
                    Text("流程已不再等待这个任务", "The flow no longer waits for this task"), task=command.task_id
                ).problem
            )
        if suspended:
            raise failure_of(
                ConflictProblem(Text("流程已暂停，请稍后再提交", "The run is suspended; try later")).problem
            )
        if command.outcome == "completed":
            self._run_checks(request, command)

    async def complete_human_task(self, command: messages.CompleteHumanTask) -> messages.HumanTaskReceipt:
        """Record the completion, then let the flow go on with the form."""
        answer = self._answers[command.task_id]
        try:
            receipt: messages.HumanTaskReceipt = await self._inner(
                messages.COMPLETE_HUMAN_TASK_ACTIVITY, command, None, messages.HumanTaskReceipt
            )
        except ProblemError as error:
            raise failure_of(error.problem) from error
        if not answer.done():
            if command.outcome == "completed":
                answer.set_result(command.form)
            else:
                answer.set_exception(_declined(command))
        return receipt

    async def suspend_human_tasks(self, reason: str) -> None:
        """Put every open task aside."""
        for identity in list(self._open):
            await self._close_human_task(identity, "suspended", reason)

    async def resume_human_tasks(self, reason: str) -> None:
        """Put every open task back."""
        for identity in list(self._open):
            await self._close_human_task(identity, "ready", reason)

    async def _close_human_task(self, identity: str, state: Any, reason: str) -> None:
        command = messages.CloseHumanTask(identity, state, reason, rfc3339(workflow.now()))
        await self._inner(messages.CLOSE_HUMAN_TASK_ACTIVITY, command, None)

    async def _inner(self, activity: str, argument: Any, summary: str | None, result: type | None = None) -> Any:
        return await self._finish(
            workflow.execute_local_activity(
                activity,
                argument,
                result_type=result,
                start_to_close_timeout=_INNER,
                schedule_to_close_timeout=_INNER_DEADLINE,
                retry_policy=_INNER_RETRY,
                summary=summary,
            )
        )

    async def _finish(self, work: Any) -> Any:
        self._under_way += 1
        try:
            return await work
        except ActivityError as error:
            raise _failure(error) from error
        finally:
            self._under_way -= 1

    def _run_checks(self, request: HumanTaskRequest, command: messages.CompleteHumanTask) -> None:
        variables = {"data": request.arguments.data, "actor": command.actor}
        for check in request.arguments.checks:
            try:
                holds = compile_condition(check.when).truth(command.form, variables, now=workflow.now())
            except ProblemError as error:
                raise failure_of(error.problem) from error
            if not holds:
                text = Text(check.message.get("zh", ""), check.message.get("en", check.message.get("zh", "")))
                raise failure_of(ValidationProblem(text, task=command.task_id).problem)


def _failure(error: BaseException) -> BaseException:
    return asyncio.CancelledError() if is_cancelled_exception(error) else problem_of(error)


def _declined(command: messages.CompleteHumanTask) -> ProblemError:
    return ProblemError.of(
        Problem(
            type="https://tandem-scrm.org/problems/human-task-failed",
            status=422,
            title="The person declared the task failed",
            detail=command.comment,
            actor=command.actor,
            form=command.form,
        )
    )
