"""How to see from outside that a child serves: the API and the simulator answer, the worker asks for work."""

import httpx
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.problems import ProblemError
from runtime.child import ChildProcess, HealthCheck
from runtime.settings import Settings
from runtime.temporal_client import temporal_client
from workflows.messages import FLOWS_QUEUE

API_LIVENESS_PATH = "/healthz"
API_READINESS_PATH = "/readyz"
SIMULATOR_HEALTH_PATH = "/_sim/health"


def answers(url: str) -> HealthCheck:
    """A check that the address answers with a success."""

    async def check(_: ChildProcess) -> bool:
        try:
            async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
                return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False

    return check


class Polling:
    """A check that the child's own process asks Temporal for work of a queue.

    A Temporal that does not answer is not the worker's failure, once the worker was seen.
    """

    def __init__(self, settings: Settings, queue: str = FLOWS_QUEUE) -> None:
        self._settings = settings
        self._queue = queue
        self._client: Client | None = None
        self._seen: int | None = None

    async def __call__(self, child: ChildProcess) -> bool:
        try:
            self._client = self._client or await temporal_client(self._settings)
            description = await self._client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=self._client.namespace,
                    task_queue=TaskQueue(name=self._queue),
                    task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
                )
            )
        except (RPCError, ProblemError):
            return self._seen is not None and self._seen == child.pid
        # The SDK calls itself `pid@host` unless told otherwise.
        if any(poller.identity.split("@")[0] == str(child.pid) for poller in description.pollers):
            self._seen = child.pid
            return True
        return False
