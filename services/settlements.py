"""Settlements asked for, tried, approved: each is computed, and booked, by a workflow that begins now or soon."""

from collections.abc import Awaitable
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from domain.access import Actor, Permission
from domain.problems import UnavailableProblem
from domain.settlement.scheme import Cycle
from services.calculations import CalculationSteps, Wanted
from services.orchestrator import Orchestrator, problems
from services.settlement_runs import RunView, SettlementRunService
from services.settlement_views import CalculationView
from storage.audit import AuditLog
from storage.calculations import CalculationRow, Calculations
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from workflows import messages

log = structlog.get_logger(__name__)

_START_AGAIN_AFTER = timedelta(seconds=30)
_STARTED_AT_ONCE = 20


class SettlementService:
    """Beginning calculations."""

    def __init__(
        self, database: Database, orchestrator: Orchestrator, steps: CalculationSteps, runs: SettlementRunService
    ) -> None:
        self._database = database
        self._client: Client = orchestrator.client
        self._deadline = timedelta(seconds=orchestrator.deadline_s)
        self._steps = steps
        self._runs = runs

    async def calculate(self, actor: Actor, wanted: Wanted) -> CalculationView:
        """Begin a calculation; nothing is booked. What Temporal does not hear of now is begun soon.

        :raises NotFoundProblem, ValidationProblem: as `CalculationSteps.ask`.
        """
        actor.require(Permission.SETTLEMENTS_RUN)
        actor.require_everything()
        row = await self._steps.ask(actor, uuid4(), wanted)
        async with UnitOfWork(self._database) as work:
            detail = {"scheme": row.scheme, "version": row.version, "start": str(row.start), "purpose": row.purpose}
            await AuditLog(work).record(actor, "settlement.calculate", f"calculation:{row.id}", detail)
        await self._begin_soon(self._start(row), calculation=str(row.id))
        return CalculationView(row, 0, 2 * row.parts)

    async def settle(self, actor: Actor, scheme: str, day: date, cycle: Cycle | None = None) -> RunView:
        """Begin to settle a period; raises as `SettlementRunService.ask`."""
        view = await self._runs.ask(actor, scheme, day, cycle)
        await self._begin_soon(self._go_on(view), run=str(view.run.id))
        return view

    async def decide(self, actor: Actor, run: UUID, *, approve: bool, note: str | None = None) -> RunView:
        """Approve or refuse a settlement; with enough approvals it is booked now. Raises as the runs' own `decide`."""
        view = await self._runs.decide(actor, run, approve=approve, note=note)
        if view.run.state == "approved":
            await self._begin_soon(self._go_on(view), run=str(run))
        return view

    async def sweep(self) -> int:
        """Begin calculations that Temporal was not told of; how many were tried."""
        async with UnitOfWork(self._database) as work:
            rows = await Calculations(work).unfinished(work.now - _START_AGAIN_AFTER, _STARTED_AT_ONCE)
        for row in rows:
            await self._start(row)
        views = await self._runs.unfinished(_START_AGAIN_AFTER, _STARTED_AT_ONCE)
        for view in views:
            await self._go_on(view)
        return len(rows) + len(views)

    async def _begin_soon(self, beginning: Awaitable[None], **named: str) -> None:
        """Begin now; the sweep does it when Temporal is away."""
        try:
            await beginning
        except UnavailableProblem as problem:
            log.warning("settlement begins later", reason=str(problem), **named)

    async def _go_on(self, view: RunView) -> None:
        """Compute a run, or book it, whatever it stands at."""
        calculations = [messages.Calculation(str(each.id), each.parts) for each in view.calculations]
        run = messages.SettlementRun(str(view.run.id), calculations)
        booking = view.run.state == "approved"
        name = messages.BOOKING_WORKFLOW if booking else messages.SETTLEMENT_RUN_WORKFLOW
        await self._start_workflow(name, run, f"settlement/{'booking' if booking else 'run'}/{view.run.id}")

    async def _start(self, row: CalculationRow) -> None:
        argument = messages.Calculation(str(row.id), row.parts)
        await self._start_workflow(messages.CALCULATION_WORKFLOW, argument, f"settlement/calculation/{row.id}")

    async def _start_workflow(self, name: str, argument: Any, workflow_id: str) -> None:
        with problems(workflow_id):
            try:
                await self._client.start_workflow(
                    name,
                    argument,
                    id=workflow_id,
                    task_queue=messages.SETTLEMENT_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    execution_timeout=timedelta(hours=12),
                    rpc_timeout=self._deadline,
                )
            except WorkflowAlreadyStartedError:
                return
