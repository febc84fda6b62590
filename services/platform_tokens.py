"""Platform tokens in the database: one refresh at a time in all processes together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from connectors.tokens import Token, TokenName
from storage.engine import Database
from storage.locks import lock
from storage.platform_tokens import PlatformTokens
from storage.unit_of_work import UnitOfWork


class StoredTokens:
    """The `connectors.tokens.TokenStore` over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, name: TokenName) -> Token | None:
        """The token saved last, whoever saved it."""
        async with UnitOfWork(self._database) as work:
            content = await PlatformTokens(work).find("/".join(name))
        if content is None:
            return None
        return Token(
            value=content["value"],
            obtained_at=datetime.fromisoformat(content["obtained_at"]),
            expires_at=datetime.fromisoformat(content["expires_at"]),
            refresh_value=content["refresh_value"],
        )

    async def save(self, name: TokenName, token: Token) -> None:
        """Replace the token."""
        content = {
            "value": token.value,
            "obtained_at": token.obtained_at.isoformat(),
            "expires_at": token.expires_at.isoformat(),
            "refresh_value": token.refresh_value,
        }
        async with UnitOfWork(self._database) as work:
            await PlatformTokens(work).save("/".join(name), content)

    @asynccontextmanager
    async def lock(self, name: TokenName) -> AsyncIterator[None]:
        """Held by one task of one process; PostgreSQL lets go of it when that process dies."""
        async with UnitOfWork(self._database) as work:
            await lock(work, f"platform-token/{'/'.join(name)}")
            yield
