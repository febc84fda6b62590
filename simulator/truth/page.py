"""How the true answers are handed out."""

from __future__ import annotations

from typing import Any, NamedTuple

Json = dict[str, Any]


class Page(NamedTuple):
    """Some rows and where the next page begins; None at the end."""

    total: int
    rows: list[Json]
    next_after: int | None
