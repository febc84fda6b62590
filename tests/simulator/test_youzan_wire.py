"""How Youzan writes amounts, times, ciphertext and signatures."""

from __future__ import annotations

import json
from decimal import Decimal
from hashlib import md5
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.platforms.youzan import wire

KEY = "00112233445566778899aabbccddeeff"


@given(st.integers(min_value=0, max_value=10**12))
def test_yuan_are_exact_with_two_decimals(amount_minor: int) -> None:
    text = wire.yuan(amount_minor)
    assert Decimal(text) * 100 == amount_minor
    assert text[-3] == "."


def test_a_message_is_encoded_as_the_platform_encodes_it() -> None:
    text = json.dumps({"update_time": "2022-09-01 15:52:36", "refund_reason_desc": "其他~"}, ensure_ascii=False)
    encoded = wire.url_encoded(text)
    assert "2022-09-01+15%3A52%3A36" in encoded
    assert encoded.endswith("%E5%85%B6%E4%BB%96%7E%22%7D")
    assert unquote_plus(encoded) == text


def test_event_sign_is_over_the_raw_bytes() -> None:
    body = '{"a": 1, "b": "中"}'.encode()
    assert wire.event_sign("id", body, "secret") == md5(b"id" + body + b"secret").hexdigest()


@given(st.text(max_size=80))
def test_personal_data_is_hidden_and_comes_back(text: str) -> None:
    hidden = wire.conceal(KEY, text)
    assert hidden.startswith("$")
    assert hidden.endswith("$1$")
    assert hidden == wire.conceal(KEY, text)
    assert wire.reveal(KEY, hidden) == text


@pytest.mark.parametrize("broken", ["", "13800000000", "$$1$", "$AAAA$1$"])
def test_what_is_no_ciphertext_is_refused(broken: str) -> None:
    with pytest.raises(ValueError):
        wire.reveal(KEY, broken)
