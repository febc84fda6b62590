"""Flows that keep a worker busy end by themselves, and others hardly notice; on the real server, as in production."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner

from runtime.rehearsal import Rehearsal
from tests.workflows.observing import Handle, counts, eventually, flow, history, new_id, problem_of_run
from workflows import messages

# A run that is cut off may be so inside a callback of a weak reference, which can only tell of it by a warning.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
# Each stays within the budget of one evaluation, 100,000 steps, and comes near it.
HEAVY = r'[range(5000) | {k: "a\(.)"}] | group_by(.k) | length'
LOOP = f"""
- again:
    for: {{ each: i, in: '[range(40)]' }}
    do: [{{ work: {{ set: '${{ {HEAVY} }}' }} }}]
"""


@pytest.fixture(scope="module")
async def module_stage(temporal: Client) -> AsyncIterator[Rehearsal]:
    stage = Rehearsal(temporal)
    async with stage.worker(UnsandboxedWorkflowRunner()):
        yield stage


async def failed_tasks(handle: Handle) -> int:
    """Workflow tasks that Temporal gave up: a run that did not yield in time, above all."""
    found = counts(await history(handle))
    return found["WORKFLOW_TASK_FAILED"] + found["WORKFLOW_TASK_TIMED_OUT"]


async def rested(handle: Handle) -> bool:
    """Whether the run gave others their turn, and had its own again."""
    return counts(await history(handle))["TIMER_FIRED"] > 0


async def test_busy_flows_leave_the_others_their_turn(stage: Rehearsal) -> None:
    hostile = [await stage.start(flow(LOOP, name=f"hostile-{n}"), new_id()) for n in range(8)]
    took = []
    for _ in range(10):
        began = time.monotonic()
        handle = await stage.start(flow("- a: { set: { x: 1 } }\n- b: { wait: PT0.01S }"), new_id())
        assert await handle.result() == {"x": 1}
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.1)
    assert sorted(took)[len(took) // 2] < 1.0, took
    assert max(took) < 4.0, took
    # A slow machine may cut some off after two seconds without a turn: they are repeated, and get on all the same.
    for handle in hostile:
        await eventually(partial(rested, handle), 60)
        await handle.cancel()


async def test_heavy_branches_take_turns_and_all_end(stage: Rehearsal) -> None:
    branches = ", ".join(f"{{ b{n}: {{ set: '${{ {HEAVY} }}' }} }}" for n in range(8))
    handle = await stage.start(flow(f"- all: {{ fork: {{ branches: [{branches}] }} }}"), new_id())
    assert await asyncio.wait_for(handle.result(), 60) == [5_000] * 8
    assert await failed_tasks(handle) == 0


@pytest.mark.parametrize("shape", ["many cases of one switch", "outputs within outputs"])
async def test_what_cannot_take_turns_ends_in_an_expression_error(shape: str, stage: Rehearsal) -> None:
    cases = ", ".join(f"{{ c{n}: {{ when: '({HEAVY}) < 0', then: end }} }}" for n in range(40))
    deep = "{ set: { x: 1 } }"
    for level in range(12):
        deep = f"{{ do: [{{ d{level}: {deep} }}], output: {{ as: '{HEAVY}' }} }}"
    text = flow(f"- choose: {{ switch: [{cases}] }}" if shape.startswith("many") else f"- deep: {deep}")
    handle = await stage.start(text, new_id())
    problem = await problem_of_run(handle)
    assert (problem.status, problem.as_dict()["code"]) == (400, "expression-budget")
    assert await failed_tasks(handle) == 0


async def test_a_heavy_filter_over_many_events_does_not_hold_the_worker(stage: Rehearsal) -> None:
    text = flow(f"""
    - rest: {{ wait: PT0.5S }}
    - hear:
        listen: {{ to: {{ one: {{ with: {{ type: t, data: '${{ ({HEAVY}) < . }}' }} }} }} }}
        timeout: {{ after: PT20S }}
    """)
    handle = await stage.start(text, new_id())
    events = [{"id": str(n), "source": "/s", "type": "t", "data": n} for n in range(5)]
    await handle.signal(messages.EVENT_SIGNAL, messages.Events([*events, {**events[0], "id": "x", "data": 9_999}]))
    assert await handle.result() == [9_999]
    assert await failed_tasks(handle) == 0


async def test_what_costs_too_much_is_an_expression_error(stage: Rehearsal) -> None:
    text = flow("- work: { set: { x: '${ [range(9000) | [range(100)] | add] | add }' } }")
    problem = await problem_of_run(await stage.start(text, new_id()))
    assert (problem.status, problem.type.rpartition("/")[2], problem.instance) == (400, "expression", "/do/0/work")
