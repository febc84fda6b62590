"""Logging in and out, and what concerns the caller alone."""

from typing import Annotated

from fastapi import Request, status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth import PUBLIC, requires_session
from api.deps import Deps
from api.limits import address_of
from api.routing import router
from domain.access import Actor, Permission, Role, Scope
from domain.people import LONGEST_PASSWORD

session = router("/api/v1/session", "session")

Password = Annotated[str, Field(min_length=1, max_length=LONGEST_PASSWORD)]


class Credentials(BaseModel):
    """A login and its password."""

    model_config = ConfigDict(extra="forbid")

    login: str = Field(min_length=1, max_length=64)
    password: Password


class Session(BaseModel):
    """A session's token; send it as `Authorization: Bearer …`."""

    token: str
    expires_at: AwareDatetime


class Caller(BaseModel):
    """Who calls, with what rights, on which rows."""

    login: str
    roles: list[Role]
    permissions: list[Permission]
    scope: Scope
    queues: list[str]


class PasswordChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    current: Password
    password: Password


@session.post("", status_code=status.HTTP_201_CREATED, dependencies=[PUBLIC], summary="登录 · Log in")
async def log_in(credentials: Credentials, request: Request, deps: Deps) -> Session:
    """用登录名和密码换取 12 小时有效的令牌。· Exchanges login and password for a token that lives twelve hours."""
    issued = await deps.access.login(credentials.login, credentials.password, address_of(request.scope))
    return Session(token=issued.text, expires_at=issued.token.expires_at)


@session.get("", summary="当前用户 · Who am I")
async def show_caller(actor: Annotated[Actor, requires_session()]) -> Caller:
    """当前令牌的用户、角色、权限与数据范围。· The token's user, roles, permissions and data scope."""
    return Caller(
        login=actor.login,
        roles=sorted(actor.roles),
        permissions=sorted(actor.permissions),
        scope=actor.scope,
        queues=sorted(actor.queues),
    )


@session.delete("", status_code=status.HTTP_204_NO_CONTENT, summary="退出 · Log out")
async def log_out(actor: Annotated[Actor, requires_session()], deps: Deps) -> None:
    """撤销当前令牌。· Ends the token that the request came with."""
    await deps.access.logout(actor)


@session.put("/password", status_code=status.HTTP_204_NO_CONTENT, summary="修改自己的密码 · Change one's password")
async def change_own_password(change: PasswordChange, actor: Annotated[Actor, requires_session()], deps: Deps) -> None:
    """需要当前密码；之后所有会话都会失效。· Needs the present password; every session of the user ends."""
    await deps.people.change_password(actor, change.current, change.password)
