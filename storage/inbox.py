"""The inbox: every push of a platform as it was verified, until its events are stored."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import itemgetter

from sqlalchemy import (
    BigInteger,
    Identity,
    Index,
    Insert,
    SmallInteger,
    UniqueConstraint,
    and_,
    func,
    or_,
    text,
    update,
)
from sqlalchemy import select as sa_select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col, select

from domain.problems import ConfigurationProblem, ProblemError
from domain.storable import storable
from storage.bulk import fetch, fetch_by_index
from storage.encryption import EncryptedBytes
from storage.notifications import INBOX_CHANNEL, notify
from storage.recordsets import recordset, run_with_rows, table_of
from storage.tables import Table, instant
from storage.taking import SUSPECT, TAKE_OLDEST, TAKE_SHARES, WAITING_SINCE
from storage.unit_of_work import Repository

_LONGEST_REASON = 2_000
_MOST_BYTES = 8 * 1024 * 1024
"""After so many no further push is taken into a batch: each may hold hundreds of records."""
_ORPHANED_AFTER = timedelta(hours=1)
"""So long a push waits for a process that knows its platform: longer than workers are replaced one after the other."""
_ID = itemgetter(0)
_FOR_EVER = datetime.max.replace(tzinfo=UTC)
_PAYLOAD = "inbox.payload"
REPLACED_BY = "replaced by "
"""How the reason of a push begins in whose place a person put a corrected one."""
KEY_MISSING = "the key {key} is missing: "
"""How the reason of a push begins that was encrypted with a key which whoever read it did not have."""


class InboxRow(Table, table=True):
    """One push. state: waiting, done, or quarantined with its reason. tries: readers that ended in the midst of it, or
    may have; 0 unless it waits."""

    __tablename__ = "inbox"
    id: int = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])
    platform: str
    account: str
    dedupe_key: str
    kind: str
    payload: bytes = Field(sa_type=EncryptedBytes(_PAYLOAD))
    sent_at: datetime | None = instant(optional=True)
    received_at: datetime = instant()
    state: str = "waiting"
    reason: str | None = None
    tries: int = Field(default=0, sa_type=SmallInteger, sa_column_kwargs={"server_default": "0"})
    changed_at: datetime = instant()

    __table_args__ = (
        UniqueConstraint("platform", "account", "dedupe_key"),
        Index("ix_inbox_done_changed_at", "changed_at", postgresql_where=text("state = 'done'")),
        Index("ix_inbox_waiting_id", "id", postgresql_where=text("state = 'waiting'")),
        Index(
            "ix_inbox_waiting_shop", "platform", "account", "received_at", postgresql_where=text("state = 'waiting'")
        ),
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
    """A push in the inbox, and why it is, or belongs, in quarantine, if it does. tries: as in `InboxRow`."""

    id: int
    push: Push
    reason: str | None = None
    tries: int = 0


_COLUMNS = (
    "platform",
    "account",
    "dedupe_key",
    "kind",
    "payload",
    "sent_at",
    "received_at",
    "state",
    "changed_at",
)


@lru_cache(maxsize=1)
def _insert_new() -> Insert:
    """Insert the pushes that are new; their ids."""
    table, source = table_of(InboxRow), recordset(InboxRow, _COLUMNS)
    rows = sa_select(*(source.c[name] for name in _COLUMNS))
    return insert(table).from_select(list(_COLUMNS), rows).on_conflict_do_nothing().returning(table.c.id)


@lru_cache(maxsize=1)
def _insert_again() -> Insert:
    """Insert the pushes, and let those that were read or put aside wait once more; their ids."""
    table, source = table_of(InboxRow), recordset(InboxRow, _COLUMNS)
    key = _COLUMNS[:3]
    # In one order, so that two at once wait for each other and never embrace.
    rows = sa_select(*(source.c[name] for name in _COLUMNS)).order_by(*(source.c[name] for name in key))
    fresh = insert(table).from_select(list(_COLUMNS), rows)
    is_replaced = func.coalesce(table.c.reason, "").startswith(REPLACED_BY)
    return fresh.on_conflict_do_update(
        index_elements=list(key),
        set_={name: fresh.excluded[name] for name in _COLUMNS[3:]} | {"reason": None, "tries": 0},
        where=and_(table.c.state != "waiting", ~is_replaced),
    ).returning(table.c.id)


_WAITS = """
    SELECT 1 FROM unnest(%(platforms)b::text[], %(accounts)b::text[]) AS shop (platform, account), LATERAL (
        SELECT 1 FROM inbox
        WHERE inbox.platform = shop.platform AND inbox.account = shop.account AND state = 'waiting'
            AND received_at <= coalesce(%(until)b::timestamptz, 'infinity') LIMIT 1
    ) AS waiting LIMIT 1
"""
_DONE = """
    UPDATE inbox SET state = 'done', reason = NULL, tries = 0, changed_at = %(now)b::timestamptz
    WHERE id = ANY(%(ids)b::bigint[])
"""
_TRIES = "SELECT id, tries FROM inbox WHERE id = ANY(%(ids)b::bigint[]) AND state = 'waiting' ORDER BY id"
_TRY = """
    UPDATE inbox SET tries = greatest(tries + %(count)b::bigint, 1)
    WHERE id = ANY(%(ids)b::bigint[]) AND state = 'waiting' RETURNING id
"""
_WAIT_AGAIN = """
    UPDATE inbox SET state = 'waiting', received_at = %(received_at)b::timestamptz, changed_at = %(now)b::timestamptz
    WHERE id IN (
        SELECT id FROM inbox
        WHERE platform = %(platform)b::text AND account = %(account)b::text AND dedupe_key = %(key)b::text
            -- One that somebody put away, or replaced by a corrected one, says why: their word holds.
            AND state = 'done' AND reason IS NULL FOR UPDATE SKIP LOCKED
    ) RETURNING id
"""
_QUARANTINE = """
    UPDATE inbox SET state = 'quarantined', reason = put.reason, tries = 0, changed_at = %(now)b::timestamptz
    FROM unnest(%(ids)b::bigint[], %(reasons)b::text[]) AS put (id, reason) WHERE inbox.id = put.id
"""


class Inbox(Repository):
    """Pushes, and where each stands."""

    async def add(self, push: Push) -> bool:
        """Store a push unless it came before; whether it is new. Wakes the drainer."""
        return await self.add_many([push]) == 1

    async def add_many(self, pushes: Sequence[Push]) -> int:
        """Store those of the pushes that did not come before; how many they were. Wakes the drainer."""
        return await self._insert(_insert_new(), pushes)

    async def read_again(self, pushes: Sequence[Push]) -> int:
        """Let the pushes wait with what they say now, also those that were read, put into quarantine or put away
        before; how many they were. Wakes the drainer.

        One that waits stays as it is, and so does one in whose place a person put a corrected push: their word holds.
        """
        return await self._insert(_insert_again(), pushes)

    async def wait_again(self, push: Push) -> None:
        """Let a push that was read wait once more, with nothing but its time changed. Wakes the drainer.

        One that waits, or that somebody is reading, stays as it is, and is not waited for.
        """
        named = {"platform": push.platform, "account": push.account, "key": push.dedupe_key}
        if await fetch(self.work, _WAIT_AGAIN, {**named, "received_at": push.received_at, "now": self.now}):
            await notify(self.work, INBOX_CHANNEL)

    async def _insert(self, statement: Insert, pushes: Sequence[Push]) -> int:
        rows = [
            {
                "platform": push.platform,
                "account": push.account,
                "dedupe_key": push.dedupe_key,
                "kind": push.kind,
                "payload": push.payload,
                "sent_at": push.sent_at,
                "received_at": push.received_at,
                "state": "waiting",
                "changed_at": self.now,
            }
            for push in {(push.platform, push.account, push.dedupe_key): push for push in pushes}.values()
        ]
        added = await run_with_rows(self.session, statement, InboxRow, rows)
        if added:
            await notify(self.work, INBOX_CHANNEL)
        return len(added)

    async def is_fuller_than(self, count: int) -> bool:
        """Whether more pushes than that wait. Counts them only when their numbers lie so far apart."""
        number = col(InboxRow.id)
        ends = sa_select(func.max(number) - func.min(number)).where(col(InboxRow.state) == "waiting")
        if (await self.session.scalar(ends) or 0) < count:
            return False
        statement = select(InboxRow.id).where(InboxRow.state == "waiting").offset(count).limit(1)
        return (await self.session.scalar(statement)) is not None

    async def has_waiting(self, platforms: Collection[str]) -> bool:
        """Whether `take_waiting` of these platforms would find a push."""
        is_readable = or_(col(InboxRow.platform).in_(platforms), col(InboxRow.received_at) < self.now - _ORPHANED_AFTER)
        statement = select(InboxRow.id).where(InboxRow.state == "waiting", is_readable).limit(1)
        return (await self.session.scalar(statement)) is not None

    async def has_waiting_of(self, accounts: Collection[tuple[str, str]], until: datetime | None) -> bool:
        """Whether a push of these (platform, account) waits that came until then; None: at any time."""
        platforms, slugs = zip(*sorted(accounts), strict=True)
        named = {"platforms": list(platforms), "accounts": list(slugs), "until": until}
        return bool(await fetch(self.work, _WAITS, named))

    async def waiting_since(self) -> dict[str, datetime]:
        """By platform, when the oldest of its pushes came that wait. Asks the index once for each account."""
        return dict(await fetch_by_index(self.work, WAITING_SINCE, {}))

    async def take_waiting(
        self, limit: int, platforms: Collection[str], ids: Collection[int] | None = None, *, shared: bool = False
    ) -> list[StoredPush]:
        """The oldest pushes that wait (of those named, if any are), some megabytes at most; locked until the unit ends,
        passed over by whoever else asks. shared: of a longer queue half of them as `storage.taking` shares them.

        platforms: which the asker can read. Those of others are left to whoever can; after an hour they come too.
        One that cannot be decrypted comes with the reason, and without its content.
        """
        named = {
            "limit": limit,
            "platforms": list(platforms),
            "orphaned": self.now - _ORPHANED_AFTER,
            "ids": None if ids is None else list(ids),
            "bytes": _MOST_BYTES,
        }
        if shared and await self.is_fuller_than(limit):
            found = await fetch_by_index(self.work, TAKE_SHARES, named)
        else:
            found = await fetch(self.work, TAKE_OLDEST, named)
        taken: list[StoredPush] = []
        for number, platform, account, key, kind, payload, received_at, sent_at, tries in sorted(found, key=_ID):
            content, reason = self._decrypted(payload)
            push = Push(platform, account, key, kind, content, received_at, sent_at)
            taken.append(StoredPush(number, push, reason, tries))
        return taken

    def _decrypted(self, payload: bytes) -> tuple[bytes, str | None]:
        try:
            return self.work.database.keyring.decrypt(payload, _PAYLOAD), None
        except ConfigurationProblem as problem:
            return b"", KEY_MISSING.format(key=problem.problem.as_dict().get("key")) + str(problem)
        except ProblemError as problem:
            return b"", str(problem)

    async def suspect(self, limit: int) -> int:
        """Let those that are taken next be suspected of having ended whoever read them; how many were not before."""
        of_any_platform = {"platforms": [], "orphaned": _FOR_EVER, "ids": None}
        return len(await fetch_by_index(self.work, SUSPECT, {"limit": limit, **of_any_platform}))

    async def tries_of(self, ids: Collection[int]) -> dict[int, int]:
        """Tries of those of the pushes that still wait, the oldest first."""
        return dict(await fetch(self.work, _TRIES, {"ids": list(ids)}))

    async def count_tries(self, ids: Collection[int], count: int) -> None:
        """Note that these suspected pushes were tried, or with -1 that whoever tried lives on; one stays."""
        if ids:
            await fetch(self.work, _TRY, {"ids": list(ids), "count": count})

    async def done(self, ids: Collection[int]) -> None:
        if ids:
            await fetch(self.work, _DONE, {"ids": list(ids), "now": self.now})

    async def empty(self, ids: Collection[int]) -> None:
        """Keep that these pushes came, and nothing of what they say, also by their keys."""
        if ids:
            nothing = {"payload": b"", "dedupe_key": func.concat("erased:", col(InboxRow.id))}
            await self.session.execute(update(InboxRow).where(col(InboxRow.id).in_(ids)).values(**nothing))

    async def quarantine(self, reasons: Mapping[int, str]) -> None:
        """Put pushes aside for a person, each with its reason."""
        if reasons:
            told = [storable(reason)[:_LONGEST_REASON] for reason in reasons.values()]
            await fetch(self.work, _QUARANTINE, {"ids": list(reasons), "reasons": told, "now": self.now})


def stored_push(row: InboxRow, payload: bytes = b"") -> StoredPush:
    """A row as the rest of the house knows it; its payload is not read from it."""
    push = Push(
        platform=row.platform,
        account=row.account,
        dedupe_key=row.dedupe_key,
        kind=row.kind,
        payload=payload,
        received_at=row.received_at,
        sent_at=row.sent_at,
    )
    return StoredPush(row.id, push, row.reason)
