"""Clock-driven flows: `schedule.every` and `schedule.cron` as Temporal Schedules.

A Schedule starts a tiny workflow that asks `RunService.start_scheduled` for a run, so that the version is chosen when
the clock strikes, and the row is written as for every other run. `schedule.after` needs no Schedule: the end of one run
plans the next.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from domain.definitions import FlowTraits
from domain.dsl.durations import parse_duration
from services.orchestrator import problems
from services.release_book import ReleaseBook, ReleaseSnapshot
from services.temporal_schedules import SCHEDULE_DEADLINE, delete_schedule
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from workflows.messages import FLOWS_QUEUE, START_SCHEDULED_RUN_WORKFLOW, ScheduledStart

_PREFIX = "flow/"
# After an outage, what was missed within this time is caught up with.
_CATCH_UP = timedelta(hours=1)


def schedule_id(namespace: str, name: str) -> str:
    return f"{_PREFIX}{namespace}/{name}"


class ScheduleService:
    """timezone: in which cron expressions are read."""

    def __init__(
        self, database: Database, client: Client, book: ReleaseBook, *, timezone: str = "Asia/Shanghai"
    ) -> None:
        self._database = database
        self._client = client
        self._book = book
        self._timezone = timezone

    async def sync(self, namespace: str, name: str) -> None:
        """Create, change or delete the flow's Schedule, as its stable version (else its candidate) says.

        :raises UnavailableProblem: Temporal does not answer; nothing or everything was done, repeat it.
        """
        async with UnitOfWork(self._database) as work:
            snapshot = await self._book.current(work)
        await self._put(namespace, name, _spec(snapshot, namespace, name, self._timezone))

    async def sync_all(self) -> int:
        """Bring every Schedule in line with what is released, and delete those of nothing; how many there are now."""
        async with UnitOfWork(self._database) as work:
            snapshot = await self._book.current(work)
        wanted = {flow: _spec(snapshot, *flow, self._timezone) for flow in snapshot.states}
        with problems("schedules"):
            known = {each.id async for each in await self._client.list_schedules(rpc_timeout=SCHEDULE_DEADLINE)}
        for flow, spec in wanted.items():
            if spec is not None or schedule_id(*flow) in known:
                await self._put(*flow, spec)
        for identity in known - {schedule_id(*flow) for flow in wanted}:
            if identity.startswith(_PREFIX):
                await self._delete(identity)
        return sum(spec is not None for spec in wanted.values())

    async def _put(self, namespace: str, name: str, spec: ScheduleSpec | None) -> None:
        identity = schedule_id(namespace, name)
        if spec is None:
            await self._delete(identity)
            return
        schedule = Schedule(
            action=ScheduleActionStartWorkflow(
                START_SCHEDULED_RUN_WORKFLOW,
                ScheduledStart(namespace, name),
                id=f"scheduled/{namespace}/{name}",
                task_queue=FLOWS_QUEUE,
            ),
            spec=spec,
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL, catchup_window=_CATCH_UP),
        )
        with problems(identity):
            try:
                await self._client.create_schedule(identity, schedule, rpc_timeout=SCHEDULE_DEADLINE)
            except ScheduleAlreadyRunningError:
                await self._client.get_schedule_handle(identity).update(
                    _replacing(schedule), rpc_timeout=SCHEDULE_DEADLINE
                )

    async def _delete(self, identity: str) -> None:
        with problems(identity):
            await delete_schedule(self._client, identity)


def _replacing(schedule: Schedule) -> Callable[[ScheduleUpdateInput], ScheduleUpdate | None]:
    """The new action, times and policy; whether somebody paused it stays as it is. None when nothing changes."""

    def update(present: ScheduleUpdateInput) -> ScheduleUpdate | None:
        known = present.description.schedule
        if known.spec == schedule.spec and known.policy == schedule.policy:
            return None
        return ScheduleUpdate(replace(schedule, state=known.state))

    return update


def _spec(snapshot: ReleaseSnapshot, namespace: str, name: str, timezone: str) -> ScheduleSpec | None:
    state = snapshot.state(namespace, name)
    leading = state.stable or state.candidate
    version = snapshot.versions.get((namespace, name, leading)) if leading else None
    return schedule_spec(version.traits, timezone) if version else None


def schedule_spec(traits: FlowTraits, timezone: str) -> ScheduleSpec | None:
    """When a flow starts by the clock; None when it does not."""
    schedule = traits.schedule
    if schedule is None:
        return None
    if schedule.every is not None:
        return ScheduleSpec(intervals=[ScheduleIntervalSpec(every=parse_duration(schedule.every))])
    if schedule.cron is not None:
        return ScheduleSpec(cron_expressions=[schedule.cron], time_zone_name=timezone)
    return None
