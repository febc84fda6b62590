"""Secrets that flows may use: a name, and an encrypted string or several encrypted members."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Text as SqlText
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import Field, col

from domain.problems import NotFoundProblem, Text
from storage.encryption import EncryptedJson
from storage.tables import Table, instant
from storage.unit_of_work import Repository

SecretValue = str | Mapping[str, str]


class SecretRow(Table, table=True):
    """One secret; `members` repeats the names inside the value, NULL for a plain string."""

    __tablename__ = "secrets"

    name: str = Field(primary_key=True)
    members: list[str] | None = Field(default=None, sa_type=ARRAY(SqlText), nullable=True)
    value: Any = Field(sa_type=EncryptedJson("secrets.value"), nullable=False)
    updated_at: datetime = instant()
    updated_by: str


@dataclass(frozen=True, slots=True)
class SecretDescription:
    """A secret without its value."""

    name: str
    members: tuple[str, ...] | None
    updated_at: datetime
    updated_by: str


class Secrets(Repository):
    async def set(self, name: str, value: SecretValue, by: str) -> None:
        """Store a secret, over an older one of the same name."""
        fields = {
            "members": None if isinstance(value, str) else sorted(value),
            "value": value if isinstance(value, str) else dict(value),
            "updated_at": self.now,
            "updated_by": by,
        }
        statement = insert(SecretRow).values(name=name, **fields)
        await self.session.execute(statement.on_conflict_do_update(index_elements=[col(SecretRow.name)], set_=fields))

    async def find(self, name: str) -> SecretValue | None:
        statement = select(col(SecretRow.value)).where(col(SecretRow.name) == name)
        value: SecretValue | None = await self.session.scalar(statement)
        return value

    async def describe(self) -> Sequence[SecretDescription]:
        """All secrets by name, without reading a value."""
        row = SecretRow
        statement = select(col(row.name), col(row.members), col(row.updated_at), col(row.updated_by))
        return [
            SecretDescription(name, None if members is None else tuple(members), updated_at, updated_by)
            for name, members, updated_at, updated_by in await self.session.execute(statement.order_by(col(row.name)))
        ]

    async def remove(self, name: str) -> None:
        """Raises NotFoundProblem when there is none."""
        statement = delete(SecretRow).where(col(SecretRow.name) == name).returning(col(SecretRow.name))
        if await self.session.scalar(statement) is None:
            raise NotFoundProblem(Text(f"没有名为 {name} 的密钥", f"There is no secret named {name}"))
