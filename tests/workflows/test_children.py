"""Child flows: awaited, let go, failing, cancelled; on the real server."""

import asyncio

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from domain.problems import RuntimeProblem, TimeoutProblem
from runtime.rehearsal import Rehearsal
from tests.workflows.observing import eventually, flow, history, new_id, problem_of_run
from workflows import labels

WAITING = "- rest: { wait: PT1H }"


def run(name: str, *, awaited: bool = True) -> str:
    child = f"{{ namespace: tests, name: {name}, version: latest, input: {{ n: 2 }} }}"
    return f"{{ run: {{ workflow: {child}, await: {str(awaited).lower()} }} }}"


async def _child_id(stage: Rehearsal, parent_id: str) -> str:
    await stage.until(lambda: any(report.run_id.startswith(parent_id + "/") for report in stage.reports))
    return next(report.run_id for report in stage.reports if report.run_id.startswith(parent_id + "/"))


async def test_the_output_of_an_awaited_child_is_the_tasks(stage: Rehearsal) -> None:
    stage.know(flow("- double: { set: { n: '${ .n * 2 }', who: '${ $workflow.subject }' } }", name="double"))
    handle = await stage.start(flow(f"- child: {run('double')}"), new_id(), subject="customer:7")
    assert await handle.result() == {"n": 4, "who": "customer:7"}
    child = stage.client.get_workflow_handle(await _child_id(stage, handle.id))
    described = await child.describe()
    assert described.workflow_type == "tests/double"
    assert described.typed_search_attributes[labels.FLOW] == "tests/double"
    assert described.typed_search_attributes[labels.CUSTOMER] == "7"
    assert await described.memo_value("version") == "1.0.0"


async def test_a_child_that_is_let_go_outlives_its_parent(stage: Rehearsal) -> None:
    stage.know(flow("- rest: { wait: PT0.5S }\n- done: { set: { ok: true } }", name="later"))
    handle = await stage.start(flow(f"- child: {run('later', awaited=False)}"), new_id(), {"in": 1})
    assert await handle.result() == {"in": 1}
    child = stage.client.get_workflow_handle(await _child_id(stage, handle.id))
    assert await child.result() == {"ok": True}


async def test_the_problem_of_a_child_arrives_in_the_parents_catch(stage: Rehearsal) -> None:
    stage.know(
        flow("- refuse: { raise: { error: { type: https://x.example/e, status: 418, title: Tea } } }", name="refuse")
    )
    text = flow(f"""
    - careful:
        try: [{{ child: {run("refuse")} }}]
        catch: {{ as: e, do: [{{ seen: {{ set: '${{ $e }}' }} }}] }}
    """)
    seen = await (await stage.start(text, new_id())).result()
    assert (seen["type"], seen["status"], seen["title"]) == ("https://x.example/e", 418, "Tea")


async def test_cancelling_the_parent_cancels_the_child_it_waits_for(stage: Rehearsal) -> None:
    stage.know(flow(WAITING, name="wait"))
    handle = await stage.start(flow(f"- child: {run('wait')}\n- never: {{ set: {{ x: 1 }} }}"), new_id())
    child = stage.client.get_workflow_handle(await _child_id(stage, handle.id))
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await child.describe()).status is WorkflowExecutionStatus.CANCELED
    phases = [(report.run_id == handle.id, report.phase) for report in stage.reports if report.phase == "cancelled"]
    assert phases == [(False, "cancelled"), (True, "cancelled")]


async def test_a_child_cancelled_by_others_is_an_error_of_the_parent(stage: Rehearsal) -> None:
    stage.know(flow(WAITING, name="wait"))
    handle = await stage.start(flow(f"- child: {run('wait')}"), new_id())
    child = stage.client.get_workflow_handle(await _child_id(stage, handle.id))
    await child.cancel()
    problem = await problem_of_run(handle)
    assert (problem.type, problem.instance) == (RuntimeProblem.type, "/do/0/child")
    assert stage.reports[-1].phase == "faulted"


async def test_a_child_whose_time_is_up_is_cancelled(stage: Rehearsal) -> None:
    stage.know(flow(WAITING, name="wait"))
    text = flow(f"- outer: {{ do: [{{ child: {run('wait')} }}], timeout: {{ after: PT0.5S }} }}")
    handle = await stage.start(text, new_id())
    child = stage.client.get_workflow_handle(await _child_id(stage, handle.id))
    assert (await problem_of_run(handle)).type == TimeoutProblem.type
    assert (await child.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_a_terminated_parent_takes_its_awaited_child_along(stage: Rehearsal) -> None:
    stage.know(flow(WAITING, name="wait"))
    handle = await stage.start(flow(f"- child: {run('wait')}"), new_id())
    child = stage.client.get_workflow_handle(await _child_id(stage, handle.id))
    await handle.terminate()

    async def is_cancelled() -> bool:
        return (await child.describe()).status is WorkflowExecutionStatus.CANCELED

    await eventually(is_cancelled)


async def test_a_failed_child_is_another_run_when_the_block_is_tried_again(stage: Rehearsal) -> None:
    stage.know(flow("- refuse: { raise: { error: { type: https://x.example/e, status: 500 } } }", name="refuse"))
    retry = "{ delay: PT0.01S, limit: { attempt: { count: 3 } } }"
    text = flow(f"- careful: {{ try: [{{ child: {run('refuse')} }}], catch: {{ retry: {retry} }} }}")
    handle = await stage.start(text, new_id())
    await problem_of_run(handle)
    children = {report.run_id for report in stage.reports if report.run_id != handle.id}
    assert len(children) == 3


async def test_flows_that_run_themselves_come_to_an_end(stage: Rehearsal) -> None:
    text = flow(f"- again: {run('endless')}", name="endless")
    handle = await stage.start(text, new_id())
    problem = await asyncio.wait_for(problem_of_run(handle), 30)
    assert problem.status == 400
    assert "nested too deeply" in (problem.detail or "")
    assert len({report.run_id for report in stage.reports}) < 30
    assert await history(handle)
