"""Values that are expensive to get and good for a while: tokens, discovery documents, OpenAPI documents."""

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel, SecretStr

Value = TypeVar("Value")


@dataclass(slots=True)
class _Entry(Generic[Value]):
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    value: Value | None = None
    expires_at: float = float("-inf")


class ExpiringCache(Generic[Value]):
    """At most `capacity` values, the least recently used go first; each key is loaded by one caller at a time.

    For one event loop. now: seconds on a clock that never goes back.
    """

    def __init__(self, capacity: int, now: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._now = now
        self._entries: OrderedDict[str, _Entry[Value]] = OrderedDict()

    async def get(self, key: str, load: Callable[[Value | None], Awaitable[tuple[Value, float]]]) -> Value:
        """The live value, or what `load` returns: it is given the expired value, if any, and returns the new one with
        its lifetime in seconds. What `load` raises is raised, and nothing is kept."""
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
        async with entry.lock:
            if entry.value is None or self._now() >= entry.expires_at:
                value, lifetime_s = await load(entry.value)
                entry.value, entry.expires_at = value, self._now() + lifetime_s
            return entry.value

    def expire(self, key: str, value: Value) -> None:
        """Let this value be loaded anew next time, unless somebody already did."""
        entry = self._entries.get(key)
        if entry is not None and entry.value is value:
            entry.expires_at = float("-inf")


def fingerprint(model: BaseModel) -> str:
    """A key that differs whenever anything in the model does, its secrets included, and gives none of it away."""
    plain = json.dumps(
        [type(model).__name__, model.model_dump()],
        sort_keys=True,
        default=lambda secret: secret.get_secret_value() if isinstance(secret, SecretStr) else str(secret),
    )
    return hashlib.sha256(plain.encode("utf-8")).hexdigest()
