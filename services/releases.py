"""Releases: which version of a flow new runs get. Runs that are under way keep theirs."""

from collections.abc import Awaitable, Callable

from domain.access import Actor, Permission
from domain.definitions import DefinitionVersion
from domain.problems import ConflictProblem, NotFoundProblem, Text, UnavailableProblem
from domain.releases import ReleaseAction, ReleaseState, released, require_share, rolled_back
from storage.audit import AuditLog
from storage.definitions import Definitions
from storage.engine import Database
from storage.paging import Page, PageRequest
from storage.releases import Release, Releases, Trigger
from storage.unit_of_work import UnitOfWork

SyncSchedule = Callable[[str, str], Awaitable[None]]
"""Brings the Temporal Schedule of a flow (namespace, name) in line with what is released."""


class ReleaseService:
    """sync_schedule: see `services.schedules`; a failure there is caught up with by its regular comparison."""

    def __init__(self, database: Database, sync_schedule: SyncSchedule | None = None) -> None:
        self._database = database
        self._sync_schedule = sync_schedule

    async def release(
        self,
        actor: Actor,
        namespace: str,
        name: str,
        version: str,
        share_percent: float,
        reason: str | None = None,
    ) -> Release:
        """Give a published version to a share (0 to 100 %) of new runs; at 100 it becomes the stable one.

        Asking for what is so already changes nothing.

        :raises NotFoundProblem: there is no such version.
        :raises ConflictProblem: it is not published, or a share of the stable version was asked for.
        """
        actor.require(Permission.RELEASES_MANAGE)
        require_share(share_percent)
        async with UnitOfWork(self._database) as work:
            await Releases(work).lock()
            await _require_published(work, namespace, name, version)
            last = await Releases(work).last(namespace, name)
            state = released(last.state if last else ReleaseState(), version, share_percent)
            if last is not None and last.state == state:
                return last
            release = await self._write(work, actor, namespace, name, "release", state, reason)
        await self._follow_up(namespace, name)
        return release

    async def roll_back(self, actor: Actor, namespace: str, name: str, reason: str | None = None) -> Release:
        """Take back the candidate; without one, return to the stable version before the present one.

        :raises ConflictProblem: there is nothing to go back to.
        """
        actor.require(Permission.RELEASES_MANAGE)
        async with UnitOfWork(self._database) as work:
            releases = Releases(work)
            await releases.lock()
            last = await releases.last(namespace, name)
            if last is None:
                raise NotFoundProblem(
                    Text(f"流程 {namespace}/{name} 从未发布", f"{namespace}/{name} was never released")
                )
            state = rolled_back(last.state, await releases.stables(namespace, name))
            release = await self._write(work, actor, namespace, name, "rollback", state, reason)
        await self._follow_up(namespace, name)
        return release

    async def current(self, actor: Actor, namespace: str, name: str) -> Release:
        """The release that counts; raises NotFoundProblem before the first."""
        actor.require(Permission.DEFINITIONS_READ)
        async with UnitOfWork(self._database) as work:
            last = await Releases(work).last(namespace, name)
        if last is None:
            raise NotFoundProblem(Text(f"流程 {namespace}/{name} 从未发布", f"{namespace}/{name} was never released"))
        return last

    async def history(self, actor: Actor, namespace: str, name: str, page: PageRequest) -> Page[Release]:
        """Every release of a flow, the newest first."""
        actor.require(Permission.DEFINITIONS_READ)
        async with UnitOfWork(self._database) as work:
            return await Releases(work).history(namespace, name, page)

    async def _write(
        self,
        work: UnitOfWork,
        actor: Actor,
        namespace: str,
        name: str,
        action: ReleaseAction,
        state: ReleaseState,
        reason: str | None,
    ) -> Release:
        release = await Releases(work).add(namespace, name, action, state, actor.login, reason)
        await Releases(work).replace_triggers(namespace, name, await _triggers(work, namespace, name, state))
        await AuditLog(work).record(
            actor,
            f"release.{action}",
            f"flow:{namespace}/{name}",
            {**state.model_dump(), "reason": reason, "release": release.id},
        )
        return release

    async def _follow_up(self, namespace: str, name: str) -> None:
        if self._sync_schedule is None:
            return
        try:
            await self._sync_schedule(namespace, name)
        except UnavailableProblem:
            # The release stands; `ScheduleService.sync_all` compares all schedules from time to time.
            return


async def _triggers(work: UnitOfWork, namespace: str, name: str, state: ReleaseState) -> list[Trigger]:
    versions = await Definitions(work).known([("flow", namespace, name, version) for version in state.versions])
    found = []
    for version in versions.values():
        schedule = version.traits.schedule
        if schedule is not None and schedule.on is not None:
            found.append(Trigger(namespace, name, version.version, schedule.on))
    return found


async def _require_published(work: UnitOfWork, namespace: str, name: str, version: str) -> DefinitionVersion:
    found = await Definitions(work).get(("flow", namespace, name, version))
    if found is None:
        raise NotFoundProblem(
            Text(f"没有定义 {namespace}/{name} {version}", f"There is no definition {namespace}/{name} {version}")
        )
    if found.published_at is None:
        raise ConflictProblem(
            Text(
                f"{namespace}/{name} {version} 尚未发布（publish），请先发布再放量。",
                f"{namespace}/{name} {version} is not published yet: publish it first, then release it.",
            )
        )
    return found
