"""When platforms are read again: a Temporal Schedule for every stream of every connected account.

It is read as soon as the account is connected, then as often as its connector says (`Stream.read_every`, mostly five
minutes); once a night, in the quiet hours, the last two days are compared. A stroke that comes while the one before is
still at work is left out.

Where a push says that a stream has something new, it is read at once, out of turn; while it is being read, once more
afterwards, however many say so meanwhile. What gets lost of this waits for the next stroke.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleListDescription,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from connectors.registry import ConnectorRegistry
from domain.access import Scope
from domain.problems import ProblemError
from services.orchestrator import problems
from services.temporal_schedules import SCHEDULE_DEADLINE, delete_schedule, strike_anew
from storage.accounts import Accounts
from storage.engine import Database
from storage.paging import LARGEST_PAGE, PageRequest
from storage.unit_of_work import UnitOfWork
from workflows.messages import FLOWS_QUEUE, PULL_WORKFLOW, StreamPull

PREFIX = "stream/"
_COMPARED_EVERY = timedelta(days=1)
COMPARED_AT = timedelta(hours=19, minutes=30)
"""Into the day, UTC: half past three at night in China."""

_APART_S = 1.0
"""Between two readings of a stream out of turn that one process asks for."""

log = structlog.get_logger(__name__)


class _Planned(NamedTuple):
    """What a schedule does, and how often."""

    pull: StreamPull
    every: timedelta

    @property
    def offset(self) -> timedelta:
        # Strokes of reading are at whole multiples of `every` since 1970: `Stream.is_asked_again` counts on it.
        return timedelta() if self.pull.task == "pull" else COMPARED_AT

    @property
    def jitter(self) -> timedelta:
        return self.every / 20


class PullSchedules:
    """Keeps the schedules in line with the accounts."""

    def __init__(self, database: Database, client: Client, connectors: ConnectorRegistry) -> None:
        self._database = database
        self._client = client
        self._connectors = connectors
        self._synced: dict[str, _Planned] | None = None
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
                        overlap=ScheduleOverlapPolicy.BUFFER_ONE, rpc_timeout=SCHEDULE_DEADLINE
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
        """Make the schedules that are missing, delete those of accounts that are gone, and let the others strike as
        often as they should by now; how many there are.

        :raises UnavailableProblem: Temporal does not answer; repeat it.
        """
        wanted, of_others = await self._wanted()
        with problems("schedules"):
            listed = [each async for each in await self._client.list_schedules(rpc_timeout=SCHEDULE_DEADLINE)]
            known = {each.id: _every(each) for each in listed}
            for identity in wanted.keys() - known.keys():
                try:
                    await self._client.create_schedule(
                        identity,
                        _schedule(identity, wanted[identity]),
                        # Whoever connects a shop wants to see it fill, not to wait for the next stroke.
                        trigger_immediately=wanted[identity].pull.task == "pull",
                        rpc_timeout=SCHEDULE_DEADLINE,
                    )
                except ScheduleAlreadyRunningError:
                    continue
            for identity in wanted.keys() & known.keys():
                if known[identity] not in (None, wanted[identity].every):
                    planned = wanted[identity]
                    await strike_anew(self._client, identity, planned.every, planned.offset, planned.jitter)
            for identity in known.keys() - wanted.keys():
                if identity.startswith(PREFIX) and _account_of(identity) not in of_others:
                    await delete_schedule(self._client, identity)
        self._synced = wanted
        return len(wanted)

    async def _wanted(self) -> tuple[dict[str, _Planned], set[str]]:
        """The schedules there should be, by id; and the accounts of platforms that only newer processes know: theirs
        are left to them."""
        wanted: dict[str, _Planned] = {}
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
                            named = (account.id, stream.name, connector.queue)
                            read = _Planned(StreamPull(*named, "pull"), stream.read_every)
                            compared = _Planned(StreamPull(*named, "compare"), _COMPARED_EVERY)
                            both = (read, compared) if stream.compared else (read,)
                            wanted |= {_identity(each.pull): each for each in both}
                cursor = page.next_cursor
                if cursor is None:
                    return wanted, of_others


def _identity(pull: StreamPull) -> str:
    return f"{PREFIX}{pull.task}/{pull.account_id}/{pull.stream}"


def _account_of(identity: str) -> str:
    return "/".join(identity.removeprefix(PREFIX).split("/")[1:3])


def _every(known: ScheduleListDescription) -> timedelta | None:
    """How often a schedule strikes, None when the list does not tell."""
    intervals = known.schedule.spec.intervals if known.schedule is not None else ()
    return intervals[0].every if intervals else None


def _schedule(identity: str, planned: _Planned) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(PULL_WORKFLOW, planned.pull, id=identity, task_queue=FLOWS_QUEUE),
        spec=ScheduleSpec(
            intervals=[ScheduleIntervalSpec(every=planned.every, offset=planned.offset)], jitter=planned.jitter
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=10)),
    )
