"""Which keys a platform has to be asked about, and how that went. One row a key: however often it is asked for, it is
asked once, so the queue is never longer than the keys are many."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import BigInteger, ColumnElement, ForeignKey, Index, or_, select, text, update
from sqlmodel import Field, col

from storage.bulk import fetch
from storage.identities import IdentityRow
from storage.interactions import InteractionRow
from storage.notifications import LOOKUPS_CHANNEL, notify
from storage.tables import Table, instant
from storage.unit_of_work import Repository

_LONGEST_PROBLEM = 2_000


class LookupRow(Table, table=True):
    """A key and its platform. due_at: when to ask, NULL when nothing is to be asked. as_of: when what made us ask
    happened. asks: how many times it was asked for. claimed_until: until when somebody is at it.

    attempts, problem: since the platform answered last. A row with a problem and nothing due has been given up, until
    somebody tells of that key again.
    """

    __tablename__ = "lookups"
    identity_id: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_args=[ForeignKey("identities.id", ondelete="CASCADE")]
    )
    platform: str
    account_id: str
    due_at: datetime | None = instant(optional=True)
    as_of: datetime = instant()
    asks: int = Field(default=1, sa_type=BigInteger)
    claimed_until: datetime | None = instant(optional=True)
    attempts: int = 0
    problem: str | None = None
    answered_at: datetime | None = instant(optional=True)

    __table_args__ = (
        Index("ix_lookups_platform_due_at", "platform", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    )


class Ask(NamedTuple):
    """A key to ask about. again: also when it was asked before."""

    identity_id: int
    account_id: str
    as_of: datetime
    again: bool


@dataclass(frozen=True, slots=True)
class Claimed:
    """A key to ask about now. value: in clear. attempts: how often it failed before."""

    identity_id: int
    account_id: str
    kind: str
    value: str
    as_of: datetime
    asks: int
    attempts: int


_ASK = """
    INSERT INTO lookups (identity_id, platform, account_id, due_at, as_of, asks, attempts)
    SELECT identity, split_part(account, '/', 1), account, %(now)b::timestamptz, as_of, 1, 0
    FROM unnest(%(identities)b::bigint[], %(accounts)b::text[], %(as_of)b::timestamptz[])
        AS new (identity, account, as_of)
    ORDER BY identity
"""
_AGAIN = """
    ON CONFLICT (identity_id) DO UPDATE SET
        account_id = excluded.account_id,
        due_at = least(lookups.due_at, excluded.due_at),
        as_of = greatest(lookups.as_of, excluded.as_of),
        asks = lookups.asks + 1, attempts = 0, problem = NULL
"""
_ONCE = "ON CONFLICT (identity_id) DO NOTHING"


class Lookups(Repository):
    """Keys to ask platforms about."""

    async def ask(self, asks: Collection[Ask]) -> None:
        """Note what is to be asked; whoever waits for it is woken."""
        for again in (True, False):
            some = [each for each in asks if each.again is again]
            if some:
                values = {
                    "identities": [each.identity_id for each in some],
                    "accounts": [each.account_id for each in some],
                    "as_of": [each.as_of for each in some],
                    "now": self.now,
                }
                await fetch(self.work, _ASK + (_AGAIN if again else _ONCE) + " RETURNING 1", values)
        if asks:
            await notify(self.work, LOOKUPS_CHANNEL)

    async def is_due(self, platform: str, without: Collection[str] = ()) -> bool:
        """Whether something is to be asked of a platform now, accounts that pause left out."""
        statement = select(col(LookupRow.identity_id)).where(*self._due(platform, without)).limit(1)
        return (await self.session.scalar(statement)) is not None

    async def claim(self, platform: str, limit: int, lease: timedelta, without: Collection[str] = ()) -> list[Claimed]:
        """The longest due keys; nobody else gets them until they are settled or the lease is over."""
        row = LookupRow
        chosen = (
            select(col(row.identity_id))
            .where(*self._due(platform, without))
            .order_by(col(row.due_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        numbers = list(await self.session.scalars(chosen))
        await self.session.execute(
            update(row).where(col(row.identity_id).in_(numbers)).values(claimed_until=self.now + lease)
        )
        found = await self.session.execute(
            select(row, IdentityRow)
            .join(IdentityRow, col(IdentityRow.id) == col(row.identity_id))
            .where(col(row.identity_id).in_(numbers))
            .order_by(col(row.due_at))
        )
        return [
            Claimed(each.identity_id, each.account_id, key.kind, key.value, each.as_of, each.asks, each.attempts)
            for each, key in found
        ]

    async def answered(self, claimed: Claimed) -> None:
        """The platform answered. What was asked for meanwhile stays due."""
        row = LookupRow
        mine = update(row).where(col(row.identity_id) == claimed.identity_id)
        await self.session.execute(mine.values(claimed_until=None, attempts=0, problem=None, answered_at=self.now))
        await self.session.execute(mine.where(col(row.asks) == claimed.asks).values(due_at=None))

    async def failed(self, claimed: Claimed, problem: str, again_at: datetime | None) -> None:
        """The platform refused. again_at: when to try again, None to give up until it is asked for anew."""
        row = LookupRow
        mine = update(row).where(col(row.identity_id) == claimed.identity_id)
        await self.session.execute(
            mine.values(claimed_until=None, attempts=claimed.attempts + 1, problem=problem[:_LONGEST_PROBLEM])
        )
        await self.session.execute(mine.where(col(row.asks) == claimed.asks).values(due_at=again_at))

    async def known_of(self, claimed: Claimed) -> tuple[list[str], int]:
        """Members of staff who are thought to have a contact, and the version of the newest state of it."""
        row, mine = InteractionRow, IdentityRow
        customer = select(col(mine.customer_id)).where(col(mine.id) == claimed.identity_id).scalar_subquery()
        keys = select(col(mine.id)).where(col(mine.customer_id) == customer)
        statement = select(col(row.key), col(row.name), col(row.state), col(row.version)).where(
            col(row.identity_id).in_(keys),
            col(row.account_id) == claimed.account_id,
            col(row.kind) == "contact",
        )
        found = await self.session.execute(statement)
        told = [each for each in found if each.name and each.key == f"{claimed.value}/{each.name}"]
        members = sorted(each.name for each in told if each.state == "contact")
        return members, max((each.version for each in told), default=0)

    def _due(self, platform: str, without: Collection[str]) -> list[ColumnElement[bool]]:
        row = LookupRow
        is_free = or_(col(row.claimed_until).is_(None), col(row.claimed_until) < self.now)
        conditions = [col(row.platform) == platform, col(row.due_at) <= self.now, is_free]
        return [*conditions, col(row.account_id).not_in(list(without))] if without else conditions
