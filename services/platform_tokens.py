"""Platform tokens in the database: one refresh at a time in all processes together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from connectors.tokens import Token, TokenName
from domain.problems import Text, UnavailableProblem
from storage.engine import Database
from storage.locks import lock
from storage.platform_tokens import PlatformTokens
from storage.unit_of_work import UnitOfWork

RENEWALS_AT_ONCE = 3
"""Tokens of one process that are renewed at a time. Each holds a connection and needs a second one: what waits must
not take the pool from those that go on."""

PATIENCE_S = 30.0


class StoredTokens:
    """The `connectors.tokens.TokenStore` over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._own: dict[TokenName, asyncio.Lock] = {}
        self._renewals = asyncio.Semaphore(RENEWALS_AT_ONCE)

    async def load(self, name: TokenName) -> Token | None:
        """The token saved last, whoever saved it."""
        async with UnitOfWork(self._database) as work:
            content = await PlatformTokens(work).find(name.key, name.without_grant.key if name.grant else None)
        if content is None:
            return None
        return Token(
            value=content["value"],
            obtained_at=datetime.fromisoformat(content["obtained_at"]),
            expires_at=datetime.fromisoformat(content["expires_at"]),
            refresh_value=content["refresh_value"],
            proves=content.get("proves"),
        )

    async def save(self, name: TokenName, token: Token) -> None:
        """Replace the token."""
        content = {
            "value": token.value,
            "obtained_at": token.obtained_at.isoformat(),
            "expires_at": token.expires_at.isoformat(),
            "refresh_value": token.refresh_value,
            "proves": token.proves,
        }
        async with UnitOfWork(self._database) as work:
            await PlatformTokens(work).save(name.key, content)

    @asynccontextmanager
    async def lock(self, name: TokenName) -> AsyncIterator[None]:
        """Held by one task of one process; PostgreSQL lets go of it when that process dies.

        The tasks of this process wait among themselves first, without a connection.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await stack.enter_async_context(self._own.setdefault(name, asyncio.Lock()))
                    await stack.enter_async_context(self._renewals)
            except TimeoutError:
                raise UnavailableProblem(
                    Text(
                        f"账号 {name.account} 的访问令牌一直在更新中，稍后自动重试",
                        f"The access token of {name.account} is being renewed for too long; it is tried again later",
                    )
                ) from None
            work = await stack.enter_async_context(UnitOfWork(self._database))
            await lock(work, f"platform-token/{name.key}")
            yield
