"""Signers of Taobao's manner against the platforms' published samples."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway_signing import SignMethod, gateway_signature

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text("utf-8"))
PARAMS = st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=20), max_size=8)


@pytest.mark.parametrize("sample", ["top_md5", "pdd_md5", "jd_md5"])
def test_the_signature_is_the_published_one(sample: str) -> None:
    published = VECTORS[sample]
    assert gateway_signature(published["secret"], published["params"]) == published["sign"]


@pytest.mark.parametrize(("method", "digest"), [("hmac", "md5"), ("hmac-sha256", "sha256")])
def test_a_keyed_hash_has_the_secret_as_its_key_and_no_wrapping(method: SignMethod, digest: str) -> None:
    expected = hmac.new("密".encode(), b"a1b2", digest).hexdigest().upper()
    assert gateway_signature("密", {"b": "2", "a": "1"}, method) == expected


def test_names_are_sorted_by_their_bytes() -> None:
    pairs = {"_": "1", "A": "2", "a": "3", "é": "4", "\uffff": "5", "\U0001f600": "6"}
    wanted = "s" + "A2_1a3é4\uffff5\U0001f6006" + "s"
    assert gateway_signature("s", pairs) == hashlib.md5(wanted.encode()).hexdigest().upper()


@given(params=PARAMS, name=st.text(min_size=1, max_size=20), method=st.sampled_from(["md5", "hmac", "hmac-sha256"]))
def test_order_does_not_matter_and_every_value_does(params: dict[str, str], name: str, method: SignMethod) -> None:
    signature = gateway_signature("secret", params, method)
    assert gateway_signature("secret", dict(reversed(params.items())), method) == signature
    changed = {**params, name: params.get(name, "") + "x"}
    assert gateway_signature("secret", changed, method) != signature
