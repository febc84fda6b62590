"""The same flows written by hand for Temporal: what the interpreter is compared with.

They make the same calls with the same envelopes and options, and tell the read model of their end, as any flow of
Tandem must; they have no journal, no suspend, no continue-as-new, no retry from a failed step.
"""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy

from benchmarks.calls import INSIDE, OUTSIDE
from domain.events import rfc3339
from workflows import messages

BARE_UPDATE = "bench/bare-update"
HAND_CODED_INSIDE = "bench/hand-coded-inside"
HAND_CODED_OUTSIDE = "bench/hand-coded-outside"
HAND_CODED_WAITING = "bench/hand-coded-waiting"
ECHO = "bench.echo"
EMPTY = "bench/empty"


@workflow.defn(name=EMPTY)
class EmptyWorkflow:
    """The floor: nothing but a start and an end."""

    @workflow.run
    async def run(self, start: messages.FlowStart) -> Any:
        return start.input


@workflow.defn(name=BARE_UPDATE)
class BareUpdate:
    """The floor of a human task: an update whose answer is an activity's."""

    def __init__(self) -> None:
        self._over = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._over)

    @workflow.update
    async def complete(self, form: dict[str, Any]) -> dict[str, Any]:
        answer = await workflow.execute_activity(ECHO, form, start_to_close_timeout=timedelta(seconds=5))
        self._over = True
        return dict(answer)


@workflow.defn(name=HAND_CODED_INSIDE)
class HandCodedInside:
    """Three inner steps and the report."""

    @workflow.run
    async def run(self, start: messages.FlowStart) -> Any:
        first = await _inside("first", start.input["order"]["id"], start)
        await _inside("second", first["text"], start)
        output = await _inside("third", start.input["customer"], start)
        await _report(output)
        return output


@workflow.defn(name=HAND_CODED_OUTSIDE)
class HandCodedOutside:
    """Three outside steps and the report."""

    @workflow.run
    async def run(self, start: messages.FlowStart) -> Any:
        first = await _outside("first", start.input["order"]["id"], start)
        await _outside("second", first["text"], start)
        output = await _outside("third", start.input["customer"], start)
        await _report(output)
        return output


@workflow.defn(name=HAND_CODED_WAITING)
class HandCodedWaiting:
    """A bare timer."""

    @workflow.run
    async def run(self, start: messages.FlowStart) -> Any:
        await asyncio.sleep(30 * 86_400)
        return start.input


async def _inside(name: str, text: str, start: messages.FlowStart) -> Any:
    return await workflow.execute_local_activity(
        INSIDE.name,
        _envelope(INSIDE.name, name, text, start),
        start_to_close_timeout=timedelta(seconds=INSIDE.timeout_s),
        schedule_to_close_timeout=timedelta(seconds=INSIDE.deadline_s),
        retry_policy=RetryPolicy(maximum_attempts=INSIDE.retry.attempts),
        summary=name,
    )


async def _outside(name: str, text: str, start: messages.FlowStart) -> Any:
    return await workflow.execute_activity(
        OUTSIDE.name,
        _envelope(OUTSIDE.name, name, text, start),
        task_queue=OUTSIDE.queue,
        start_to_close_timeout=timedelta(seconds=OUTSIDE.timeout_s),
        schedule_to_close_timeout=timedelta(seconds=OUTSIDE.deadline_s),
        retry_policy=RetryPolicy(maximum_attempts=OUTSIDE.retry.attempts),
        summary=name,
        priority=Priority(fairness_key=f"{start.namespace}/{start.name}"),
    )


def _envelope(call: str, name: str, text: str, start: messages.FlowStart) -> messages.CallEnvelope:
    run_id = workflow.info().workflow_id
    return messages.CallEnvelope(call, {"text": text}, f"{run_id}/{name}", run_id, f"/do/{name}", start.subject)


async def _report(output: Any) -> None:
    await workflow.execute_local_activity(
        messages.REPORT_RUN_ACTIVITY,
        messages.RunReport(workflow.info().workflow_id, "completed", rfc3339(workflow.now()), output=output),
        start_to_close_timeout=timedelta(seconds=10),
        schedule_to_close_timeout=timedelta(days=7),
    )


WORKFLOWS = (EmptyWorkflow, HandCodedInside, HandCodedOutside, HandCodedWaiting)
