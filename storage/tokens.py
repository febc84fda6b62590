"""Tokens of users, API tokens and sessions alike: only a keyed hash of the secret is kept."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import Index, Row, Select, or_, select, update
from sqlalchemy import Text as SqlText
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, col

from domain.access import Permission, Scope
from domain.people import ApiToken, User
from domain.problems import NotFoundProblem, Text
from storage.paging import Order, Page, PageRequest, paginate
from storage.scoping import visible
from storage.tables import Table, identifier, instant
from storage.unit_of_work import Repository
from storage.users import UserRow

# `last_used_at` is for people who tidy up: one write a minute and token is enough.
LAST_USED_GRANULARITY = timedelta(minutes=1)


class TokenRow(Table, table=True):
    """One token. `prefix` is public and finds the row; `secret_hash` is HMAC-SHA256 of the whole token."""

    __tablename__ = "tokens"
    __table_args__ = (Index("ix_tokens_created_at_id", "created_at", "id"),)

    id: UUID = identifier()
    login: str = Field(foreign_key="users.login", index=True)
    kind: str
    name: str
    prefix: str = Field(unique=True)
    secret_hash: bytes
    scopes: list[str] | None = Field(default=None, sa_type=ARRAY(SqlText), nullable=True)
    created_at: datetime = instant()
    created_by: str
    expires_at: datetime = instant(index=True)
    last_used_at: datetime | None = instant(optional=True)
    revoked_at: datetime | None = instant(optional=True)


_NEWEST_FIRST = Order("tokens", (TokenRow.created_at, TokenRow.id))


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to be kept. scopes None: all permissions of the user."""

    login: str
    kind: Literal["api", "session"]
    name: str
    prefix: str
    secret_hash: bytes
    scopes: frozenset[Permission] | None
    created_by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Credential:
    """What a presented token is checked against."""

    token: ApiToken
    secret_hash: bytes
    user: User


class Tokens(Repository):
    async def add(self, new: NewToken) -> ApiToken:
        row = TokenRow(
            login=new.login,
            kind=new.kind,
            name=new.name,
            prefix=new.prefix,
            secret_hash=new.secret_hash,
            scopes=None if new.scopes is None else sorted(new.scopes),
            created_at=self.now,
            created_by=new.created_by,
            expires_at=new.expires_at,
        )
        await self.insert(row)
        return ApiToken.model_validate(row)

    async def find_credential(self, prefix: str) -> Credential | None:
        """The token and its user, usable or not."""
        statement = (
            select(TokenRow, UserRow)
            .join(UserRow, col(UserRow.login) == col(TokenRow.login))
            .where(col(TokenRow.prefix) == prefix)
        )
        found: Row[TokenRow, UserRow] | None = (await self.session.execute(statement)).one_or_none()
        if found is None:
            return None
        token, user = found
        return Credential(ApiToken.model_validate(token), token.secret_hash, User.model_validate(user))

    async def note_use(self, token: ApiToken) -> None:
        """Remember that it was used, at most once a minute however many requests and processes there are."""
        stale = self.now - LAST_USED_GRANULARITY
        if token.last_used_at is not None and token.last_used_at > stale:
            return
        last_used = col(TokenRow.last_used_at)
        await self.session.execute(
            update(TokenRow)
            .where(col(TokenRow.id) == token.id, or_(last_used.is_(None), last_used <= stale))
            .values(last_used_at=self.now)
        )

    async def require(self, prefix: str) -> ApiToken:
        """The token with this prefix; raises NotFoundProblem."""
        row = await self.session.scalar(select(TokenRow).where(col(TokenRow.prefix) == prefix))
        if row is None:
            raise NotFoundProblem(Text(f"没有前缀为 {prefix} 的令牌", f"There is no token with the prefix {prefix}"))
        return ApiToken.model_validate(row)

    async def list(
        self, scope: Scope, page: PageRequest, *, login: str | None = None, kind: str | None = "api"
    ) -> Page[ApiToken]:
        """Tokens of users within a data scope, newest first."""
        statement: Select[TokenRow] = (
            select(TokenRow).join(UserRow, col(UserRow.login) == col(TokenRow.login)).where(visible(UserRow, scope))
        )
        if login is not None:
            statement = statement.where(col(TokenRow.login) == login)
        if kind is not None:
            statement = statement.where(col(TokenRow.kind) == kind)
        return await paginate(self.session, statement, _NEWEST_FIRST, page, ApiToken.model_validate)

    async def revoke(self, prefix: str) -> None:
        await self.session.execute(
            update(TokenRow)
            .where(col(TokenRow.prefix) == prefix, col(TokenRow.revoked_at).is_(None))
            .values(revoked_at=self.now)
        )

    async def revoke_id(self, token_id: UUID) -> None:
        await self.session.execute(update(TokenRow).where(col(TokenRow.id) == token_id).values(revoked_at=self.now))

    async def revoke_all(self, login: str, *, kind: str | None = None) -> None:
        """End every token of a user, or those of one kind."""
        statement = update(TokenRow).where(col(TokenRow.login) == login, col(TokenRow.revoked_at).is_(None))
        if kind is not None:
            statement = statement.where(col(TokenRow.kind) == kind)
        await self.session.execute(statement.values(revoked_at=self.now))
