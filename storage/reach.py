"""Every touch of a customer: what was sent, and what was not and why."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, delete, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from storage.tables import Table, identifier, instant
from storage.unit_of_work import Repository


class TouchRow(Table, table=True):
    """One attempt to reach a customer. key: the effect's idempotency key. skipped_reason: NULL when it was sent.

    identity_id: the key that was written to, NULL when no record names it. pending: it was about to go out, and what
    became of it is not told yet; it stays so when nobody ever learns it.
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
    pending: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


class Touches(Repository):
    """Touches by recipient."""

    async def reserve(self, touch: TouchRow) -> None:
        """Note that a message is about to go out: it counts as sent until its outcome is recorded or it is let go."""
        await self._write(touch, pending=True)

    async def record(self, touch: TouchRow) -> None:
        """Write what became of a touch, once per key: one that was sent stays as it is."""
        await self._write(touch, pending=False)

    async def let_go(self, key: str) -> None:
        """Forget a touch whose outcome is not recorded: it certainly did not happen."""
        await self.session.execute(delete(TouchRow).where(col(TouchRow.key) == key, col(TouchRow.pending)))

    async def _write(self, touch: TouchRow, *, pending: bool) -> None:
        values = touch.model_dump(exclude={"id"}) | {"at": self.now, "pending": pending}
        statement = insert(TouchRow).values(**values)
        was_not_sent = or_(col(TouchRow.pending), col(TouchRow.skipped_reason).is_not(None))
        changed = {name: statement.excluded[name] for name in values if name != "key"}
        await self.session.execute(
            statement.on_conflict_do_update(index_elements=["key"], set_=changed, where=was_not_sent)
        )

    async def marketing_sent_at(
        self, channel: str, recipient: str, since: datetime, *, beside: str
    ) -> Sequence[datetime]:
        """When marketing messages went to a recipient, or may have gone, from an instant on; without that of the key
        `beside`."""
        statement = select(col(TouchRow.at)).where(
            col(TouchRow.channel) == channel,
            col(TouchRow.recipient) == recipient,
            col(TouchRow.purpose) == "marketing",
            col(TouchRow.skipped_reason).is_(None),
            col(TouchRow.at) >= since,
            col(TouchRow.key) != beside,
        )
        return list(await self.session.scalars(statement))
