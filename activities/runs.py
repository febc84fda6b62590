"""What a run asks of our own database: its reports, its human tasks, its events, its children."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio import activity

from domain.problems import ProblemError, UnavailableProblem
from services.events import EventService
from services.human_task_steps import HumanTaskSteps
from services.run_reports import RunReports
from services.runs import RunService
from workflows import messages
from workflows.failures import failure_of

Out = TypeVar("Out")


class RunActivities:
    """The inner activities of runs, each idempotent, each one transaction."""

    def __init__(
        self, reports: RunReports, human_tasks: HumanTaskSteps, events: EventService, runs: RunService
    ) -> None:
        self._reports = reports
        self._human_tasks = human_tasks
        self._events = events
        self._runs = runs

    @property
    def all(self) -> list[Callable[..., Any]]:
        """Every activity of this class."""
        return [
            self.report,
            self.open_human_task,
            self.complete_human_task,
            self.close_human_task,
            self.publish_events,
            self.resolve_flow,
            self.start_scheduled,
        ]

    @activity.defn(name=messages.REPORT_RUN_ACTIVITY)
    async def report(self, report: messages.RunReport) -> None:
        await _problems_as_failures(self._reports.record(report))

    @activity.defn(name=messages.OPEN_HUMAN_TASK_ACTIVITY)
    async def open_human_task(self, task: messages.OpenHumanTask) -> None:
        await _problems_as_failures(self._human_tasks.open(task))

    @activity.defn(name=messages.COMPLETE_HUMAN_TASK_ACTIVITY)
    async def complete_human_task(self, command: messages.CompleteHumanTask) -> messages.HumanTaskReceipt:
        return await _problems_as_failures(self._human_tasks.finish(command))

    @activity.defn(name=messages.CLOSE_HUMAN_TASK_ACTIVITY)
    async def close_human_task(self, command: messages.CloseHumanTask) -> None:
        await _problems_as_failures(self._human_tasks.close(command))

    @activity.defn(name=messages.PUBLISH_EVENTS_ACTIVITY)
    async def publish_events(self, emitted: messages.PublishEvents) -> None:
        await _problems_as_failures(self._events.publish_emitted(emitted.events))

    @activity.defn(name=messages.RESOLVE_FLOW_ACTIVITY)
    async def resolve_flow(self, request: messages.ResolveFlow) -> messages.ResolvedFlow:
        return await _problems_as_failures(self._reports.resolve(request))

    @activity.defn(name=messages.START_SCHEDULED_RUN_ACTIVITY)
    async def start_scheduled(self, start: messages.ScheduledStart) -> str | None:
        return await _problems_as_failures(self._runs.start_scheduled(start))


async def _problems_as_failures(work: Awaitable[Out]) -> Out:
    try:
        return await work
    except ProblemError as error:
        # A database or a server that is away comes back; every other refusal would be the same next time.
        raise failure_of(error.problem, retryable=isinstance(error, UnavailableProblem)) from error
