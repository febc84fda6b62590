"""Signals that are there before any worker is: several of them in one workflow task, on the real server."""

from collections.abc import Sequence
from typing import Any

import pytest
from temporalio.client import Client

from domain.problems import ConflictProblem
from runtime.rehearsal import Rehearsal
from tests.workflows.observing import Handle, flow, new_id
from tests.workflows.test_events import event, send
from workflows import messages

READ = "{ call: youzan.get_refund, with: { refund_id: R1 } }"
COLLECT = "- hear: { listen: { to: { any: [{ with: { type: paid } }], until: '(. | length) >= 3' } } }"


async def _signal_before_any_worker(late: Rehearsal, handle: Handle, *numbers: Sequence[int]) -> None:
    """Several signals for one workflow task."""
    for each in numbers:
        await send(handle, *(event(number) for number in each))


@pytest.fixture
def late(temporal: Client) -> Rehearsal:
    """A stage whose workers come when they are told to."""
    stage = Rehearsal(temporal)
    stage.queue = f"late-{new_id()}"
    return stage


async def test_signals_before_the_first_task_come_after_what_started_the_run(late: Rehearsal) -> None:
    handle = await late.start(flow(COLLECT), new_id(), events=[event(0)])
    await _signal_before_any_worker(late, handle, [1, 0], [1, 2])
    async with late.worker():
        assert await handle.result() == [{"n": 0}, {"n": 1}, {"n": 2}]


async def test_two_signals_in_one_task_reach_a_listener_that_a_new_worker_finds_waiting(late: Rehearsal) -> None:
    text = flow(f"- first: {{ listen: {{ to: {{ one: {{ with: {{ type: paid }} }} }} }} }}\n{COLLECT}")
    handle = await late.start(text, new_id())
    async with late.worker():
        await late.until(lambda: bool(late.reports))
    await _signal_before_any_worker(late, handle, [0], [1, 2], [2, 3])
    async with late.worker():
        assert await handle.result() == [{"n": 1}, {"n": 2}, {"n": 3}]


async def test_signals_before_a_run_is_taken_up_again_bring_nothing_twice(late: Rehearsal) -> None:
    """What the run had heard before it failed is known although the signal is there before the run's memory is."""

    def refuse(_envelope: messages.CallEnvelope) -> Any:
        raise ConflictProblem("no")

    late.answers["youzan.get_refund"] = refuse
    text = flow(f"""
    - both:
        fork:
          branches:
            - {COLLECT[2:]}
            - later: {{ do: [{{ rest: {{ wait: PT0.2S }} }}, {{ read: {READ} }}] }}
    """)
    handle = await late.start(text, new_id(), events=[event(0)])
    async with late.worker():
        await late.until(lambda: any(report.phase == "faulted" for report in late.reports))
    late.answers.clear()
    again = await late.start(text, handle.id, continuation=late.reports[-1].continuation, attempt=2)
    await _signal_before_any_worker(late, again, [0, 1], [0, 2])
    async with late.worker():
        assert (await again.result())[0] == [{"n": 0}, {"n": 1}, {"n": 2}]
