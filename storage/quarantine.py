"""Pushes that could not be read: found by what they have in common, released, replaced, put away."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, update
from sqlalchemy import select as sa_select
from sqlalchemy.orm import defer
from sqlmodel import col, select

from domain.problems import ConflictProblem, NotFoundProblem, ProblemError, Text
from storage.inbox import InboxRow, Push, StoredPush, stored_push
from storage.notifications import INBOX_CHANNEL, notify
from storage.paging import Order, Page, PageRequest, paginate
from storage.unit_of_work import Repository

_CONTENT: Any = InboxRow.payload
_WITHOUT_CONTENT = defer(_CONTENT, raiseload=True)  # also one that cannot be decrypted is found
_OLDEST_FIRST = Order("quarantine", (InboxRow.id,), descending=False)
_SHOWN_REASON = 120
_MOST_GROUPS = 100


@dataclass(frozen=True, slots=True)
class QuarantineFilter:
    """Which quarantined pushes; what is None does not count. reason: a part of it; since, before: when they came."""

    ids: Collection[int] | None = None
    platform: str | None = None
    account: str | None = None
    kind: str | None = None
    reason: str | None = None
    since: datetime | None = None
    before: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """What a row must be, beside being quarantined."""
        equal = {"platform": self.platform, "account": self.account, "kind": self.kind}
        found = [getattr(InboxRow, name) == value for name, value in equal.items() if value is not None]
        if self.ids is not None:
            found.append(col(InboxRow.id).in_(self.ids))
        if self.reason is not None:
            found.append(col(InboxRow.reason).contains(self.reason, autoescape=True))
        if self.since is not None:
            found.append(col(InboxRow.received_at) >= self.since)
        if self.before is not None:
            found.append(col(InboxRow.received_at) < self.before)
        return found


@dataclass(frozen=True, slots=True)
class QuarantineGroup:
    """Quarantined pushes that are alike. reason: its first 120 characters; oldest, newest: when they came."""

    platform: str
    account: str
    kind: str
    reason: str
    count: int
    oldest: datetime
    newest: datetime


class Quarantine(Repository):
    """The part of the inbox that waits for a person."""

    async def page(self, wanted: QuarantineFilter, page: PageRequest) -> Page[StoredPush]:
        """The oldest first, without their contents."""
        statement = select(InboxRow).where(InboxRow.state == "quarantined", *wanted.conditions())
        statement = statement.options(_WITHOUT_CONTENT)
        return await paginate(self.session, statement, _OLDEST_FIRST, page, stored_push)

    async def groups(self) -> list[QuarantineGroup]:
        """The largest groups first, a hundred at most."""
        reason = func.left(func.coalesce(col(InboxRow.reason), ""), _SHOWN_REASON).label("reason")
        alike = (col(InboxRow.platform), col(InboxRow.account), col(InboxRow.kind), reason)
        received = col(InboxRow.received_at)
        statement = (
            sa_select(*alike, func.count().label("count"), func.min(received), func.max(received))
            .where(col(InboxRow.state) == "quarantined")
            .group_by(*alike)
            .order_by(func.count().desc(), *alike)
            .limit(_MOST_GROUPS)
        )
        return [QuarantineGroup(*row) for row in await self.session.execute(statement)]

    async def full(self, limit: int) -> frozenset[tuple[str, str]]:
        """Platform and account of which so many pushes, or more, are here. Counts by account only when all together
        are that many."""
        quarantined = col(InboxRow.state) == literal_column("'quarantined'")
        if await self.session.scalar(select(InboxRow.id).where(quarantined).offset(limit - 1).limit(1)) is None:
            return frozenset()
        account = (col(InboxRow.platform), col(InboxRow.account))
        statement = sa_select(*account).where(quarantined).group_by(*account).having(func.count() >= limit)
        return frozenset((platform, slug) for platform, slug in await self.session.execute(statement))

    async def require(self, push_id: int) -> StoredPush:
        """One quarantined push, locked until the unit ends.

        :raises NotFoundProblem: it is not there.
        :raises ConflictProblem: nobody can decrypt it, and why.
        """
        statement = select(InboxRow).where(InboxRow.id == push_id, InboxRow.state == "quarantined").with_for_update()
        row = await self.session.scalar(statement.options(_WITHOUT_CONTENT))
        if row is None:
            raise NotFoundProblem(
                Text(
                    f"隔离区中没有推送 {push_id}，可能已重新解析或搁置",
                    f"No push {push_id} is in quarantine; it may have been read again or put away",
                )
            )
        try:
            payload = await self.session.scalar(select(InboxRow.payload).where(InboxRow.id == push_id))
        except ProblemError as problem:
            told = problem.text
            raise ConflictProblem(
                Text(f"推送 {push_id} 的内容无法解密：{told.zh}", f"Push {push_id} cannot be decrypted: {told.en}")
            ) from problem
        return stored_push(row, payload or b"")

    async def release(self, wanted: QuarantineFilter, limit: int) -> int:
        """Let the oldest of them wait again; how many there were."""
        released = await self._leave(wanted, limit, "waiting", None)
        if released:
            await notify(self.work, INBOX_CHANNEL)
        return released

    async def put_away(self, wanted: QuarantineFilter, limit: int, reason: str) -> int:
        """Be done with the oldest of them without reading them; how many there were."""
        return await self._leave(wanted, limit, "done", reason)

    async def replace(self, old: StoredPush, push: Push, reason: str) -> int:
        """Let a corrected push wait in the place of one that could not be read, which stays as it came; its id."""
        row = InboxRow(
            platform=push.platform,
            account=push.account,
            dedupe_key=push.dedupe_key,
            kind=push.kind,
            payload=push.payload,
            sent_at=push.sent_at,
            received_at=push.received_at,
            changed_at=self.now,
        )
        await self.insert(row)
        await self._leave(QuarantineFilter(ids=[old.id]), 1, "done", reason)
        await notify(self.work, INBOX_CHANNEL)
        return row.id

    async def _leave(self, wanted: QuarantineFilter, limit: int, state: str, reason: str | None) -> int:
        oldest = (
            select(InboxRow.id)
            .where(InboxRow.state == "quarantined", *wanted.conditions())
            .order_by(col(InboxRow.id))
            .limit(limit)
            .with_for_update()
        )
        statement = (
            update(InboxRow)
            .where(col(InboxRow.id).in_(oldest))
            .values(state=state, reason=reason, tries=0, changed_at=self.now)
            .returning(col(InboxRow.id))
        )
        return len(list(await self.session.scalars(statement)))
