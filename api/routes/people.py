"""Users and their tokens, and the organisation they belong to."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Path, Query, status
from pydantic import BaseModel, ConfigDict, Field

from api.auth import requires, requires_session
from api.deps import Deps
from api.idempotency import SHOWN_ONCE
from api.paging import PageOf, Paging
from api.routes.session import Password
from api.routing import router
from domain.access import Actor, Permission, Role, Scope
from domain.organisation import Unit
from domain.people import ApiToken, NewUser, QueueName, User

users = router("/api/v1/users", "users")
tokens = router("/api/v1/tokens", "tokens")
organisation = router("/api/v1/organisation-units", "organisation")

Login = Annotated[str, Path(max_length=64, examples=["li.lei"])]
LoginFilter = Annotated[str | None, Query(max_length=64)]
UserReader = Annotated[Actor, requires(Permission.USERS_READ)]
UserKeeper = Annotated[Actor, requires(Permission.USERS_MANAGE)]
Anybody = Annotated[Actor, requires_session()]


class UserIn(NewUser):
    """A user to be created; without a password nobody logs in, tokens can still be issued."""

    password: Password | None = Field(default=None, repr=False)


class RightsIn(BaseModel):
    """Other roles, another data scope or other queues; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    roles: Annotated[frozenset[Role], Field(min_length=1)] | None = None
    scope: Scope | None = None
    queues: Annotated[frozenset[QueueName], Field(max_length=100)] | None = None


class PasswordIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    password: Password


class TokenIn(BaseModel):
    """A token to be issued. login: for another user; scopes: what it is limited to, all of the user's when left out."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    login: str | None = Field(default=None, max_length=64)
    scopes: frozenset[Permission] | None = None
    life_days: int = Field(default=90, ge=1, le=366)


class IssuedOut(BaseModel):
    """A new token. `text` is shown this once; a repeated request is answered without it."""

    text: str | None
    token: ApiToken


@users.post("", status_code=status.HTTP_201_CREATED, summary="新建用户 · Create a user")
async def create_user(new: UserIn, actor: UserKeeper, deps: Deps) -> User:
    """不能授予超出自己数据范围的权限。· Nobody grants beyond their own data scope."""
    wanted = NewUser.model_validate(new.model_dump(exclude={"password"}))
    return await deps.people.create(actor, wanted, new.password)


@users.get("", summary="查询用户 · List users")
async def list_users(actor: UserReader, deps: Deps, page: Paging, active: bool | None = None) -> PageOf[User]:
    """数据范围内的用户，按登录名。· Users within one's data scope, by login."""
    found: Any = await deps.people.list(actor, page, active=active)
    return PageOf[User].model_validate(found)


@users.get("/{login}", summary="查看用户 · Show a user")
async def show_user(login: Login, actor: UserReader, deps: Deps) -> User:
    """角色、数据范围与队列。· Roles, data scope and queues."""
    return await deps.people.show(actor, login)


@users.patch("/{login}/rights", summary="修改权限 · Change rights")
async def change_user_rights(login: Login, wanted: RightsIn, actor: UserKeeper, deps: Deps) -> User:
    """不能修改自己的权限。· Nobody changes their own."""
    return await deps.people.change_rights(actor, login, roles=wanted.roles, scope=wanted.scope, queues=wanted.queues)


@users.put("/{login}/password", status_code=status.HTTP_204_NO_CONTENT, summary="重置密码 · Set a password")
async def set_user_password(login: Login, wanted: PasswordIn, actor: UserKeeper, deps: Deps) -> None:
    """该用户的所有会话随之失效。· The user's sessions end."""
    await deps.people.set_password(actor, login, wanted.password)


@users.post("/{login}/disable", summary="停用用户 · Disable a user")
async def disable_user(login: Login, actor: UserKeeper, deps: Deps) -> User:
    """所有会话与令牌立即失效。· Every session and token ends."""
    return await deps.people.disable(actor, login)


@users.post("/{login}/enable", summary="启用用户 · Enable a user")
async def enable_user(login: Login, actor: UserKeeper, deps: Deps) -> User:
    """可以重新登录；令牌不会恢复。· May log in again; tokens stay revoked."""
    return await deps.people.enable(actor, login)


@tokens.post(
    "", status_code=status.HTTP_201_CREATED, openapi_extra={SHOWN_ONCE: "text"}, summary="签发令牌 · Issue a token"
)
async def issue_token(wanted: TokenIn, actor: Anybody, deps: Deps) -> IssuedOut:
    """令牌只显示这一次；权限不能超过当前权限。· Shown this once; it never holds more than its issuer."""
    issued = await deps.access.issue_token(
        actor, wanted.name, login=wanted.login, scopes=wanted.scopes, life=timedelta(days=wanted.life_days)
    )
    return IssuedOut(text=issued.text, token=issued.token)


@tokens.get("", summary="查询令牌 · List tokens")
async def list_tokens(
    actor: Anybody, deps: Deps, page: Paging, login: LoginFilter = None, everybody: bool = False
) -> PageOf[ApiToken]:
    """自己的令牌；有 users.read 权限者可查他人。· One's own; with `users.read` those of others as well."""
    whose = login if login is not None or everybody else actor.login
    found: Any = await deps.access.list_tokens(actor, page, login=whose)
    return PageOf[ApiToken].model_validate(found)


@tokens.delete("/{prefix}", status_code=status.HTTP_204_NO_CONTENT, summary="撤销令牌 · Revoke a token")
async def revoke_token(
    prefix: Annotated[str, Path(max_length=64, examples=["k3m9x0c2b7qa"])], actor: Anybody, deps: Deps
) -> None:
    """按令牌的公开前缀。· By the token's public prefix."""
    await deps.access.revoke_token(actor, prefix)


@organisation.get("", summary="查询组织单元 · List organisation units")
async def list_units(
    actor: Annotated[Actor, requires(Permission.ORGANISATION_READ)], deps: Deps, page: Paging
) -> PageOf[Unit]:
    """按树的顺序；限于本分支。· In the order of the tree; within one's branch."""
    found: Any = await deps.organisation.list(actor, page)
    return PageOf[Unit].model_validate(found)


@organisation.post("", status_code=status.HTTP_201_CREATED, summary="新建组织单元 · Add an organisation unit")
async def add_unit(unit: Unit, actor: Annotated[Actor, requires(Permission.ORGANISATION_MANAGE)], deps: Deps) -> Unit:
    """上级单元须已存在，例如先有 /east/ 再有 /east/store-0017/。· The unit above must be there."""
    return await deps.organisation.add(actor, unit)
