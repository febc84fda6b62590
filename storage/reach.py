"""Every touch of a customer: what was sent, and what was not and why."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from storage.tables import Table, identifier, instant
from storage.unit_of_work import Repository


class TouchRow(Table, table=True):
    """One attempt to reach a customer. key: the effect's idempotency key. skipped_reason: NULL when it was sent.

    identity_id: the key that was written to, NULL when no record names it.
    """

    __tablename__ = "touches"
    __table_args__ = (
        Index("ix_touches_channel_recipient_at", "channel", "recipient", "at"),
        Index("ix_touches_recipient_at", "recipient", "at"),
        Index("ix_touches_identity_id_at", "identity_id", "at"),
    )

    id: UUID = identifier()
    key: str = Field(unique=True)
    channel: str
    recipient: str
    purpose: str
    run_id: str
    reference: str
    template: str | None = None
    skipped_reason: str | None = None
    message_id: str | None = None
    identity_id: int | None = Field(
        default=None, sa_type=BigInteger, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")]
    )
    at: datetime = instant()


class Touches(Repository):
    """Touches by recipient."""

    async def record(self, touch: TouchRow) -> None:
        """Write a touch, once per key."""
        values = touch.model_dump(exclude={"id"}) | {"at": self.now}
        await self.session.execute(insert(TouchRow).values(**values).on_conflict_do_nothing())

    async def marketing_sent_at(self, channel: str, recipient: str, since: datetime) -> Sequence[datetime]:
        """When marketing messages went to a recipient, from an instant on."""
        statement = select(col(TouchRow.at)).where(
            col(TouchRow.channel) == channel,
            col(TouchRow.recipient) == recipient,
            col(TouchRow.purpose) == "marketing",
            col(TouchRow.skipped_reason).is_(None),
            col(TouchRow.at) >= since,
        )
        return list(await self.session.scalars(statement))
