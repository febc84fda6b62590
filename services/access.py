"""Who is asking: passwords become sessions, tokens become actors.

A token is `tandem_<prefix>_<secret>`. The prefix is public and finds the row; of the whole only an HMAC under the
installation's pepper is kept, so a stolen table opens nothing. An actor is remembered for a few seconds: a revoked
token or a changed right counts at once in this process, and after `ACTOR_CACHE_S` in every other.
"""

import hmac
import re
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from domain.access import Actor, Permission, Scope, system_actor
from domain.people import LONGEST_PASSWORD, LONGEST_TOKEN_LIFE, ApiToken, User, require_right_over
from domain.problems import (
    AuthenticationProblem,
    AuthorizationProblem,
    Text,
    ValidationProblem,
)
from services.login_guard import LoginGuard
from services.passwords import Passwords
from storage.audit import AuditLog
from storage.engine import Database
from storage.paging import Page, PageRequest
from storage.tokens import Credential, NewToken, Tokens
from storage.unit_of_work import UnitOfWork
from storage.users import Users

ACTOR_CACHE_S = 5.0
SESSION_LIFE = timedelta(hours=12)
_MOST_CACHED = 10_000
_TOKEN = re.compile(r"tandem_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
_PREFIX_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{1,62}")


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token: `text` is shown this once and kept nowhere."""

    text: str = field(repr=False)
    token: ApiToken


class Access:
    """Sessions and tokens.

    pepper: the installation's secret that is mixed into token hashes.
    """

    def __init__(
        self, database: Database, pepper: str, *, passwords: Passwords | None = None, cache_s: float = ACTOR_CACHE_S
    ) -> None:
        self.passwords = passwords or Passwords()
        self._database = database
        self._pepper = pepper.encode()
        self.guard = LoginGuard(database, self._pepper)
        self._cache_s = cache_s
        self._actors: OrderedDict[bytes, tuple[float, Actor]] = OrderedDict()

    async def authenticate(self, token: str) -> Actor:
        """The actor behind a token; raises AuthenticationProblem, which does not say what exactly was wrong."""
        digest = self._digest(token)
        cached = self._actors.get(digest)
        if cached and cached[0] > time.monotonic():
            return cached[1]
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            raise _unknown_token()
        async with UnitOfWork(self._database) as work:
            tokens = Tokens(work)
            credential = await tokens.find_credential(parts[1])
            if credential is None or not hmac.compare_digest(credential.secret_hash, digest):
                raise _unknown_token()
            if not credential.token.usable(work.now) or not credential.user.active:
                raise _unknown_token()
            await tokens.note_use(credential.token)
            left_s = (credential.token.expires_at - work.now).total_seconds()
        actor = _actor_of(credential)
        self._remember(digest, actor, left_s)
        return actor

    async def login(self, login: str, password: str, address: str) -> IssuedToken:
        """A session of the person; address: where the request comes from.

        :raises AuthenticationProblem: wrong login or password, or a disabled user: always in the same words and time.
        :raises RateLimitProblem: too many attempts; its member `retry_after_s` says when to come back.
        """
        known = login if _LOGIN.fullmatch(login) else "?"
        await self.guard.count(known, address)
        async with UnitOfWork(self._database) as work:
            found = await Users(work).find_credentials(known)
        verified, better_hash = await self.passwords.verify(
            password[: LONGEST_PASSWORD + 1], found[1] if found else None
        )
        if found is None or not verified:
            async with UnitOfWork(self._database) as work:
                await AuditLog(work).record(
                    system_actor("login"), "session.refuse", f"user:{known}", {"address": address}
                )
            raise AuthenticationProblem(Text("登录名或密码不正确", "The login or the password is wrong"))
        user = found[0]
        async with UnitOfWork(self._database) as work:
            if better_hash:
                await Users(work).set_password_hash(user.login, better_hash)
            await self.guard.succeeded(work, user.login, address)
            issued = await self._add_token(work, _person(user), user, "session", "login", None, SESSION_LIFE)
            await AuditLog(work).record(_person(user), "session.start", f"user:{user.login}", {"address": address})
        return issued

    async def logout(self, actor: Actor) -> None:
        """End the session or token that the actor came with."""
        async with UnitOfWork(self._database) as work:
            if actor.token_id is not None:
                await Tokens(work).revoke_id(actor.token_id)
                await AuditLog(work).record(actor, "session.end", f"user:{actor.login}")
                work.after_commit(self.forget_actors)

    async def issue_token(
        self,
        actor: Actor,
        name: str,
        *,
        login: str | None = None,
        scopes: frozenset[Permission] | None = None,
        life: timedelta = timedelta(days=90),
    ) -> IssuedToken:
        """A token for the actor, or (by who manages users) for another user such as an integration.

        scopes: permissions it is limited to; None for all of the user's, which nobody gives away for somebody else.

        :raises AuthorizationProblem: it would hold more than the actor, or the user is out of the actor's scope.
        :raises ValidationProblem: no name, or a life that is not between a minute and a year.
        """
        if not 1 <= len(name) <= 100 or not timedelta(minutes=1) <= life <= LONGEST_TOKEN_LIFE:
            raise ValidationProblem(
                Text(
                    "令牌需要 1 到 100 个字符的名称，有效期为 1 分钟到 366 天",
                    "A token needs a name of 1 to 100 characters and a life of one minute to 366 days",
                )
            )
        async with UnitOfWork(self._database) as work:
            user = await Users(work).require(login or actor.login)
            if user.login != actor.login:
                require_right_over(actor, user.login, user.scope, user.unit_path)
            _require_no_more_than_own(actor, user, scopes)
            issued = await self._add_token(work, actor, user, "api", name, scopes, life)
            detail = {"name": name, "scopes": sorted(scopes) if scopes is not None else None}
            await AuditLog(work).record(actor, "token.issue", f"token:{issued.token.prefix}", detail)
        return issued

    async def revoke_token(self, actor: Actor, prefix: str) -> None:
        """End a token; one's own, or as who manages its user. Raises NotFoundProblem and AuthorizationProblem."""
        async with UnitOfWork(self._database) as work:
            tokens = Tokens(work)
            token = await tokens.require(prefix)
            if token.login != actor.login:
                user = await Users(work).require(token.login)
                require_right_over(actor, user.login, user.scope, user.unit_path)
            await tokens.revoke(prefix)
            await AuditLog(work).record(actor, "token.revoke", f"token:{prefix}", {"login": token.login})
            work.after_commit(self.forget_actors)

    async def list_tokens(self, actor: Actor, page: PageRequest, *, login: str | None = None) -> Page[ApiToken]:
        """One's own tokens; with `users.read` those of everybody in one's data scope, or of one login."""
        async with UnitOfWork(self._database) as work:
            if login != actor.login:
                actor.require(Permission.USERS_READ)
                return await Tokens(work).list(actor.scope, page, login=login)
            return await Tokens(work).list(Scope.everything(), page, login=actor.login)

    def forget_actors(self) -> None:
        """Let changed rights count at once in this process."""
        self._actors.clear()

    async def _add_token(
        self,
        work: UnitOfWork,
        actor: Actor,
        user: User,
        kind: Literal["api", "session"],
        name: str,
        scopes: frozenset[Permission] | None,
        life: timedelta,
    ) -> IssuedToken:
        prefix = "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(12))
        text = f"tandem_{prefix}_{secrets.token_urlsafe(32)}"
        token = await Tokens(work).add(
            NewToken(
                login=user.login,
                kind=kind,
                name=name,
                prefix=prefix,
                secret_hash=self._digest(text),
                scopes=scopes,
                created_by=actor.login,
                expires_at=work.now + life,
            )
        )
        return IssuedToken(text, token)

    def _digest(self, token: str) -> bytes:
        return hmac.digest(self._pepper, token.encode(), "sha256")

    def _remember(self, digest: bytes, actor: Actor, left_s: float) -> None:
        self._actors[digest] = (time.monotonic() + min(self._cache_s, left_s), actor)
        self._actors.move_to_end(digest)
        while len(self._actors) > _MOST_CACHED:
            self._actors.popitem(last=False)


def _actor_of(credential: Credential) -> Actor:
    token = credential.token
    return _person(credential.user).model_copy(update={"token_id": token.id, "token_scopes": token.scopes})


def _person(user: User) -> Actor:
    return Actor(user_id=user.id, login=user.login, roles=user.roles, scope=user.scope, queues=user.queues)


def _require_no_more_than_own(actor: Actor, user: User, scopes: frozenset[Permission] | None) -> None:
    """The program itself may issue anything; a person nothing that the person's present session cannot do."""
    if actor.is_system:
        return
    whole = scopes is None
    if whole and user.login == actor.login and actor.token_scopes is None:
        return
    beyond = sorted(scopes - actor.permissions) if scopes is not None else []
    if whole or beyond:
        raise AuthorizationProblem(
            Text(
                "令牌的权限不能超过您当前的权限" + (f"：{'、'.join(beyond)}" if beyond else "，请逐项列出"),
                "A token cannot hold more than you do at present"
                + (f": {', '.join(beyond)}" if beyond else "; name its permissions one by one"),
            )
        )


def _unknown_token() -> AuthenticationProblem:
    return AuthenticationProblem(
        Text("令牌无效、已过期或已撤销，请重新登录", "The token is not valid, has expired or was revoked: log in again")
    )
