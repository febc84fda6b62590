"""Text that PostgreSQL can keep: without NUL, and without half a surrogate pair."""

import re
from collections.abc import Iterator
from typing import Any

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# UTF-8 cannot write either of them: only an escape brings one in.
_DOUBTFUL_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def is_storable(text: str) -> bool:
    """Whether the database can keep a text."""
    # Neither is printable, and that is asked faster.
    return text.isprintable() or _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """The text with a mark where something stood that the database cannot keep."""
    return text if is_storable(text) else _UNSTORABLE.sub("\ufffd", text)


def is_json_storable(body: bytes, value: Any) -> bool:
    """Whether the database can keep every text in a JSON value; body: what it was decoded from, as UTF-8."""
    return _DOUBTFUL_ESCAPE.search(body) is None or all(map(is_storable, _texts(value)))


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item
