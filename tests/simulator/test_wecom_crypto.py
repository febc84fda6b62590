"""The callback cipher against the platform's published samples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.platforms.wecom import crypto

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
KEY = VECTORS["wecom_url_verify"]["aes_key"]


def test_the_published_url_verification_sample_is_signed_and_read() -> None:
    sample = VECTORS["wecom_url_verify"]
    signed = crypto.signature(sample["token"], sample["timestamp"], sample["nonce"], sample["encrypt"])
    assert signed == sample["msg_signature"]
    message, receive_id = crypto.decrypt(sample["aes_key"], sample["encrypt"])
    assert (message.decode(), receive_id) == (sample["plaintext"], sample["receiveid"])


def test_the_published_encryption_sample_is_reproduced() -> None:
    sample = VECTORS["oa_encrypt"]
    sealed = crypto.encrypt(sample["aes_key"], sample["msg"].encode(), sample["appid"], sample["random16"].encode())
    assert sealed == sample["encrypt"]


@given(message=st.binary(max_size=500), receive_id=st.text("abcdefwx0123456789", max_size=30))
def test_what_is_sealed_opens_again(message: bytes, receive_id: str) -> None:
    sealed = crypto.encrypt(KEY, message, receive_id, bytes(16))
    assert crypto.decrypt(KEY, sealed) == (message, receive_id)


@pytest.mark.parametrize("broken", ["", "????", "AAAA", VECTORS["oa_encrypt"]["encrypt"]])
def test_anything_else_is_refused(broken: str) -> None:
    with pytest.raises(ValueError):
        crypto.decrypt(KEY, broken)
