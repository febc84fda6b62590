"""Who was invited by whom: a payee, or another customer, who may have been invited in turn.

They stand on identities like every other record (ADR 8), so that they follow when customers merge or split, and go with
them. The first invitation of a person is the one that counts.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from storage.bulk import fetch
from storage.identities import IdentityRow
from storage.tables import Table, instant
from storage.unit_of_work import Repository


class InvitationRow(Table, table=True):
    """One invitation. payee: who invited, else by_identity_id: the customer who did; neither, where that one was erased
    since. source: how it is known."""

    __tablename__ = "invitations"
    id: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    identity_id: int = Field(sa_type=BigInteger, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")])
    payee: int | None = Field(default=None, sa_column_args=[ForeignKey("payees.id")])
    by_identity_id: int | None = Field(
        default=None, sa_type=BigInteger, sa_column_args=[ForeignKey("identities.id", ondelete="SET NULL")]
    )
    at: datetime = instant()
    source: str
    recorded_at: datetime = instant()
    made_by: str

    __table_args__ = (
        # Those of erased inviters name none, and stay as many as they were.
        Index(
            "uq_invitations_of_inviters",
            "identity_id",
            "payee",
            "by_identity_id",
            "at",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("payee IS NOT NULL OR by_identity_id IS NOT NULL"),
        ),
        CheckConstraint("payee IS NULL OR by_identity_id IS NULL", name="one_inviter"),
        Index("ix_invitations_identity_id_at", "identity_id", "at"),
        Index("ix_invitations_payee", "payee"),
        Index("ix_invitations_by_identity_id", "by_identity_id"),
    )


class InvitedBy(NamedTuple):
    """The payee at the upper end of a buyer's chain of invitations. invitation: the uppermost of them; level: how many
    there are; at: when the buyer was invited."""

    order_key: int
    invitation: int
    payee: int
    level: int
    at: datetime


class Invitations(Repository):
    """Written once, never changed."""

    async def add(self, row: InvitationRow) -> bool:
        """Write one; False when it is there already."""
        values = {name: getattr(row, name) for name in ("identity_id", "payee", "by_identity_id", "at", "source")}
        statement = insert(InvitationRow).values({**values, "recorded_at": self.now, "made_by": row.made_by})
        added = await self.session.scalar(statement.on_conflict_do_nothing().returning(col(InvitationRow.id)))
        return added is not None

    async def of_customer(self, customer: UUID) -> Sequence[InvitationRow]:
        """The invitations of a customer, the one that counts first."""
        row, key = InvitationRow, IdentityRow
        statement = select(row).join(key, col(key.id) == col(row.identity_id)).where(col(key.customer_id) == customer)
        return (await self.session.scalars(statement.order_by(col(row.at), col(row.id)))).all()

    async def inviters(self, orders: Mapping[int, tuple[int, datetime]], levels: int) -> Sequence[InvitedBy]:
        """Who stands above the buyers of orders, at most so many invitations up. orders: identity and instant by
        key."""
        if not orders or not levels:
            return []
        keys = list(orders)
        values = {
            "keys": keys,
            "identities": [orders[key][0] for key in keys],
            "ats": [orders[key][1] for key in keys],
            "levels": levels,
        }
        return [InvitedBy(*row) for row in await fetch(self.work, _INVITERS, values)]

    async def customers_of(self, identities: Collection[int]) -> Mapping[int, UUID]:
        """Whose keys these are."""
        key = IdentityRow
        statement = select(col(key.id), col(key.customer_id)).where(col(key.id).in_(identities))
        return {row[0]: row[1] for row in await self.session.execute(statement)}


_INVITERS = """
    WITH RECURSIVE chain AS (
        SELECT named.key, 1 AS level, first.id, first.payee, first.by_identity_id, named.at, first.at AS invited_at
        FROM unnest(%(keys)b::bigint[], %(identities)b::bigint[], %(ats)b::timestamptz[]) AS named (key, identity, at)
        JOIN identities own ON own.id = named.identity
        CROSS JOIN LATERAL (
            SELECT i.id, i.payee, i.by_identity_id, i.at
            FROM identities k JOIN invitations i ON i.identity_id = k.id
            WHERE k.customer_id = own.customer_id AND i.at <= named.at ORDER BY i.at, i.id LIMIT 1
        ) first
        UNION ALL
        SELECT chain.key, chain.level + 1, first.id, first.payee, first.by_identity_id, chain.at, chain.invited_at
        FROM chain
        JOIN identities own ON own.id = chain.by_identity_id
        CROSS JOIN LATERAL (
            SELECT i.id, i.payee, i.by_identity_id
            FROM identities k JOIN invitations i ON i.identity_id = k.id
            WHERE k.customer_id = own.customer_id AND i.at <= chain.at ORDER BY i.at, i.id LIMIT 1
        ) first
        WHERE chain.payee IS NULL AND chain.level < %(levels)b::integer
    )
    SELECT key, id, payee, level, invited_at FROM chain WHERE payee IS NOT NULL ORDER BY key, level
"""
