"""Data scope in one place: which rows a person may see, as a condition on every scoped query.

A table whose rows people list carries `ScopedColumns`; every query on it that runs for a person has
`.where(visible(Row, actor.scope))`. The pure twin of the rule is `domain.access.Scope.allows`.
"""

from typing import Any

from sqlalchemy import ColumnElement, String, and_, false, true
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel, col

from domain.access import Scope
from domain.organisation import HEADQUARTERS, Placement

# A path ends with `/`; the next character of ASCII ends the range of everything below it.
_AFTER_SLASH = "0"


class PathText(TypeDecorator[str]):
    """Text in byte order whatever the database's locale, so that a branch of the tree is one range of an index."""

    impl = String(collation="C")
    cache_ok = True


class ScopedColumns(SQLModel):
    """The columns that decide who sees a row. Give each an index that fits the table's own listing order.

    unit_path: organisation unit (`/east/store-0017/`), headquarters when nothing narrower is known. account_id: the
    shop (`youzan/flagship`). customer_owner: login of the person whose customer the row is about.
    """

    unit_path: str = Field(
        default=HEADQUARTERS, sa_type=PathText, nullable=False, sa_column_kwargs={"server_default": HEADQUARTERS}
    )
    account_id: str | None = Field(default=None)
    customer_owner: str | None = Field(default=None)

    @property
    def placement(self) -> Placement:
        return Placement(self.unit_path, self.account_id, self.customer_owner)


def visible(table: type[ScopedColumns], scope: Scope) -> ColumnElement[bool]:
    """The condition that leaves only the rows within a scope."""
    if scope.kind == "everything":
        return true()
    if scope.kind == "accounts":
        return col(table.account_id).in_(sorted(scope.accounts))
    if scope.kind == "branch" and scope.branch is not None:
        return below(col(table.unit_path), scope.branch)
    if scope.kind == "own" and scope.owner is not None:
        return col(table.customer_owner) == scope.owner
    return false()


def below(path: Any, branch: str) -> ColumnElement[bool]:
    """The condition that a path column names the branch or something below it."""
    return and_(path >= branch, path < branch[:-1] + _AFTER_SLASH)
