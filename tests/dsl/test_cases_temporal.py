"""Every case of the language on Temporal: the sandboxed workflow on the time-skipping server."""

import asyncio
import contextlib
from functools import partial
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from domain.dsl.dry_run import HUMAN_TASK_COMPLETED
from domain.ids import derived_id
from runtime.rehearsal import Rehearsal
from tests.dsl.case import Answers, Case, all_cases, check
from workflows import messages


async def _deliver(
    case: Case, handle: WorkflowHandle[Any, Any], stage: Rehearsal, environment: WorkflowEnvironment
) -> None:
    passed = 0.0
    for number, event in enumerate(case.events):
        await environment.sleep(event["after"] - passed)
        passed = event["after"]
        envelope = {"id": str(number), "source": "/case", **{key: event[key] for key in event if key != "after"}}
        if event["type"] == HUMAN_TASK_COMPLETED:
            name = event["data"]["task"]
            await stage.until(partial(_is_open, stage, name))
            task = next(task for task in stage.opened if task.name == name)
            command = messages.CompleteHumanTask(task.task_id, event["data"]["form"], "agent", 1, f"key-{number}")
            await handle.execute_update(messages.COMPLETE_HUMAN_TASK_UPDATE, command)
        else:
            with contextlib.suppress(RPCError):  # the run is over: nobody listens any more
                await handle.signal(messages.EVENT_SIGNAL, messages.Events([envelope]))


def _is_open(stage: Rehearsal, name: str) -> bool:
    return name in [task.name for task in stage.opened]


@pytest.fixture(scope="module")
async def stage(time_skipping: WorkflowEnvironment) -> Any:
    stage = Rehearsal(time_skipping.client)
    async with stage.worker():
        yield stage


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
async def test_case_ends_as_it_says(case: Case, stage: Rehearsal, time_skipping: WorkflowEnvironment) -> None:
    stage.calls.clear()
    stage.published.clear()
    stage.opened.clear()
    stage.reports.clear()
    answers = Answers(case)
    stage.answers = dict.fromkeys(case.answers, lambda envelope: answers.of(envelope.call))
    for text in case.other_texts:
        stage.know(text)
    run_id = f"case/{derived_id(case.name)}"
    with time_skipping.auto_time_skipping_disabled() if case.events else contextlib.nullcontext():
        handle = await stage.start(case.text, run_id, case.input)
        if case.events:
            await _deliver(case, handle, stage, time_skipping)
    status, output = "completed", None
    try:
        output = await asyncio.wait_for(handle.result(), 30)
    except WorkflowFailureError:
        status = "faulted"
    report = next(each for each in reversed(stage.reports) if each.run_id == run_id)
    assert report.phase == status
    check(case, status, output, report.error, report.tasks)
    if case.called is not None:
        assert [call.call for call in stage.calls] == case.called
    if case.calls is not None:
        assert [{"call": call.call, "arguments": call.arguments} for call in stage.calls] == case.calls
    if case.emitted is not None:
        assert [event["type"] for event in stage.published] == case.emitted
    await stage.replayer().replay_workflow(await handle.fetch_history())
    if case.took is not None:
        description = await handle.describe()
        assert description.close_time is not None
        virtual_s = (description.close_time - description.start_time).total_seconds()
        assert virtual_s == pytest.approx(case.took, abs=3)
