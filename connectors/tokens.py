"""Access tokens: fetched once for all processes, renewed before the platform's expiry, replaced when they die early."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol, TypeVar

from pydantic import SecretStr

from connectors.errors import TokenDied
from domain.ids import canonical_json, short_digest
from domain.problems import AuthenticationProblem, Text

# Renewed this long before the platform's expiry, or after nine tenths of a shorter life.
EARLY = timedelta(minutes=5)
_APPS_BEFORE_GRANTS = ("", "contact", "agent")
"""The applications whose tokens were called without a grant; one that came later never was."""

WAITED_WHEN_CANCELLED_S = 20.0
"""How long who is cancelled lets a fetch that has begun go on: as long as its requests and the saving may take."""

T = TypeVar("T")


class TokenName(NamedTuple):
    """Whose token it is; `app` keeps the tokens of several applications of one account apart.

    grant: what `grant_of` made of the authorisation that it came of. With other credentials it is another token: one
    that a wrong shop's authorisation gave is used no more, however long it lives.
    """

    platform: str
    account: str
    app: str = ""
    grant: str = ""

    @property
    def key(self) -> str:
        """One text for all of it."""
        return "/".join(self if self.grant else self[:3])

    @property
    def without_grant(self) -> "TokenName":
        """What the token was called when names did not tell their grants apart."""
        return self._replace(grant="")


def names_without_grant(platform: str, account: str) -> list[TokenName]:
    """What tokens of an account may have been called when names did not tell their grants apart."""
    return [TokenName(platform, account, app) for app in _APPS_BEFORE_GRANTS]


def grant_of(*credentials: SecretStr | str | int | None) -> str:
    """What tells one authorisation from another, given everything that a token depends on; no secret can be read of it.

    What only signs requests, or checks pushes, does not belong here: a chain of refresh tokens goes on when that is
    replaced, as the first of them, which stands in the settings, is spent.
    """
    told = [each.get_secret_value() if isinstance(each, SecretStr) else each for each in credentials]
    return short_digest(canonical_json(told))


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, good until `expires_at` (UTC) unless the platform kills it early.

    proves: `grant_of` the secret that it was fetched with, for platforms whose calls do not tell whether that is right.
    """

    value: str = field(repr=False)
    obtained_at: datetime
    expires_at: datetime
    refresh_value: str | None = field(default=None, repr=False)
    proves: str | None = None

    @property
    def renew_at(self) -> datetime:
        """When to fetch the next one."""
        life = self.expires_at - self.obtained_at
        return self.expires_at - min(EARLY, life / 10)


class TokenStore(Protocol):
    """Where tokens are kept between processes. Values are secrets: stored encrypted, never logged."""

    async def load(self, name: TokenName) -> Token | None:
        """The token saved last, as every process sees it."""

    async def save(self, name: TokenName, token: Token) -> None:
        """Replace the token; seen by every later `load` of any process once this returns."""

    def lock(self, name: TokenName) -> AbstractAsyncContextManager[None]:
        """Held by one task of one process at a time; let go when that process dies. Waits at most 30 s, then raises
        UnavailableProblem. Within it `load` and `save` of the same name must not dead-lock."""


class MemoryTokenStore:
    """Tokens of one process, for tests and tools."""

    def __init__(self) -> None:
        self._tokens: dict[TokenName, Token] = {}
        self._locks: defaultdict[TokenName, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def load(self, name: TokenName) -> Token | None:
        return self._tokens.get(name)

    async def save(self, name: TokenName, token: Token) -> None:
        self._tokens[name] = token

    @asynccontextmanager
    async def lock(self, name: TokenName) -> AsyncIterator[None]:
        async with self._locks[name]:
            yield


Fetch = Callable[[Token | None], Awaitable[Token]]


async def refresh_by_any(
    old: Token | None, configured: str | None, refresh: Callable[[str], Awaitable[Token]]
) -> Token | None:
    """A token by the refresh token that came last or, when that is refused, by the one in the account's settings.

    None when there is neither. Raises what the last attempt raised.
    """
    known = old.refresh_value if old is not None else None
    if known is not None:
        try:
            return await refresh(known)
        except AuthenticationProblem:
            if configured in (None, known):
                raise
    return await refresh(configured) if configured is not None else None


class TokenCare:
    """Keeps one token good. `fetch` asks the platform for a new one, given the old one if there is any."""

    def __init__(self, store: TokenStore, name: TokenName, fetch: Fetch, now: Callable[[], datetime]) -> None:
        self._store = store
        self._name = name
        self._fetch = fetch
        self._now = now

    async def current(self) -> Token:
        """A token that is not about to expire."""
        token = await self._store.load(self._name)
        if token is not None and self._now() < token.renew_at:
            return token
        return await self._renew(token)

    async def replace(self, dead: Token) -> Token:
        """A token other than `dead`: the one a colleague fetched meanwhile, or a new one."""
        return await self._renew(dead)

    async def use(self, call: Callable[[str], Awaitable[T]]) -> T:
        """Run a platform call with the token; when the platform says that it died, once more with a new one.

        A platform that refuses a dead token has done nothing, so repeating is safe for effects too.
        Raises AuthenticationProblem (retryable) when the new token dies as well.
        """
        token = await self.current()
        try:
            return await call(token.value)
        except TokenDied:
            token = await self.replace(token)
        try:
            return await call(token.value)
        except TokenDied:
            raise AuthenticationProblem(
                Text(
                    f"平台 {self._name.platform} 连续两次拒绝账号 {self._name.account} 的访问令牌，稍后自动重试",
                    f"{self._name.platform} refused two access tokens of {self._name.account} in a row; "
                    "it is tried again later",
                ),
                platform=self._name.platform,
                account=self._name.account,
                retryable=True,
                outcome="not_done",
                retry_after_s=5.0,
            ) from None

    async def _renew(self, known: Token | None) -> Token:
        async with self._store.lock(self._name):
            stored = await self._store.load(self._name)
            is_new = stored is not None and (known is None or stored.value != known.value)
            if stored is not None and is_new and self._now() < stored.renew_at:
                return stored
            return await _to_its_end(self._fetch_and_save(stored))

    async def _fetch_and_save(self, old: Token | None) -> Token:
        fresh = await self._fetch(old)
        await self._store.save(self._name, fresh)
        return fresh


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """What the work returns; whoever is cancelled meanwhile waits for its end first, for a while.

    A platform spends a refresh token before it answers: who went away between that and the saving would have lost the
    chain. Until then the lock is held, and the caller's HTTP client open.
    """
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            if cancelled is None:
                asyncio.get_running_loop().call_later(WAITED_WHEN_CANCELLED_S, task.cancel)
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # whatever it was, nobody asks any more
    raise cancelled
