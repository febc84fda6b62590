"""Settlements asked for: each is computed by a workflow of its own, which begins now or soon."""

from datetime import timedelta
from uuid import uuid4

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from domain.access import Actor, Permission
from domain.problems import UnavailableProblem
from services.calculations import CalculationSteps, Wanted
from services.orchestrator import Orchestrator, problems
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

    def __init__(self, database: Database, orchestrator: Orchestrator, steps: CalculationSteps) -> None:
        self._database = database
        self._client: Client = orchestrator.client
        self._deadline = timedelta(seconds=orchestrator.deadline_s)
        self._steps = steps

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
        try:
            await self._start(row)
        except UnavailableProblem as problem:
            log.warning("calculation begins later", calculation=str(row.id), reason=str(problem))
        return CalculationView(row, 0, 2 * row.parts)

    async def sweep(self) -> int:
        """Begin calculations that Temporal was not told of; how many were tried."""
        async with UnitOfWork(self._database) as work:
            rows = await Calculations(work).unfinished(work.now - _START_AGAIN_AFTER, _STARTED_AT_ONCE)
        for row in rows:
            await self._start(row)
        return len(rows)

    async def _start(self, row: CalculationRow) -> None:
        run_id = f"settlement/calculation/{row.id}"
        argument = messages.Calculation(str(row.id), row.parts)
        with problems(run_id):
            try:
                await self._client.start_workflow(
                    messages.CALCULATION_WORKFLOW,
                    argument,
                    id=run_id,
                    task_queue=messages.SETTLEMENT_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    execution_timeout=timedelta(hours=12),
                    rpc_timeout=self._deadline,
                )
            except WorkflowAlreadyStartedError:
                return
