"""Schedules that another process deleted meanwhile."""

import pytest
from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleSpec, ScheduleUpdateInput
from temporalio.service import RPCError, RPCStatusCode

from services.temporal_schedules import change_schedule, delete_schedule


async def test_a_schedule_that_is_gone_is_neither_deleted_again_nor_changed(temporal: Client) -> None:
    identity = "test/gone"
    action = ScheduleActionStartWorkflow("Nothing", id=identity, task_queue="nobody")
    await temporal.create_schedule(identity, Schedule(action=action, spec=ScheduleSpec()))
    for _ in range(2):
        await delete_schedule(temporal, identity)

    def unwanted(found: ScheduleUpdateInput) -> None:
        raise AssertionError(f"{found} is gone")

    await change_schedule(temporal, identity, unwanted)
    with pytest.raises(RPCError) as refused:
        await temporal.get_schedule_handle(identity).describe()
    assert refused.value.status is RPCStatusCode.NOT_FOUND
