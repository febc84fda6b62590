"""Ids and hashes that come out the same every time.

An effect whose id is derived from its cause can be repeated without being doubled; a digest names content for ever.
"""

import hashlib
import json
import uuid
from typing import Any

_NAMESPACE = uuid.UUID("6f1c7d0e-2a55-5c1b-9d0a-7c1c2f3b9a11")


def canonical_json(value: Any) -> bytes:
    """The one byte string of a JSON value: keys sorted, no white space, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def content_digest(content: bytes | str) -> str:
    """`sha256:` and 64 hex digits of the content."""
    raw = content.encode() if isinstance(content, str) else content
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def short_digest(content: bytes | str) -> str:
    """The first 16 hex digits: enough to tell states of one thing apart, not to name things among millions."""
    return content_digest(content).partition(":")[2][:16]


def derived_id(*parts: str) -> str:
    """A UUID (version 5) that depends on the parts and on nothing else."""
    # As `uuid.uuid5` makes it, without an object for each: every event and every record has such an id.
    raw = hashlib.sha1(_NAMESPACE.bytes + "\x1f".join(parts).encode(), usedforsecurity=False).digest()[:16]
    number = int.from_bytes(raw, "big") & ~(0xF000 << 64 | 0xC000 << 48) | 5 << 76 | 0x8000 << 48
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def bucket(subject: str, salt: str, *, size: int = 10_000) -> int:
    """The stable bucket in `[0, size)` of a subject: equal shares, independent between salts."""
    raw = hashlib.sha256(f"{salt}\x1f{subject}".encode()).digest()
    return int.from_bytes(raw[:8], "big") % size
