"""`tandem flow run --host temporal`: the run on a real Temporal server of its own, its time skipped."""

import asyncio
import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper, TimeSkippingConfig
from temporalio.worker import UnsandboxedWorkflowRunner

from domain.catalog import CATALOG
from domain.catalog.web import WEB_CALLS
from domain.dsl.definition import Definition
from domain.dsl.dry_run import (
    HUMAN_TASK_COMPLETED,
    HUMAN_TASK_FAILED,
    Perform,
    RunResult,
    Status,
    TimedEvent,
    waits_for_ever,
)
from domain.dsl.durations import LONGEST
from domain.dsl.host import CallRequest, TaskSite
from runtime.embedded import EmbeddedTemporal
from runtime.rehearsal import Answer, Rehearsal
from workflows import messages

RUN_ID = "flow-run"
MOST_SKIPS = 100_000
_PATIENCE_S = 30
_ENDED: dict[str, Status] = {"completed": "completed", "faulted": "faulted", "cancelled": "cancelled"}


async def run_on_temporal(
    definitions: Sequence[Definition],
    flow_input: Any,
    events: Sequence[TimedEvent],
    secrets: dict[str, tuple[str, ...] | None],
    perform: Perform,
) -> RunResult:
    """The run of the first definition to its end; the others are there to be its children."""
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedTemporal(Path(folder), durable=False, time_skipping=True) as server:
            rehearsal = Rehearsal(await server.client())
            rehearsal.answers = {call.name: _answer(call.name, perform) for call in WEB_CALLS}
            for definition in definitions:
                rehearsal.know(definition.text)
            async with rehearsal.worker(UnsandboxedWorkflowRunner()):
                handle = await rehearsal.start(
                    definitions[0].text,
                    RUN_ID,
                    flow_input,
                    secrets={name: None if members is None else list(members) for name, members in secrets.items()},
                )
                skipper = TimeSkipper(rehearsal.client, config=TimeSkippingConfig(max_session_skip_count=MOST_SKIPS))
                given_up = False
                try:
                    given_up = await _play(events, handle, rehearsal, skipper)
                except RPCError as error:
                    if error.status is not RPCStatusCode.NOT_FOUND:  # not found: the run is over already
                        raise
                result = await _result(handle, rehearsal)
                if not given_up:
                    return result
                return replace(result, status="faulted", error=waits_for_ever().problem.as_dict())


async def _play(
    events: Sequence[TimedEvent], handle: WorkflowHandle[Any, Any], rehearsal: Rehearsal, skipper: TimeSkipper
) -> bool:
    """Let time pass and events happen until the run is over; True when it would wait for ever and was cancelled."""
    passed = timedelta()
    for timed in sorted(events, key=lambda timed: timed.after):
        await _settled(handle)
        if timed.after > passed and not await skipper.fast_forward(handle, timed.after - passed):
            return False
        passed = timed.after
        if timed.event.type in (HUMAN_TASK_COMPLETED, HUMAN_TASK_FAILED):
            await _end_human_task(timed, handle, rehearsal)
        else:
            await handle.signal(messages.EVENT_SIGNAL, messages.Events([timed.event.envelope()]))
    await _settled(handle)
    waits = await skipper.fast_forward(handle, LONGEST)
    if waits:
        await handle.cancel()
    return waits


async def _settled(handle: WorkflowHandle[Any, Any]) -> None:
    """Return once the run has nothing in hand: the server lets time pass over what a worker is just doing."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                # Answered after what the worker got before the question.
                standing = await handle.query(messages.PROGRESS_QUERY, result_type=messages.Progress)
                if standing.phase != "running":
                    return
                await asyncio.sleep(0.02)


async def _end_human_task(timed: TimedEvent, handle: WorkflowHandle[Any, Any], rehearsal: Rehearsal) -> None:
    said = timed.event.data or {}
    wanted = said.get("task")

    def opened() -> list[messages.OpenHumanTask]:
        done = {task.task_id for task in rehearsal.completed}
        return [task for task in rehearsal.opened if wanted in (task.name, task.task_id) and task.task_id not in done]

    await _settled(handle)
    for task in opened()[-1:]:
        outcome: Literal["completed", "failed"] = "failed" if timed.event.type == HUMAN_TASK_FAILED else "completed"
        command = messages.CompleteHumanTask(
            task.task_id, said.get("form", {}), "tandem", 1, timed.event.id, outcome, said.get("comment")
        )
        await handle.execute_update(messages.COMPLETE_HUMAN_TASK_UPDATE, command)


async def _result(handle: WorkflowHandle[Any, Any], rehearsal: Rehearsal) -> RunResult:
    output = None
    with contextlib.suppress(WorkflowFailureError):
        output = await handle.result()
    await rehearsal.until(lambda: bool(rehearsal.reports) and rehearsal.reports[-1].phase in _ENDED)
    report = next(report for report in reversed(rehearsal.reports) if report.run_id == RUN_ID)
    return RunResult(_ENDED[report.phase], output, report.error, report.tasks, emitted=rehearsal.published)


def _answer(name: str, perform: Perform) -> Answer:
    def answer(envelope: messages.CallEnvelope) -> Any:
        site = TaskSite(name, envelope.reference, envelope.idempotency_key)
        return perform(CallRequest(CATALOG[name], envelope.arguments, site, envelope.idempotency_key))

    return answer
