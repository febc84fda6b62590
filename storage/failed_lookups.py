"""Keys that a platform did not answer about: found by what they have in common, and asked about again."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, LargeBinary, type_coerce, update
from sqlalchemy import select as sa_select
from sqlmodel import col, select

from domain.problems import ProblemError
from storage.identities import VALUE_CONTEXT, IdentityRow
from storage.lookups import LookupRow
from storage.notifications import wake_lookups
from storage.paging import Order, Page, PageRequest, paginate
from storage.unit_of_work import Repository

LookupState = Literal["given_up", "retrying"]
"""Whether it is tried no more, or again by itself."""
_OLDEST_FIRST = Order("lookups", (LookupRow.identity_id,), descending=False)


@dataclass(frozen=True, slots=True)
class LookupFilter:
    """Which failed lookups; what is None does not count. ids: of identities. account: `wecom/corp`. problem: a part of
    it. before: what made us ask happened before."""

    ids: Collection[int] | None = None
    platform: str | None = None
    account: str | None = None
    state: LookupState | None = None
    problem: str | None = None
    before: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """What a row must be, beside having failed."""
        row = LookupRow
        found: list[ColumnElement[bool]] = [col(row.problem).is_not(None)]
        if self.ids is not None:
            found.append(col(row.identity_id).in_(self.ids))
        if self.platform is not None:
            found.append(col(row.platform) == self.platform)
        if self.account is not None:
            found.append(col(row.account_id) == self.account)
        if self.state is not None:
            due = col(row.due_at)
            found.append(due.is_(None) if self.state == "given_up" else due.is_not(None))
        if self.problem is not None:
            found.append(col(row.problem).contains(self.problem, autoescape=True))
        if self.before is not None:
            found.append(col(row.as_of) < self.before)
        return found


@dataclass(frozen=True, slots=True)
class FailedLookup:
    """A key that was asked about in vain. id: of the identity; kind, scope, value: the key, in clear; a value that
    cannot be decrypted is None, and problem says why.

    attempts: since the platform answered last. next_at: when it is tried again, None when it was given up.
    """

    id: int
    account_id: str
    customer: UUID
    kind: str
    scope: str
    value: str | None
    problem: str
    attempts: int
    asked_at: datetime
    answered_at: datetime | None
    next_at: datetime | None

    @property
    def state(self) -> LookupState:
        return "given_up" if self.next_at is None else "retrying"


class FailedLookups(Repository):
    """The part of the lookups that failed when they were tried last."""

    async def page(self, wanted: LookupFilter, page: PageRequest) -> Page[FailedLookup]:
        """In the order in which the keys came to be known."""
        rows = await paginate(
            self.session, select(LookupRow).where(*wanted.conditions()), _OLDEST_FIRST, page, lambda row: row
        )
        numbers = [row.identity_id for row in rows.items]
        key = IdentityRow
        sealed = type_coerce(col(key.value), LargeBinary)
        keys = sa_select(col(key.id), col(key.customer_id), col(key.kind), col(key.scope), sealed)
        found = await self.session.execute(keys.where(col(key.id).in_(numbers)))
        by_id = {number: (customer, kind, scope, value) for number, customer, kind, scope, value in found}
        # An erasure may have taken a key away between the two questions.
        shown = [self._shown(row, *by_id[row.identity_id]) for row in rows.items if row.identity_id in by_id]
        return Page(shown, rows.next_cursor)

    def _shown(self, row: LookupRow, customer: UUID, kind: str, scope: str, sealed: bytes) -> FailedLookup:
        value, problem = None, row.problem or ""
        try:
            value = self.work.database.keyring.decrypt(bytes(sealed), VALUE_CONTEXT).decode()
        except ProblemError as error:
            problem = f"{error.text.zh} / {error.text.en}"
        return FailedLookup(
            row.identity_id,
            row.account_id,
            customer,
            kind,
            scope,
            value,
            problem,
            row.attempts,
            row.as_of,
            row.answered_at,
            row.due_at,
        )

    async def ask_again(self, wanted: LookupFilter, limit: int) -> int:
        """Let the first of them be due now; how many there were."""
        row = LookupRow
        first = (
            select(row.identity_id)
            .where(*wanted.conditions())
            .order_by(col(row.identity_id))
            .limit(limit)
            .with_for_update()
        )
        again = (
            update(row)
            .where(col(row.identity_id).in_(first))
            .values(due_at=self.now, settles_at=self.now, attempts=0, problem=None)
            .returning(col(row.platform))
        )
        found = list(await self.session.scalars(again))
        await wake_lookups(self.work, found)
        return len(found)
