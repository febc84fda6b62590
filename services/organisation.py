"""The organisation tree for those who may see or shape it."""

from domain.access import Actor, Permission
from domain.organisation import Placement, Unit
from domain.problems import AuthorizationProblem, Text
from storage.audit import AuditLog
from storage.engine import Database
from storage.organisation import Units
from storage.paging import Page, PageRequest
from storage.unit_of_work import UnitOfWork


class OrganisationTree:
    """Units: headquarters (`/`), regions, stores. A path never changes, because rows everywhere carry it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, actor: Actor, unit: Unit) -> Unit:
        """A new unit within the actor's data scope.

        :raises AuthorizationProblem: not allowed, or out of scope.
        :raises NotFoundProblem: the unit above is missing.
        :raises ConflictProblem: the path is taken.
        """
        actor.require(Permission.ORGANISATION_MANAGE)
        if not actor.sees(Placement(unit.path)):
            raise AuthorizationProblem(
                Text(
                    f"组织单元 {unit.path} 不在您的数据范围内",
                    f"The unit {unit.path} is not within your data scope",
                )
            )
        async with UnitOfWork(self._database) as work:
            await Units(work).add(unit)
            detail = {"name": unit.name}
            await AuditLog(work).record(actor, "unit.add", f"unit:{unit.path}", detail, Placement(unit.path))
        return unit

    async def list(self, actor: Actor, page: PageRequest) -> Page[Unit]:
        """Units in the order of the tree; a branch scope sees its branch. Raises AuthorizationProblem."""
        actor.require(Permission.ORGANISATION_READ)
        async with UnitOfWork(self._database) as work:
            return await Units(work).list(actor.scope, page)
