"""Access tokens of platforms, shared by all processes, encrypted."""

from datetime import datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from storage.encryption import EncryptedJson
from storage.tables import Table, instant
from storage.unit_of_work import Repository


class PlatformTokenRow(Table, table=True):
    """One token. name: `platform/account/app`. content: value, refresh value, when obtained, when it ends."""

    __tablename__ = "platform_tokens"

    name: str = Field(primary_key=True)
    content: Any = Field(sa_type=EncryptedJson("platform_tokens.content"), nullable=False)
    saved_at: datetime = instant()


class PlatformTokens(Repository):
    """Tokens by name."""

    async def find(self, name: str) -> dict[str, Any] | None:
        row = await self.session.get(PlatformTokenRow, name)
        return None if row is None else dict(row.content)

    async def save(self, name: str, content: dict[str, Any]) -> None:
        """Store a token over the one that was there."""
        fields = {"content": content, "saved_at": self.now}
        statement = insert(PlatformTokenRow).values(name=name, **fields)
        await self.session.execute(
            statement.on_conflict_do_update(index_elements=[col(PlatformTokenRow.name)], set_=fields)
        )
