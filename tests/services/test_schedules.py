import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.service import RPCError

from domain.definitions import FlowTraits
from domain.dsl.model import Schedule
from services.schedules import schedule_id, schedule_spec
from storage.paging import PageRequest
from storage.runs import RunFilter
from tests.services.house import ADMIN, House, a_flow, eventually
from workflows.messages import ScheduledStart

TICK = "- tick:\n    set: {ticked: true}"


async def _described(house: House, name: str) -> Any:
    try:
        return await house.client.get_schedule_handle(schedule_id("shop", name)).describe()
    except RPCError:
        return None


async def _gone(house: House, name: str) -> bool:
    return await _described(house, name) is None


async def test_a_schedule_follows_what_is_released(house: House) -> None:
    await house.publish(a_flow("nightly", TICK, head="schedule: {cron: '0 3 * * *'}"))
    found = await _described(house, "nightly")
    assert found.schedule.spec.time_zone_name == "Asia/Shanghai"
    assert found.schedule.policy.overlap == ScheduleOverlapPolicy.ALLOW_ALL
    next_run = found.info.next_action_times[0]
    assert (next_run.hour, next_run.minute) == (19, 0)
    await house.publish(a_flow("nightly", TICK, version="1.1.0", head="schedule: {cron: '30 4 * * *'}"))
    found = await _described(house, "nightly")
    assert {(each.hour, each.minute) for each in found.info.next_action_times} == {(20, 30)}
    await house.schedules.sync("shop", "nightly")
    await house.releases.roll_back(ADMIN, "shop", "nightly")
    found = await _described(house, "nightly")
    assert {(each.hour, each.minute) for each in found.info.next_action_times} == {(19, 0)}
    await house.publish(a_flow("nightly", TICK, version="2.0.0"))
    assert await eventually(lambda: _gone(house, "nightly"))


async def test_a_schedule_starts_a_run_each_time(house: House) -> None:
    await house.publish(a_flow("often", TICK, head="schedule: {every: {seconds: 1}}"))

    async def twice_done() -> bool:
        page = await house.runs.search(ADMIN, RunFilter(name="often", phases=("completed",)), PageRequest())
        return len(page.items) >= 2

    try:
        async with house.worker():
            await eventually(twice_done, seconds=20)
    finally:
        await house.client.get_schedule_handle(schedule_id("shop", "often")).delete()
    page = await house.runs.search(ADMIN, RunFilter(name="often"), PageRequest())
    assert {run.started_by for run in page.items} == {"system:schedule"}


async def test_one_stroke_starts_one_run(house: House) -> None:
    await house.publish(a_flow("stroke", TICK))
    stroke = ScheduledStart("shop", "stroke", "scheduled/shop/stroke-2026-11-11T00:00:00Z")
    ids = await asyncio.gather(*(house.runs.start_scheduled(stroke) for _ in range(3)))
    assert len(set(ids)) == 1
    assert await house.runs.start_scheduled(ScheduledStart("shop", "unknown", "x")) is None


async def test_comparing_all_schedules_repairs_what_an_outage_left_behind(house: House) -> None:
    away = House(house.database, await Client.connect("127.0.0.1:9", lazy=True), deadline_s=0.3)
    await away.publish(a_flow("missed", TICK, head="schedule: {every: PT1H}"))
    assert await _gone(house, "missed")
    assert await house.schedules.sync_all() == 1
    found = await _described(house, "missed")
    assert found.schedule.spec.intervals[0].every == timedelta(hours=1)
    await house.client.get_schedule_handle(schedule_id("shop", "missed")).delete()


@pytest.mark.parametrize("schedule", [None, Schedule(after="PT1H"), Schedule()])
def test_what_has_no_clock_has_no_schedule(schedule: Schedule | None) -> None:
    assert schedule_spec(FlowTraits(schedule=schedule), "Asia/Shanghai") is None
