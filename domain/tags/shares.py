"""A part of the records: `share: { among: { dining: { exists: true } }, more-than: '50%' }`."""

import re
from collections.abc import Mapping
from typing import Any

from domain.dsl.findings import child, listed
from domain.problems import Text
from domain.remarks import Remarks
from domain.tags.conditions import Bounds

WHOLE = 1_000_000
"""Shares are whole millionths: nobody has so many records that a finer one would matter."""
_KEYS = ("at-least", "at-most", "more-than", "less-than")
_PERCENT = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))?%")


def read_share(data: Any, pointer: str, remarks: Remarks) -> Bounds | None:
    """How large the part has to be; None with remarks. `among` is read by who knows the fact."""
    if not isinstance(data, Mapping):
        example = "share: { more-than: '50%' }"
        remarks.error("bad-bounds", pointer, Text(f"请写成 {example}", f"Write {example}"))
        return None
    before = len(remarks.found)
    remarks.unknown_keys(data, (*_KEYS, "among"), pointer)
    given = {key: _part(data[key], child(pointer, key), remarks) for key in _KEYS if key in data}
    if not given:
        text = Text(f"还要写界限：{listed(_KEYS)}", f"A bound is missing: {listed(_KEYS)}")
        remarks.error("bad-bounds", pointer, text)
    if len(remarks.found) > before:
        return None
    low = [part + (key == "more-than") for key, part in given.items() if part is not None and key in _KEYS[::2]]
    high = [part - (key == "less-than") for key, part in given.items() if part is not None and key in _KEYS[1::2]]
    bounds = Bounds(max(low, default=None), min(high, default=None))
    if bounds.is_contradictory:
        text = Text("这些界限互相矛盾，没有值能同时满足", "These bounds contradict each other: no value meets them all")
        remarks.error("contradictory-bounds", pointer, text)
        return None
    return bounds


def _part(value: Any, pointer: str, remarks: Remarks) -> int | None:
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    part = int(found[1]) * 10_000 + int((found[2] or "").ljust(2, "0")) * 100 if found else None
    if part is None or part > WHOLE:
        text = Text("这里要写 0 到 100 的百分比，加引号，例如 '50%'", "A percentage of 0 to 100, quoted, such as '50%'")
        remarks.error("bad-value", pointer, text)
        return None
    return part
