"""The inbox: every push of a platform as it was verified, until its events are stored."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Identity, Index, UniqueConstraint, func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col, select

from storage.encryption import EncryptedBytes
from storage.notifications import INBOX_CHANNEL, notify
from storage.paging import Order, Page, PageRequest, paginate
from storage.tables import Table, instant
from storage.unit_of_work import Repository

_LONGEST_REASON = 2_000


class InboxRow(Table, table=True):
    """One push. state: waiting, done, or quarantined with its reason."""

    __tablename__ = "inbox"
    id: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    platform: str
    account: str
    dedupe_key: str
    kind: str
    payload: bytes = Field(sa_type=EncryptedBytes("inbox.payload"))
    sent_at: datetime | None = instant(optional=True)
    received_at: datetime = instant()
    state: str = "waiting"
    reason: str | None = None
    changed_at: datetime = instant()

    __table_args__ = (
        UniqueConstraint("platform", "account", "dedupe_key"),
        Index("ix_inbox_waiting_id", "id", postgresql_where=text("state = 'waiting'")),
        Index("ix_inbox_quarantined_id", "id", postgresql_where=text("state = 'quarantined'")),
    )


@dataclass(frozen=True, slots=True)
class Push:
    """A verified push. `account` is the shop's or corp's slug."""

    platform: str
    account: str
    dedupe_key: str
    kind: str
    payload: bytes
    received_at: datetime
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredPush:
    """A push in the inbox, and why it is in quarantine, if it is."""

    id: int
    push: Push
    reason: str | None = None


_OLDEST_FIRST = Order("quarantine", (InboxRow.id,), descending=False)


class Inbox(Repository):
    """Pushes, and where each stands."""

    async def add(self, push: Push) -> bool:
        """Store a push unless it came before; whether it is new. Wakes the drainer."""
        statement = (
            insert(InboxRow)
            .values(
                platform=push.platform,
                account=push.account,
                dedupe_key=push.dedupe_key,
                kind=push.kind,
                payload=push.payload,
                sent_at=push.sent_at,
                received_at=push.received_at,
                changed_at=self.now,
                state="waiting",
            )
            .on_conflict_do_nothing()
            .returning(col(InboxRow.id))
        )
        is_new = (await self.session.scalar(statement)) is not None
        if is_new:
            await notify(self.work, INBOX_CHANNEL)
        return is_new

    async def add_many(self, pushes: Sequence[Push]) -> int:
        """Store pushes unless they came before; how many are new. Wakes the drainer."""
        rows = [{**asdict(push), "changed_at": self.now, "state": "waiting"} for push in pushes]
        if not rows:
            return 0
        statement = insert(InboxRow).on_conflict_do_nothing().returning(col(InboxRow.id))
        new = len(list(await self.session.scalars(statement, rows)))
        if new:
            await notify(self.work, INBOX_CHANNEL)
        return new

    async def is_fuller_than(self, most: int) -> bool:
        """Whether more than so many pushes wait; no more than that are looked at."""
        waiting = select(InboxRow.id).where(InboxRow.state == "waiting").limit(most + 1).subquery()
        return int(await self.session.scalar(select(func.count()).select_from(waiting)) or 0) > most

    async def has_waiting(self) -> bool:
        statement = select(InboxRow.id).where(InboxRow.state == "waiting").limit(1)
        return (await self.session.scalar(statement)) is not None

    async def take_waiting(self, limit: int) -> list[StoredPush]:
        """The oldest pushes that wait; locked until the unit ends, passed over by whoever else asks."""
        statement = (
            select(InboxRow)
            .where(InboxRow.state == "waiting")
            .order_by(col(InboxRow.id))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [_stored(row) for row in await self.session.scalars(statement)]

    async def done(self, ids: Collection[int]) -> None:
        await self._move(ids, "done")

    async def quarantine(self, push_id: int, reason: str) -> None:
        await self._move([push_id], "quarantined", reason[:_LONGEST_REASON])

    async def quarantined(self, page: PageRequest) -> Page[StoredPush]:
        """Pushes that could not be read, the oldest first."""
        statement = select(InboxRow).where(InboxRow.state == "quarantined")
        return await paginate(self.session, statement, _OLDEST_FIRST, page, _stored)

    async def redrive(self, ids: Collection[int]) -> int:
        """Let quarantined pushes wait again; how many there were."""
        statement = (
            update(InboxRow)
            .where(col(InboxRow.id).in_(ids), col(InboxRow.state) == "quarantined")
            .values(state="waiting", reason=None, changed_at=self.now)
            .returning(col(InboxRow.id))
        )
        found = list(await self.session.scalars(statement))
        await notify(self.work, INBOX_CHANNEL)
        return len(found)

    async def _move(self, ids: Collection[int], state: str, reason: str | None = None) -> None:
        if ids:
            await self.session.execute(
                update(InboxRow)
                .where(col(InboxRow.id).in_(ids))
                .values(state=state, reason=reason, changed_at=self.now)
            )


def _stored(row: InboxRow) -> StoredPush:
    push = Push(
        platform=row.platform,
        account=row.account,
        dedupe_key=row.dedupe_key,
        kind=row.kind,
        payload=row.payload,
        received_at=row.received_at,
        sent_at=row.sent_at,
    )
    return StoredPush(row.id, push, row.reason)
