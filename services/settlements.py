"""Settlements asked for, tried, approved: each is computed, and booked, by a workflow that begins now or soon."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID, uuid4

from domain.access import Actor, Permission
from domain.problems import ProblemError, UnavailableProblem
from domain.settlement.scheme import Cycle
from services.calculations import CalculationSteps, Wanted
from services.due_periods import DuePeriod
from services.orchestrator import Orchestrator
from services.repeats import Repeats
from services.run_views import RunView
from services.settlement_runs import SettlementRunService
from services.settlement_views import CalculationView, view_of
from services.settlement_workflows import START_AGAIN_AFTER, STARTED_AT_ONCE, SettlementWorkflows, begin_soon
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from workflows import messages


@dataclass(frozen=True, slots=True)
class ApprovedRuns:
    """What became of settlements that were approved together: how each stands, and why others are as they were."""

    approved: Sequence[RunView]
    refused: Sequence[tuple[UUID, ProblemError]]


class SettlementService:
    """Beginning calculations."""

    def __init__(
        self, database: Database, orchestrator: Orchestrator, steps: CalculationSteps, runs: SettlementRunService
    ) -> None:
        self._database = database
        self._workflows = SettlementWorkflows(orchestrator)
        self._steps = steps
        self._runs = runs
        self._after: tuple[datetime, UUID] | None = None

    async def calculate(self, actor: Actor, wanted: Wanted) -> CalculationView:
        """Begin a calculation; nothing is booked. What Temporal does not hear of now is begun soon.

        :raises NotFoundProblem, ValidationProblem: as `CalculationSteps.ask`.
        """
        row = await self._steps.ask(actor, uuid4(), wanted)
        async with UnitOfWork(self._database) as work:
            view = await view_of(work, row)
        await begin_soon(self._start(row), calculation=str(row.id))
        return view

    async def repeat(self, actor: Actor, calculation: UUID) -> CalculationView:
        """Begin to do a calculation again, beside the original. Raises as `Repeats.ask`."""
        row = await Repeats(self._database).ask(actor, calculation)
        async with UnitOfWork(self._database) as work:
            view = await view_of(work, row)
        await begin_soon(self._start(row), calculation=str(row.id))
        return view

    async def settle(
        self, actor: Actor, scheme: str, day: date, cycle: Cycle | None = None, *, leave_out: bool = False
    ) -> RunView:
        """Begin to settle a period; leave_out, and what is raised, as of `SettlementRunService.ask`."""
        view = await self._runs.ask(actor, scheme, day, cycle, leave_out=leave_out)
        await begin_soon(self._go_on(view), run=str(view.run.id))
        return view

    async def decide(
        self, actor: Actor, run: UUID, *, approve: bool, note: str | None = None, together_minor: int = 0
    ) -> RunView:
        """Approve or refuse a settlement; with enough approvals it is booked now. Raises as the runs' own `decide`."""
        view = await self._runs.decide(actor, run, approve=approve, note=note, together_minor=together_minor)
        if view.run.state == "approved":
            await begin_soon(self._go_on(view), run=str(run))
        return view

    async def settle_due(self, actor: Actor, period: DuePeriod, *, leave_out: bool) -> RunView:
        """Begin to settle a period that is due; raises as `settle`."""
        return await self.settle(actor, period.scheme, period.start, period.cycle, leave_out=leave_out)

    async def approve_all(self, actor: Actor, runs: Sequence[UUID], note: str | None = None) -> ApprovedRuns:
        """Approve each of these as `decide` does, by itself: one that may not be approved keeps no other from it.

        Limits, and how many people it takes, go by what all of a scheme's among them move.
        """
        actor.require(Permission.PAYOUTS_APPROVE)
        actor.require_everything()
        approved: list[RunView] = []
        refused: list[tuple[UUID, ProblemError]] = []
        together = await self._runs.moved_together(list(dict.fromkeys(runs)))
        for run in dict.fromkeys(runs):
            try:
                minor = together.get(run, 0)
                approved.append(await self.decide(actor, run, approve=True, note=note, together_minor=minor))
            except UnavailableProblem:
                raise
            except ProblemError as problem:
                refused.append((run, problem))
        return ApprovedRuns(approved, refused)

    async def sweep(self) -> int:
        """Begin calculations that Temporal was not told of; how many were tried."""
        async with UnitOfWork(self._database) as work:
            rows = await Calculations(work).unfinished(work.now - START_AGAIN_AFTER, STARTED_AT_ONCE)
        for row in rows:
            await self._start(row)
        views = await self._runs.unfinished(START_AGAIN_AFTER, STARTED_AT_ONCE, self._after)
        self._after = (views[-1].run.asked_at, views[-1].run.id) if len(views) == STARTED_AT_ONCE else None
        for view in views:
            await self._go_on(view)
        return len(rows) + len(views)

    async def _go_on(self, view: RunView) -> None:
        """Compute a run, or book it, whatever it stands at."""
        calculations = [messages.Calculation(str(each.id), each.parts) for each in view.calculations]
        run = messages.SettlementRun(str(view.run.id), calculations)
        booking = view.run.state == "approved"
        name = messages.BOOKING_WORKFLOW if booking else messages.SETTLEMENT_RUN_WORKFLOW
        await self._workflows.start(name, run, f"settlement/{'booking' if booking else 'run'}/{view.run.id}")

    async def _start(self, row: CalculationRow) -> None:
        argument = messages.Calculation(str(row.id), row.parts)
        await self._workflows.start(messages.CALCULATION_WORKFLOW, argument, f"settlement/calculation/{row.id}")
