"""Consents: what people agreed to hear about and took back, every statement with its source and time.

They stand on identities like every other record (ADR 8), so that they follow when customers merge or split, and go with
them when somebody is erased. None is ever changed.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, UniqueConstraint
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import AutoString, Field, col, select

from domain.canonical.consents import Channel, ConsentState, Purpose
from domain.customers.consents import Statement, newest_first
from storage.encryption import EncryptedText
from storage.identities import IdentityRow
from storage.tables import Table, instant
from storage.unit_of_work import Repository


class ConsentRow(Table, table=True):
    """One statement on one key. account_id, number: the account that told it and what it goes by there; NULL and drawn
    from its content when a person wrote it down. channel: NULL for every one."""

    __tablename__ = "consents"
    id: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    identity_id: int = Field(sa_type=BigInteger, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")])
    account_id: str | None = None
    number: str
    purpose: Purpose = Field(sa_type=AutoString)
    channel: Channel | None = Field(default=None, sa_type=AutoString)
    state: ConsentState = Field(sa_type=AutoString)
    source: str = Field(sa_type=EncryptedText("consents.source"))
    at: datetime = instant()
    recorded_at: datetime = instant()
    made_by: str | None = None

    __table_args__ = (UniqueConstraint("identity_id", "account_id", "number", postgresql_nulls_not_distinct=True),)


class Consents(Repository):
    """Statements of customers."""

    async def add(self, statements: Sequence[dict[str, Any]]) -> list[ConsentRow]:
        """Write statements, as columns by name; those that were not there before."""
        if not statements:
            return []
        rows = sorted(statements, key=lambda each: (each["identity_id"], each["number"]))
        statement = insert(ConsentRow).values([{**each, "recorded_at": self.now} for each in rows])
        return list(await self.session.scalars(statement.on_conflict_do_nothing().returning(ConsentRow)))

    async def of(self, customers: Collection[UUID]) -> dict[UUID, list[Statement]]:
        """What each of these customers said, the newest first, once whatever keys it stands on."""
        statement = (
            select(ConsentRow, col(IdentityRow.customer_id))
            .join(IdentityRow, col(IdentityRow.id) == col(ConsentRow.identity_id))
            .where(col(IdentityRow.customer_id).in_(customers))
            .order_by(col(ConsentRow.id))
        )
        found: dict[UUID, dict[tuple[str | None, str], Statement]] = {each: {} for each in customers}
        for row, customer in await self.session.execute(statement):
            found[customer].setdefault((row.account_id, row.number), _statement(row))
        return {customer: newest_first(list(some.values())) for customer, some in found.items()}


def _statement(row: ConsentRow) -> Statement:
    return Statement(
        row.state, row.purpose, row.channel, row.source, row.at, row.recorded_at, row.account_id, row.made_by
    )
