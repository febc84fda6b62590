"""What benchmarks run on: servers of their own in a temporary folder, every commit on disk, and a worker beside."""

import asyncio
import dataclasses
import itertools
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.converter import DataConverter
from temporalio.service import GrpcCompression
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.calls import ACTIVITIES, DEFINITIONS, FLOW_INPUT, register_calls
from benchmarks.figures import percentile
from benchmarks.hand_coded import WORKFLOWS
from domain.dsl.definition import Definition
from domain.dsl.library import LIBRARY
from domain.dsl.program import Program
from runtime.embedded import EmbeddedTemporal
from runtime.payload_codecs import TandemCodec
from services.orchestrator import Orchestrator
from worker import CACHED_RUNS, POLLERS
from workflows.flow import FlowWorkflow
from workflows.messages import FLOWS_QUEUE, REVISION, DefinitionRef, FlowStart
from workflows.payloads import TandemPayloadConverter

_DEADLINE_S = 60.0
_KEYRING = {"bench": bytes(range(32))}
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Load:
    """What a bounded load showed. Times in milliseconds, from the start's request to the result's arrival."""

    per_second: float
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Kind:
    """A workflow to start: `flow` is its type, `definition` what its start names."""

    flow: str
    definition: Definition

    @classmethod
    def interpreted(cls, definition: Definition) -> "Kind":
        """The flow that the definition describes."""
        return cls(f"{definition.namespace}/{definition.name}", definition)


def flow_start(kind: Kind, number: int = 0) -> FlowStart:
    """The message that starts a run, as `services.run_starts` builds it."""
    namespace, _, name = kind.flow.partition("/")
    subject = f"customer:{number}"
    digest, version = kind.definition.digest, kind.definition.version
    ref = DefinitionRef(digest)
    return FlowStart(ref, namespace, name, version, FLOW_INPUT, subject, [subject], revision=REVISION)


async def connect(address: str) -> Client:
    """A client set as the product's is: encrypted payloads, definitions by digest, no compression on the wire."""

    async def fetch(digest: str) -> Program:
        definition = DEFINITIONS[digest]
        return Program(definition.flow, definition.data)

    converter = dataclasses.replace(
        DataConverter.default,
        payload_converter_class=TandemPayloadConverter,
        payload_codec=TandemCodec(_KEYRING, fetch, LIBRARY),
    )
    return await Client.connect(address, data_converter=converter, grpc_compression=GrpcCompression.NONE)


def make_worker(client: Client) -> Worker:
    """A worker set as the product's is, for interpreted and hand-coded flows alike."""
    register_calls()
    return Worker(
        client,
        task_queue=FLOWS_QUEUE,
        workflows=[FlowWorkflow, *WORKFLOWS],
        activities=ACTIVITIES,
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=CACHED_RUNS,
        max_concurrent_workflow_task_polls=POLLERS,
    )


class Stage:
    """A Temporal server and a client; in `open_stage` the client's process also works."""

    def __init__(self, server: EmbeddedTemporal, client: Client) -> None:
        self.server = server
        self.client = client
        self._orchestrator = Orchestrator(client, deadline_s=_DEADLINE_S)

    async def start(self, kind: Kind) -> WorkflowHandle[Any, Any]:
        """Start one run under a fresh id, as the product starts runs."""
        number = next(_numbers)
        run_id = f"bench-{os.getpid()}-{number}"
        start = flow_start(kind, number)
        await self._orchestrator.start_flow(run_id, start)
        return self.client.get_workflow_handle(run_id)

    async def load(self, kind: Kind, count: int, *, in_flight: int = 50) -> Load:
        """So many runs, at most `in_flight` at a time."""
        left = iter(range(count))
        times: list[float] = []

        async def caller() -> None:
            for _ in left:
                begun = time.perf_counter()
                handle = await self.start(kind)
                await handle.result()
                times.append((time.perf_counter() - begun) * 1000)

        begun = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(min(in_flight, count))))
        return Load(count / (time.perf_counter() - begun), percentile(times, 0.5), percentile(times, 0.95))


@asynccontextmanager
async def open_stage(server: EmbeddedTemporal) -> AsyncIterator[Stage]:
    """A worker for the flows queue, in this process."""
    client = await connect(server.address)
    async with make_worker(client):
        yield Stage(server, client)
