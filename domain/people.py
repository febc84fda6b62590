"""Users, their tokens and passwords: what is valid, and who may change whose rights."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.access import Actor, Permission, Role, Scope, permissions_of
from domain.organisation import HEADQUARTERS, UnitPath, within
from domain.problems import AuthorizationProblem, Text, ValidationProblem

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 256
LONGEST_TOKEN_LIFE = timedelta(days=366)

Login = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{1,62}$", description="small letters, digits, . _ -")]
QueueName = Annotated[str, Field(min_length=1, max_length=64)]


class NewUser(BaseModel):
    """A user to be created. unit_path: the unit the person belongs to; queues: the work queues the person serves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    login: Login
    name: str = Field(min_length=1, max_length=100)
    roles: frozenset[Role] = Field(min_length=1)
    scope: Scope
    unit_path: UnitPath = HEADQUARTERS
    queues: frozenset[QueueName] = Field(default=frozenset(), max_length=100)


class User(BaseModel):
    """A person who may log in. Logins are never changed and never given to somebody else."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: UUID
    login: str
    name: str
    roles: frozenset[Role]
    scope: Scope
    unit_path: str
    queues: frozenset[str]
    active: bool
    created_at: AwareDatetime


class ApiToken(BaseModel):
    """A credential of a user, without its secret. `prefix` is its public name; scopes None means all of the user's."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: UUID
    prefix: str
    kind: Literal["api", "session"]
    name: str
    login: str
    scopes: frozenset[Permission] | None
    created_at: AwareDatetime
    expires_at: AwareDatetime
    last_used_at: AwareDatetime | None
    revoked_at: AwareDatetime | None

    def usable(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at


def require_good_password(password: str, login: str) -> None:
    """Raises ValidationProblem for a password that is too short, too long, or easily guessed from the login."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ValidationProblem(
            Text(
                f"密码长度应为 {SHORTEST_PASSWORD} 到 {LONGEST_PASSWORD} 个字符",
                f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters",
            )
        )
    if len(set(password)) < 5 or password.lower().strip("0123456789!@#$%.") == login:
        raise ValidationProblem(
            Text(
                "密码太容易猜到：不要由登录名或少数几个重复字符组成",
                "The password is too easily guessed: do not build it from the login or from a few repeated characters",
            )
        )


def require_right_over(actor: Actor, login: str, scope: Scope, unit_path: str) -> None:
    """Whoever manages a user needs a data scope that covers the user's; own customers count with the user's unit.

    Raises AuthorizationProblem.
    """
    actor.require(Permission.USERS_MANAGE)
    covered = actor.scope.covers(scope)
    if scope.kind == "own" and actor.scope.kind == "branch":
        covered = within(unit_path, actor.scope.branch or HEADQUARTERS)
    if not covered:
        raise AuthorizationProblem(
            Text(
                f"用户 {login} 的数据范围超出了您自己的范围，请由范围更大的管理员处理",
                f"The data scope of {login} reaches beyond your own: ask an administrator with a wider one",
            )
        )


def require_grant(actor: Actor, login: str, roles: Iterable[Role], scope: Scope, unit_path: str) -> None:
    """Nobody gives rights to himself, beyond his own data scope, or through a limited token more than it holds.

    Raises AuthorizationProblem.
    """
    require_right_over(actor, login, scope, unit_path)
    if login == actor.login:
        raise AuthorizationProblem(
            Text(
                "不能修改自己的角色、数据范围或队列，请由另一位管理员处理",
                "Nobody changes his own roles, data scope or queues: ask another administrator",
            )
        )
    if refused := sorted(role.value for role in roles if not actor.may_grant(role)):
        raise AuthorizationProblem(
            Text(
                f"当前令牌的权限不足以授予角色：{'、'.join(refused)}。请登录后操作。",
                f"This token is too limited to grant: {', '.join(refused)}. Log in and do it with a session.",
            ),
            roles=refused,
        )


def require_separate_duties(login: str, roles: Iterable[Role]) -> None:
    """Nobody both prepares payments and approves them, not even in turns. Raises AuthorizationProblem."""
    given = permissions_of(roles)
    if Permission.PAYOUTS_APPROVE in given and given & {Permission.SETTLEMENTS_RUN, Permission.PAYOUTS_PREPARE}:
        raise AuthorizationProblem(
            Text(
                f"用户 {login} 不能既提出结算与付款又复核：请把财务与复核角色授予不同的人",
                f"{login} cannot both prepare payments and approve them: give these roles to different people",
            ),
            rule="separation-of-duties",
        )
