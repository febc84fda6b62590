"""Trying out: a version of a tag rule or grading for a share of the customers; the others keep the one in force."""

from typing import Literal

from domain.access import Actor, Permission, require_second_person
from domain.definitions import DefinitionVersion
from domain.problems import NotFoundProblem, Text
from domain.releases import ReleaseState, released, require_share
from services.definitions import DefinitionService
from storage.audit import AuditLog
from storage.definitions import Definitions, VersionKey
from storage.engine import Database
from storage.unit_of_work import UnitOfWork

TriedKind = Literal["tag-rule", "grading"]
TRIED_KINDS: tuple[TriedKind, ...] = ("tag-rule", "grading")


class TagTrials:
    """four_eyes: as of `DefinitionService`; a share is published to real customers as well."""

    def __init__(self, database: Database, definitions: DefinitionService, *, four_eyes: bool = False) -> None:
        self._database = database
        self._definitions = definitions
        self._four_eyes = four_eyes

    async def release(
        self, actor: Actor, kind: TriedKind, name: str, version: str, share_percent: float, reason: str | None = None
    ) -> DefinitionVersion:
        """Give an uploaded version to a share of the customers; at 0 it is taken back, at 100 it is published.

        Whose version is another one now is looked at anew by the backfill (`services.tagging`), and nobody else. The
        same again changes nothing; another version of the name that was tried out is so no more.

        :raises NotFoundProblem: there is no such version.
        :raises ConflictProblem: it is the one in force, and a share of it would mean nothing.
        :raises AuthorizationProblem: four eyes.
        """
        actor.require(Permission.RELEASES_MANAGE)
        actor.require(Permission.DEFINITIONS_PUBLISH)
        require_share(share_percent)
        key: VersionKey = (kind, "", name, version)
        async with UnitOfWork(self._database) as work:
            definitions = Definitions(work)
            await definitions.lock([key[:3]])
            found = await definitions.get(key)
            if found is None:
                label = f"{kind} {name} {version}"
                raise NotFoundProblem(Text(f"没有定义 {label}", f"There is no definition {label}"))
            if share_percent < 100:
                return await self._try_out(work, actor, found, share_percent, reason)
        return await self._definitions.publish(actor, key)

    async def _try_out(
        self, work: UnitOfWork, actor: Actor, wanted: DefinitionVersion, share_percent: float, reason: str | None
    ) -> DefinitionVersion:
        definitions = Definitions(work)
        current = await definitions.in_force(wanted.kind, wanted.name)
        released(ReleaseState(stable=current.version if current else None), wanted.version, share_percent)
        if wanted.share_percent == share_percent:
            return wanted
        if self._four_eyes and share_percent > 0:
            what = Text(f"放量 {wanted.label}", f"Releasing {wanted.label}")
            require_second_person(actor, [wanted.author], what)
        await definitions.try_out((wanted.kind, "", wanted.name, wanted.version), share_percent)
        details = {"share_percent": share_percent, "was_percent": wanted.share_percent, "reason": reason}
        await AuditLog(work).record(actor, "definition.try-out", f"definition:{wanted.label}", details)
        return wanted.model_copy(update={"share_percent": share_percent})
