"""People's steps: completed and refused by update, in time and too late, on the real server."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.problems import ConflictProblem, TimeoutProblem, UnavailableProblem
from runtime.rehearsal import Rehearsal
from tests.workflows.observing import (
    PERSON,
    complete,
    counts,
    event_counts,
    flow,
    form_of,
    history,
    new_id,
    opened,
    order,
    problem_of_run,
    progress,
    quiet_history,
    refusal,
)
from workflows import messages


async def test_a_completed_form_is_receipted_and_the_flow_goes_on_with_it(stage: Rehearsal) -> None:
    handle = await stage.start(flow(PERSON), new_id())
    task = await opened(stage, "ask")
    assert (task.run_id, task.reference, task.subject) == (handle.id, "/do/0/ask", "case:1")
    receipt = await complete(handle, form_of(task, {"grade": "A"}))
    assert (receipt.task_id, receipt.version) == (task.task_id, 2)
    assert await handle.result() == {"grade": "A"}
    assert [report.phase for report in stage.reports] == ["waiting", "completed"]


async def test_a_refusal_leaves_the_run_untouched_and_costs_no_history(stage: Rehearsal) -> None:
    checks = """
    - ask:
        call: human-task
        with:
          queue: shop
          title: 核对
          form: { type: object }
          data: { paid: 500 }
          checks: [{ when: .amount <= $data.paid, message: { zh: 不能超过实付, en: not more than was paid } }]
    """
    handle = await stage.start(flow(checks), new_id())
    task = await opened(stage, "ask")
    await stage.until(lambda: bool(stage.reports))
    before = len(await quiet_history(handle))
    with pytest.raises(WorkflowUpdateFailedError) as too_much:
        await complete(handle, form_of(task, {"amount": 501}))
    assert refusal(too_much.value).as_dict()["message"] == {"zh": "不能超过实付", "en": "not more than was paid"}
    with pytest.raises(WorkflowUpdateFailedError) as unknown:
        await complete(handle, messages.CompleteHumanTask("no-such-task", {}, "agent", 1, "key"))
    assert refusal(unknown.value).type == ConflictProblem.type
    assert len(await quiet_history(handle)) == before
    assert stage.completed == []
    await complete(handle, form_of(task, {"amount": 500}))
    assert await handle.result() == {"amount": 500}


async def test_the_second_completion_is_refused(stage: Rehearsal) -> None:
    handle = await stage.start(flow(PERSON + "- rest: { wait: PT1H }"), new_id())
    task = await opened(stage, "ask")
    await complete(handle, form_of(task, {"by": "first"}))
    with pytest.raises(WorkflowUpdateFailedError) as second:
        await complete(handle, form_of(task, {"by": "second"}))
    assert refusal(second.value).status == 409
    assert [command.form for command in stage.completed] == [{"by": "first"}]


async def test_the_same_key_twice_is_answered_twice_and_done_once(stage: Rehearsal) -> None:
    handle = await stage.start(flow(PERSON + "- rest: { wait: PT1H }"), new_id())
    command = form_of(await opened(stage, "ask"), {"n": 1})
    assert await complete(handle, command) == await complete(handle, command)
    assert len(stage.completed) == 1


async def test_a_refusal_of_the_database_reaches_the_person_and_the_task_stays_open(stage: Rehearsal) -> None:
    async def is_stale(_message: object) -> None:
        raise ConflictProblem("somebody was faster", who="li")

    handle = await stage.start(flow(PERSON), new_id())
    task = await opened(stage, "ask")
    stage.obstacles[messages.COMPLETE_HUMAN_TASK_ACTIVITY] = is_stale
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await complete(handle, form_of(task, {}))
    assert refusal(refused.value).as_dict()["who"] == "li"
    stage.obstacles.clear()
    await complete(handle, form_of(task, {"ok": True}))
    assert await handle.result() == {"ok": True}


async def test_a_database_that_is_away_only_delays_a_completion(stage: Rehearsal) -> None:
    attempts = 0

    async def away_twice(_message: object) -> None:
        nonlocal attempts
        attempts += 1
        if attempts <= 2:
            raise UnavailableProblem("away")

    handle = await stage.start(flow(PERSON), new_id())
    task = await opened(stage, "ask")
    stage.obstacles[messages.COMPLETE_HUMAN_TASK_ACTIVITY] = away_twice
    await complete(handle, form_of(task, {"ok": True}))
    assert (await handle.result(), attempts) == ({"ok": True}, 3)


async def test_the_server_has_the_form_before_the_database_has_it(stage: Rehearsal) -> None:
    # A worker that is killed in between must not leave a completed task behind whose form no run has.
    known_then: list[Counter[str]] = []
    handle = await stage.start(flow(PERSON), new_id())
    task = await opened(stage, "ask")

    async def look(_message: object) -> None:
        known_then.append(counts(await history(handle)))

    stage.obstacles[messages.COMPLETE_HUMAN_TASK_ACTIVITY] = look
    await complete(handle, form_of(task, {"ok": True}))
    assert [known["WORKFLOW_EXECUTION_UPDATE_ACCEPTED"] for known in known_then] == [1]


async def test_a_task_declared_failed_is_an_error_that_catch_sees(stage: Rehearsal) -> None:
    text = flow(f"""
    - careful:
        try: [{{ {PERSON.strip()[2:]} }}]
        catch: {{ as: e, do: [{{ seen: {{ set: '${{ $e }}' }} }}] }}
    """)
    handle = await stage.start(text, new_id())
    task = await opened(stage, "ask")
    await complete(handle, form_of(task, {"why": "lost"}, outcome="failed", comment="包裹丢失"))
    seen = await handle.result()
    assert (seen["status"], seen["detail"], seen["form"], seen["actor"]) == (422, "包裹丢失", {"why": "lost"}, "agent")


async def test_a_task_whose_time_is_up_is_withdrawn_and_no_longer_taken(stage: Rehearsal) -> None:
    handle = await stage.start(
        flow("""
        - ask:
            call: human-task
            with: { queue: shop, title: 核对, form: { type: object } }
            timeout: { after: PT0.3S }
        """),
        new_id(),
    )
    task = await opened(stage, "ask")
    problem = await problem_of_run(handle)
    assert (problem.type, problem.instance) == (TimeoutProblem.type, "/do/0/ask")
    assert [(closed.task_id, closed.state) for closed in stage.closed] == [(task.task_id, "exited")]


async def test_whoever_was_receipted_was_in_time(stage: Rehearsal) -> None:
    """The form reaches the database just before the time is up: the flow must not escalate what it took."""
    stored = asyncio.Event()

    async def slow(_message: object) -> None:
        stored.set()
        await asyncio.sleep(0.8)

    stage.obstacles[messages.COMPLETE_HUMAN_TASK_ACTIVITY] = slow
    handle = await stage.start(
        flow("""
        - ask:
            call: human-task
            with: { queue: shop, title: 核对, form: { type: object } }
            timeout: { after: PT0.6S }
        """),
        new_id(),
    )
    await complete(handle, form_of(await opened(stage, "ask"), {"in": "time"}))
    assert stored.is_set()
    assert await handle.result() == {"in": "time"}
    assert stage.closed == []


async def test_a_suspended_run_takes_no_forms_until_it_is_resumed(stage: Rehearsal) -> None:
    handle = await stage.start(flow(PERSON), new_id())
    task = await opened(stage, "ask")
    await order(handle, messages.SUSPEND_UPDATE, "stock-taking")
    before = await event_counts(handle)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await complete(handle, form_of(task, {}))
    assert refusal(refused.value).status == 409
    assert await event_counts(handle) == before
    assert (await progress(handle)).phase == "suspended"
    await order(handle, messages.RESUME_UPDATE)
    assert [(closed.task_id, closed.state, closed.reason) for closed in stage.closed] == [
        (task.task_id, "suspended", "stock-taking"),
        (task.task_id, "ready", "operator"),
    ]
    await complete(handle, form_of(task, {"ok": 1}))
    assert await handle.result() == {"ok": 1}


async def test_a_task_opened_while_the_run_is_being_suspended_is_put_aside_too(stage: Rehearsal) -> None:
    opening = asyncio.Event()

    async def slow(_message: object) -> None:
        opening.set()
        await asyncio.sleep(2.5)

    stage.obstacles[messages.OPEN_HUMAN_TASK_ACTIVITY] = slow
    # The order is heard when the opening has taken longer than a task of the workflow may.
    handle = await stage.start(flow(PERSON), new_id(), task_timeout=timedelta(seconds=1))
    await opening.wait()
    await order(handle, messages.SUSPEND_UPDATE)
    task = await opened(stage, "ask")
    await stage.until(lambda: bool(stage.closed))
    assert [(closed.task_id, closed.state) for closed in stage.closed] == [(task.task_id, "suspended")]
    await handle.cancel()
