"""The organisation tree: headquarters → region → store, by materialised path."""

from datetime import datetime

from sqlalchemy import select
from sqlmodel import Field, col

from domain.access import Scope
from domain.organisation import HEADQUARTERS, Unit, parent_path
from domain.problems import ConflictProblem, NotFoundProblem, Text
from storage.paging import Order, Page, PageRequest, paginate
from storage.scoping import PathText, below
from storage.tables import Table, instant
from storage.unit_of_work import Repository, refused


class UnitRow(Table, table=True):
    """One unit. Headquarters (`/`) is there from the beginning."""

    __tablename__ = "units"

    path: str = Field(primary_key=True, sa_type=PathText)
    parent_path: str | None = Field(default=None, sa_type=PathText, foreign_key="units.path", index=True)
    name: str
    created_at: datetime = instant()


_BY_PATH = Order("units", (UnitRow.path,), descending=False)


class Units(Repository):
    async def add(self, unit: Unit) -> Unit:
        """A new unit below an existing one.

        :raises NotFoundProblem: the unit above is missing.
        :raises ConflictProblem: the path is taken.
        """
        above = parent_path(unit.path)
        row = UnitRow(path=unit.path, parent_path=above, name=unit.name, created_at=self.now)
        with (
            refused(
                "fk_units_parent_path_units",
                NotFoundProblem(
                    Text(f"上级组织单元 {above} 不存在，请先创建", f"There is no unit {above}: create it first")
                ),
            ),
            refused(
                "pk_units",
                ConflictProblem(Text(f"组织单元 {unit.path} 已存在", f"The unit {unit.path} exists already")),
            ),
        ):
            await self.insert(row)
        return unit

    async def require(self, path: str) -> Unit:
        """The unit at a path; raises NotFoundProblem."""
        row = await self.session.get(UnitRow, path)
        if row is None:
            raise NotFoundProblem(
                Text(
                    f"组织单元 {path} 不存在。请先创建，或改用已有的路径（如 {HEADQUARTERS}）。",
                    f"There is no unit {path}. Create it first, or use an existing path such as {HEADQUARTERS}.",
                )
            )
        return Unit.model_validate(row)

    async def list(self, scope: Scope, page: PageRequest) -> Page[Unit]:
        """The units in the order of the tree; a branch scope sees its branch."""
        statement = select(UnitRow)
        if scope.kind == "branch" and scope.branch is not None:
            statement = statement.where(below(col(UnitRow.path), scope.branch))
        return await paginate(self.session, statement, _BY_PATH, page, Unit.model_validate)
