"""What is done to a Temporal Schedule that may be gone.

Temporal's list of schedules is some moments behind, and several processes follow it: what one of them finds listed,
another may have deleted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

from google.protobuf.duration_pb2 import Duration
from temporalio.api.schedule.v1 import IntervalSpec, ScheduleSpec
from temporalio.api.workflowservice.v1 import UpdateScheduleRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from services.orchestrator import DEADLINE_S

SCHEDULE_DEADLINE = timedelta(seconds=DEADLINE_S)
"""How long one call about a schedule may take."""


async def delete_schedule(client: Client, identity: str) -> None:
    """Delete a schedule; nothing when it is gone already."""
    with _gone_is_fine():
        await client.get_schedule_handle(identity).delete(rpc_timeout=SCHEDULE_DEADLINE)


async def strike_anew(client: Client, identity: str, every: timedelta, offset: timedelta, jitter: timedelta) -> None:
    """Let a schedule strike as often as this says; nothing when it is gone by now.

    Everything else of it stays. It is told which state of it was read, and drops the change when that is not the newest
    one: the library's own update would undo a pause that came in between. Whoever looks at its times later sees whether
    to ask again.
    """
    with _gone_is_fine():
        handle = client.get_schedule_handle(identity)
        known = (await handle.describe(rpc_timeout=SCHEDULE_DEADLINE)).raw_description
        interval = IntervalSpec(interval=_duration(every), phase=_duration(offset))
        known.schedule.spec.CopyFrom(ScheduleSpec(interval=[interval], jitter=_duration(jitter)))
        request = UpdateScheduleRequest(
            namespace=client.namespace,
            schedule_id=identity,
            schedule=known.schedule,
            conflict_token=known.conflict_token,
            identity=client.identity,
            request_id=str(uuid4()),
        )
        await client.workflow_service.update_schedule(request, retry=True, timeout=SCHEDULE_DEADLINE)


def _duration(length: timedelta) -> Duration:
    found = Duration()
    found.FromTimedelta(length)
    return found


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
