"""Runs of every kind of task, to be recorded as histories that later versions of the code must still be able to replay.

A recording is never changed. What a new version does differently gets a recording of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from domain.problems import CommunicationProblem
from runtime.rehearsal import Rehearsal
from tests.workflows.observing import Handle, complete, eventually, flow, form_of, opened, order, progress
from workflows import messages

Drive = Callable[[Rehearsal, Handle], Awaitable[None]]

ASK = "{ call: human-task, with: { queue: shop, title: Check, form: { type: object } } }"
RAISE = "{ raise: { error: { type: https://x.example/e, status: 418 } } }"
READ = "{ call: youzan.get_refund, with: { refund_id: R1 } }"


@dataclass(frozen=True)
class Recording:
    """texts: the definition that runs, then those of its children. drive: what happens to the run."""

    name: str
    texts: tuple[str, ...]
    drive: Drive | None = None
    input: Any = None


async def _event(handle: Handle, kind: str, number: int, data: Any = None) -> None:
    event = {"id": f"{kind}-{number}", "source": "/recording", "type": kind, "data": data}
    await handle.signal(messages.EVENT_SIGNAL, messages.Events([event]))


async def _waits_in(handle: Handle, name: str) -> None:
    async def is_there() -> bool:
        tasks = (await progress(handle)).tasks
        return (name, "waiting") in [(task["name"], task["status"]) for task in tasks]

    await eventually(is_there)


async def _people(stage: Rehearsal, handle: Handle) -> None:
    task = await opened(stage, "first")
    await _waits_in(handle, "first")
    await order(handle, messages.SUSPEND_UPDATE)
    await order(handle, messages.RESUME_UPDATE)
    await complete(handle, form_of(task, {"ok": True}))
    await complete(handle, form_of(await opened(stage, "second"), {}, outcome="failed", comment="no"))


async def _events(_stage: Rehearsal, handle: Handle) -> None:
    await _event(handle, "early", 1, {"n": 1})
    await _waits_in(handle, "every")
    await _event(handle, "b", 1, {"order": 1})
    await _event(handle, "a", 1, {"order": 2})
    await _event(handle, "a", 2, {"order": 1})
    await _waits_in(handle, "many")
    for number in range(2):
        await _event(handle, "item", number, number)
    await _event(handle, "stop", 1)
    await _waits_in(handle, "first")
    await _event(handle, "late", 1, "x")


async def _calls(stage: Rehearsal, _handle: Handle) -> None:
    failures = [CommunicationProblem("busy", retryable=True)]

    def answer(_envelope: messages.CallEnvelope) -> Any:
        if failures:
            raise failures.pop()
        return {"state": "signed"}

    stage.answers["youzan.track_waybill"] = answer


async def _cancelled(stage: Rehearsal, handle: Handle) -> None:
    await opened(stage, "ask")
    await _waits_in(handle, "ask")
    await handle.cancel()


async def _moved(stage: Rehearsal, handle: Handle) -> None:
    task = await opened(stage, "ask")
    await _event(handle, "r", 1, 1)
    first = (await handle.describe()).run_id

    async def has_moved() -> bool:
        return (await handle.describe()).run_id != first

    await eventually(has_moved, 20)
    await _waits_in(handle, "ask")
    await _event(handle, "r", 2, 2)
    await complete(handle, form_of(task, {"ok": True}))


async def _retried(stage: Rehearsal, handle: Handle) -> None:
    def refuse(_envelope: messages.CallEnvelope) -> Any:
        raise CommunicationProblem("no")

    stage.answers["youzan.track_waybill"] = refuse
    await stage.until(lambda: bool(stage.reports) and stage.reports[-1].phase == "faulted")
    stage.answers.clear()

    async def has_ended() -> bool:
        return (await handle.describe()).close_time is not None

    await eventually(has_ended)
    text = next(recording.texts[0] for recording in RECORDINGS if recording.name == "retried")
    await stage.start(text, handle.id, continuation=stage.reports[-1].continuation, attempt=2)


RECORDINGS = (
    Recording(
        "order",
        (
            flow("""
            - begin: { set: { n: '${ .n }' }, export: { as: '{ start: .n }' } }
            - choose: { switch: [{ small: { when: .n < 3, then: loop } }, { other: { then: end } }] }
            - never: { set: { x: 1 } }
            - loop: { for: { each: i, in: '[1, 2]' }, do: [{ add: { set: { n: '${ .n + $i }' } } }] }
            - nested: { do: [{ skipped: { if: 'false', set: { n: 0 } } }, { kept: { set: '${ . }', then: exit } }] }
            """),
        ),
        input={"n": 1},
    ),
    Recording(
        "time",
        (
            flow(
                """
            - rest: { wait: PT0.05S }
            - race:
                fork:
                  compete: true
                  branches: [{ quick: { wait: PT0.05S } }, { slow: { wait: PT1H } }]
            - both: { fork: { branches: [{ a: { wait: PT0.05S } }, { b: { set: { b: 1 } } }] } }
            - moment:
                try: [{ until: { call: wait-until, with: { at: '03:00' }, timeout: { after: PT0.05S } } }]
                catch: { errors: { with: { status: 408 } } }
            """,
                head="timeout: { after: PT1H }",
            ),
        ),
    ),
    Recording(
        "recovery",
        (
            flow("""
            - careful:
                try: [{ fail: { raise: { error: { type: https://x.example/e, status: 500 } } } }]
                catch:
                  as: problem
                  retry: { delay: PT0.02S, backoff: { exponential: {} }, limit: { attempt: { count: 3 } },
                           jitter: { from: PT0S, to: PT0.01S } }
                  do: [{ handle: { set: '${ $problem.status }' } }]
            - last: { raise: { error: { type: https://x.example/e, status: 418 } } }
            """),
        ),
    ),
    Recording(
        "calls",
        (
            flow(
                f"""
                - read: {READ}
                - track: {{ call: youzan.track_waybill, with: {{ refund_id: R1 }} }}
                - get: {{ call: http, with: {{ method: get, endpoint: https://api.example.com/ }} }}
                - greet: {{ call: greet, with: {{ name: Lin }} }}
                - share: {{ call: split, with: {{ salt: s, shares: {{ a: 100 }} }} }}
                """,
                head="""
                use:
                  functions: { greet: { set: { text: '${ .name }' } } }
                  extensions:
                    - audit:
                        extend: call
                        before: [{ note: { emit: { event: { with: { source: /x, type: before, data: {} } } } } }]
                        after: [{ done: { emit: { event: { with: { source: /x, type: after, data: {} } } } } }]
                """,
                metadata={"lifecycleEvents": "all"},
            ),
        ),
        _calls,
    ),
    Recording(
        "people",
        (
            flow(f"""
            - first: {ASK}
            - safe: {{ try: [{{ second: {ASK} }}], catch: {{ do: [{{ seen: {{ set: {{ ok: false }} }} }}] }} }}
            - late: {{ try: [{{ third: {{ {ASK[1:-1]}, timeout: {{ after: PT0.05S }} }} }}], catch: {{}} }}
            """),
        ),
        _people,
    ),
    Recording(
        "events",
        (
            flow("""
            - one: { listen: { to: { one: { with: { type: early } } } } }
            - every:
                listen:
                  to:
                    all:
                      - { with: { type: a }, correlate: { order: { from: .data.order } } }
                      - { with: { type: b }, correlate: { order: { from: .data.order } } }
            - many:
                listen: { to: { any: [{ with: { type: item } }], until: { one: { with: { type: stop } } } } }
                foreach: { item: i, do: [{ keep: { wait: PT0.02S } }] }
            - say: { emit: { event: { with: { source: /me, type: told, data: { n: 1 } } } } }
            - first: { call: wait-for, with: { timeout: PT1H, events: { late: { type: late }, never: { type: n } } } }
            - none: { call: wait-for, with: { timeout: PT0.05S, events: { never: { type: n } } } }
            """),
        ),
        _events,
    ),
    Recording(
        "children",
        (
            flow("""
            - waits: { run: { workflow: { namespace: tests, name: good, version: latest } } }
            - goes: { run: { workflow: { namespace: tests, name: good, version: latest }, await: false } }
            - safe:
                try: [{ fails: { run: { workflow: { namespace: tests, name: bad, version: latest } } } }]
                catch: { as: e, do: [{ seen: { set: '${ $e.status }' } }] }
            """),
            flow("- done: { set: { ok: true } }", name="good"),
            flow("- fail: { raise: { error: { type: https://x.example/e, status: 418 } } }", name="bad"),
        ),
    ),
    Recording(
        "cancelled",
        (flow(f"- both: {{ fork: {{ branches: [{{ ask: {ASK} }}, {{ rest: {{ wait: PT1H }} }}] }} }}"),),
        _cancelled,
    ),
    Recording("told_completed", (flow("- rest: { wait: PT0.05S }"),)),
    Recording("told_cancelled", (flow(f"- ask: {ASK}"),), _cancelled),
    Recording("told_faulted", (flow(f"- rest: {{ wait: PT0.05S }}\n- fail: {RAISE}"),)),
    Recording("told_nothing", (flow(f"- fail: {RAISE}"),)),
    Recording(
        "retried",
        (flow(f"- read: {READ}\n- track: {{ call: youzan.track_waybill, with: {{ refund_id: R1 }} }}"),),
        _retried,
    ),
    Recording(
        "moved",
        (
            flow(f"""
            - all:
                fork:
                  branches:
                    - busy: {{ for: {{ each: n, in: '[range(6)]' }}, do: [{{ tick: {{ wait: PT0.01S }} }}] }}
                    - ask: {ASK}
                    - hear: {{ listen: {{ to: {{ any: [{{ with: {{ type: r }} }}], until: '(. | length) == 2' }} }} }}
                    - bounded: {{ try: [{{ rest: {{ wait: PT1H, timeout: {{ after: PT1S }} }} }}], catch: {{}} }}
            """),
        ),
        _moved,
    ),
    Recording(
        "busy",
        (
            flow("""
            - light: { for: { each: i, in: '[range(450)]' }, do: [{ add: { set: '${ . + 1 }' } }] }
            - heavy:
                for: { each: i, in: '[range(3)]' }
                do: [{ count: { set: '${ [range(9000)] | map(. + 1) | add }' } }]
            """),
        ),
        input=0,
    ),
)


async def play(stage: Rehearsal, recording: Recording, run_id: str) -> Handle:
    """The run of a recording, once it has ended."""
    stage.forget()
    for text in recording.texts[1:]:
        stage.know(text)
    handle = await stage.start(recording.texts[0], run_id, recording.input)
    if recording.drive is not None:
        await recording.drive(stage, handle)
    latest = stage.client.get_workflow_handle(run_id)

    async def has_ended() -> bool:
        return (await latest.describe()).close_time is not None

    await eventually(has_ended, 20)
    await asyncio.sleep(0)
    return latest
