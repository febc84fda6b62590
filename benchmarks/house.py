"""Tandem as it is deployed: PostgreSQL and Temporal with every commit on disk, the API and a worker as processes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.runs import RunActivities
from benchmarks.calls import DEFINITIONS, inside, outside, register_calls
from benchmarks.figures import percentile
from benchmarks.stage import Load
from domain.access import Role, Scope, system_actor
from domain.accounts import NewAccount
from domain.people import NewUser
from runtime.application import Application
from runtime.child import ChildProcess
from runtime.configuration import with_addresses, with_secrets
from runtime.embedded import EmbeddedPostgres, EmbeddedTemporal
from runtime.health import Polling, answers
from runtime.logging import LogContextInterceptor
from runtime.ports import free_port
from runtime.settings import Settings
from services.definition_sources import SourceText
from storage.migrations import upgrade
from worker import CACHED_RUNS, POLLERS
from workflows.flow import FlowWorkflow
from workflows.messages import FLOWS_QUEUE

ACTOR = system_actor("benchmarks")
AGENT = "agent"
SHOP, SHOP_CLIENT, SHOP_SECRET, SHOP_ID = "demo", "app-1", "a secret of the benchmarks", 4242
_NO_LIMIT = "999999/second"
INSPECTION = """\
document:
  dsl: '1.0.3'
  namespace: bench
  name: inspection
  version: '1.0.0'
do:
  - inspect:
      call: human-task
      with:
        queue: warehouse
        title: ${ "Inspect " + .order.id }
        assignee: agent
        form:
          type: object
          required: [grade]
          properties:
            grade: { type: string, enum: [A, B, C] }
        data:
          order: ${ .order }
  - decide:
      switch:
        - good:
            when: .grade == "A"
            then: end
        - other:
            then: end
"""


@dataclass(frozen=True, slots=True)
class House:
    """The running servers, the services over them, and the API's client signed in as an agent who is an admin too."""

    settings: Settings
    application: Application
    api: httpx.AsyncClient


@asynccontextmanager
async def open_house(directory: Path) -> AsyncIterator[House]:
    """Servers and services, definitions published; neither API nor worker runs yet."""
    register_calls()
    settings = Settings(
        _env_file=None,
        data_dir=directory,
        api_port=free_port(),
        log_level="warning",
        api_caller_rate=_NO_LIMIT,
        api_address_rate=_NO_LIMIT,
        api_webhook_rate=_NO_LIMIT,
    )
    settings = with_secrets(settings, generate=True)
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(EmbeddedPostgres(directory / "postgres", durable=True))
        temporal = await stack.enter_async_context(EmbeddedTemporal(directory / "temporal", durable=True))
        await asyncio.to_thread(upgrade, postgres.url())
        settings = with_addresses(settings, postgres.url(), temporal.address)
        application = await Application.connect(settings)
        stack.push_async_callback(application.close)
        await _furnish(application)
        token = await application.access.issue_token(ACTOR, "benchmarks", login=AGENT)
        api = httpx.AsyncClient(
            base_url=settings.api_url,
            headers={"Authorization": f"Bearer {token.text}"},
            timeout=30,
            trust_env=False,
        )
        yield House(settings, application, await stack.enter_async_context(api))


async def _furnish(application: Application) -> None:
    roles = frozenset({Role.ADMIN, Role.AGENT, Role.OPS})
    user = NewUser(login=AGENT, name="Agent", roles=roles, scope=Scope.everything(), queues=frozenset({"warehouse"}))
    await application.people.create(ACTOR, user)
    shop = NewAccount(
        platform="youzan",
        slug=SHOP,
        name=SHOP,
        credentials={"client_secret": SHOP_SECRET},
        settings={"client_id": SHOP_CLIENT, "kdt_id": SHOP_ID},
    )
    await application.accounts.connect(ACTOR, shop)
    texts = ["queue:\n  name: warehouse\n  title: { zh: 仓库, en: Warehouse }\n", INSPECTION]
    texts += [definition.text for definition in DEFINITIONS.values()]
    sources = [SourceText(f"{number}.yaml", text) for number, text in enumerate(texts)]
    for uploaded in await application.definitions.upload(ACTOR, sources):
        version = uploaded.version
        await application.definitions.publish(ACTOR, (version.kind, version.namespace, version.name, version.version))
        if version.kind == "flow":
            await application.releases.release(ACTOR, version.namespace, version.name, version.version, 100)


@asynccontextmanager
async def worker_beside(house: House) -> AsyncIterator[None]:
    """A worker in this process for flows: the product's own activities for runs, and the calls to measure with."""
    application = house.application
    runs = RunActivities(application.run_reports, application.human_task_steps, application.events, application.runs)
    async with Worker(
        application.client,
        task_queue=FLOWS_QUEUE,
        workflows=[FlowWorkflow],
        activities=[*runs.all, inside, outside],
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[LogContextInterceptor()],
        max_cached_workflows=CACHED_RUNS,
        max_concurrent_workflow_task_polls=POLLERS,
    ):
        yield


@asynccontextmanager
async def processes(house: House) -> AsyncIterator[None]:
    """The API and a worker, each a process of its own, as `tandem up` starts them."""
    settings = house.settings

    def child(name: str, check: Callable[[ChildProcess], Awaitable[bool]]) -> ChildProcess:
        log_file = settings.logs_dir / f"{name}.log"
        return ChildProcess(name, [name], environment=settings.environment(), log_file=log_file, check=check)

    polling = Polling(settings)
    async with AsyncExitStack() as stack:
        for process in (child("api", answers(f"{settings.api_url}/healthz")), child("worker", polling)):
            await stack.enter_async_context(process)
        yield


async def load(work: Callable[[int], Awaitable[None]], count: int, in_flight: int, *, think_s: float = 0.0) -> Load:
    """So many calls of `work`, each with its number, at most `in_flight` at a time; a caller thinks after each."""
    numbers = iter(range(count))
    times: list[float] = []

    async def caller() -> None:
        for number in numbers:
            begun = time.perf_counter()
            await work(number)
            times.append((time.perf_counter() - begun) * 1_000)
            await asyncio.sleep(think_s)

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(min(in_flight, count))))
    return Load(count / (time.perf_counter() - begun), percentile(times, 0.5), percentile(times, 0.95))
