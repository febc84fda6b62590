"""The signatures of gateways in Taobao's manner: names and values in a row, sorted by name.

Everything that is sent is signed, but for the signature itself and what the platform leaves out. Taobao, JD and
Pinduoduo sign so; published samples lock it (`tests/connectors/vectors.json`).
Source: open.taobao.com docId=101617, open.pinduoduo.com idStr=8EC06C399636041E, open.jd.com listId=2643.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Literal

SignMethod = Literal["md5", "hmac", "hmac-sha256"]

_HMAC: Mapping[SignMethod, str] = {"hmac": "md5", "hmac-sha256": "sha256"}


def sorted_pairs(params: Mapping[str, str]) -> bytes:
    """Names and values without anything between them, sorted by the bytes of the names."""
    pairs = sorted((name.encode(), value.encode()) for name, value in params.items())
    return b"".join(name + value for name, value in pairs)


def gateway_signature(secret: str, params: Mapping[str, str], method: SignMethod = "md5") -> str:
    """Upper-case hex: md5 with the secret before and behind, or an HMAC whose key is the secret."""
    if method == "md5":
        wrapped = secret.encode() + sorted_pairs(params) + secret.encode()
        return hashlib.md5(wrapped, usedforsecurity=False).hexdigest().upper()
    return hmac.new(secret.encode(), sorted_pairs(params), _HMAC[method]).hexdigest().upper()
