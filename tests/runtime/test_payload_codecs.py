import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from domain.problems import ConfigurationProblem
from runtime.payload_codecs import TandemCodec

OLD, NEW = bytes(32), bytes(range(32))


def a_payload(data: bytes) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=data)


@given(st.binary(max_size=600), st.integers(0, 3))
async def test_a_payload_comes_back_as_it_was(data: bytes, times: int) -> None:
    codec = TandemCodec({"k1": NEW})
    sent = [a_payload(data * times), a_payload(data)]
    assert await codec.decode(await codec.encode(sent)) == sent


async def test_what_is_sent_can_neither_be_read_nor_guessed_from_repetition() -> None:
    codec = TandemCodec({"k1": NEW})
    first, again = await codec.encode([a_payload(b"13800138000")] * 2)
    assert b"13800138000" not in first.SerializeToString()
    assert first.data != again.data


async def test_a_long_text_that_repeats_itself_takes_little_room() -> None:
    [sealed] = await TandemCodec({"k1": NEW}).encode([a_payload(b'{"status":"completed"},' * 400)])
    assert len(sealed.data) < 400


async def test_after_a_rotation_old_payloads_open_and_new_ones_use_the_new_key() -> None:
    before = await TandemCodec({"old": OLD}).encode([a_payload(b"x" * 1_000)])
    rotated = TandemCodec({"new": NEW, "old": OLD})
    assert await rotated.decode(before) == [a_payload(b"x" * 1_000)]
    [sealed] = await rotated.encode([a_payload(b"y")])
    assert sealed.metadata["encryption-key-id"] == b"new"


async def test_a_key_that_is_gone_is_named() -> None:
    sealed = await TandemCodec({"old": OLD}).encode([a_payload(b"x")])
    with pytest.raises(ConfigurationProblem, match="old"):
        await TandemCodec({"new": NEW}).decode(sealed)


@pytest.mark.parametrize("size", [10, 1_000])
async def test_a_changed_payload_is_refused(size: int) -> None:
    codec = TandemCodec({"k1": NEW})
    [sealed] = await codec.encode([a_payload(b"x" * size)])
    for changed in (
        Payload(metadata=sealed.metadata, data=sealed.data[:-1] + b"!"),
        Payload(metadata={**sealed.metadata, "compression": b"none"}, data=sealed.data),
    ):
        with pytest.raises(ConfigurationProblem):
            await codec.decode([changed])


async def test_without_a_key_payloads_stay_readable() -> None:
    codec = TandemCodec({})
    sent = [a_payload(b"x")]
    assert await codec.decode(await codec.encode(sent)) == sent
