"""What runs tell about themselves: the read model follows, lifecycle events are published, the next run is planned.

`RunReports` is what the activities of a run call; `reconcile` looks after runs that cannot report any more.
"""

from datetime import datetime, timedelta

import structlog

from domain.definitions import DefinitionVersion
from domain.dsl.durations import parse_duration
from domain.events import Event
from domain.human_tasks import moved_by_system
from domain.ids import derived_id
from domain.organisation import Placement
from domain.problems import NotFoundProblem, ProblemError, RuntimeProblem, Text
from domain.runs import ENDED_PHASES, Phase, supersedes
from services.orchestrator import Orchestrator, RunSituation, Situation
from services.run_starts import NewRun, RunStarter
from storage.definitions import Definitions, VersionKey
from storage.engine import Database
from storage.events import Events
from storage.human_tasks import HumanTasks
from storage.runs import RunRow, Runs
from storage.unit_of_work import UnitOfWork
from workflows.messages import DefinitionRef, ResolvedFlow, ResolveFlow, RunReport

log = structlog.get_logger(__name__)

_SILENT_FOR = timedelta(minutes=10)
_PHASES: dict[Situation, Phase] = {
    "completed": "completed",
    "failed": "faulted",
    "cancelled": "cancelled",
    "terminated": "cancelled",
    "timed-out": "faulted",
}


class RunReports:
    def __init__(self, database: Database, orchestrator: Orchestrator, starter: RunStarter) -> None:
        self._database = database
        self._orchestrator = orchestrator
        self._starter = starter

    async def record(self, report: RunReport) -> bool:
        """Take in a report; whether it was news. Its events are published in the same transaction, once each.

        A run without a row (started by hand in Temporal) gets one.
        """
        next_row: RunRow | None = None
        async with UnitOfWork(self._database) as work:
            runs = Runs(work)
            row = await runs.row(report.run_id, for_update=True) or await self._adopt(work, report.run_id)
            await Events(work).add([Event.model_validate(envelope) for envelope in report.events])
            if row is None:
                return False
            at = datetime.fromisoformat(report.at)
            if not supersedes(report.phase, at, row.phase, row.reported_at):
                return False
            row.reported_at = at
            row.tasks, row.dropped_tasks = report.tasks, report.dropped_tasks
            _enter(row, report.phase, work.now)
            if report.phase in ENDED_PHASES:
                row.output, row.error, row.continuation = report.output, report.error, report.continuation
                await _close_human_tasks(work, row)
                next_row = await self._plan_next(work, row)
        if next_row is not None:
            await self._starter.launch([next_row])
        return True

    async def resolve(self, request: ResolveFlow) -> ResolvedFlow:
        """Which version a child run gets; its row is written, so that it is seen from its start.

        It hears what came since its parent came to it, as much as fits into its start.

        :raises NotFoundProblem: the flow is not released, or the named version is not published.
        """
        async with UnitOfWork(self._database) as work:
            runs = Runs(work)
            row = await runs.row(request.run_id)
            if row is None:
                chosen = await self._starter.choose(
                    work, request.namespace, request.name, request.subject or request.run_id, request.version
                )
                parent = await runs.row(request.parent_id)
                row = self._child_row(request, chosen, parent, work.now)
                await runs.add([row])
            version = await Definitions(work).get(("flow", row.namespace, row.name, row.version))
            secrets = await self._starter.secret_names(work, [version] if version else [])
        events = await self._starter.missed_by_child(row)
        return ResolvedFlow(DefinitionRef(row.digest), row.version, dict(secrets), events)

    async def reconcile(self, limit: int = 100) -> int:
        """End the rows of runs that Temporal says are over, or does not know; how many rows changed.

        A run normally reports its own end. This is for those that were terminated, or lost with Temporal's data.
        """
        async with UnitOfWork(self._database) as work:
            rows = await Runs(work).claim_silent(limit, work.now - _SILENT_FOR)
        changed = 0
        for row in rows:
            situation = await self._orchestrator.situation(row.id)
            if situation is None or (situation.situation != "running" and situation.attempt >= row.attempt):
                changed += await self._end(row.id, row.attempt, situation)
        return changed

    async def _end(self, run_id: str, attempt: int, situation: RunSituation | None) -> bool:
        async with UnitOfWork(self._database) as work:
            row = await Runs(work).row(run_id, for_update=True)
            if row is None or row.phase in ENDED_PHASES or row.attempt != attempt:
                return False
            how = situation.situation if situation else "lost"
            log.warning("a run ended without a report", run=run_id, situation=how)
            phase = _PHASES.get(situation.situation, "faulted") if situation else "faulted"
            _enter(row, phase, situation.closed_at or work.now if situation else work.now)
            row.error = RuntimeProblem(
                Text(f"运行在引擎中已结束（{how}），没有留下报告", f"The run ended without a report: {how}")
            ).problem.as_dict()
            await _close_human_tasks(work, row)
        return True

    async def _adopt(self, work: UnitOfWork, run_id: str) -> RunRow | None:
        """A row for a run that Temporal knows and we do not; None when it cannot be told which flow it is of."""
        try:
            situation = await self._orchestrator.situation(run_id)
        except ProblemError:
            return None
        namespace, _, name = situation.workflow_type.partition("/") if situation else ("", "", "")
        key: VersionKey = ("flow", namespace, name, str(situation.memo.get("version", "")) if situation else "")
        version = await Definitions(work).get(key)
        if version is None or situation is None:
            log.warning("a run reported that nobody knows", run=run_id)
            return None
        row = NewRun(version, run_id, None, "system:temporal").row(work.now)
        row.id, row.start_due_at, row.started_at = run_id, None, situation.started_at
        await Runs(work).add([row])
        return await Runs(work).row(run_id, for_update=True)

    def _child_row(
        self, request: ResolveFlow, chosen: DefinitionVersion, parent: RunRow | None, now: datetime
    ) -> RunRow:
        new = NewRun(
            chosen,
            request.run_id,
            None,
            parent.started_by if parent else "system:parent",
            # Whose the parent's order is may have become known since the parent began, or have changed.
            parent.subject if parent and parent.subjects else request.subject,
            tuple(parent.subjects if parent and parent.subjects else request.subjects),
            placement=parent.placement if parent else Placement(),
            parent_id=request.parent_id,
            hears_from=datetime.fromisoformat(request.at) if request.at else None,
        )
        row = new.row(now)
        # The parent starts it: there is nothing for the outbox to do.
        row.id, row.start_due_at, row.started_at, row.phase = request.run_id, None, now, "running"
        return row

    async def _plan_next(self, work: UnitOfWork, row: RunRow) -> RunRow | None:
        """The next run of a flow with `schedule.after`, planned when one has ended; a cancelled one has no next."""
        if row.phase == "cancelled" or row.parent_id is not None:
            return None
        key = derived_id("after", row.id)
        try:
            chosen = await self._starter.choose(work, row.namespace, row.name, row.subject or key)
        except NotFoundProblem:
            return None
        schedule = chosen.traits.schedule
        if schedule is None or schedule.after is None:
            return None
        new = NewRun(
            chosen,
            key,
            row.input,
            "system:schedule",
            row.subject,
            tuple(row.subjects),
            placement=row.placement,
            not_before=work.now + parse_duration(schedule.after),
        )
        next_row = new.row(work.now)
        return next_row if await Runs(work).add([next_row]) else None


def _enter(row: RunRow, phase: Phase, at: datetime) -> None:
    row.phase = phase
    row.start_due_at = None
    row.started_at = row.started_at or at
    if phase in ENDED_PHASES:
        row.ended_at = at


async def _close_human_tasks(work: UnitOfWork, row: RunRow) -> None:
    """A run that is over waits for nobody, even when it could not say so itself."""
    for task in await HumanTasks(work).open_of_run(row.id):
        moved = moved_by_system(task.standing, "exit")
        task.state, task.before_suspension = moved.state, moved.before_suspension
        task.version += 1
        task.ended_at, task.changed_at, task.changed_by = work.now, work.now, "system:run"
