"""Payloads on their way: unreadable outside, readable with the whole ring, definitions there in time."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowFailureError
from temporalio.converter import DataConverter

from domain.dsl.definition import parse_definition
from domain.dsl.library import LIBRARY, ProgramLibrary
from domain.dsl.program import Program
from domain.problems import ConfigurationProblem
from runtime.payload_codecs import TandemCodec
from runtime.rehearsal import Rehearsal
from tests.workflows.observing import PERSON, complete, flow, form_of, history, new_id, opened, problem_of_run
from workflows.messages import DefinitionRef, FlowStart
from workflows.payloads import DEFINITION_METADATA, TandemPayloadConverter

OLD, NEW = {"2025": b"o" * 32}, {"2026": b"n" * 32}
SECRETS = (b"13800138000", b"Lin Xiaojie", b"no-fan-of-prying")


def payload(data: bytes = b'"hello"', **metadata: bytes) -> Payload:
    return Payload(metadata={"encoding": b"json/plain", **metadata}, data=data)


@given(st.binary(max_size=2_000), st.sampled_from([OLD, NEW]))
def test_what_was_encoded_is_decoded(data: bytes, ring: dict[str, bytes]) -> None:
    async def there_and_back() -> list[Payload]:
        return await TandemCodec(ring).decode(await TandemCodec(ring).encode([payload(data), payload(b"2")]))

    assert asyncio.run(there_and_back()) == [payload(data), payload(b"2")]


@pytest.mark.parametrize("size", [255, 256, 4_000, 4_200, 100_000])
async def test_a_text_of_any_size_comes_back_and_long_ones_get_shorter(size: int) -> None:
    text = " ".join(f"order-{number}" for number in range(size))[:size].encode()
    (sealed,) = await TandemCodec(NEW).encode([payload(text)])
    assert await TandemCodec(NEW).decode([sealed]) == [payload(text)]
    assert size < 1_000 or len(sealed.data) < size / 2


async def test_the_same_payload_never_looks_the_same() -> None:
    codec = TandemCodec(NEW)
    first, second = await codec.encode([payload(), payload()])
    assert first.data != second.data
    assert b"hello" not in first.SerializeToString()


async def test_without_a_key_payloads_stay_as_they_are() -> None:
    assert await TandemCodec({}).encode([payload()]) == [payload()]
    assert await TandemCodec(NEW).decode([payload()]) == [payload()]


async def test_a_rotated_ring_reads_old_payloads_and_writes_with_the_new_key() -> None:
    old = await TandemCodec(OLD).encode([payload()])
    rotated = TandemCodec({**NEW, **OLD})
    assert await rotated.decode(old) == [payload()]
    (new,) = await rotated.encode([payload()])
    assert new.metadata["encryption-key-id"] == b"2026"
    assert await TandemCodec(NEW).decode([new]) == [payload()]


@pytest.mark.parametrize(
    ("ring", "sentence"),
    [(NEW, "no key “2025”"), ({"2025": b"x" * 32}, "does not open"), ({}, "no key “2025”")],
    ids=["key missing", "wrong key", "no key at all"],
)
async def test_what_cannot_be_opened_is_said_clearly(ring: dict[str, bytes], sentence: str) -> None:
    sealed = await TandemCodec(OLD).encode([payload()])
    with pytest.raises(ConfigurationProblem, match=sentence) as refused:
        await TandemCodec(ring).decode(sealed)
    assert "2025" in refused.value.problem.as_dict()["message"]["zh"]


@pytest.mark.parametrize("place", [0, 13, -1])
async def test_a_changed_payload_is_not_taken_for_data(place: int) -> None:
    (sealed,) = await TandemCodec(OLD).encode([payload(b"x" * 500)])
    data = bytearray(sealed.data)
    data[place] ^= 1
    sealed.data = bytes(data)
    with pytest.raises(ConfigurationProblem):
        await TandemCodec(OLD).decode([sealed])


async def test_a_definition_is_fetched_once_and_only_by_whoever_runs_flows() -> None:
    definition = parse_definition(flow("- x: { set: { y: 1 } }"))
    fetched: list[str] = []

    async def fetch(digest: str) -> Program:
        fetched.append(digest)
        return Program(definition.flow, definition.data)

    library = ProgramLibrary()
    start = FlowStart(DefinitionRef(definition.digest), "tests", "a-flow", "1.0.0")
    plain = TandemPayloadConverter().to_payload(start)
    assert plain.metadata[DEFINITION_METADATA] == definition.digest.encode()
    sealed = await TandemCodec(NEW).encode([plain])
    assert definition.digest.encode() not in sealed[0].SerializeToString()
    worker, client = TandemCodec(NEW, fetch, library), TandemCodec(NEW)
    for _ in range(3):
        assert TandemPayloadConverter().from_payload((await worker.decode(sealed))[0], FlowStart) == start
    await client.decode(sealed)
    assert fetched == [definition.digest]
    assert definition.digest in library


async def test_nothing_of_a_customer_can_be_read_in_a_history(temporal: Client) -> None:
    phone, name, answer = (secret.decode() for secret in SECRETS)
    stage = Rehearsal(temporal, keyring={**NEW, **OLD})
    text = flow(f"""
    - read: {{ call: youzan.get_refund, with: {{ refund_id: '${{ .phone }}' }} }}
    {PERSON.strip()}
    - hear: {{ listen: {{ to: {{ one: {{ with: {{ type: told }} }} }} }} }}
    - fail: {{ raise: {{ error: {{ type: https://x.example/e, status: 400, detail: '${{ .[0].name }}' }} }} }}
    """)
    async with stage.worker():
        handle = await stage.start(text, new_id(), {"phone": phone})
        await complete(handle, form_of(await opened(stage, "ask"), {"note": answer}))
        event = {"id": "1", "source": "/s", "type": "told", "data": {"name": name}}
        await handle.signal("event", {"events": [event]})
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert failed.value.cause is not None
    raw = b"".join([each.SerializeToString() for each in await history(temporal.get_workflow_handle(handle.id))])
    assert [secret for secret in SECRETS if secret in raw] == []
    plain = await _opened_up(stage.client.data_converter, await history(handle))
    assert [secret for secret in SECRETS if secret not in plain] == []


async def test_a_history_outlives_the_key_it_was_written_with(temporal: Client) -> None:
    """The keys change while a run waits: it goes on, and its input is still there."""
    text = flow(PERSON + "- both: { set: '${ [., $workflow.input] }' }")
    before = Rehearsal(temporal, keyring=OLD)
    async with before.worker():
        handle = await before.start(text, new_id(), {"n": 1})
        task = await opened(before, "ask")
    after = Rehearsal(temporal, keyring={**NEW, **OLD})
    after.know(text)
    async with after.worker():
        handle = after.client.get_workflow_handle(handle.id)
        await complete(handle, form_of(task, {"ok": True}))
        assert await handle.result() == [{"ok": True}, {"n": 1}]


async def test_a_run_waits_for_a_definition_that_cannot_be_fetched_yet(
    temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Rehearsal(temporal)
    text = flow("- x: { set: { y: 1 } }", name=f"unseen-{new_id()[-8:]}")
    fetched: list[str] = []
    fetch = stage._fetch

    async def away_at_first(digest: str) -> Program:
        fetched.append(digest)
        if len(fetched) == 1:
            raise ConnectionError("the database is away")
        return await fetch(digest)

    monkeypatch.setattr(stage.client.data_converter.payload_codec, "_fetch", away_at_first)
    async with stage.worker():
        handles = [await stage.start(text, new_id())]
        assert await asyncio.wait_for(handles[0].result(), 30) == {"y": 1}
        again = await stage.start(text, new_id())
        assert await again.result() == {"y": 1}
    assert len(fetched) == 2
    assert fetched[0] in LIBRARY


async def test_a_run_of_a_definition_that_is_nowhere_fails_at_once(
    temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Rehearsal(temporal)

    async def nothing(_digest: str) -> None:
        return None

    monkeypatch.setattr(stage.client.data_converter.payload_codec, "_fetch", nothing)
    text = flow("- x: { set: { y: 1 } }", name=f"unseen-{new_id()[-8:]}")
    async with stage.worker():
        handle = await stage.start(text, new_id())
        problem = await problem_of_run(handle)
    assert "There is no definition sha256:" in (problem.detail or "")


async def _opened_up(converter: DataConverter, events: list[Any]) -> bytes:
    """All payloads of a history, decoded, one after the other."""
    assert converter.payload_codec is not None
    found: list[Payload] = []

    def collect(message: Any) -> None:
        if isinstance(message, Payload):
            found.append(message)
            return
        for field, value in message.ListFields():
            if field.message_type is None:
                continue
            if field.message_type.GetOptions().map_entry:
                for item in value.values():
                    if hasattr(item, "ListFields"):
                        collect(item)
            elif hasattr(value, "ListFields"):
                collect(value)
            else:
                for item in value:
                    collect(item)

    for event in events:
        collect(event)
    return b"".join(each.data for each in await converter.payload_codec.decode(found))
