"""Users and their password hashes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text as SqlText
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, col

from domain.access import Role, Scope
from domain.people import NewUser, User
from domain.problems import ConflictProblem, NotFoundProblem, Text
from storage.encryption import EncryptedText
from storage.paging import Order, Page, PageRequest, paginate
from storage.scoping import ScopedColumns, visible
from storage.tables import Table, identifier, instant
from storage.unit_of_work import Repository, refused


class UserRow(ScopedColumns, Table, table=True):
    """One user; `customer_owner` is the login itself, `unit_path` the unit the person belongs to."""

    __tablename__ = "users"

    id: UUID = identifier()
    login: str = Field(unique=True)
    name: str = Field(sa_type=EncryptedText("users.name"))
    password_hash: str | None = None
    roles: list[str] = Field(sa_type=ARRAY(SqlText))
    scope: dict[str, Any] = Field(sa_type=JSONB)
    queues: list[str] = Field(sa_type=ARRAY(SqlText))
    active: bool = True
    created_at: datetime = instant()
    updated_at: datetime = instant()


_BY_LOGIN = Order("users", (UserRow.login,), descending=False)


class Users(Repository):
    async def add(self, new: NewUser, password_hash: str | None) -> User:
        """Raises ConflictProblem when the login is taken, also by a disabled user."""
        row = UserRow(
            login=new.login,
            name=new.name,
            password_hash=password_hash,
            roles=sorted(new.roles),
            scope=_scope_json(new.scope),
            queues=sorted(new.queues),
            unit_path=new.unit_path,
            customer_owner=new.login,
            created_at=self.now,
            updated_at=self.now,
        )
        taken = Text(f"登录名 {new.login} 已被使用", f"The login {new.login} is taken")
        with refused("uq_users_login", ConflictProblem(taken)):
            await self.insert(row)
        return User.model_validate(row)

    async def require(self, login: str, *, for_update: bool = False) -> User:
        """The user with a login; raises NotFoundProblem."""
        return User.model_validate(await self._row(login, for_update=for_update))

    async def find_credentials(self, login: str) -> tuple[User, str] | None:
        """An active user and the password hash; None when there is no such user or no password."""
        row = await self._find(login)
        if row is None or not row.active or row.password_hash is None:
            return None
        return User.model_validate(row), row.password_hash

    async def list(self, scope: Scope, page: PageRequest, *, active: bool | None = None) -> Page[User]:
        """Users within a data scope, by login."""
        statement = select(UserRow).where(visible(UserRow, scope))
        if active is not None:
            statement = statement.where(col(UserRow.active) == active)
        return await paginate(self.session, statement, _BY_LOGIN, page, User.model_validate)

    async def set_rights(self, login: str, roles: frozenset[Role], scope: Scope, queues: frozenset[str]) -> User:
        row = await self._row(login)
        row.roles, row.scope, row.queues = sorted(roles), _scope_json(scope), sorted(queues)
        return await self._written(row)

    async def set_active(self, login: str, active: bool) -> User:
        row = await self._row(login)
        row.active = active
        return await self._written(row)

    async def set_password_hash(self, login: str, password_hash: str) -> User:
        row = await self._row(login)
        row.password_hash = password_hash
        return await self._written(row)

    async def lock_administrators(self) -> Sequence[User]:
        """The active administrators of everything, locked until this unit of work ends."""
        statement = (
            select(UserRow)
            .where(col(UserRow.active), col(UserRow.roles).contains([Role.ADMIN.value]))
            .order_by(col(UserRow.login))
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        users = [User.model_validate(row) for row in await self.session.scalars(statement)]
        return [user for user in users if user.scope.kind == "everything"]

    async def _find(self, login: str, *, for_update: bool = False) -> UserRow | None:
        statement = select(UserRow).where(col(UserRow.login) == login)
        if for_update:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        return await self.session.scalar(statement)

    async def _row(self, login: str, *, for_update: bool = True) -> UserRow:
        row = await self._find(login, for_update=for_update)
        if row is None:
            raise NotFoundProblem(Text(f"没有用户 {login}", f"There is no user {login}"))
        return row

    async def _written(self, row: UserRow) -> User:
        row.updated_at = self.now
        await self.session.flush()
        return User.model_validate(row)


def _scope_json(scope: Scope) -> dict[str, Any]:
    return scope.model_dump(mode="json", exclude_defaults=True)
