"""Suppressions: what a customer is not to be spoken to about, why, and until when.

They stand on identities like every other record (ADR 8), so that they follow when customers merge or split.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Identity,
    UniqueConstraint,
    delete,
    exists,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from domain.access import Scope
from storage.bulk import fetch
from storage.encryption import EncryptedText
from storage.identities import IdentityRow
from storage.orders import RefundRow
from storage.scoping import visible
from storage.tables import Table, instant
from storage.unit_of_work import Repository

MANUAL = "manual"


class SuppressionRow(Table, table=True):
    """One suppression. item_id: the article of `account_id`, NULL for everything. refund_key: the refund it came from.

    reason: `refund`, `manual`. until: NULL while nobody lifts it. note, made_by: why and who, of what a person made.
    """

    __tablename__ = "suppressions"
    id: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    identity_id: int = Field(
        index=True, sa_type=BigInteger, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")]
    )
    account_id: str | None = None
    item_id: str | None = None
    refund_key: int | None = Field(
        default=None, sa_type=BigInteger, sa_column_args=[ForeignKey("refunds.id", ondelete="CASCADE")]
    )
    reason: str
    note: str | None = Field(default=None, sa_type=EncryptedText("suppressions.note"), nullable=True)
    made_by: str | None = None
    until: datetime | None = instant(optional=True)
    made_at: datetime = instant()

    __table_args__ = (
        UniqueConstraint(
            "refund_key",
            "account_id",
            "item_id",
            "identity_id",
            name="uq_suppressions_refund_key_account_id_item_id",
            postgresql_nulls_not_distinct=True,
        ),
    )


class Article(NamedTuple):
    """An article of one shop."""

    account_id: str
    item_id: str


class NewSuppression(NamedTuple):
    """A suppression that was written just now, and whose it is. id: tells it from all others. account_id, item_id: None
    for everything.

    caused_at: when the refund was told, or the customer said so.
    """

    id: int | str
    customer: UUID
    account_id: str | None
    item_id: str | None
    reason: str
    until: datetime | None
    caused_at: datetime


# Refunds of the given orders, and what they suppress: the articles they are about, those of the whole order when they
# name none, and everything while the order's articles are not known.
_FOLLOW_REFUNDS = """
    WITH told AS (
        SELECT refunds.* FROM refunds
        JOIN (SELECT DISTINCT * FROM unnest(%(accounts)b::text[], %(orders)b::text[]) AS t (account_id, order_id)) given
            USING (account_id, order_id)
    ),
    wanted AS (
        SELECT told.id, told.identity_id, told.account_id, article.item_id, told.told_at + interval '30 days' AS until
        FROM told LEFT JOIN LATERAL (
            SELECT DISTINCT lines.item_id FROM orders JOIN order_lines lines ON lines.order_key = orders.id
            WHERE orders.account_id = told.account_id AND orders.order_id = told.order_id
                AND lines.item_id IS NOT NULL AND (told.line_ids = '{}' OR lines.line_id = ANY(told.line_ids))
        ) article ON true
        -- A push that says no state tells that a refund begins or moves; the next telling lifts what came to nothing.
        WHERE told.status IN ('requested', 'awaiting_return', 'returned', 'refunded', 'unknown')
            AND told.identity_id IS NOT NULL AND told.told_at + interval '30 days' > %(now)b::timestamptz
    ),
    lifted AS (
        DELETE FROM suppressions USING told
        WHERE suppressions.refund_key = told.id AND NOT EXISTS (
            SELECT FROM wanted WHERE wanted.id = told.id AND wanted.identity_id = suppressions.identity_id
                AND wanted.item_id IS NOT DISTINCT FROM suppressions.item_id)
    )
    , written AS (
        INSERT INTO suppressions (identity_id, account_id, item_id, refund_key, reason, until, made_at)
        SELECT identity_id, account_id, item_id, id, 'refund', until, %(now)b::timestamptz
        FROM wanted ORDER BY id, item_id
        ON CONFLICT ON CONSTRAINT uq_suppressions_refund_key_account_id_item_id DO UPDATE SET until = excluded.until
            WHERE suppressions.until IS DISTINCT FROM excluded.until
        RETURNING id, identity_id, account_id, item_id, reason, until, (xmax = 0) AS is_new
    )
    SELECT written.id, identities.customer_id, written.account_id, written.item_id, written.reason, written.until,
        written.until - interval '30 days'
    FROM written JOIN identities ON identities.id = written.identity_id
    -- As it was before this statement: one that was over begins anew.
    LEFT JOIN suppressions was ON was.id = written.id
    WHERE is_new OR was.until <= %(now)b::timestamptz ORDER BY written.id
"""


class Suppressions(Repository):
    """Suppressions of customers."""

    async def follow_refunds(self, orders: Collection[tuple[str, str]]) -> list[NewSuppression]:
        """Bring what the refunds of these orders (account, order) suppress up to date: written, moved or lifted.

        Those that are new, or were over, are answered.
        """
        if not orders:
            return []
        accounts, ids = zip(*sorted(orders), strict=True)
        names = {"accounts": list(accounts), "orders": list(ids), "now": self.now}
        return [NewSuppression(*row) for row in await fetch(self.work, _FOLLOW_REFUNDS, names)]

    async def silence(
        self,
        identities: Collection[int],
        article: Article | None,
        note: str,
        made_by: str,
        until: datetime | None,
    ) -> list[int]:
        """Write a person's decision on every key of a customer; the rows that were not there before, or were over.

        What the same keys were silenced about by hand before takes the new end and the new reason.
        """
        row = SuppressionRow
        account_id, item_id = article or (None, None)
        values = [
            {
                "identity_id": identity,
                "account_id": account_id,
                "item_id": item_id,
                "reason": MANUAL,
                "note": note,
                "made_by": made_by,
                "until": until,
                "made_at": self.now,
            }
            for identity in sorted(identities)
        ]
        await self.session.execute(
            delete(row).where(
                col(row.identity_id).in_(identities),
                col(row.refund_key).is_(None),
                col(row.account_id).is_not_distinct_from(account_id),
                col(row.item_id).is_not_distinct_from(item_id),
                col(row.until) <= self.now,
            )
        )
        statement = insert(row).values(values)
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            constraint="uq_suppressions_refund_key_account_id_item_id",
            set_={name: new[name] for name in ("note", "made_by", "until", "made_at")},
        )
        found: Any = await self.session.execute(statement.returning(col(row.id), literal_column("xmax = 0")))
        return [number for number, is_new in found if is_new]

    async def of(self, customer: UUID, scope: Scope) -> list[SuppressionRow]:
        """What counts now for a customer, the newest first; what a person made stands on each of their keys.

        scope: a refund's are left out when the refund is not within it.
        """
        row = SuppressionRow
        is_seen = exists().where(col(RefundRow.id) == col(row.refund_key), visible(RefundRow, scope))
        statement = (
            select(row)
            .join(IdentityRow, col(IdentityRow.id) == col(row.identity_id))
            .where(
                col(IdentityRow.customer_id) == customer,
                or_(col(row.until).is_(None), col(row.until) > self.now),
                or_(col(row.refund_key).is_(None), is_seen),
            )
            .order_by(col(row.made_at).desc(), col(row.id))
        )
        return list(await self.session.scalars(statement))

    async def lift(self, numbers: Collection[int]) -> None:
        """Delete these rows."""
        await self.session.execute(delete(SuppressionRow).where(col(SuppressionRow.id).in_(numbers)))

    async def covers(self, customer: UUID, articles: Collection[Article]) -> bool:
        """Whether the customer is not to be spoken to about one of the articles, or about anything."""
        row = SuppressionRow
        named = tuple_(col(row.account_id), col(row.item_id)).in_(articles)
        found = exists().where(
            col(row.identity_id) == col(IdentityRow.id),
            col(IdentityRow.customer_id) == customer,
            or_(col(row.until).is_(None), col(row.until) > self.now),
            or_(col(row.item_id).is_(None), named),
        )
        return bool(await self.session.scalar(select(found)))
