"""The base of everything that lives in the world: small, unchangeable, written down and read back as JSON.

Rows are slotted, not pydantic models, because a world of 30,000 customers holds half a million of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row with an identity; rows are replaced whole."""

    id: str

    def replaced(self, **values: Any) -> Self:
        """The row with some values replaced."""
        return replace(self, **values)

    def dump(self) -> dict[str, Any]:
        """The row as JSON-ready values."""
        return dump(self)


def dump(value: Any) -> dict[str, Any]:
    """A row, or a part of one, as JSON-ready values."""
    shown: dict[str, Any] = _adapter(type(value)).dump_python(value, mode="json")
    return shown


def load(kind: type[Any], values: dict[str, Any]) -> Any:
    """What `dump` wrote, as a row again. pydantic.ValidationError when it is not of that kind."""
    return _adapter(kind).validate_python(values)


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}
