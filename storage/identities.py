"""Identities and customers: which keys there are, and who each of them belongs to."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlmodel import Field

from storage.encryption import EncryptedJson, EncryptedText
from storage.tables import Table, identifier, instant


class CustomerRow(Table, table=True):
    """One person. merged_into: the customer that took this one's place; NULL for one that is there."""

    __tablename__ = "customers"
    id: UUID = identifier()
    merged_into: UUID | None = Field(default=None, sa_column_args=[ForeignKey("customers.id")])
    created_at: datetime = instant()
    changed_at: datetime = instant()

    __table_args__ = (
        Index("ix_customers_merged_into", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
    )


class IdentityRow(Table, table=True):
    """One key of a person. digest: a keyed hash of kind, scope and value, by which it is found without decrypting."""

    __tablename__ = "identities"
    id: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    kind: str
    scope: str
    digest: bytes
    value: str = Field(sa_type=EncryptedText("identities.value"))
    customer_id: UUID = Field(index=True, sa_column_args=[ForeignKey("customers.id")])
    first_seen_at: datetime = instant()

    __table_args__ = (UniqueConstraint("digest"),)


class IdentityLinkRow(Table, table=True):
    """Evidence: two keys (low < high) that one record named together. record: the first that did, `order:…`.

    is_strong: both keys tie people together; otherwise they only suggest it.
    """

    __tablename__ = "identity_links"
    low: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")]
    )
    high: int = Field(
        primary_key=True,
        sa_type=BigInteger,
        index=True,
        sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")],
    )
    is_strong: bool
    account_id: str
    record: str
    seen_at: datetime = instant()


class IdentityDecisionRow(Table, table=True):
    """What a person decided about two keys: they are one person (`join`) or they are not (`part`)."""

    __tablename__ = "identity_decisions"
    id: UUID = identifier()
    verdict: str
    low: int = Field(sa_type=BigInteger, index=True, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")])
    high: int = Field(sa_type=BigInteger, index=True, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")])
    actor: str
    reason: str
    decided_at: datetime = instant()
    undone_at: datetime | None = instant(optional=True)
    undone_by: str | None = None


class IdentityMoveRow(Table, table=True):
    """History: identities that changed from one customer to another, and why. cause: evidence, decision, undo."""

    __tablename__ = "identity_moves"
    id: UUID = identifier()
    identity_id: int = Field(
        sa_type=BigInteger, index=True, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")]
    )
    from_customer: UUID = Field(index=True)
    to_customer: UUID = Field(index=True)
    cause: str
    detail: dict[str, Any] = Field(sa_type=EncryptedJson("identity_moves.detail"))
    moved_at: datetime = instant()


class IdentitySuggestionRow(Table, table=True):
    """Two keys that may be one person, for somebody to look at. why: `shared_device`, `conflicting_unionid` …

    state: open, joined, parted. One row per pair, whatever the order.
    """

    __tablename__ = "identity_suggestions"
    id: UUID = identifier()
    low: int = Field(sa_type=BigInteger, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")])
    high: int = Field(sa_type=BigInteger, index=True, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")])
    why: str
    state: str = "open"
    made_at: datetime = instant()
    settled_at: datetime | None = instant(optional=True)

    __table_args__ = (
        UniqueConstraint("low", "high"),
        Index("ix_identity_suggestions_open_made_at_id", "made_at", "id", postgresql_where=text("state = 'open'")),
    )
