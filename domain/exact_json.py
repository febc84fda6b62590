"""JSON whose numbers stay as they are written: a long fraction is no float, and a long number no rounded one."""

import json
from typing import Any


class Numeral(str):
    """A number, as its digits are written."""

    __slots__ = ()


def read_exactly(text: str) -> Any:
    """The JSON value, every number in it a Numeral. Raises ValueError, and RecursionError for what is too deep."""
    return json.loads(text, parse_int=Numeral, parse_float=Numeral, parse_constant=Numeral)


def write_exactly(value: Any) -> str:
    """The value as JSON, each Numeral as it was written. Raises RecursionError for what is too deep."""
    if isinstance(value, Numeral):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_plain(key)}: {write_exactly(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write_exactly, value)) + "]"
    return _plain(value)


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
