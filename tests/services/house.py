"""The business core as a whole: every service over a real database and a real Temporal, and a worker on demand."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.runs import RunActivities
from connectors.loading import load_connectors
from domain.access import Actor, Scope
from domain.calls import Catalog
from domain.catalog import CATALOG
from domain.dsl.definition import parse_definition
from domain.dsl.library import LIBRARY
from domain.dsl.program import Program
from domain.events import Event
from domain.runs import Run
from runtime.payload_codecs import TandemCodec
from services.bill_schedules import BillSchedules
from services.definition_sources import SourceText
from services.definitions import DefinitionService, Uploaded
from services.event_dispatch import EventDispatcher
from services.events import EventService
from services.human_task_steps import HumanTaskSteps
from services.human_tasks import HumanTaskService
from services.orchestrator import Orchestrator
from services.pull_schedules import PullSchedules
from services.release_book import ReleaseBook
from services.releases import ReleaseService
from services.run_reports import RunReports
from services.run_starts import RunStarter
from services.runs import RunService
from services.schedules import ScheduleService
from services.unreconciled import Unreconciled
from storage.definitions import Definitions
from storage.engine import Database
from storage.events import Events
from storage.paging import PageRequest
from storage.runs import RunFilter, Runs
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from workflows.flow import FlowWorkflow
from workflows.housekeeping import StartScheduledRunWorkflow
from workflows.messages import FLOWS_QUEUE
from workflows.payloads import TandemPayloadConverter

ADMIN = an_actor("root")

Answer = TypeVar("Answer")


class House:
    """deadline_s: how long services wait for Temporal."""

    def __init__(self, database: Database, client: Client, *, deadline_s: float = 6.0) -> None:
        self.database = database
        config = client.config()
        config["data_converter"] = dataclasses.replace(
            DataConverter.default,
            payload_converter_class=TandemPayloadConverter,
            payload_codec=TandemCodec({"k1": bytes(32)}, self._fetch, LIBRARY),
        )
        self.client = Client(**config)
        self.orchestrator = Orchestrator(self.client, deadline_s=deadline_s)
        self.book = ReleaseBook()
        self.starter = RunStarter(database, self.orchestrator, self.book)
        self.definitions = DefinitionService(database)
        self.schedules = ScheduleService(database, self.client, self.book)
        self.pull_schedules = PullSchedules(database, client, load_connectors(Catalog()))
        self.bill_schedules = BillSchedules(database, client, load_connectors(Catalog()))
        self.unreconciled = Unreconciled(database, load_connectors(Catalog()))
        self.releases = ReleaseService(database, self.schedules.sync)
        self.masking = CATALOG.masking()
        self.runs = RunService(database, self.orchestrator, self.starter, self.masking)
        self.reports = RunReports(database, self.orchestrator, self.starter)
        self.events = EventService(database)
        self.dispatcher = EventDispatcher(database, self.orchestrator, self.starter)
        self.human_tasks = HumanTaskService(database, self.orchestrator, self.masking, completion_deadline_s=deadline_s)
        self.steps = HumanTaskSteps(database)

    async def upload(self, *texts: str, actor: Actor = ADMIN) -> list[Uploaded]:
        return await self.definitions.upload(
            actor, [SourceText(f"file-{number}.yaml", text) for number, text in enumerate(texts)]
        )

    async def publish(self, *texts: str, release: bool = True) -> None:
        """Upload and publish definitions, and release the flows among them to everybody."""
        for uploaded in await self.upload(*texts):
            version = uploaded.version
            await self.definitions.publish(ADMIN, (version.kind, version.namespace, version.name, version.version))
            if version.kind == "flow" and release:
                await self.releases.release(ADMIN, version.namespace, version.name, version.version, 100)

    async def tell(self, *events: Event) -> None:
        """Store events as platforms tell them."""
        async with UnitOfWork(self.database) as work:
            await Events(work).add(events)

    async def emit(self, *events: Event) -> None:
        """Tell events and dispatch everything that is due."""
        await self.tell(*events)
        while (await self.dispatcher.drain()).dispatched:
            pass

    @asynccontextmanager
    async def worker(self, *more: Callable[..., Any]) -> AsyncIterator[None]:
        """Runs move on inside this block, and one whose start Temporal put off is started again, as a service does.
        more: activities of calls."""
        activities = RunActivities(self.reports, self.steps, self.events, self.runs)
        async with Worker(
            self.client,
            task_queue=FLOWS_QUEUE,
            workflows=[FlowWorkflow, StartScheduledRunWorkflow],
            activities=[*activities.all, *more],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            sweeping = asyncio.create_task(self._sweep())
            try:
                yield
            finally:
                sweeping.cancel()
                with suppress(asyncio.CancelledError):
                    await sweeping

    async def _sweep(self) -> None:
        while True:
            await self.starter.sweep()
            await asyncio.sleep(0.5)

    async def until(self, run_id: str, *phases: str, seconds: float = 15) -> Run:
        """The recorded run, once it is in one of the phases."""

        async def arrived() -> Run | None:
            run = await self.runs.show(ADMIN, run_id, live=False)
            return run if run.phase in phases else None

        return await eventually(arrived, seconds=seconds)

    async def close(self) -> None:
        """Leave nothing on the shared server that a later test's worker would pick up."""
        async with UnitOfWork(self.database) as work:
            page = await Runs(work).search(RunFilter(), Scope.everything(), PageRequest(size=200))
        for run in page.items:
            found = await self.orchestrator.situation(run.id)
            if found is not None and found.situation == "running":
                await self.client.get_workflow_handle(run.id).terminate("the test is over")

    async def _fetch(self, digest: str) -> Program:
        async with UnitOfWork(self.database) as work:
            text = await Definitions(work).text(digest)
        assert text is not None
        definition = parse_definition(text)
        return Program(definition.flow, definition.data)


async def eventually(look: Callable[[], Awaitable[Answer | None]], *, seconds: float = 15) -> Answer:
    """The first true answer; fails after real seconds."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await look()
            if answer:
                return answer
            await asyncio.sleep(0.03)


def a_flow(name: str, do: str, *, version: str = "1.0.0", head: str = "") -> str:
    """A definition in the namespace `shop`; `do` and `head` are YAML, `do` the items of its list."""
    tasks = "\n".join(f"  {line}" for line in do.strip("\n").splitlines())
    return (
        f"document:\n  dsl: '1.0.3'\n  namespace: shop\n  name: {name}\n  version: '{version}'\n"
        f"{head.strip()}\ndo:\n{tasks}\n"
    )
