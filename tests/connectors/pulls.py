"""Reading a stream the way a sync does: page after page, each cursor carried over as JSON."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from connectors.accounts import Account
from connectors.pulling import Cursor, PulledPage
from connectors.webhooks import Verified
from domain.events import Event, rfc3339
from domain.problems import ProblemError
from tests.connectors.harness import connector

Between = Callable[[int], Awaitable[None]]


async def pull_all(
    client: Any,
    stream: str,
    since: datetime | None = None,
    *,
    cursor: Cursor | None = None,
    until: datetime | None = None,
    between: Between | None = None,
    most: int = 400,
) -> tuple[list[Verified], Cursor]:
    """Every record of a stream, and where it stands then. between: what happens after each page."""
    position: Any = cursor if cursor is not None else ({"since": rfc3339(since)} if since else {})
    found: list[Verified] = []
    for turn in range(most):
        page = await pull_once(client, stream, position, until or datetime.now(UTC))
        found += page.records
        position = json.loads(json.dumps(page.cursor))
        if between is not None:
            await between(turn)
        if not page.more:
            return found, position
    raise AssertionError(f"{stream} did not end within {most} pages")


async def pull_once(client: Any, stream: str, position: Cursor, until: datetime) -> PulledPage:
    """A page, tried again while it may be: a quick machine asks too often, and a busy simulator answers late."""
    for left in range(4, -1, -1):
        try:
            page: PulledPage = await client.pull(stream, position, until)
        except ProblemError as error:
            if left == 0 or error.problem.as_dict().get("retryable") is not True:
                raise
            await asyncio.sleep(0.5)
        else:
            return page
    raise AssertionError("unreachable")


def events_of(records: list[Verified], account: Account) -> list[Event]:
    """The canonical events of records."""
    chosen = connector(account.platform)
    return [event for record in records for event in chosen.to_events(record, account)]
