"""What people do around buying: chats, scans, visits, carts, coupons, follows, contacts, stages of life."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, LargeBinary, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, col, select

from storage.encryption import EncryptedJson
from storage.identities import IdentityRow
from storage.orders import OrderRow
from storage.scoping import ScopedColumns
from storage.tables import Table, gap_versions, instant, tie
from storage.unit_of_work import Repository


class InteractionRow(ScopedColumns, Table, table=True):
    """One thing a person did, or one state they are in, the newest that was told.

    kind: `chat`, `scan`, `visit`, `cart`, `coupon`, `contact`, `follow`, `member`, `life`. key: the platform's own id
    of it within kind and account. name: what exactly (`page_view`, `in`, `pregnancy`). state: where it stands (`open`,
    `used`, `lost`). details: what rules may ask about and is not personal. personal: texts and names. names: digests of
    the names in it (`storage.nickname_digests`).
    """

    __tablename__ = "interactions"
    id: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    kind: str
    key: str
    identity_id: int | None = Field(default=None, sa_type=BigInteger, sa_column_args=[ForeignKey("identities.id")])
    version: int = Field(sa_type=BigInteger)
    version_tie: int = tie()
    gap_versions: dict[str, Any] | None = gap_versions()
    occurred_at: datetime = instant()
    recorded_at: datetime = instant()
    name: str | None = None
    state: str | None = None
    channel: str | None = None
    item_id: str | None = None
    category: str | None = None
    amount_minor: int | None = Field(default=None, sa_type=BigInteger)
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB, nullable=False)
    personal: dict[str, Any] | None = Field(default=None, sa_type=EncryptedJson("interactions.personal"), nullable=True)
    names: list[bytes] | None = Field(default=None, sa_type=ARRAY(LargeBinary), nullable=True)

    __table_args__ = (
        UniqueConstraint("account_id", "kind", "key"),
        Index("ix_interactions_identity_id_occurred_at", "identity_id", "occurred_at"),
        Index("ix_interactions_names", "names", postgresql_using="gin", postgresql_where=text("names IS NOT NULL")),
    )


GONE = frozenset({"removed", "lost", "gone"})
"""States of a contact to whom nobody can write any more."""


class Interactions(Repository):
    """Interactions by their platform's own id."""

    async def is_on_an_order(self, coupon: InteractionRow) -> bool:
        """Whether a coupon was spent on an order that its holder placed after it was told of last, and that is not
        over: what a closed order held is given back."""
        if coupon.identity_id is None:
            return False
        holder = select(IdentityRow.customer_id).where(col(IdentityRow.id) == coupon.identity_id).scalar_subquery()
        theirs = select(col(IdentityRow.id)).where(col(IdentityRow.customer_id) == holder)
        placed_at = func.coalesce(col(OrderRow.created_at), col(OrderRow.paid_at), col(OrderRow.told_at))
        statement = select(col(OrderRow.id)).where(
            col(OrderRow.identity_id).in_(theirs),
            col(OrderRow.account_id) == coupon.account_id,
            col(OrderRow.coupon_ids).contains([coupon.key]),
            col(OrderRow.status) != "closed",
            placed_at >= coupon.occurred_at,
        )
        return (await self.session.scalar(statement.limit(1))) is not None

    async def find(self, account_id: str, kind: str, key: str) -> InteractionRow | None:
        """The one thing with this id; None when nobody told of it."""
        statement = select(InteractionRow).where(
            col(InteractionRow.account_id) == account_id,
            col(InteractionRow.kind) == kind,
            col(InteractionRow.key) == key,
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def contact_states(self, account_id: str, external_userid: str, customer: UUID) -> Mapping[str, str | None]:
        """How a contact of a corp stands with each member who has, or had, them; the customer must be who they are."""
        keys = select(IdentityRow.id).where(col(IdentityRow.customer_id) == customer)
        statement = select(col(InteractionRow.key), col(InteractionRow.state)).where(
            col(InteractionRow.identity_id).in_(keys),
            col(InteractionRow.account_id) == account_id,
            col(InteractionRow.kind) == "contact",
        )
        found = [(*key.partition("/"), state) for key, state in await self.session.execute(statement)]
        return {member: state for contact, _, member, state in found if contact == external_userid and member}

    async def seen(
        self, account_id: str, kind: str, keys: Collection[str]
    ) -> Mapping[str, tuple[str | None, str | None]]:
        """Of those that are here the state, and the digest of what was read of them last, by key."""
        statement = select(
            col(InteractionRow.key), col(InteractionRow.state), col(InteractionRow.details)["seen"].astext
        ).where(
            col(InteractionRow.account_id) == account_id,
            col(InteractionRow.kind) == kind,
            col(InteractionRow.key) == func.any(list(keys)),
        )
        return {key: (state, seen) for key, state, seen in await self.session.execute(statement)}
