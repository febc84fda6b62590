"""Access tokens of platforms, shared by all processes, encrypted."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from storage.encryption import EncryptedJson
from storage.tables import Table, instant
from storage.unit_of_work import Repository


class PlatformTokenRow(Table, table=True):
    """One token. name: `platform/account/app/grant`, the last where grants are told apart.

    content: value, refresh value, when obtained, when it ends, a digest of the secret where it proves that.
    """

    __tablename__ = "platform_tokens"

    name: str = Field(primary_key=True)
    content: Any = Field(sa_type=EncryptedJson("platform_tokens.content"), nullable=False)
    saved_at: datetime = instant()


class PlatformTokens(Repository):
    """Tokens by name."""

    async def find(self, name: str, older: str | None = None) -> dict[str, Any] | None:
        """older: what the token was called before; found so, it is there under its new name from now on."""
        row = await self.session.get(PlatformTokenRow, name)
        known = await self.session.get(PlatformTokenRow, older) if row is None and older is not None else None
        if known is None:
            return None if row is None else dict(row.content)
        fields = {"name": name, "content": known.content, "saved_at": known.saved_at}
        await self.session.execute(insert(PlatformTokenRow).values(**fields).on_conflict_do_nothing())
        return dict(known.content)

    async def forget(self, names: Collection[str]) -> None:
        """No tokens of these names are there any more."""
        await self.session.execute(delete(PlatformTokenRow).where(col(PlatformTokenRow.name).in_(names)))

    async def save(self, name: str, content: dict[str, Any]) -> None:
        """Store a token over the one that was there."""
        fields = {"content": content, "saved_at": self.now}
        statement = insert(PlatformTokenRow).values(name=name, **fields)
        await self.session.execute(
            statement.on_conflict_do_update(index_elements=[col(PlatformTokenRow.name)], set_=fields)
        )
