"""Temporal as the interpreter's host: calls are activities, waits are timers, people answer by update.

Names of steps are given to Temporal as summaries, so that its own interface shows what operators wrote.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import FailureError

from domain.dsl.expressions import compile_condition
from domain.dsl.expressions.meter import DEFAULT_BUDGET, Meter
from domain.dsl.host import ENDED_STATUSES, CallRequest, ChildFlowRequest, HumanTaskRequest, TaskChange, TaskSite
from domain.dsl.journal import Journal
from domain.dsl.mailbox import Mailbox
from domain.events import Event, rfc3339
from domain.human_tasks import declared_failed
from domain.problems import ConfigurationProblem, ConflictProblem, ProblemError, Text, ValidationProblem
from workflows import labels, messages
from workflows.failures import failure_of, problem_of

LONGEST_RUN_ID = 800
"""Temporal takes ids of 1,000 bytes; each level of child flows adds 37."""

_INNER = timedelta(seconds=10)
_INNER_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=30)
)
_INNER_DEADLINE = timedelta(days=7)
_ANSWER_FIRST = timedelta(milliseconds=1)


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
        self._shown: set[str] = set()
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._completing: set[str] = set()
        self._taken: set[str] = set()
        self._waits = 0
        self._under_way = 0
        self._children = 0
        self.moving = False

    @property
    def only_waits(self) -> bool:
        """Whether nothing is under way but waiting: for time, for events, for people, for a child."""
        return self._under_way == 0 and self._waits + self._children > 0

    @property
    def can_move(self) -> bool:
        """Whether it makes sense to get ready for continuing as new: a child that is awaited cannot be carried over."""
        return self._children == 0

    @property
    def settled(self) -> bool:
        """Whether the run could continue as new: timers and listeners can be carried over, calls and children not."""
        return self._under_way == 0 and self._children == 0

    def now(self) -> datetime:
        return workflow.now()

    def random(self) -> float:
        return workflow.random().random()

    async def checkpoint(self, site: TaskSite) -> None:
        if self.moving or self._suspended():
            await workflow.wait_condition(lambda: not self.moving and not self._suspended())

    async def rest(self, length: timedelta) -> None:
        self._under_way += 1
        try:
            await workflow.sleep(length)
        finally:
            self._under_way -= 1

    async def sleep_until(self, instant: datetime, site: TaskSite) -> None:
        self._waits += 1
        try:
            length = instant - workflow.now()
            if length > timedelta():
                await workflow.sleep(length, summary=labels.summary(site.name))
            if self._completing or self._taken:
                # The person whose form is being recorded was in time.
                await workflow.wait_condition(lambda: not self._completing and not self._taken)
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
                summary=labels.summary(request.site.name),
            )
        else:
            work = workflow.execute_activity(
                call.name,
                envelope,
                task_queue=call.queue,
                start_to_close_timeout=timeout,
                schedule_to_close_timeout=deadline,
                retry_policy=retry,
                summary=labels.summary(request.site.name),
                priority=Priority(fairness_key=labels.fairness_key(self._start)),
            )
        return await self._finish(work)

    async def human_task(self, request: HumanTaskRequest) -> Any:
        identity = request.id
        self._open[identity] = request
        answer = self._answers.setdefault(identity, asyncio.get_running_loop().create_future())
        try:
            await self._inner(
                messages.OPEN_HUMAN_TASK_ACTIVITY,
                messages.OpenHumanTask(
                    identity,
                    workflow.info().workflow_id,
                    request.site.name,
                    request.site.reference,
                    self._start.subject,
                    request.arguments.model_dump(mode="json"),
                    rfc3339(workflow.now()),
                ),
                request.site.name,
            )
            self._shown.add(identity)
            if self._suspended():
                await self._move_human_task(identity, "suspended", "the run is suspended")
            self._waits += 1
            try:
                await asyncio.wait([answer])
            finally:
                self._waits -= 1
            # Inner steps that follow would keep the server from telling the person that the form was taken.
            await self.rest(_ANSWER_FIRST)
            return answer.result()
        except asyncio.CancelledError:
            # Whoever is being told that the form was taken must not find the task withdrawn.
            await workflow.wait_condition(lambda: identity not in self._completing)
            if not answer.done():
                await self._move_human_task(identity, "exited", "the flow no longer waits for it")
            raise
        finally:
            self._shown.discard(identity)
            self._taken.discard(identity)
            self._open.pop(identity, None)
            self._answers.pop(identity, None)

    async def receive(
        self, matches: Callable[[Event], bool], site: TaskSite, pause: Callable[[], Awaitable[None]]
    ) -> Event:
        self._waits += 1
        try:
            return await self._mailbox.receive(matches, site.path, pause)
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
        if len(child_id.encode()) > LONGEST_RUN_ID:
            raise ConfigurationProblem(
                Text(
                    "子流程嵌套过深，请检查流程是否调用了自己",
                    "Child flows are nested too deeply: does one run itself?",
                )
            )
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
                rfc3339(workflow.now()),
            ),
            request.site.name,
            messages.ResolvedFlow,
        )
        if self.moving:
            # A child cannot be carried over: the next execution starts it.
            await workflow.wait_condition(lambda: not self.moving)
        start = messages.FlowStart(
            resolved.definition,
            request.namespace,
            request.name,
            resolved.version,
            request.input,
            self._start.subject,
            self._start.subjects,
            resolved.secrets,
            resolved.events,
            revision=messages.REVISION,
        )
        policy = workflow.ParentClosePolicy.REQUEST_CANCEL if request.awaited else workflow.ParentClosePolicy.ABANDON
        handle = await self._finish(
            workflow.start_child_workflow(
                labels.flow_name(start),
                start,
                id=child_id,
                parent_close_policy=policy,
                static_summary=labels.summary(request.site.name),
                search_attributes=labels.search_attributes(start),
                memo=labels.memo(start),
                priority=Priority(fairness_key=labels.fairness_key(start)),
            )
        )
        if not request.awaited:
            return None
        self._children += 1
        try:
            return await _result(handle)
        finally:
            self._children -= 1

    def report(self, change: TaskChange) -> None:
        self._journal.note(change)
        if change.status in ENDED_STATUSES:
            self._mailbox.forget(change.site.path)

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
        self._completing.add(command.task_id)
        try:
            # Not a local activity: those are done before the server knows that the update was accepted, and a worker
            # that dies then would leave a completed task behind whose form the run never saw.
            receipt: messages.HumanTaskReceipt = await self._finish(
                workflow.execute_activity(
                    messages.COMPLETE_HUMAN_TASK_ACTIVITY,
                    command,
                    result_type=messages.HumanTaskReceipt,
                    start_to_close_timeout=_INNER,
                    schedule_to_close_timeout=_INNER_DEADLINE,
                    retry_policy=_INNER_RETRY,
                )
            )
            if not answer.done() and command.task_id in self._answers:
                self._taken.add(command.task_id)
                if command.outcome == "completed":
                    answer.set_result(command.form)
                else:
                    answer.set_exception(declared_failed(command.actor, command.form, command.comment))
        except ProblemError as error:
            raise failure_of(error.problem) from error
        finally:
            self._completing.discard(command.task_id)
        return receipt

    async def suspend_human_tasks(self, reason: str) -> None:
        """Put aside every task that people see."""
        for identity in [identity for identity in self._open if identity in self._shown]:
            await self._move_human_task(identity, "suspended", reason)

    async def resume_human_tasks(self, reason: str) -> None:
        """Put back every task that people see."""
        for identity in [identity for identity in self._open if identity in self._shown]:
            await self._move_human_task(identity, "ready", reason)

    async def _move_human_task(self, identity: str, state: Any, reason: str) -> None:
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
                summary=labels.summary(summary) if summary else None,
            )
        )

    async def _finish(self, work: Awaitable[Any]) -> Any:
        self._under_way += 1
        try:
            return await _result(work)
        finally:
            self._under_way -= 1

    def _run_checks(self, request: HumanTaskRequest, command: messages.CompleteHumanTask) -> None:
        variables = {"data": request.arguments.data, "actor": command.actor}
        meter = Meter(DEFAULT_BUDGET, workflow.now())
        for check in request.arguments.checks:
            try:
                holds = compile_condition(check.when).holds(command.form, variables, meter)
            except ProblemError as error:
                raise failure_of(error.problem) from error
            if not holds:
                text = Text(check.message.get("zh", ""), check.message.get("en", check.message.get("zh", "")))
                raise failure_of(ValidationProblem(text, task=command.task_id).problem)


async def _result(work: Awaitable[Any]) -> Any:
    """The result of something outside. A problem when it failed or was cancelled by others; a cancellation when the
    task that waits for it was cancelled, even when the work ended all the same."""
    try:
        result = await work
    except FailureError as error:
        _stop_if_cancelled()
        raise problem_of(error) from error
    _stop_if_cancelled()
    return result


def _stop_if_cancelled() -> None:
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
