"""The rows of a list that a platform answers with, as records for the inbox."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from connectors.errors import missing_in_answer
from connectors.webhooks import Verified
from domain.ids import derived_id

_LONGEST_KEY = 200


def row_payload(value: Any, *, sort_keys: bool = False) -> bytes:
    """What the inbox keeps of something that was read: JSON, fractions as the texts they came as.

    A name that was cut within an emoji leaves half a surrogate pair: it travels as an escape, and is refused by name
    when it is read, instead of stopping everything behind it.
    """
    said = partial(json.dumps, value, separators=(",", ":"), default=str, sort_keys=sort_keys)
    try:
        return said(ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return said(ensure_ascii=True).encode()


def listed_record(kind: str, row: Any, told_apart_by: Sequence[str], now: datetime, *, within: str = "") -> Verified:
    """One row of a list, as it came: whether it can be understood is seen when it is read, so that it stops no other.

    told_apart_by: the fields that tell one version of the thing from another. within: a member to put the row into.
    """
    value = {within: row} if within else row
    payload = row_payload(value)
    known = row if isinstance(row, Mapping) else {}
    parts = [str(known.get(name)) for name in told_apart_by]
    key = ":".join((kind, *parts))
    if len(key) > _LONGEST_KEY or not known.get(told_apart_by[0]):
        key = derived_id(kind, payload.decode())
    return Verified(kind, payload, key, now)


def listed_rows(found: Mapping[str, Any], field: str, platform: str) -> list[Any]:
    """The rows of a list's answer, none when it is left out. Raises CommunicationProblem when it is no list."""
    rows = found.get(field) or []
    if not isinstance(rows, list):
        raise missing_in_answer(platform, field)
    return rows
