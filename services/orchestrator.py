"""Temporal as the services see it: every call has a deadline, every failure is a problem.

start_flow    one workflow start; a run that is there already is no error
signal_events events for one run; False when the run is over
update        a request that the run answers, such as a completed form
progress      where a run stands, asked of the run itself
situation     where a run stands, asked of the server: works without any worker
forget        delete a run with its history
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import Priority, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.ids import canonical_json
from domain.problems import (
    NotFoundProblem,
    Problem,
    ProblemError,
    RuntimeProblem,
    Text,
    UnavailableProblem,
)
from workflows import labels
from workflows.failures import problem_of
from workflows.messages import EVENT_SIGNAL, FLOWS_QUEUE, PROGRESS_QUERY, Events, FlowStart, Progress

DEADLINE_S = 5.0
"""How long a caller waits for Temporal before hearing that it cannot be reached."""

_UNREACHABLE = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.ABORTED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
    }
)

_EVENTS_PER_SIGNAL = 50
_SIGNAL_BYTES = 1_000_000

Situation = Literal["running", "completed", "failed", "cancelled", "terminated", "timed-out"]

_SITUATIONS: dict[WorkflowExecutionStatus, Situation] = {
    WorkflowExecutionStatus.RUNNING: "running",
    WorkflowExecutionStatus.CONTINUED_AS_NEW: "running",
    WorkflowExecutionStatus.COMPLETED: "completed",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed-out",
}

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class RunSituation:
    """What the server knows of the latest execution of a run."""

    situation: Situation
    attempt: int
    workflow_type: str
    started_at: datetime
    closed_at: datetime | None
    memo: dict[str, Any]


class Orchestrator:
    """The Temporal client with deadlines, answering in problems."""

    def __init__(self, client: Client, *, deadline_s: float = DEADLINE_S) -> None:
        self.client = client
        self.deadline_s = deadline_s

    async def start_flow(self, run_id: str, start: FlowStart, *, delay: timedelta | None = None) -> bool:
        """True when this call started the run, False when this attempt of it was started before.

        :raises UnavailableProblem: Temporal does not answer; the start may be repeated.
        """
        with problems(run_id):
            try:
                await self.client.start_workflow(
                    labels.flow_name(start),
                    start,
                    id=run_id,
                    task_queue=FLOWS_QUEUE,
                    id_reuse_policy=(
                        WorkflowIDReusePolicy.REJECT_DUPLICATE
                        if start.attempt == 1
                        else WorkflowIDReusePolicy.ALLOW_DUPLICATE
                    ),
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    search_attributes=labels.search_attributes(start),
                    memo=labels.memo(start),
                    static_summary=labels.summary(f"{start.version} {start.subject}".strip()),
                    start_delay=delay,
                    # A worker on this very client gets the first task with the answer, one round trip earlier.
                    request_eager_start=delay is None,
                    priority=Priority(fairness_key=labels.fairness_key(start)),
                    rpc_timeout=self._deadline,
                )
            except WorkflowAlreadyStartedError:
                if start.attempt > 1:
                    await self._require_attempt(run_id, start.attempt)
                return False
        return True

    async def signal_events(self, run_id: str, events: Sequence[dict[str, Any]]) -> bool:
        """Give events (CloudEvent envelopes) to a run, in as many signals as they need; False when it is over or was
        never started."""
        with problems(run_id):
            try:
                handle = self.client.get_workflow_handle(run_id)
                for part in in_parts(events):
                    await handle.signal(EVENT_SIGNAL, Events(part), rpc_timeout=self._deadline)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
        return True

    async def update(
        self,
        run_id: str,
        name: str,
        argument: Any,
        *,
        key: str,
        answer: type[Answer],
        deadline_s: float | None = None,
    ) -> Answer:
        """What the run answers. Repeating the same `key` asks for the same answer again.

        :raises UnavailableProblem: no worker took it within the deadline; nothing was done, or the same key will tell.
        :raises NotFoundProblem: the run is over.
        :raises ProblemError: the run refused, with the run's own problem.
        """
        deadline = timedelta(seconds=self.deadline_s if deadline_s is None else deadline_s)
        with problems(run_id):
            handle = self.client.get_workflow_handle(run_id)
            result: Answer = await handle.execute_update(
                name, argument, id=key, result_type=answer, rpc_timeout=deadline
            )
            return result

    async def progress(self, run_id: str, *, deadline_s: float = 1.0) -> Progress | None:
        """Where the run stands; None when nobody answers within the deadline."""
        handle = self.client.get_workflow_handle(run_id)
        try:
            progress: Progress = await handle.query(
                PROGRESS_QUERY, result_type=Progress, rpc_timeout=timedelta(seconds=deadline_s)
            )
        except (RPCError, WorkflowQueryFailedError, RuntimeError):
            # The last one: a client that never reached its server.
            return None
        return progress

    async def cancel(self, run_id: str, reason: str) -> bool:
        """Ask the run to cancel itself; False when it is over or was never started."""
        with problems(run_id):
            try:
                await self.client.get_workflow_handle(run_id).cancel(reason=reason, rpc_timeout=self._deadline)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
        return True

    async def forget(self, run_id: str) -> bool:
        """Delete every execution of the run with its history; True when none is left that the server knows.

        The server deletes in its own time: ask again until it is True. One that still runs is ended by it.
        """
        left = await self.executions(run_id)
        with problems(run_id):
            for execution in left:
                await self._delete(run_id, execution)
        return not left

    async def executions(self, run_id: str) -> list[str]:
        """The ids of all executions of a run that the server knows, the newest first."""
        with problems(run_id):
            name = run_id.replace("'", "''")
            known = [each.run_id async for each in self.client.list_workflows(f"WorkflowId = '{name}'")]
            if not known:
                newest = await self._newest_execution(run_id)
                known = [newest] if newest else []
        return known

    async def _newest_execution(self, run_id: str) -> str | None:
        try:
            return (await self.client.get_workflow_handle(run_id).describe(rpc_timeout=self._deadline)).run_id
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    async def _delete(self, run_id: str, execution: str) -> None:
        request = DeleteWorkflowExecutionRequest(
            namespace=self.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run_id, run_id=execution),
        )
        try:
            await self.client.workflow_service.delete_workflow_execution(request, timeout=self._deadline)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def situation(self, run_id: str) -> RunSituation | None:
        """What the server knows of the run; None when it knows nothing."""
        with problems(run_id):
            try:
                found = await self.client.get_workflow_handle(run_id).describe(rpc_timeout=self._deadline)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise
            memo = dict(await found.memo())
        return RunSituation(
            situation=_SITUATIONS.get(found.status or WorkflowExecutionStatus.RUNNING, "running"),
            attempt=int(memo.get("attempt", 1)),
            workflow_type=found.workflow_type,
            started_at=found.start_time,
            closed_at=found.close_time,
            memo=memo,
        )

    async def healthy(self) -> bool:
        """Whether the server answers."""
        try:
            return await self.client.service_client.check_health(timeout=self._deadline)
        except (RPCError, RuntimeError):
            # The latter: a client that never reached its server.
            return False

    async def _require_attempt(self, run_id: str, attempt: int) -> None:
        """An execution of the run is there: of this attempt, or of the one before, which is about to close."""
        found = await self.situation(run_id)
        if found is None or found.attempt < attempt:
            raise _unavailable()

    @property
    def _deadline(self) -> timedelta:
        return timedelta(seconds=self.deadline_s)


def in_parts(events: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Events in lists that fit into one signal each."""
    parts: list[list[dict[str, Any]]] = []
    size = 0
    for event in events:
        length = len(canonical_json(event))
        if not parts or len(parts[-1]) == _EVENTS_PER_SIGNAL or size + length > _SIGNAL_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(event)
        size += length
    return parts


@contextmanager
def problems(name: str) -> Iterator[None]:
    """Turn what the client raises into problems; `name` is what was asked about."""
    try:
        yield
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise _unavailable() from error
    except WorkflowUpdateFailedError as error:
        raise error_of(problem_of(error.cause).problem) from error
    except RPCError as error:
        if error.status in _UNREACHABLE:
            raise _unavailable() from error
        if error.status is RPCStatusCode.NOT_FOUND:
            raise NotFoundProblem(
                Text(f"流程运行 {name} 已结束或不存在", f"The run {name} is over or does not exist"), run=name
            ) from error
        raise RuntimeProblem(
            Text(f"Temporal 拒绝了请求：{error.message}", f"Temporal refused the request: {error.message}")
        ) from error
    except RuntimeError as error:
        # What a client raises that never reached its server.
        if "Failed client connect" not in str(error):
            raise
        raise _unavailable() from error


def _unavailable() -> UnavailableProblem:
    return UnavailableProblem(
        Text(
            "流程引擎暂时没有响应（没有工作进程或服务不可达），请稍后用同一个请求重试。",
            "The flow engine does not answer at the moment (no worker, or the server cannot be reached). "
            "Repeat the same request shortly.",
        )
    )


def error_of(problem: Problem) -> ProblemError:
    """The error of the class whose type the problem has."""
    kinds: list[type[ProblemError]] = ProblemError.__subclasses__()
    kind = next((kind for kind in kinds if kind.type == problem.type), ProblemError)
    return kind.of(problem)
