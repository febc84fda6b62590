"""Users: create, disable, passwords, rights. Each change is audited, and nobody raises his own rights."""

from collections.abc import Sequence

from domain.access import Actor, Permission, Role, Scope
from domain.organisation import Placement
from domain.people import (
    NewUser,
    User,
    require_good_password,
    require_grant,
    require_right_over,
    require_separate_duties,
)
from domain.problems import (
    AuthenticationProblem,
    AuthorizationProblem,
    ConflictProblem,
    NotFoundProblem,
    Text,
    ValidationProblem,
)
from services.access import Access
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.engine import Database
from storage.organisation import Units
from storage.paging import Page, PageRequest
from storage.tokens import Tokens
from storage.unit_of_work import UnitOfWork
from storage.users import Users

# Stands for an address where somebody who is logged in already proves the password again.
_OWN_SESSION = "own session"


class People:
    """The users of an installation. Every method raises AuthorizationProblem when the actor may not do it."""

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def create(self, actor: Actor, new: NewUser, password: str | None = None) -> User:
        """A new user; without a password nobody logs in, tokens can still be issued (an integration).

        :raises ConflictProblem: the login is taken.
        :raises NotFoundProblem: the unit, or a shop of the scope, does not exist.
        :raises ValidationProblem: a bad password, or a scope of another person's customers.
        """
        require_grant(actor, new.login, new.roles, new.scope, new.unit_path)
        require_separate_duties(new.login, new.roles)
        if password is not None:
            require_good_password(password, new.login)
        password_hash = None if password is None else await self._access.passwords.hash(password)
        async with UnitOfWork(self._database) as work:
            await Units(work).require(new.unit_path)
            await _require_sensible_scope(work, new.login, new.scope)
            user = await Users(work).add(new, password_hash)
            await _record(work, actor, "user.create", user, _rights(user))
        return user

    async def change_rights(
        self,
        actor: Actor,
        login: str,
        *,
        roles: frozenset[Role] | None = None,
        scope: Scope | None = None,
        queues: frozenset[str] | None = None,
    ) -> User:
        """Give a user other roles, another data scope or other queues; what is None stays.

        :raises NotFoundProblem: no such user, unit or shop.
        :raises ConflictProblem: nobody would be left to administer everything.
        """
        if roles is not None and not roles:
            raise ValidationProblem(Text("用户至少需要一个角色", "A user needs at least one role"))
        async with UnitOfWork(self._database) as work:
            users = Users(work)
            administrators = await users.lock_administrators()
            before = await users.require(login, for_update=True)
            require_right_over(actor, login, before.scope, before.unit_path)
            roles, scope = roles or before.roles, scope or before.scope
            require_grant(actor, login, roles, scope, before.unit_path)
            require_separate_duties(login, roles)
            await _require_sensible_scope(work, login, scope)
            if Role.ADMIN not in roles or scope.kind != "everything":
                _require_another(administrators, login)
            after = await users.set_rights(login, roles, scope, before.queues if queues is None else queues)
            await _record(work, actor, "user.rights", after, {"before": _rights(before), "after": _rights(after)})
            work.after_commit(self._access.forget_actors)
        return after

    async def disable(self, actor: Actor, login: str) -> User:
        """Lock a user out: no login any more, every session and token ended; records keep the name.

        :raises NotFoundProblem: no such user.
        :raises ConflictProblem: nobody would be left to administer everything.
        """
        async with UnitOfWork(self._database) as work:
            users = Users(work)
            administrators = await users.lock_administrators()
            user = await users.require(login, for_update=True)
            require_right_over(actor, login, user.scope, user.unit_path)
            _require_another(administrators, login)
            user = await users.set_active(login, False)
            await Tokens(work).revoke_all(login)
            await _record(work, actor, "user.disable", user)
            work.after_commit(self._access.forget_actors)
        return user

    async def enable(self, actor: Actor, login: str) -> User:
        """Let a disabled user log in again; tokens stay revoked. Raises NotFoundProblem."""
        async with UnitOfWork(self._database) as work:
            users = Users(work)
            user = await users.require(login, for_update=True)
            require_grant(actor, login, user.roles, user.scope, user.unit_path)
            user = await users.set_active(login, True)
            await _record(work, actor, "user.enable", user)
        return user

    async def set_password(self, actor: Actor, login: str, password: str) -> None:
        """Give another user a password, and end the user's sessions.

        Through a limited token only when the token holds all that the user's roles do: else it would be a way up.

        :raises ValidationProblem: the password is too short or too easy.
        """
        require_good_password(password, login)
        password_hash = await self._access.passwords.hash(password)
        async with UnitOfWork(self._database) as work:
            users = Users(work)
            user = await users.require(login, for_update=True)
            if login == actor.login:
                raise AuthorizationProblem(
                    Text("修改自己的密码需要提供当前密码", "To change your own password, give the present one with it")
                )
            require_grant(actor, login, user.roles, user.scope, user.unit_path)
            await self._replace_password(work, actor, user, password_hash)

    async def change_password(self, actor: Actor, current: str, password: str) -> None:
        """Change one's own password, and end all of one's sessions.

        :raises AuthenticationProblem: the current password is wrong.
        :raises RateLimitProblem: it was wrong too often.
        :raises ValidationProblem: the new one is too short or too easy.
        """
        require_good_password(password, actor.login)
        await self._access.guard.count(actor.login, _OWN_SESSION)
        async with UnitOfWork(self._database) as work:
            found = await Users(work).find_credentials(actor.login)
        verified, _ = await self._access.passwords.verify(current, found[1] if found else None)
        if found is None or not verified:
            raise AuthenticationProblem(Text("当前密码不正确", "The present password is wrong"))
        password_hash = await self._access.passwords.hash(password)
        async with UnitOfWork(self._database) as work:
            await self._access.guard.succeeded(work, actor.login, _OWN_SESSION)
            await self._replace_password(work, actor, found[0], password_hash)

    async def list(self, actor: Actor, page: PageRequest, *, active: bool | None = None) -> Page[User]:
        """Users within the actor's data scope, by login."""
        actor.require(Permission.USERS_READ)
        async with UnitOfWork(self._database) as work:
            return await Users(work).list(actor.scope, page, active=active)

    async def show(self, actor: Actor, login: str) -> User:
        """One user; raises NotFoundProblem, also for one out of scope."""
        actor.require(Permission.USERS_READ)
        async with UnitOfWork(self._database) as work:
            user = await Users(work).require(login)
        if not actor.sees(Placement(user.unit_path, customer_owner=user.login)):
            raise NotFoundProblem(Text(f"没有用户 {login}", f"There is no user {login}"))
        return user

    async def _replace_password(self, work: UnitOfWork, actor: Actor, user: User, password_hash: str) -> None:
        await Users(work).set_password_hash(user.login, password_hash)
        await Tokens(work).revoke_all(user.login, kind="session")
        await _record(work, actor, "user.password", user)
        work.after_commit(self._access.forget_actors)


async def _require_sensible_scope(work: UnitOfWork, login: str, scope: Scope) -> None:
    if scope.kind == "own" and scope.owner != login:
        raise ValidationProblem(
            Text(
                f"“仅本人客户”的数据范围只能指向本人：{login}",
                f"The scope of own customers can only be the user's own: {login}",
            )
        )
    if scope.branch is not None:
        await Units(work).require(scope.branch)
    for account_id in sorted(scope.accounts):
        await Accounts(work).require(account_id)


def _require_another(administrators: Sequence[User], login: str) -> None:
    logins = {user.login for user in administrators}
    if logins == {login}:
        raise ConflictProblem(
            Text(
                f"{login} 是最后一个全范围管理员，请先指定另一位管理员",
                f"{login} is the last administrator of everything: appoint another one first",
            )
        )


def _rights(user: User) -> dict[str, object]:
    return {
        "roles": sorted(user.roles),
        "scope": user.scope.model_dump(mode="json", exclude_defaults=True),
        "queues": sorted(user.queues),
    }


async def _record(
    work: UnitOfWork, actor: Actor, action: str, user: User, detail: dict[str, object] | None = None
) -> None:
    place = Placement(unit_path=user.unit_path, customer_owner=user.login)
    await AuditLog(work).record(actor, action, f"user:{user.login}", detail, place)
