"""Schedules that another process deleted or changed meanwhile."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleIntervalSpec, ScheduleSpec
from temporalio.service import RPCError, RPCStatusCode

from services.temporal_schedules import delete_schedule, strike_anew
from tests.services.house import eventually

NOTHING, HOUR, MINUTE = timedelta(), timedelta(hours=1), timedelta(minutes=1)


async def schedule(temporal: Client, identity: str) -> None:
    action = ScheduleActionStartWorkflow("Nothing", id=identity, task_queue="nobody")
    hourly = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=HOUR)])
    await temporal.create_schedule(identity, Schedule(action=action, spec=hourly))


async def test_a_schedule_that_is_gone_is_neither_deleted_again_nor_changed(temporal: Client) -> None:
    identity = "test/gone"
    await schedule(temporal, identity)
    for _ in range(2):
        await delete_schedule(temporal, identity)
    await strike_anew(temporal, identity, MINUTE, NOTHING, NOTHING)
    with pytest.raises(RPCError) as refused:
        await temporal.get_schedule_handle(identity).describe()
    assert refused.value.status is RPCStatusCode.NOT_FOUND


async def test_a_pause_that_comes_in_between_stays(temporal: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = "test/paused"
    await schedule(temporal, identity)
    handle = temporal.get_schedule_handle(identity)
    update = temporal.workflow_service.update_schedule

    async def is_paused() -> bool:
        return (await handle.describe()).schedule.state.paused

    async def late(*arguments: Any, **more: Any) -> Any:
        await handle.pause(note="looked into")
        await eventually(is_paused)
        return await update(*arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(temporal.workflow_service, "update_schedule", late)
        await strike_anew(temporal, identity, MINUTE, NOTHING, NOTHING)
    assert await is_paused()

    async def strikes_anew() -> bool:
        await strike_anew(temporal, identity, MINUTE, NOTHING, NOTHING)
        (interval,) = (await handle.describe()).schedule.spec.intervals
        return interval.every == MINUTE

    await eventually(strikes_anew)
    assert await is_paused()
    await delete_schedule(temporal, identity)
