"""What is done to a Temporal Schedule that may be gone.

Temporal's list of schedules is some moments behind, and several processes follow it: what one of them finds listed,
another may have deleted.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio.client import Client, ScheduleUpdate, ScheduleUpdateInput
from temporalio.service import RPCError, RPCStatusCode

from services.orchestrator import DEADLINE_S

SCHEDULE_DEADLINE = timedelta(seconds=DEADLINE_S)
"""How long one call about a schedule may take."""


async def delete_schedule(client: Client, identity: str) -> None:
    """Delete a schedule; nothing when it is gone already."""
    with _gone_is_fine():
        await client.get_schedule_handle(identity).delete(rpc_timeout=SCHEDULE_DEADLINE)


async def change_schedule(
    client: Client, identity: str, change: Callable[[ScheduleUpdateInput], ScheduleUpdate | None]
) -> None:
    """Change a schedule as `change` says; nothing when it is gone by now."""
    with _gone_is_fine():
        await client.get_schedule_handle(identity).update(change, rpc_timeout=SCHEDULE_DEADLINE)


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
