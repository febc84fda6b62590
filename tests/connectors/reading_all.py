"""Reading a stream to its end, as the schedule that pulls does."""

from datetime import datetime
from typing import Any

from connectors.pulling import Cursor
from connectors.webhooks import Verified


async def read_all(client: Any, stream: str, cursor: Cursor, until: datetime) -> tuple[list[Verified], Cursor]:
    """Every record up to `until`, and where to go on next time."""
    records: list[Verified] = []
    for _ in range(500):
        page = await client.pull(stream, cursor, until)
        records += page.records
        cursor = page.cursor
        if not page.more:
            return records, cursor
    raise AssertionError(f"{stream} has no end")
