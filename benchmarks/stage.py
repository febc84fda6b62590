"""What benchmarks run on: servers of their own in a temporary folder, every commit on disk, and a worker beside them."""

import asyncio
import dataclasses
import itertools
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.converter import DataConverter
from temporalio.service import GrpcCompression
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.calls import ACTIVITIES, FLOW_INPUT, INSIDE, OUTSIDE, WAITING, register_calls, three_steps
from benchmarks.figures import percentile
from benchmarks.hand_coded import WORKFLOWS
from domain.dsl.definition import Definition
from domain.dsl.library import LIBRARY
from domain.dsl.program import Program
from runtime.embedded import EmbeddedTemporal
from runtime.payload_codecs import TandemCodec
from workflows.flow import FlowWorkflow
from workflows.messages import FLOWS_QUEUE, DefinitionRef, FlowStart
from workflows.payloads import TandemPayloadConverter

POLLERS = 20
_KEYRING = {"bench": bytes(range(32))}
_numbers = itertools.count(1)

INTERPRETED_INSIDE = three_steps(INSIDE)
INTERPRETED_OUTSIDE = three_steps(OUTSIDE)
DEFINITIONS: Mapping[str, Definition] = {
    definition.digest: definition for definition in (INTERPRETED_INSIDE, INTERPRETED_OUTSIDE, WAITING)
}


@dataclass(frozen=True, slots=True)
class Load:
    """What a bounded load showed. Times in milliseconds, from the start's request to the result's arrival."""

    per_second: float
    p50_ms: float
    p95_ms: float


def flow_type(definition: Definition) -> str:
    return f"{definition.namespace}/{definition.name}"


def flow_start(definition: Definition, number: int = 0) -> FlowStart:
    """The message that starts a run of a definition, as `services.run_starts` builds it."""
    subject = f"customer:{number}"
    return FlowStart(
        DefinitionRef(definition.digest),
        definition.namespace,
        definition.name,
        definition.version,
        FLOW_INPUT,
        subject,
        [subject],
    )


async def connect(address: str) -> Client:
    """A client set as the product's is: encrypted payloads, definitions by digest, no compression."""

    async def fetch(digest: str) -> Program:
        definition = DEFINITIONS[digest]
        return Program(definition.flow, definition.data)

    converter = dataclasses.replace(
        DataConverter.default,
        payload_converter_class=TandemPayloadConverter,
        payload_codec=TandemCodec(_KEYRING, fetch, LIBRARY),
    )
    return await Client.connect(address, data_converter=converter, grpc_compression=GrpcCompression.NONE)


def make_worker(client: Client, queue: str = FLOWS_QUEUE) -> Worker:
    """A worker set as the product's is, for interpreted and hand-coded flows alike."""
    register_calls()
    return Worker(
        client,
        task_queue=queue,
        workflows=[FlowWorkflow, *WORKFLOWS],
        activities=ACTIVITIES,
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_task_polls=POLLERS,
    )


@dataclass
class Stage:
    """A Temporal server, and a client whose process also works."""

    server: EmbeddedTemporal
    client: Client

    async def start(
        self, workflow_type: str, definition: Definition, *, eager: bool = False, queue: str = FLOWS_QUEUE
    ) -> WorkflowHandle[Any, Any]:
        """Start one run under a fresh id."""
        number = next(_numbers)
        return await self.client.start_workflow(
            workflow_type,
            flow_start(definition, number),
            id=f"bench-{os.getpid()}-{number}",
            task_queue=queue,
            request_eager_start=eager,
        )

    async def load(
        self, workflow_type: str, definition: Definition, count: int, *, in_flight: int = 50, eager: bool = False
    ) -> Load:
        """So many runs, at most `in_flight` at a time."""
        left = iter(range(count))
        times: list[float] = []

        async def caller() -> None:
            for _ in left:
                begun = time.perf_counter()
                handle = await self.start(workflow_type, definition, eager=eager)
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
