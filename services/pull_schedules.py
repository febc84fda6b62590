"""When platforms are read again: a Temporal Schedule for every stream of every connected account.

It is read as soon as the account is connected, then every five minutes; once a night, in the quiet hours, the
last two days are compared. A stroke that comes while the one before is still at work is left out.

Where a push says that a stream has something new, it is read at once, out of turn; while it is being read, once more
afterwards, however many say so meanwhile. What gets lost of this waits for the next stroke.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from connectors.registry import ConnectorRegistry
from domain.access import Scope
from domain.problems import ProblemError
from services.orchestrator import DEADLINE_S, problems
from storage.accounts import Accounts
from storage.engine import Database
from storage.paging import LARGEST_PAGE, PageRequest
from storage.unit_of_work import UnitOfWork
from workflows.messages import FLOWS_QUEUE, PULL_WORKFLOW, StreamPull

PREFIX = "stream/"
PULLED_EVERY = timedelta(minutes=5)
COMPARED_AT = timedelta(hours=19, minutes=30)
"""Into the day, UTC: half past three at night in China."""

_DEADLINE = timedelta(seconds=DEADLINE_S)
_APART_S = 1.0
"""Between two readings of a stream out of turn that one process asks for."""

log = structlog.get_logger(__name__)


class PullSchedules:
    """Keeps the schedules in line with the accounts."""

    def __init__(self, database: Database, client: Client, connectors: ConnectorRegistry) -> None:
        self._database = database
        self._client = client
        self._connectors = connectors
        self._synced: list[StreamPull] | None = None
        self._beginning: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._once_more: set[tuple[str, str]] = set()

    async def follow(self) -> None:
        """Bring the schedules in line when accounts have changed since this was asked last.

        :raises UnavailableProblem: Temporal or the database does not answer; repeat it.
        """
        if (await self._wanted())[0] != self._synced:
            await self.sync()

    def begin(self, announced: Iterable[tuple[str, str]]) -> None:
        """Let these streams (account id and name) be read now. Waits for nothing; what fails is logged."""
        for each in announced:
            if each in self._beginning:
                self._once_more.add(each)
            else:
                self._beginning[each] = asyncio.create_task(self._begin(*each))

    async def _begin(self, account_id: str, stream: str) -> None:
        identity, each = f"{PREFIX}pull/{account_id}/{stream}", (account_id, stream)
        try:
            while True:
                self._once_more.discard(each)
                with problems(identity):
                    await self._client.get_schedule_handle(identity).trigger(
                        overlap=ScheduleOverlapPolicy.BUFFER_ONE, rpc_timeout=_DEADLINE
                    )
                await asyncio.sleep(_APART_S)
                if each not in self._once_more:
                    break
        except ProblemError as problem:
            log.warning("a stream is read later, in its turn", account=account_id, stream=stream, reason=str(problem))
        finally:
            self._once_more.discard(each)
            del self._beginning[each]

    async def sync(self) -> int:
        """Make the schedules that are missing and delete those of accounts that are gone; how many there are.

        :raises UnavailableProblem: Temporal does not answer; repeat it.
        """
        pulls, of_others = await self._wanted()
        wanted = {f"{PREFIX}{each.task}/{each.account_id}/{each.stream}": each for each in pulls}
        with problems("schedules"):
            known = {each.id async for each in await self._client.list_schedules(rpc_timeout=_DEADLINE)}
            for identity in wanted.keys() - known:
                try:
                    await self._client.create_schedule(
                        identity,
                        _schedule(identity, wanted[identity]),
                        # Whoever connects a shop wants to see it fill, not to wait for the next stroke.
                        trigger_immediately=wanted[identity].task == "pull",
                        rpc_timeout=_DEADLINE,
                    )
                except ScheduleAlreadyRunningError:
                    continue
            for identity in known - wanted.keys():
                if identity.startswith(PREFIX) and _account_of(identity) not in of_others:
                    await self._client.get_schedule_handle(identity).delete(rpc_timeout=_DEADLINE)
        self._synced = pulls
        return len(wanted)

    async def _wanted(self) -> tuple[list[StreamPull], set[str]]:
        """What is to be read; and the accounts of platforms that only newer processes know: theirs is left to them."""
        pulls: list[StreamPull] = []
        of_others: set[str] = set()
        async with UnitOfWork(self._database) as work:
            cursor: str | None = None
            while True:
                page = await Accounts(work).list(Scope.everything(), PageRequest(LARGEST_PAGE, cursor))
                for account in page.items:
                    connector = self._connectors.get(account.platform)
                    if account.active and connector is None:
                        of_others.add(account.id)
                    elif account.active and connector is not None:
                        for stream in getattr(connector.client, "streams", ()):
                            pulls += [
                                StreamPull(account.id, stream.name, connector.queue, "pull"),
                                StreamPull(account.id, stream.name, connector.queue, "compare"),
                            ]
                cursor = page.next_cursor
                if cursor is None:
                    return pulls, of_others


def _account_of(identity: str) -> str:
    return "/".join(identity.removeprefix(PREFIX).split("/")[1:3])


def _schedule(identity: str, pull: StreamPull) -> Schedule:
    every = PULLED_EVERY if pull.task == "pull" else timedelta(days=1)
    offset = timedelta() if pull.task == "pull" else COMPARED_AT
    return Schedule(
        action=ScheduleActionStartWorkflow(PULL_WORKFLOW, pull, id=identity, task_queue=FLOWS_QUEUE),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every, offset=offset)], jitter=every / 20),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=10)),
    )
