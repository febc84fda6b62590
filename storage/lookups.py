"""Which keys a platform has to be asked about, and how that went. One row a key: however often it is asked for, it is
asked once, so the queue is never longer than the keys are many."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    LargeBinary,
    Select,
    case,
    or_,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, col

from domain.problems import ConfigurationProblem, ProblemError
from storage.bulk import fetch
from storage.identities import VALUE_CONTEXT, IdentityRow
from storage.interactions import InteractionRow
from storage.notifications import wake_lookups
from storage.tables import Table, instant
from storage.unit_of_work import Repository

_LONGEST_PROBLEM = 2_000
_MINUTES_FOR_A_KEY = 60
_ONE_FOR_TAGS_IN = 10


class LookupRow(Table, table=True):
    """A key and its platform. due_at: when to ask, NULL when nothing is to be asked. as_of: when what made us ask
    happened. settles_at: what is read before does not settle it. claimed_until: until when somebody is at it. tags: at
    each member's contact, as both sides knew them last (`domain.tags.sharing`). only_tags: nobody comes to be known by
    it, tags alone are compared; that can wait for those who do.

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
    settles_at: datetime = instant()
    claimed_until: datetime | None = instant(optional=True)
    attempts: int = 0
    problem: str | None = None
    answered_at: datetime | None = instant(optional=True)
    tags: dict[str, Any] | None = Field(default=None, sa_type=JSONB, nullable=True)
    only_tags: bool = False

    __table_args__ = (
        Index(
            "ix_lookups_platform_only_tags_due_at",
            "platform",
            "only_tags",
            "due_at",
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index("ix_lookups_problem", "identity_id", postgresql_where=text("problem IS NOT NULL")),
    )


class Ask(NamedTuple):
    """A key to ask about. after: how long from now on an answer counts."""

    identity_id: int
    account_id: str
    as_of: datetime
    after: timedelta = timedelta()

    def merged_with(self, other: "Ask | None") -> "Ask":
        """Both in one."""
        if other is None:
            return self
        return Ask(self.identity_id, self.account_id, max(self.as_of, other.as_of), max(self.after, other.after))


@dataclass(frozen=True, slots=True)
class Claimed:
    """A key to ask about now. value: in clear. attempts: how often it failed before."""

    identity_id: int
    account_id: str
    kind: str
    value: str
    as_of: datetime
    attempts: int
    claimed_at: datetime


_ASK = """
    INSERT INTO lookups (identity_id, platform, account_id, due_at, settles_at, as_of, attempts, only_tags)
    SELECT identity, split_part(account, '/', 1), account, due_at, due_at, as_of, 0, false
    FROM unnest(%(identities)b::bigint[], %(accounts)b::text[], %(as_of)b::timestamptz[], %(due_at)b::timestamptz[])
        AS new (identity, account, as_of, due_at)
    ORDER BY identity
"""
_UPSERT = """
    ON CONFLICT (identity_id) DO UPDATE SET
        account_id = excluded.account_id,
        due_at = least(lookups.due_at, excluded.due_at),
        settles_at = greatest(lookups.settles_at, excluded.settles_at),
        as_of = greatest(lookups.as_of, excluded.as_of),
        only_tags = excluded.only_tags AND (lookups.only_tags OR lookups.due_at IS NULL),
        attempts = 0, problem = NULL
"""
_CONTACTS = """
    INSERT INTO lookups (identity_id, platform, account_id, due_at, settles_at, as_of, attempts, only_tags)
    SELECT id, split_part(scope, '/', 1), scope, %(now)b::timestamptz, %(now)b::timestamptz, %(now)b::timestamptz, 0,
        true
    FROM identities
    WHERE kind = 'external_userid' AND customer_id = ANY(%(customers)b::uuid[]) AND id <> %(without)b::bigint
    ORDER BY id
"""


class Lookups(Repository):
    """Keys to ask platforms about."""

    async def ask(self, asks: Collection[Ask]) -> None:
        """Note what is to be asked; whoever waits for it is woken."""
        if asks:
            values = {
                "identities": [each.identity_id for each in asks],
                "accounts": [each.account_id for each in asks],
                "as_of": [each.as_of for each in asks],
                "due_at": [self.now + each.after for each in asks],
            }
            asked = await fetch(self.work, _ASK + _UPSERT + " RETURNING lookups.platform", values)
            await wake_lookups(self.work, (platform for (platform,) in asked))

    async def ask_about_contacts_of(self, customers: Collection[UUID], without: int = 0) -> None:
        """Ask about every contact that these customers are, but for one identity, so that their tags be compared."""
        if customers:
            values = {"customers": list(customers), "without": without, "now": self.now}
            asked = await fetch(self.work, _CONTACTS + _UPSERT + " RETURNING lookups.platform", values)
            await wake_lookups(self.work, (platform for (platform,) in asked))

    async def agreed_tags(self, identity_id: int) -> dict[str, Any] | None:
        """The tags that both sides knew last, None when nobody asks about the key any more. Nobody else changes them
        until the unit ends."""
        statement = select(col(LookupRow.tags)).where(col(LookupRow.identity_id) == identity_id).with_for_update()
        found = (await self.session.execute(statement)).first()
        return None if found is None else dict(found[0] or {})

    async def agree_on_tags(self, identity_id: int, tags: dict[str, Any]) -> None:
        """Remember what both sides know."""
        await self.session.execute(
            update(LookupRow).where(col(LookupRow.identity_id) == identity_id).values(tags=tags or None)
        )

    async def is_due(self, platform: str, without: Collection[str] = ()) -> bool:
        """Whether something is to be asked of a platform now, accounts that pause left out."""
        first = [self._due(platform, 1, without, only_tags=each) for each in (False, True)]
        return any([await self.session.scalar(each) is not None for each in first])

    async def claim(self, platform: str, limit: int, lease: timedelta, without: Collection[str] = ()) -> list[Claimed]:
        """The longest due keys, those whose tags alone are compared behind the others, with a tenth of the places at
        least; nobody else gets them until they are settled or the lease is over."""
        row, numbers = LookupRow, list[int]()
        for only_tags, most in ((False, limit - limit // _ONE_FOR_TAGS_IN), (True, limit)):
            chosen = self._due(platform, most - len(numbers), without, only_tags=only_tags)
            numbers += await self.session.scalars(chosen.with_for_update(skip_locked=True))
        await self.session.execute(
            update(row).where(col(row.identity_id).in_(numbers)).values(claimed_until=self.now + lease)
        )
        found = await self.session.execute(
            select(row, col(IdentityRow.kind), type_coerce(col(IdentityRow.value), LargeBinary))
            .join(IdentityRow, col(IdentityRow.id) == col(row.identity_id))
            .where(col(row.identity_id).in_(numbers))
            .order_by(col(row.only_tags), col(row.due_at))
        )
        claimed: list[Claimed] = []
        for each, kind, sealed in found:
            asked = Claimed(each.identity_id, each.account_id, kind, "", each.as_of, each.attempts, self.now)
            try:
                value = self.work.database.keyring.decrypt(bytes(sealed), VALUE_CONTEXT).decode()
            except ProblemError as problem:
                # One that cannot be decrypted stops no other; another process may have its key.
                again = isinstance(problem, ConfigurationProblem) and asked.attempts < _MINUTES_FOR_A_KEY
                await self.failed(asked, str(problem), self.now + timedelta(minutes=1) if again else None)
                continue
            claimed.append(replace(asked, value=value))
        return claimed

    async def answered(self, claimed: Claimed) -> None:
        """The platform answered. What was asked for meanwhile stays due."""
        row = LookupRow
        mine = update(row).where(col(row.identity_id) == claimed.identity_id)
        await self.session.execute(mine.values(claimed_until=None, attempts=0, problem=None, answered_at=self.now))
        is_settled = col(row.settles_at) <= claimed.claimed_at
        await self.session.execute(mine.values(due_at=case((is_settled, None), else_=col(row.settles_at))))

    async def failed(self, claimed: Claimed, problem: str, again_at: datetime | None) -> None:
        """The platform refused. again_at: when to try again, None to give up until it is asked for anew."""
        row = LookupRow
        mine = update(row).where(col(row.identity_id) == claimed.identity_id)
        await self.session.execute(
            mine.values(claimed_until=None, attempts=claimed.attempts + 1, problem=problem[:_LONGEST_PROBLEM])
        )
        # Who asked meanwhile asked for another try.
        await self.session.execute(mine.where(col(row.settles_at) <= claimed.claimed_at).values(due_at=again_at))

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

    def _due(self, platform: str, limit: int, without: Collection[str], *, only_tags: bool) -> Select[Any]:
        """The longest due keys that nobody is at. One kind at a time: so the index has them in their order."""
        row = LookupRow
        is_free = or_(col(row.claimed_until).is_(None), col(row.claimed_until) < self.now)
        due = select(col(row.identity_id)).where(
            col(row.platform) == platform, col(row.only_tags) == only_tags, col(row.due_at) <= self.now, is_free
        )
        if without:
            due = due.where(col(row.account_id).not_in(list(without)))
        return due.order_by(col(row.due_at)).limit(limit)
