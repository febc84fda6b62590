"""Events by signal: early, late, twice, at once; on the real server."""

from typing import Any

from runtime.rehearsal import Rehearsal
from tests.workflows.observing import Handle, eventually, flow, new_id, progress
from workflows import messages


def event(number: int, kind: str = "paid", **more: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "source": "/shop", "type": kind, "data": {"n": number}, **more}


async def send(handle: Handle, *events: dict[str, Any]) -> None:
    await handle.signal(messages.EVENT_SIGNAL, messages.Events(list(events)))


async def test_events_before_and_after_listening_are_heard_once_each(stage: Rehearsal) -> None:
    text = flow("""
    - rest: { wait: PT0.4S }
    - hear: { listen: { to: { any: [{ with: { type: paid } }], until: '(. | length) >= 3' } } }
    """)
    handle = await stage.start(text, new_id(), events=[event(0)])
    await send(handle, event(1), event(0), event(1), event(9, "other"))

    async def listens() -> bool:
        return [task["name"] for task in (await progress(handle)).tasks] == ["rest", "hear"]

    await eventually(listens)
    await send(handle, event(1))
    await send(handle, event(2))
    assert await handle.result() == [{"n": 0}, {"n": 1}, {"n": 2}]


async def test_parallel_collectors_each_hear_every_event_of_a_burst(stage: Rehearsal) -> None:
    collect = "{ listen: { to: { any: [{ with: { type: paid } }], until: '(. | length) >= 3' } } }"
    text = flow(f"""
    - both:
        fork:
          branches:
            - a: {collect}
            - b: {collect}
            - once: {{ listen: {{ to: {{ one: {{ with: {{ type: paid }} }} }} }} }}
    """)
    handle = await stage.start(text, new_id())
    await stage.until(lambda: bool(stage.reports))
    await send(handle, *(event(number) for number in range(3)))
    everything = [{"n": 0}, {"n": 1}, {"n": 2}]
    assert await handle.result() == [everything, everything, [{"n": 0}]]


async def test_what_a_listener_did_not_take_is_left_for_the_next_task(stage: Rehearsal) -> None:
    text = flow("""
    - first: { listen: { to: { one: { with: { type: paid } } } } }
    - second: { listen: { to: { one: { with: { type: paid } } } }, input: { from: '{ first: . }' } }
    """)
    handle = await stage.start(text, new_id())
    await stage.until(lambda: bool(stage.reports))
    await send(handle, event(0), event(1))
    assert await handle.result() == [{"n": 1}]


async def test_wait_for_takes_one_event_of_a_burst_and_leaves_the_others(stage: Rehearsal) -> None:
    text = flow("""
    - which:
        call: wait-for
        with: { timeout: PT1H, events: { closed: { type: closed }, paid: { type: paid } } }
    - other:
        listen: { to: { one: { with: { type: closed } } } }
        output: { as: '{ first: $input.came, then: .[0].n }' }
    """)
    handle = await stage.start(text, new_id())
    await stage.until(lambda: bool(stage.reports))
    await send(handle, event(0), event(1, "closed"))
    assert await handle.result() == {"first": "paid", "then": 1}


async def test_the_event_that_ends_the_listening_ends_it_in_the_order_of_arrival(stage: Rehearsal) -> None:
    text = flow("""
    - hear:
        listen:
          to:
            any: [{ with: { type: paid } }]
            until: { all: [{ with: { type: x } }, { with: { type: y } }] }
        foreach: { item: e, do: [{ rest: { wait: PT0.1S } }, { keep: { set: '${ $e.n }' } }] }
    """)
    handle = await stage.start(text, new_id())
    await stage.until(lambda: bool(stage.reports))
    await send(handle, event(0), event(1, "x"), event(2), event(3, "y"), event(4))
    assert await handle.result() == [0, 2]


async def test_correlation_binds_over_several_signals(stage: Rehearsal) -> None:
    text = flow("""
    - hear:
        listen:
          to:
            all:
              - { with: { type: paid }, correlate: { order: { from: .data.order } } }
              - { with: { type: sent }, correlate: { order: { from: .data.order } } }
    """)
    handle = await stage.start(text, new_id())
    await stage.until(lambda: bool(stage.reports))
    await send(handle, event(1, data={"order": "A"}))
    await send(handle, event(2, "sent", data={"order": "B"}), event(3, "sent", data={"order": "A"}))
    assert await handle.result() == [{"order": "A"}, {"order": "A"}]


async def test_a_run_hears_what_it_emits_and_publishes_it_once(stage: Rehearsal) -> None:
    text = flow("""
    - both:
        fork:
          branches:
            - hear: { listen: { to: { one: { with: { type: own } } } } }
            - say: { emit: { event: { with: { source: /me, type: own, data: { x: 1 } } } }, output: { as: .id } }
    """)
    handle = await stage.start(text, new_id())
    heard, identity = await handle.result()
    assert heard == [{"x": 1}]
    assert [published["id"] for published in stage.published] == [identity]


async def test_an_event_emitted_again_in_a_retried_block_is_the_same_event(stage: Rehearsal) -> None:
    text = flow("""
    - careful:
        try:
          - say: { emit: { event: { with: { source: /me, type: told, data: {} } } } }
          - refuse: { raise: { error: { type: https://x.example/e, status: 500 } } }
        catch: { retry: { delay: PT0.01S, limit: { attempt: { count: 2 } } }, do: [{ done: { set: { ok: true } } }] }
    """)
    handle = await stage.start(text, new_id())
    assert await handle.result() == {"ok": True}
    assert len({published["id"] for published in stage.published}) == 1


async def test_a_listener_waits_and_says_so(stage: Rehearsal) -> None:
    text = flow("- hear: { listen: { to: { one: { with: { type: paid } } } } }")
    handle = await stage.start(text, new_id())
    await stage.until(lambda: bool(stage.reports))
    standing = await progress(handle)
    assert (standing.phase, standing.tasks[0]["status"]) == ("waiting", "waiting")
    await send(handle, event(1))
    await handle.result()
