"""Secrets in flows: the interpreter sees placeholders, only the activity that needs a value fills it in.

So no secret ever stands in a history, a log or a task's output, whatever an author does with `$secrets`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\x02secret:([^\x03]+)\x03")


def placeholder(name: str, member: str | None = None) -> str:
    """The text that stands for a secret, or for one member of it."""
    return f"\x02secret:{name}/{member}\x03" if member is not None else f"\x02secret:{name}\x03"


def secret_variables(secrets: Mapping[str, tuple[str, ...] | None]) -> dict[str, Any]:
    """`$secrets`: a placeholder per secret, an object of placeholders for one with members."""
    return {
        name: placeholder(name) if members is None else {member: placeholder(name, member) for member in members}
        for name, members in secrets.items()
    }


def reveal(value: Any, lookup: Callable[[str, str | None], str]) -> Any:
    """The same JSON value with every placeholder replaced by `lookup(name, member)`."""
    if isinstance(value, str):
        if "\x02" not in value:
            return value
        return _PLACEHOLDER.sub(lambda found: lookup(*_split(found.group(1))), value)
    if isinstance(value, dict):
        return {key: reveal(item, lookup) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item, lookup) for item in value]
    return value


def _split(path: str) -> tuple[str, str | None]:
    name, slash, member = path.partition("/")
    return name, member if slash else None
