"""Instants as WeChat Pay writes them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.reading import anomaly, optional_text
from domain.problems import Text


def moment(source: Mapping[str, Any], field: str) -> datetime | None:
    """An RFC 3339 instant, or None when it is missing."""
    value = optional_text(source, field, limit=40)
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise anomaly(field, Text("不是有效的时间", "is no valid time"))
    return instant
