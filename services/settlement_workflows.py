"""Beginning the workflows of settlement: once for each thing, now or soon."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from domain.problems import UnavailableProblem
from services.orchestrator import Orchestrator, problems
from workflows import messages

log = structlog.get_logger(__name__)

START_AGAIN_AFTER = timedelta(seconds=30)
"""How long something may wait for its workflow before a sweep begins it again."""
STARTED_AT_ONCE = 20


class SettlementWorkflows:
    """Workflows on the queue of settlements, by id."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self._client: Client = orchestrator.client
        self._deadline = timedelta(seconds=orchestrator.deadline_s)

    async def start(
        self, name: str, argument: Any, workflow_id: str, *, within: timedelta | None = timedelta(hours=12)
    ) -> None:
        """Begin one, unless it is under way or has succeeded. within: None for as long as it takes.

        :raises UnavailableProblem: Temporal does not answer.
        """
        with problems(workflow_id):
            try:
                await self._client.start_workflow(
                    name,
                    argument,
                    id=workflow_id,
                    task_queue=messages.SETTLEMENT_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    execution_timeout=within,
                    rpc_timeout=self._deadline,
                )
            except WorkflowAlreadyStartedError:
                return


async def begin_soon(beginning: Awaitable[None], **named: str) -> None:
    """Begin now; a sweep does it when Temporal is away."""
    try:
        await beginning
    except UnavailableProblem as problem:
        log.warning("settlement begins later", reason=str(problem), **named)
