"""Calls: retried as declared, timed out, cancelled; and what each step looks like in Temporal; on the real server."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError

from domain.calls import Retry
from domain.catalog import CATALOG
from domain.problems import CommunicationProblem, ProblemError, RateLimitProblem
from runtime.rehearsal import Rehearsal
from tests.workflows.observing import (
    PERSON,
    complete,
    flow,
    form_of,
    history,
    new_id,
    opened,
    order,
    problem_of_run,
    quiet_history,
)
from workflows import labels, messages

READ = "{ call: youzan.get_refund, with: { refund_id: R1 } }"
RAISE = "{ raise: { error: { type: https://x.example/e, status: 418 } } }"
CHILD_STARTED: Final = "child_workflow_execution_started_event_attributes"
CAUGHT = f"- careful: {{ try: [{{ read: {READ} }}], catch: {{ as: e, do: [{{ seen: {{ set: '${{ $e }}' }} }}] }} }}"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The call of these tests with retries and timeouts that a test can wait for."""
    call = dataclasses.replace(
        CATALOG["youzan.get_refund"],
        retry=Retry(attempts=3, initial_s=0.05, ceiling_s=0.1),
        timeout_s=0.5,
        deadline_s=5,
    )
    with monkeypatch.context() as patched:
        patched.setitem(CATALOG._calls, call.name, call)
        yield


def failing(problem: ProblemError, times: int) -> Any:
    left = [problem] * times

    def answer(_envelope: messages.CallEnvelope) -> Any:
        if left:
            raise left.pop()
        return {"refund_id": "R1"}

    return answer


@pytest.mark.usefixtures("quick")
async def test_a_retryable_failure_is_retried_as_declared(stage: Rehearsal) -> None:
    stage.answers["youzan.get_refund"] = failing(CommunicationProblem("busy", retryable=True), 2)
    handle = await stage.start(flow(f"- read: {READ}"), new_id())
    assert await handle.result() == {"refund_id": "R1"}
    assert len(stage.calls) == 3
    assert len({call.idempotency_key for call in stage.calls}) == 1


@pytest.mark.usefixtures("quick")
async def test_when_the_attempts_are_used_up_the_last_problem_reaches_the_flow(stage: Rehearsal) -> None:
    stage.answers["youzan.get_refund"] = failing(RateLimitProblem("slow down", retryable=True), 9)
    handle = await stage.start(flow(f"- read: {READ}"), new_id())
    problem = await problem_of_run(handle)
    assert (problem.type, problem.status, problem.instance) == (RateLimitProblem.type, 429, "/do/0/read")
    assert len(stage.calls) == 3


@pytest.mark.usefixtures("quick")
async def test_a_failure_that_would_be_the_same_next_time_is_not_retried(stage: Rehearsal) -> None:
    stage.answers["youzan.get_refund"] = failing(CommunicationProblem("no such refund", errcode=7), 9)
    seen = await (await stage.start(flow(CAUGHT), new_id())).result()
    assert (seen["detail"], seen["errcode"]) == ("no such refund", 7)
    assert len(stage.calls) == 1


@pytest.mark.usefixtures("quick")
async def test_a_call_that_takes_too_long_is_a_408_that_catch_sees(stage: Rehearsal) -> None:
    loop, release = asyncio.get_running_loop(), asyncio.Event()

    def slow(_envelope: messages.CallEnvelope) -> Any:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(10)

    stage.answers["youzan.get_refund"] = slow
    seen = await (await stage.start(flow(CAUGHT), new_id())).result()
    release.set()
    assert (seen["status"], seen["type"].rpartition("/")[2]) == (408, "timeout")


async def test_steps_are_visible_in_temporal_under_their_names(stage: Rehearsal) -> None:
    text = flow(f"- 查询退款: {READ}\n- 等一等: {{ wait: PT0.05S }}{PERSON}")
    handle = await stage.start(text, new_id())
    await complete(handle, form_of(await opened(stage, "ask"), {}))
    await handle.result()
    converter = stage.client.data_converter
    shown: dict[str, str] = {}
    for event in await history(handle):
        if event.HasField("user_metadata") and event.user_metadata.HasField("summary"):
            summary = (await converter.decode([event.user_metadata.summary]))[0]
            shown[summary] = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
    assert shown == {"查询退款": "ACTIVITY_TASK_SCHEDULED", "等一等": "TIMER_STARTED", "ask": "MARKER_RECORDED"}


async def test_calls_and_children_of_one_flow_share_queues_fairly_with_those_of_others(stage: Rehearsal) -> None:
    stage.know(flow("- done: { set: { ok: true } }", name="fair"))
    run = "{ run: { workflow: { namespace: tests, name: fair, version: latest } } }"
    handle = await stage.start(flow(f"- read: {READ}\n- part: {run}"), new_id())
    await handle.result()
    keys = {}
    for event in await history(handle):
        for name in ("activity_task_scheduled", "start_child_workflow_execution_initiated"):
            attributes = getattr(event, f"{name}_event_attributes")
            if attributes.HasField("priority"):
                keys[name] = attributes.priority.fairness_key
    assert keys == {
        "activity_task_scheduled": "tests/a-flow",
        "start_child_workflow_execution_initiated": "tests/fair",
    }


async def test_a_name_may_be_as_long_as_the_language_allows(stage: Rehearsal) -> None:
    name = "很长的名字" * 40
    text = flow(f"- {name}: {READ}\n- {name}二: {{ wait: PT0.01S }}")
    assert set(await (await stage.start(text, new_id())).result()) >= {"refund_id"}


async def test_a_run_is_found_by_flow_version_subject_and_phase(stage: Rehearsal) -> None:
    handle = await stage.start(flow("- rest: { wait: PT1H }"), new_id(), subject="customer:wecom/7")
    await stage.until(lambda: bool(stage.reports))
    await quiet_history(handle)
    found = (await handle.describe()).typed_search_attributes
    assert (found[labels.FLOW], found[labels.VERSION]) == ("tests/a-flow", "1.0.0")
    assert (list(found[labels.SUBJECT]), found[labels.CUSTOMER]) == (["customer:wecom/7"], "wecom/7")
    assert found[labels.PHASE] == "waiting"
    await order(handle, messages.SUSPEND_UPDATE)
    assert (await handle.describe()).typed_search_attributes[labels.PHASE] == "suspended"
    await order(handle, messages.RESUME_UPDATE)
    assert (await handle.describe()).typed_search_attributes[labels.PHASE] == "waiting"
    await handle.cancel()


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        (flow("- rest: { wait: PT0.01S }"), "completed"),
        (flow(f"- rest: {{ wait: PT0.01S }}\n- fail: {RAISE}"), "faulted"),
        (flow("- rest: { wait: PT1H }"), "cancelled"),
        (flow(f"- fail: {RAISE}"), "running"),
    ],
)
async def test_a_run_that_ever_waited_is_found_by_how_it_ended(text: str, phase: str, stage: Rehearsal) -> None:
    handle = await stage.start(text, new_id())
    if phase == "cancelled":
        await stage.until(lambda: bool(stage.reports))
        await handle.cancel()
    with contextlib.suppress(WorkflowFailureError):
        await handle.result()
    assert (await handle.describe()).typed_search_attributes[labels.PHASE] == phase


async def test_a_child_that_has_ended_is_found_by_how(stage: Rehearsal) -> None:
    stage.know(flow("- rest: { wait: PT0.01S }", name="resting"))
    run = "{ run: { workflow: { namespace: tests, name: resting, version: latest } } }"
    handle = await stage.start(flow(f"- waits: {run}"), new_id())
    await handle.result()
    [child] = [event async for event in handle.fetch_history_events() if event.HasField(CHILD_STARTED)]
    child_id = getattr(child, CHILD_STARTED).workflow_execution.workflow_id
    found = (await stage.client.get_workflow_handle(child_id).describe()).typed_search_attributes
    assert found[labels.PHASE] == "completed"


async def test_a_run_that_was_started_before_keeps_to_the_commands_it_knew(stage: Rehearsal) -> None:
    handle = await stage.start(flow("- rest: { wait: PT0.01S }"), new_id(), revision=0)
    await handle.result()
    assert (await handle.describe()).typed_search_attributes[labels.PHASE] == "waiting"


async def test_a_run_is_found_by_its_ticket(stage: Rehearsal) -> None:
    handle = await stage.start(flow("- rest: { wait: PT1H }"), new_id(), subject="ticket:T-2026-11")
    found = (await handle.describe()).typed_search_attributes
    assert (found[labels.TICKET], found.get(labels.CUSTOMER)) == ("T-2026-11", None)
    await handle.cancel()


async def test_lifecycle_events_tell_of_the_run_and_on_demand_of_every_task(stage: Rehearsal) -> None:
    do = "- a: { set: { x: 1 } }\n- b: { if: 'false', set: { x: 2 } }\n- c: { wait: PT0.01S }"
    brief = await stage.start(flow(do), new_id())
    await brief.result()
    handle = await stage.start(flow(do, metadata={"lifecycleEvents": "all"}), new_id())
    await handle.result()

    def told(run_id: str) -> list[dict[str, Any]]:
        return [event for report in stage.reports if report.run_id == run_id for event in report.events]

    few, many = told(brief.id), told(handle.id)
    short = "io.serverlessworkflow."
    assert [event["type"].removeprefix(short) for event in few] == ["workflow.started.v1", "workflow.completed.v1"]
    assert [(event["type"].removeprefix(short), event["data"].get("task")) for event in many] == [
        ("workflow.started.v1", None),
        ("task.created.v1", "/do/0/a"),
        ("task.started.v1", "/do/0/a"),
        ("task.completed.v1", "/do/0/a"),
        ("task.created.v1", "/do/2/c"),
        ("task.started.v1", "/do/2/c"),
        ("task.completed.v1", "/do/2/c"),
        ("workflow.completed.v1", None),
    ]
    assert {event["subject"] for event in many} == {f"run:{handle.id}"}
