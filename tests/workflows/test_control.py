"""Suspend, resume and cancel, on the real server."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import CancelledError

from runtime.rehearsal import Rehearsal
from tests.workflows.observing import (
    PERSON,
    counts,
    event_counts,
    eventually,
    flow,
    history,
    new_id,
    opened,
    order,
    progress,
    quiet_history,
    refusal,
)
from workflows import messages

READ = "{ call: youzan.get_refund, with: { refund_id: R1 } }"
WAITING = "- rest: { wait: PT1H }"


async def test_nothing_new_starts_while_suspended_and_timers_keep_their_instant(stage: Rehearsal) -> None:
    handle = await stage.start(flow(f"- rest: {{ wait: PT0.4S }}\n- read: {READ}"), new_id())
    await stage.until(lambda: bool(stage.reports))
    await order(handle, messages.SUSPEND_UPDATE, "stock-taking")
    await asyncio.sleep(0.6)
    assert stage.calls == []
    # That of the wait, and that of the order.
    assert (await event_counts(handle))["TIMER_FIRED"] == 2
    standing = await progress(handle)
    assert (standing.phase, [(task["name"], task["status"]) for task in standing.tasks]) == (
        "suspended",
        [("rest", "completed")],
    )
    await order(handle, messages.RESUME_UPDATE)
    await handle.result()
    assert [call.call for call in stage.calls] == ["youzan.get_refund"]
    assert [report.phase for report in stage.reports] == ["waiting", "suspended", "running", "completed"]


async def test_what_is_under_way_is_finished_while_suspended(stage: Rehearsal) -> None:
    going = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_envelope: messages.CallEnvelope) -> object:
        loop.call_soon_threadsafe(going.set)
        asyncio.run(asyncio.sleep(0.3))
        return {"refund_id": "R1"}

    stage.answers["youzan.get_refund"] = slow
    handle = await stage.start(flow(f"- read: {READ}\n- after: {{ set: {{ x: 1 }} }}"), new_id())
    await going.wait()
    await order(handle, messages.SUSPEND_UPDATE)

    async def has_read() -> bool:
        return ("read", "completed") in [(task["name"], task["status"]) for task in (await progress(handle)).tasks]

    await eventually(has_read)
    assert [task["name"] for task in (await progress(handle)).tasks] == ["read"]
    await order(handle, messages.RESUME_UPDATE)
    assert await handle.result() == {"x": 1}


async def test_orders_given_twice_change_nothing(stage: Rehearsal) -> None:
    handle = await stage.start(flow(WAITING), new_id())
    await order(handle, messages.RESUME_UPDATE)
    await asyncio.gather(order(handle, messages.SUSPEND_UPDATE), order(handle, messages.SUSPEND_UPDATE))
    assert [report.phase for report in stage.reports].count("suspended") == 1
    await asyncio.gather(order(handle, messages.RESUME_UPDATE), order(handle, messages.RESUME_UPDATE))
    assert (await progress(handle)).phase == "waiting"
    events = [event["type"].split(".")[-2] for report in stage.reports for event in report.events]
    assert events == ["started", "suspended", "resumed"]
    await handle.cancel()


async def test_cancelling_withdraws_people_and_is_reported(stage: Rehearsal) -> None:
    both = f"""
    - both:
        fork:
          branches:
            - rest: {{ wait: PT1H }}
            - person: {{ do: [{{ {PERSON.strip()[2:]} }}] }}
    """
    handle = await stage.start(flow(both), new_id())
    task = await opened(stage, "ask")
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, CancelledError)
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert [(closed.task_id, closed.state) for closed in stage.closed] == [(task.task_id, "exited")]
    report = stage.reports[-1]
    assert report.phase == "cancelled"
    assert {task["name"]: task["status"] for task in report.tasks} == dict.fromkeys(
        ("both", "rest", "person", "ask"), "cancelled"
    )
    assert report.events[-1]["type"] == "io.serverlessworkflow.workflow.cancelled.v1"


async def test_a_cancelled_call_does_not_let_the_flow_go_on(stage: Rehearsal) -> None:
    going = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_envelope: messages.CallEnvelope) -> object:
        loop.call_soon_threadsafe(going.set)
        asyncio.run(asyncio.sleep(0.5))
        return {}

    stage.answers["youzan.get_refund"] = slow
    text = flow(
        f"- safe: {{ try: [{{ read: {READ} }}], catch: {{ do: [{{ handled: {{ set: {{ h: 1 }} }} }}] }} }}\n{WAITING}"
    )
    handle = await stage.start(text, new_id())
    await going.wait()
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert [task["name"] for task in stage.reports[-1].tasks] == ["safe", "read"]


async def test_a_suspended_run_can_be_cancelled(stage: Rehearsal) -> None:
    handle = await stage.start(flow("- rest: { wait: PT0.1S }\n- more: { set: { x: 1 } }"), new_id())
    await stage.until(lambda: bool(stage.reports))
    await order(handle, messages.SUSPEND_UPDATE)
    await asyncio.sleep(0.2)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert stage.reports[-1].phase == "cancelled"


async def test_a_run_that_reports_its_end_takes_no_orders_any_more(stage: Rehearsal) -> None:
    """The end is being reported for longer than a workflow task may take, so that others get a word in."""
    go_on = asyncio.Event()

    async def slow_end(report: messages.RunReport) -> None:
        if report.phase == "completed":
            await go_on.wait()

    stage.obstacles[messages.REPORT_RUN_ACTIVITY] = slow_end
    text = flow("- x: { set: { y: 1 } }")
    handle = await stage.start(text, new_id(), task_timeout=timedelta(seconds=1))

    async def has_completed_a_task() -> bool:
        return counts(await history(handle))["WORKFLOW_TASK_COMPLETED"] > 0

    await eventually(has_completed_a_task)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await order(handle, messages.SUSPEND_UPDATE)
    assert refusal(refused.value).as_dict()["phase"] == "completed"
    await handle.cancel()
    await asyncio.sleep(1)
    go_on.set()
    assert await handle.result() == {"y": 1}
    assert [report.phase for report in stage.reports] == ["completed"]


async def test_an_order_under_way_is_answered_before_the_run_closes(stage: Rehearsal) -> None:
    """The run comes to its end while a person's task is still being put aside."""
    go_on = asyncio.Event()

    async def slow(message: messages.CloseHumanTask) -> None:
        if message.state == "suspended":
            await go_on.wait()

    stage.obstacles[messages.CLOSE_HUMAN_TASK_ACTIVITY] = slow
    race = f"""
    - race:
        fork:
          compete: true
          branches: [{{ soon: {{ wait: PT0.5S }} }}, {{ person: {{ do: [{{ {PERSON.strip()[2:]} }}] }} }}]
    """
    handle = await stage.start(flow(race), new_id(), task_timeout=timedelta(seconds=1))
    await opened(stage, "ask")
    await stage.until(lambda: bool(stage.reports))
    ordered = asyncio.create_task(order(handle, messages.SUSPEND_UPDATE))
    await stage.until(lambda: any(report.phase == "completed" for report in stage.reports))
    assert not ordered.done()
    go_on.set()
    await ordered
    await handle.result()


async def test_the_loser_of_a_competing_fork_is_withdrawn(stage: Rehearsal) -> None:
    race = f"""
    - race:
        fork:
          compete: true
          branches:
            - soon: {{ wait: PT0.3S, output: {{ as: '"time"' }} }}
            - person: {{ do: [{{ {PERSON.strip()[2:]} }}, {{ never: {{ set: {{ n: 1 }} }} }}] }}
            - read: {{ do: [{{ wait: {{ listen: {{ to: {{ one: {{ with: {{ type: never }} }} }} }} }} }}] }}
    """
    handle = await stage.start(flow(race), new_id())
    assert await handle.result() == "time"
    assert [closed.state for closed in stage.closed] == ["exited"]
    statuses = {task["name"]: task["status"] for task in stage.reports[-1].tasks}
    assert (statuses["soon"], statuses["person"], statuses["read"]) == ("completed", "cancelled", "cancelled")
    assert "never" not in statuses


async def test_a_call_that_loses_the_race_is_cancelled(stage: Rehearsal) -> None:
    loop, release = asyncio.get_running_loop(), asyncio.Event()

    def slow(_envelope: messages.CallEnvelope) -> object:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(10)
        return {}

    stage.answers["youzan.get_refund"] = slow
    race = f"- race: {{ fork: {{ compete: true, branches: [{{ soon: {{ wait: PT0.2S }} }}, {{ read: {READ} }}] }} }}"
    handle = await stage.start(flow(race + "\n- after: { set: { x: 1 } }"), new_id())
    assert await handle.result() == {"x": 1}
    release.set()
    assert (await event_counts(handle))["ACTIVITY_TASK_CANCEL_REQUESTED"] == 1
    assert {task["name"]: task["status"] for task in stage.reports[-1].tasks}["read"] == "cancelled"
    assert await quiet_history(handle)


@pytest.mark.parametrize("update", [messages.SUSPEND_UPDATE, messages.RESUME_UPDATE])
async def test_the_server_has_an_order_before_the_database_has_it(stage: Rehearsal, update: str) -> None:
    # Else a worker that is killed in between leaves a run that goes on although it is listed as suspended.
    known_then: list[Counter[str]] = []
    handle = await stage.start(flow(WAITING), new_id())
    await stage.until(lambda: bool(stage.reports))
    if update == messages.RESUME_UPDATE:
        await order(handle, messages.SUSPEND_UPDATE)
    before = (await event_counts(handle))["WORKFLOW_EXECUTION_UPDATE_ACCEPTED"]

    async def look(_message: object) -> None:
        known_then.append(counts(await history(handle)))

    stage.obstacles[messages.REPORT_RUN_ACTIVITY] = look
    await order(handle, update)
    assert known_then[0]["WORKFLOW_EXECUTION_UPDATE_ACCEPTED"] == before + 1
    await handle.cancel()
