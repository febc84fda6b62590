"""Runs that continue as new: nothing is lost, nothing repeated, nobody notices. On a server that asks for it early."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.problems import TimeoutProblem
from runtime.embedded import EmbeddedTemporal
from runtime.rehearsal import Rehearsal
from tests.workflows.observing import (
    PERSON,
    Handle,
    complete,
    eventually,
    flow,
    form_of,
    history,
    new_id,
    opened,
    order,
    problem_of_run,
    progress,
    refusal,
)
from workflows import labels, messages

READ = "{ call: youzan.get_refund, with: { refund_id: R1 } }"
# A loop that makes events until the run is asked to move, beside what is to be carried over.
BUSY = "{ for: { each: n, in: '[range(8)]' }, do: [{ tick: { wait: PT0.001S } }] }"


@pytest.fixture(scope="module")
async def module_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rehearsal]:
    limits = {"limit.historyCount.suggestContinueAsNew": "25"}
    folder = tmp_path_factory.mktemp("moving")
    async with EmbeddedTemporal(folder, durable=False, dynamic_config=limits) as server:
        stage = Rehearsal(await server.client())
        async with stage.worker():
            yield stage


async def executions(handle: Handle) -> int:
    """How many executions the run has had so far."""
    run_id, count = (await handle.describe()).run_id, 1
    while True:
        events = (await _client(handle).get_workflow_handle(handle.id, run_id=run_id).fetch_history()).events
        before = events[0].workflow_execution_started_event_attributes.continued_execution_run_id
        if not before:
            return count
        run_id, count = before, count + 1


def _client(handle: Handle) -> Any:
    return handle._client


async def moved(handle: Handle, times: int = 1) -> None:
    """Return when the run has moved so often and waits again."""

    async def has_moved() -> bool:
        return await executions(handle) > times and (await progress(handle)).phase in ("waiting", "suspended")

    await eventually(has_moved, 20)


def beside(branch: str) -> str:
    """A flow whose first branch moves house while the second one waits."""
    return f"- both: {{ fork: {{ branches: [{{ busy: {BUSY} }}, {{ calm: {branch} }}] }}, output: {{ as: '.[1]' }} }}"


async def test_a_loop_of_calls_moves_again_and_again_and_repeats_nothing(stage: Rehearsal) -> None:
    text = flow("""
    - count:
        for: { each: n, in: '[range(30)]' }
        do:
          - read: { call: youzan.get_refund, with: { refund_id: R1 }, output: { as: '$input + 1' } }
    """)
    handle = await stage.start(text, new_id(), 0)
    assert await handle.result() == 30
    assert await executions(handle) > 3
    assert len(stage.calls) == 30
    assert len({call.idempotency_key for call in stage.calls}) == 30
    tasks = stage.reports[-1].tasks
    assert [task["path"] for task in tasks] == ["/do/0:count", *(f"/do/0:count/do[{n}]/0:read" for n in range(30))]
    assert {task["status"] for task in tasks} == {"completed"}
    started = [event for report in stage.reports for event in report.events if "started" in event["type"]]
    assert len(started) == 1


async def test_a_timer_keeps_its_instant(stage: Rehearsal) -> None:
    handle = await stage.start(flow(beside("{ wait: PT1.5S }")), new_id())
    before = (await handle.describe()).start_time
    await handle.result()
    described = await handle.describe()
    assert await executions(handle) > 1
    assert described.close_time is not None
    assert described.close_time - before == pytest.approx(timedelta(seconds=1.5), abs=timedelta(seconds=0.4))


async def test_a_person_can_complete_what_was_opened_before(stage: Rehearsal) -> None:
    handle = await stage.start(flow(beside(f"{{ do: [{{ {PERSON.strip()[2:]} }}] }}")), new_id())
    task = await opened(stage, "ask")
    await moved(handle)
    await complete(handle, form_of(task, {"ok": 1}))
    assert await handle.result() == {"ok": 1}
    assert (len(stage.opened), stage.closed) == (1, [])


async def test_consumed_events_and_the_mailbox_are_carried_over(stage: Rehearsal) -> None:
    listening = """{ do: [
      { hear: { listen: { to: { any: [{ with: { type: r } }], until: '(. | length) == 3' } } } },
      { later: { listen: { to: { one: { with: { type: kept } } } }, output: { as: '[$input, .]' } } }] }"""
    handle = await stage.start(flow(beside(listening)), new_id(), events=[_event(0, "r"), _event(1, "kept")])
    await moved(handle)
    await _send(handle, _event(0, "r"), _event(2, "r"))
    await _send(handle, _event(3, "r"))
    assert await handle.result() == [[0, 2, 3], [1]]


async def test_a_listener_in_the_middle_of_its_work_loses_nothing(stage: Rehearsal) -> None:
    listening = """{
      listen: { to: { any: [{ with: { type: r } }], until: { all: [{ with: { type: x } }, { with: { type: y } }] } } },
      foreach: { item: e, do: [{ rest: { wait: PT0.8S } }, { keep: { set: '${ $e }' } }] } }"""
    handle = await stage.start(flow(beside(listening)), new_id())
    await _send(handle, _event(0, "x"), _event(1, "r"), _event(2, "r"))
    await moved(handle)
    await _send(handle, _event(3, "y"), _event(4, "r"))
    assert await handle.result() == [1, 2]


async def test_wait_for_keeps_its_deadline(stage: Rehearsal) -> None:
    waiting = "{ call: wait-for, with: { timeout: PT1.5S, events: { paid: { type: paid } } } }"
    handle = await stage.start(flow(beside(waiting)), new_id())
    before = asyncio.get_running_loop().time()
    assert await handle.result() == {"came": "timeout", "event": None}
    assert await executions(handle) > 1
    assert asyncio.get_running_loop().time() - before < 2.5


async def test_wait_for_still_hears(stage: Rehearsal) -> None:
    waiting = "{ call: wait-for, with: { timeout: PT1H, events: { paid: { type: paid } } } }"
    handle = await stage.start(flow(beside(waiting)), new_id())
    await moved(handle)
    await _send(handle, _event(5, "paid"))
    assert await handle.result() == {"came": "paid", "event": 5}


async def test_a_block_in_the_pause_before_its_next_attempt_goes_on_counting(stage: Rehearsal) -> None:
    trying = """{
      try: [{ refuse: { raise: { error: { type: https://x.example/e, status: 500 } } } }],
      catch: { retry: { delay: PT0.7S, limit: { attempt: { count: 3 } } },
               do: [{ gave: { set: { up: true } } }] } }"""
    handle = await stage.start(flow(beside(trying)), new_id())
    assert await handle.result() == {"up": True}
    assert await executions(handle) > 1
    tasks = {task["name"]: task for task in stage.reports[-1].tasks}
    assert tasks["calm"]["attempt"] == 3


async def test_a_loop_goes_on_in_the_middle(stage: Rehearsal) -> None:
    loop = f"""{{
      for: {{ each: n, in: '[1, 2, 3]', at: i }},
      do: [{{ read: {READ} }}, {{ rest: {{ wait: PT0.5S }} }}, {{ add: {{ set: '${{ [$i, $n] }}' }} }}] }}"""
    handle = await stage.start(flow(beside(loop)), new_id())
    assert await handle.result() == [2, 3]
    assert await executions(handle) > 1
    assert len(stage.calls) == 3


async def test_a_deadline_is_kept(stage: Rehearsal) -> None:
    bounded = "{ do: [{ rest: { wait: PT1H } }], timeout: { after: PT1.2S } }"
    handle = await stage.start(flow(beside(bounded)), new_id())
    before = asyncio.get_running_loop().time()
    problem = await problem_of_run(handle)
    assert (problem.type, problem.instance) == (TimeoutProblem.type, "/do/0/both/fork/branches/1/calm")
    assert await executions(handle) > 1
    assert asyncio.get_running_loop().time() - before < 2.2


async def test_the_deadline_of_the_flow_is_kept(stage: Rehearsal) -> None:
    handle = await stage.start(flow(beside("{ wait: PT1H }"), head="timeout: { after: PT1.2S }"), new_id())
    before = asyncio.get_running_loop().time()
    assert (await problem_of_run(handle)).instance == "/timeout"
    assert await executions(handle) > 1
    assert asyncio.get_running_loop().time() - before < 2.2


async def test_a_branch_that_is_done_stays_done(stage: Rehearsal) -> None:
    text = flow(f"""
    - all:
        fork:
          branches:
            - quick: {READ}
            - slow:
                do:
                  - busy: {BUSY}
                  - rest: {{ wait: PT0.5S }}
                  - last: {{ set: {{ slow: true }} }}
    """)
    handle = await stage.start(text, new_id())
    assert (await handle.result())[1] == {"slow": True}
    assert await executions(handle) > 1
    assert len(stage.calls) == 1


async def test_extensions_of_a_waiting_task_are_not_repeated(stage: Rehearsal) -> None:
    head = """
    use:
      extensions:
        - audit:
            extend: call
            before: [{ note: { emit: { event: { with: { source: /x, type: before, data: {} } } } } }]
            after: [{ done: { emit: { event: { with: { source: /x, type: after, data: {} } } } } }]
    """
    handle = await stage.start(flow(beside(f"{{ do: [{{ {PERSON.strip()[2:]} }}] }}"), head=head), new_id())
    task = await opened(stage, "ask")
    await moved(handle)
    await complete(handle, form_of(task, {}))
    await handle.result()
    assert [event["type"] for event in stage.published] == ["before", "after"]


async def test_a_suspended_run_stays_suspended_and_its_people_are_put_back(stage: Rehearsal) -> None:
    text = flow(PERSON + "- after: { set: { x: 1 } }")
    handle = await stage.start(text, new_id())
    task = await opened(stage, "ask")
    await order(handle, messages.SUSPEND_UPDATE)
    before = await executions(handle)
    for number in range(30):
        await _send(handle, _event(number, "noise"))
    await moved(handle, before)
    assert (await progress(handle)).phase == "suspended"
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await complete(handle, form_of(task, {}))
    assert refusal(refused.value).status == 409
    stage.closed.clear()
    await order(handle, messages.RESUME_UPDATE)
    assert [(closed.task_id, closed.state) for closed in stage.closed] == [(task.task_id, "ready")]
    await complete(handle, form_of(task, {}))
    assert await handle.result() == {"x": 1}


async def test_updates_and_signals_at_the_moment_of_moving_are_not_lost(stage: Rehearsal) -> None:
    """A dozen people and a stream of events, while the run moves every few events."""
    people = ", ".join(
        f"{{ p{n}: {{ call: human-task, with: {{ queue: q, title: t, form: {{ type: object }} }} }} }}"
        for n in range(8)
    )
    text = flow(f"""
    - all:
        fork:
          branches:
            - people: {{ fork: {{ branches: [{people}] }} }}
            - events: {{ listen: {{ to: {{ any: [{{ with: {{ type: r }} }}], until: '(. | length) == 40' }} }} }}
    """)
    handle = await stage.start(text, new_id())
    await stage.until(lambda: len(stage.opened) == 8)

    async def stream() -> None:
        for number in range(39):
            await _send(handle, _event(number, "r"))

    async def answer(task: messages.OpenHumanTask) -> None:
        await asyncio.sleep(int(task.name[1:]) * 0.05)
        await complete(handle, form_of(task, {"name": task.name}))

    await asyncio.gather(stream(), *(answer(task) for task in list(stage.opened)))
    # How often it moves depends on how the messages fall together; that it moved at all is what matters.
    await moved(handle)
    await _send(handle, _event(39, "r"))
    forms, events = await handle.result()
    assert [form["name"] for form in forms] == [f"p{n}" for n in range(8)]
    assert sorted(events) == list(range(40))
    assert (len(stage.opened), len(stage.completed)) == (8, 8)


async def test_a_run_that_waits_for_its_child_moves_afterwards(stage: Rehearsal) -> None:
    stage.know(flow("- rest: { wait: PT0.8S }\n- done: { set: { child: done } }", name="child"))
    child = "{ run: { workflow: { namespace: tests, name: child, version: latest } } }"
    longer = BUSY.replace("8", "20")
    text = flow(f"""
    - both: {{ fork: {{ branches: [{{ child: {child} }}, {{ busy: {longer} }}] }} }}
    - again: {BUSY}
    """)
    handle = await stage.start(text, new_id())
    await handle.result()
    assert await executions(handle) > 1
    assert {task["status"] for task in stage.reports[-1].tasks} == {"completed"}
    children = {report.run_id for report in stage.reports if report.run_id.startswith(f"{handle.id}/")}
    assert len(children) == 1


async def test_a_run_that_waits_for_its_child_for_too_long_fails_before_temporal_ends_it(
    stage: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot move, and Temporal would end it without a report; like this it can be taken up again."""
    endless = stage.know(flow("- rest: { wait: PT1H }", name="endless-child"))
    child = "{ run: { workflow: { namespace: tests, name: endless-child, version: latest } } }"
    longer = BUSY.replace("8", "30")
    text = flow(f"- both: {{ fork: {{ branches: [{{ child: {child} }}, {{ busy: {longer} }}] }} }}")
    with monkeypatch.context() as patched:
        patched.setattr("workflows.flow.LONGEST_HISTORY", 60)
        handle = await stage.start(text, new_id())
        problem = await problem_of_run(handle)
    assert "await: false" in (problem.detail or "")
    assert await executions(handle) == 1
    assert len(await history(handle)) < 200
    report = next(report for report in reversed(stage.reports) if report.run_id == handle.id)
    assert (report.phase, report.continuation is not None) == ("faulted", True)
    await stage.until(lambda: any(each.run_id != handle.id and each.phase == "cancelled" for each in stage.reports))
    del stage.definitions[endless.digest]
    stage.know(flow("- done: { set: { child: done } }", name="endless-child"))
    again = await stage.start(text, handle.id, continuation=report.continuation, attempt=2)
    await again.result()


async def test_the_receipt_of_a_form_is_given_again_after_the_run_has_moved(stage: Rehearsal) -> None:
    """As when the answer got lost, and the person sends the form again."""
    handle = await stage.start(flow(PERSON + f"- busy: {BUSY}\n- rest: {{ wait: PT1H }}"), new_id())
    command = form_of(await opened(stage, "ask"), {"ok": 1})
    receipt = await complete(handle, command)
    await moved(handle)
    assert await complete(handle, command) == receipt
    assert len(stage.completed) == 1
    await handle.cancel()


async def test_a_moved_run_still_knows_when_it_started(stage: Rehearsal) -> None:
    text = flow(f"""
    - before: {{ set: '${{ $workflow.startedAt }}', export: {{ as: '{{ first: . }}' }} }}
    - busy: {BUSY}
    - after: {{ set: '${{ [$context.first, $workflow.startedAt] }}' }}
    """)
    handle = await stage.start(text, new_id())
    first, second = await handle.result()
    assert await executions(handle) > 1
    assert first == second


async def test_a_flow_that_runs_in_circles_is_caught_however_often_it_moved(
    stage: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("domain.dsl.pace.MOST_IDLE_TURNS", 3_000)
        handle = await stage.start(flow("- round: { set: { x: 1 }, then: round }"), new_id())
        problem = await problem_of_run(handle)
    assert "circles" in (problem.detail or "")
    assert await executions(handle) > 1


async def test_what_is_too_large_to_carry_over_ends_the_run_with_a_sentence(stage: Rehearsal) -> None:
    text = flow(f"- grow: {{ set: {{ a: '${{ \"0123456789\" * 190000 }}' }} }}\n- busy: {BUSY}")
    handle = await stage.start(text, new_id())
    problem = await problem_of_run(handle)
    assert "too much data" in (problem.detail or "")


async def test_a_moved_run_is_still_found_and_cancelled(stage: Rehearsal) -> None:
    handle = await stage.start(flow(beside("{ wait: PT1H }")), new_id(), subject="customer:7")
    await moved(handle)
    described = await handle.describe()
    assert described.typed_search_attributes[labels.CUSTOMER] == "7"
    assert await described.memo_value("version") == "1.0.0"
    await handle.cancel()
    await stage.until(lambda: stage.reports[-1].phase == "cancelled")
    assert {task["name"]: task["status"] for task in stage.reports[-1].tasks}["calm"] == "cancelled"
    assert await history(handle)


def _event(number: int, kind: str) -> dict[str, Any]:
    return {"id": f"e{number}", "source": "/shop", "type": kind, "data": number}


async def _send(handle: Handle, *events: dict[str, Any]) -> None:
    await handle.signal(messages.EVENT_SIGNAL, messages.Events(list(events)))
