"""How runs fail, and how they are taken up again from the step that failed, on the real server."""

import asyncio
import threading
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from domain.dsl.interpreter import Interpreter
from domain.problems import CommunicationProblem, RuntimeProblem
from runtime.rehearsal import Rehearsal
from tests.workflows.observing import (
    Handle,
    complete,
    flow,
    form_of,
    new_id,
    opened,
    order,
    problem_of_run,
    progress,
)
from workflows import messages

READ = "{ call: youzan.get_refund, with: { refund_id: R1 } }"
TRACK = "{ call: youzan.track_waybill, with: { refund_id: R1 } }"
TELL = "{ emit: { event: { with: { source: /test, type: told, data: {} } } } }"


def _broken(_envelope: messages.CallEnvelope) -> Any:
    raise CommunicationProblem("the platform says no")


async def _again(stage: Rehearsal, handle: Handle, text: str, **more: Any) -> Handle:
    continuation = stage.reports[-1].continuation
    assert stage.reports[-1].phase == "faulted"
    assert continuation is not None
    return await stage.start(text, handle.id, continuation=continuation, attempt=2, **more)


async def test_a_fault_says_where_and_leaves_a_continuation(stage: Rehearsal) -> None:
    handle = await stage.start(
        flow("- refuse: { raise: { error: { type: https://x.example/e, status: 418, title: Refused } } }"), new_id()
    )
    problem = await problem_of_run(handle)
    assert (problem.type, problem.status, problem.instance) == ("https://x.example/e", 418, "/do/0/refuse")
    report = stage.reports[-1]
    assert report.error == problem.as_dict()
    assert report.continuation is not None
    assert [event["type"].split(".")[-2] for event in report.events] == ["started", "faulted"]


async def test_a_retry_goes_on_at_the_step_that_failed(stage: Rehearsal) -> None:
    text = flow(f"- first: {READ}\n- tell: {TELL}\n- second: {{ do: [{{ a: {READ} }}, {{ b: {TRACK} }}] }}")
    stage.answers["youzan.track_waybill"] = _broken
    handle = await stage.start(text, new_id())
    assert (await problem_of_run(handle)).instance == "/do/2/second/do/1/b"
    stage.answers.clear()
    handle = await _again(stage, handle, text)
    assert (await handle.result())["state"] == "signed"
    assert [call.call for call in stage.calls] == [
        "youzan.get_refund",
        "youzan.get_refund",
        "youzan.track_waybill",
        "youzan.track_waybill",
    ]
    failed, repeated = stage.calls[2:]
    assert failed.idempotency_key == repeated.idempotency_key
    assert len({call.idempotency_key for call in stage.calls}) == 3
    assert len(stage.published) == 1
    tasks = {task["name"]: task["status"] for task in stage.reports[-1].tasks}
    assert tasks == dict.fromkeys(("first", "tell", "second", "a", "b"), "completed")


async def test_a_run_that_failed_while_it_was_suspended_goes_on_when_it_is_taken_up_again(stage: Rehearsal) -> None:
    going, may_fail = threading.Event(), threading.Event()

    def slow(envelope: messages.CallEnvelope) -> Any:
        going.set()
        may_fail.wait(10)
        return _broken(envelope)

    stage.answers["youzan.track_waybill"] = slow
    text = flow(f"- read: {TRACK}\n- after: {{ set: {{ x: 1 }} }}")
    handle = await stage.start(text, new_id())
    await asyncio.to_thread(going.wait, 10)
    await order(handle, messages.SUSPEND_UPDATE)
    may_fail.set()
    assert (await problem_of_run(handle)).instance == "/do/0/read"
    stage.answers.clear()
    handle = await _again(stage, handle, text)
    assert await asyncio.wait_for(handle.result(), 20) == {"x": 1}


async def test_lifecycle_events_of_a_retry_have_ids_of_their_own(stage: Rehearsal) -> None:
    text = flow(f"- read: {READ}", metadata={"lifecycleEvents": "all"})
    stage.answers["youzan.get_refund"] = _broken
    handle = await stage.start(text, new_id())
    await problem_of_run(handle)
    stage.answers.clear()
    await (await _again(stage, handle, text)).result()
    events = [event for report in stage.reports for event in report.events]
    assert len({event["id"] for event in events}) == len(events)
    kinds = [event["type"].removeprefix("io.serverlessworkflow.").removesuffix(".v1") for event in events]
    assert kinds == [
        "workflow.started",
        "task.created",
        "task.started",
        "task.faulted",
        "workflow.faulted",
        "workflow.resumed",
        "task.created",
        "task.started",
        "task.completed",
        "workflow.completed",
    ]


async def test_branches_that_were_done_stay_done(stage: Rehearsal) -> None:
    text = flow(f"""
    - both:
        fork:
          branches:
            - a: {READ}
            - b: {{ do: [{{ rest: {{ wait: PT0.3S }} }}, {{ c: {TRACK} }}] }}
    """)
    stage.answers["youzan.track_waybill"] = _broken
    handle = await stage.start(text, new_id())
    await problem_of_run(handle)
    stage.answers.clear()
    output = await (await _again(stage, handle, text)).result()
    assert [each.get("state") for each in output][1] == "signed"
    assert [call.call for call in stage.calls].count("youzan.get_refund") == 1


async def test_a_person_interrupted_by_a_fault_is_asked_again_under_another_id(stage: Rehearsal) -> None:
    text = flow(f"""
    - both:
        fork:
          branches:
            - ask: {{ call: human-task, with: {{ queue: shop, title: t, form: {{ type: object }} }} }}
            - b: {{ do: [{{ rest: {{ wait: PT0.3S }} }}, {{ c: {TRACK} }}] }}
    """)
    stage.answers["youzan.track_waybill"] = _broken
    handle = await stage.start(text, new_id())
    first = await opened(stage, "ask")
    await problem_of_run(handle)
    assert [(closed.task_id, closed.state) for closed in stage.closed] == [(first.task_id, "exited")]
    stage.answers.clear()
    handle = await _again(stage, handle, text)
    second = await opened(stage, "ask", 2)
    assert second.task_id != first.task_id
    await complete(handle, form_of(second, {"ok": 1}))
    assert (await handle.result())[0] == {"ok": 1}


async def test_a_person_is_asked_again_when_the_block_is_tried_again(stage: Rehearsal) -> None:
    text = flow("""
    - careful:
        try:
          - ask: { call: human-task, with: { queue: shop, title: t, form: { type: object } } }
          - judge: { if: .ok != true, raise: { error: { type: https://x.example/no, status: 422 } } }
        catch: { retry: { delay: PT0.01S, limit: { attempt: { count: 3 } } } }
    """)
    handle = await stage.start(text, new_id())
    await complete(handle, form_of(await opened(stage, "ask"), {"ok": False}))
    again = await opened(stage, "ask", 2)
    await complete(handle, form_of(again, {"ok": True}))
    assert await handle.result() == {"ok": True}


async def test_what_is_done_is_not_repeated_when_only_its_output_was_refused(stage: Rehearsal) -> None:
    """The form is there; what fails is the expression after it, as long as the platform says no."""
    text = flow(f"""
    - outer:
        do:
          - read: {READ}
          - ask: {{ call: human-task, with: {{ queue: shop, title: t, form: {{ type: object }} }} }}
        output:
          schema: {{ document: {{ type: object, required: [missing] }} }}
    """)
    handle = await stage.start(text, new_id())
    await complete(handle, form_of(await opened(stage, "ask"), {"x": 1}))
    assert (await problem_of_run(handle)).instance == "/do/0/outer/output"
    await problem_of_run(await _again(stage, handle, text))
    assert (len(stage.calls), len(stage.opened)) == (1, 1)


async def test_a_flow_whose_output_was_refused_is_not_run_from_the_start(stage: Rehearsal) -> None:
    text = flow(f"- read: {READ}", head="output: { as: 'error(\"no\")' }")
    handle = await stage.start(text, new_id())
    await problem_of_run(handle)
    await problem_of_run(await _again(stage, handle, text))
    assert len(stage.calls) == 1


async def test_a_retry_has_its_flow_timeout_again(stage: Rehearsal) -> None:
    text = flow("- rest: { wait: PT1H }", head="timeout: { after: PT0.3S }")
    handle = await stage.start(text, new_id())
    assert (await problem_of_run(handle)).status == 408
    assert (await problem_of_run(await _again(stage, handle, text))).status == 408


async def test_a_fault_in_the_pause_of_a_retry_can_be_taken_up_again(stage: Rehearsal) -> None:
    text = flow(f"""
    - outer:
        timeout: {{ after: PT0.4S }}
        do:
          - careful:
              try: [{{ read: {READ} }}]
              catch: {{ retry: {{ delay: PT1H, limit: {{ attempt: {{ count: 3 }} }} }} }}
    """)
    stage.answers["youzan.get_refund"] = _broken
    handle = await stage.start(text, new_id())
    assert (await problem_of_run(handle)).status == 408
    stage.answers.clear()
    await (await _again(stage, handle, text)).result()


async def test_a_bug_of_ours_ends_the_run_instead_of_looping(stage: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_more: object) -> Any:
        raise ZeroDivisionError("a bug")

    text = flow(f"- first: {READ}\n- second: {{ set: {{ x: '${{ .refund_id }}' }} }}")
    with monkeypatch.context() as patched:
        patched.setattr(Interpreter, "render", broken)
        handle = await stage.start(text, new_id())
        problem = await problem_of_run(handle)
    assert (problem.type, problem.status) == (RuntimeProblem.type, 500)
    assert problem.detail is not None
    assert "ZeroDivisionError" in problem.detail
    handle = await _again(stage, handle, text)
    assert set(await handle.result()) == {"x"}


async def test_a_definition_that_breaks_ends_the_run_at_once(stage: Rehearsal) -> None:
    handle = await stage.start(flow("- go: { set: { x: 1 }, then: nowhere }"), new_id())
    problem = await problem_of_run(handle)
    assert (problem.status, problem.instance) == (400, "/do/0/go/then")


async def test_a_missing_secret_fails_before_anything_runs_and_again_when_it_is_still_missing(stage: Rehearsal) -> None:
    text = flow(f"- read: {READ}", head="use: { secrets: [key] }")
    handle = await stage.start(text, new_id())
    assert (await problem_of_run(handle)).status == 403
    await (await _again(stage, handle, text, secrets={"key": None})).result()
    assert len(stage.calls) == 1


async def test_a_broken_event_does_not_stop_the_run(stage: Rehearsal) -> None:
    handle = await stage.start(flow("- hear: { listen: { to: { one: { with: { type: t } } } } }"), new_id())
    await handle.signal(messages.EVENT_SIGNAL, messages.Events([{"no": "event"}]))
    await handle.signal(messages.EVENT_SIGNAL, messages.Events([{"id": "1", "source": "/s", "type": "t", "data": 7}]))
    assert await handle.result() == [7]


async def test_a_run_whose_start_makes_no_sense_fails(stage: Rehearsal) -> None:
    text = flow("- x: { set: { y: 1 } }")
    handle = await stage.start(text, new_id(), continuation={"state": "nonsense"})
    assert (await problem_of_run(handle)).status == 500
    assert (await progress(handle)).phase == "faulted"
    with pytest.raises(WorkflowFailureError):
        await handle.result()
