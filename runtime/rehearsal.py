"""A flow on a real Temporal server without a database: what a run asks of Tandem is kept in memory, to be looked at.

Serves `tandem flow run --host temporal` and the tests of workflows.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from domain.catalog import CATALOG
from domain.dsl.definition import Definition, parse_definition
from domain.dsl.dry_run import no_such_flow
from domain.dsl.library import LIBRARY, ProgramLibrary
from domain.dsl.program import Program
from domain.problems import ProblemError, UnavailableProblem
from runtime.payload_codecs import data_converter
from workflows import labels, messages
from workflows.failures import failure_of
from workflows.flow import FlowWorkflow

_KEYRING = {"rehearsal": bytes(32)}
SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules("domain", "workflows", "jsonschema", "purejq")
)
"""Finds non-deterministic calls in our own workflow code."""


Answer = Callable[[messages.CallEnvelope], Any]
Obstacle = Callable[[Any], Awaitable[None]]


class Rehearsal:
    """What the inner activities of the runs it started saw, and of their children.

    A run of before `forget` may still be coming to its end: it is answered, and nothing of it is kept.

    Calls answer with the example of their declaration; `answers` overrides that by name and may raise ProblemError.
    `obstacles` are awaited before the inner activity of a name does its work, with its message; they may raise, too.
    """

    def __init__(
        self, client: Client, library: ProgramLibrary = LIBRARY, keyring: Mapping[str, bytes] = _KEYRING
    ) -> None:
        self.definitions: dict[str, Definition] = {}
        self.reports: list[messages.RunReport] = []
        self.opened: list[messages.OpenHumanTask] = []
        self.closed: list[messages.CloseHumanTask] = []
        self.completed: list[messages.CompleteHumanTask] = []
        self.published: list[dict[str, Any]] = []
        self.calls: list[messages.CallEnvelope] = []
        self.answers: dict[str, Answer] = {}
        self.obstacles: dict[str, Obstacle] = {}
        self._started: set[str] = set()
        self.queue = "flows"
        config = client.config()
        config["data_converter"] = data_converter(keyring, self._fetch, library)
        self.client = Client(**config)

    def forget(self) -> None:
        """Forget what was seen and take every answer and obstacle away; definitions stay."""
        for seen in (self.reports, self.opened, self.closed, self.completed, self.published, self.calls):
            seen.clear()
        self._started.clear()
        self.answers.clear()
        self.obstacles.clear()

    def know(self, text: str) -> Definition:
        """Keep a definition, so that it can be started and run as a child."""
        definition = parse_definition(text)
        self.definitions[definition.digest] = definition
        return definition

    async def start(
        self,
        text: str,
        run_id: str,
        flow_input: Any = None,
        *,
        subject: str = "case:1",
        task_timeout: timedelta | None = None,
        **more: Any,
    ) -> WorkflowHandle[Any, Any]:
        """Start a run of a definition; `more` are further members of its `FlowStart`."""
        definition = self.know(text)
        self._started.add(run_id)
        start = messages.FlowStart(
            messages.DefinitionRef(definition.digest),
            definition.namespace,
            definition.name,
            definition.version,
            flow_input,
            subject,
            [subject],
            **({"revision": messages.REVISION} | more),
        )
        return await self.client.start_workflow(
            labels.flow_name(start),
            start,
            id=run_id,
            task_queue=self.queue,
            task_timeout=task_timeout,
            search_attributes=labels.search_attributes(start),
            memo=labels.memo(start),
        )

    @asynccontextmanager
    async def worker(self, runner: WorkflowRunner = SANDBOX, **options: Any) -> AsyncIterator[Worker]:
        """A worker that serves every queue of the catalog."""
        queues = {call.queue for call in CATALOG.values()} - {self.queue}
        workers = [
            Worker(
                self.client,
                task_queue=self.queue,
                workflows=[FlowWorkflow],
                activities=self._activities(),
                workflow_runner=runner,
                **options,
            ),
            *(Worker(self.client, task_queue=queue, activities=self._calls()) for queue in sorted(queues)),
        ]
        runs = [asyncio.create_task(worker.run()) for worker in workers]
        try:
            yield workers[0]
        finally:
            await asyncio.gather(*(worker.shutdown() for worker in workers))
            await asyncio.gather(*runs)

    def replayer(self, runner: WorkflowRunner = SANDBOX) -> Replayer:
        """What replays histories of runs of the definitions it knows."""
        return Replayer(workflows=[FlowWorkflow], data_converter=self.client.data_converter, workflow_runner=runner)

    async def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        """Return when the condition holds; raises TimeoutError after real seconds."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - the condition is the caller's
                await asyncio.sleep(0.01)

    async def _fetch(self, digest: str) -> Program:
        definition = self.definitions[digest]
        return Program(definition.flow, definition.data)

    def _activities(self) -> Sequence[Callable[..., Any]]:
        @activity.defn(name=messages.REPORT_RUN_ACTIVITY)
        async def report(message: messages.RunReport) -> None:
            await self._meet_obstacle(messages.REPORT_RUN_ACTIVITY, message)
            self._keep(self.reports, message)

        @activity.defn(name=messages.OPEN_HUMAN_TASK_ACTIVITY)
        async def open_human_task(message: messages.OpenHumanTask) -> None:
            await self._meet_obstacle(messages.OPEN_HUMAN_TASK_ACTIVITY, message)
            if message.task_id not in [task.task_id for task in self.opened]:
                self._keep(self.opened, message)

        @activity.defn(name=messages.CLOSE_HUMAN_TASK_ACTIVITY)
        async def close_human_task(message: messages.CloseHumanTask) -> None:
            await self._meet_obstacle(messages.CLOSE_HUMAN_TASK_ACTIVITY, message)
            self._keep(self.closed, message)

        @activity.defn(name=messages.COMPLETE_HUMAN_TASK_ACTIVITY)
        async def complete_human_task(message: messages.CompleteHumanTask) -> messages.HumanTaskReceipt:
            await self._meet_obstacle(messages.COMPLETE_HUMAN_TASK_ACTIVITY, message)
            self._keep(self.completed, message)
            return messages.HumanTaskReceipt(message.task_id, message.version + 1, "2026-01-01T00:00:00.000Z")

        @activity.defn(name=messages.PUBLISH_EVENTS_ACTIVITY)
        async def publish(message: messages.PublishEvents) -> None:
            await self._meet_obstacle(messages.PUBLISH_EVENTS_ACTIVITY, message)
            self._keep(self.published, *message.events)

        @activity.defn(name=messages.RESOLVE_FLOW_ACTIVITY)
        async def resolve(message: messages.ResolveFlow) -> messages.ResolvedFlow:
            await self._meet_obstacle(messages.RESOLVE_FLOW_ACTIVITY, message)
            for digest, definition in self.definitions.items():
                same = (definition.namespace, definition.name) == (message.namespace, message.name)
                if same and message.version in ("latest", definition.version):
                    return messages.ResolvedFlow(messages.DefinitionRef(digest), definition.version)
            missing = no_such_flow(message.namespace, message.name, message.version)
            raise failure_of(missing.problem, retryable=False)

        return [report, open_human_task, close_human_task, complete_human_task, publish, resolve, *self._calls()]

    def _keep(self, kept: list[Any], *seen: Any) -> None:
        """Inside an activity: keep what it was given, if a run of this stage asked for it."""
        asking = f"{activity.info().workflow_id}/"
        if any(asking.startswith(f"{run_id}/") for run_id in self._started):
            kept.extend(seen)

    async def _meet_obstacle(self, name: str, message: Any) -> None:
        obstacle = self.obstacles.get(name)
        try:
            if obstacle is not None:
                await obstacle(message)
        except ProblemError as error:
            raise failure_of(error.problem, retryable=isinstance(error, UnavailableProblem)) from error

    def _calls(self) -> list[Callable[..., Any]]:
        return [self._call(name) for name, call in CATALOG.items() if call.kind != "flow"]

    def _call(self, name: str) -> Callable[..., Any]:
        @activity.defn(name=name)
        async def perform(envelope: messages.CallEnvelope) -> Any:
            self._keep(self.calls, envelope)
            answer = self.answers.get(name)
            try:
                return dict(CATALOG[name].example) if answer is None else await asyncio.to_thread(answer, envelope)
            except ProblemError as error:
                raise failure_of(error.problem, retryable=bool(error.problem.as_dict().get("retryable"))) from error

        return perform
