"""Where a platform's bill and our books differ, until somebody or a later bill has settled it."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Index,
    Uuid,
    any_,
    func,
    literal,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import AutoString, Field, col

from domain.access import Scope
from domain.settlement.reconciliation import BreakKind, Family, Theirs
from storage.accounts import AccountRow
from storage.bulk import fetch
from storage.paging import Order, Page, PageRequest, paginate
from storage.scoping import visible
from storage.tables import Table, instant
from storage.unit_of_work import Repository

State = Literal["open", "explained", "solved"]
Reason = Literal[
    "platform-error", "our-error", "late", "agreed", "write-off", "returned", "paid-after-all", "never-paid"
]
"""returned: the bank sent a payout back that it had paid; paid-after-all: a payout had failed, or was paid, or is
overdue, and money left for it all the same; never-paid: one that is overdue was not made. Solving these books that."""


class BreakRow(Table, table=True):
    """One break. account: whose bill, or `domain.settlement.bank_answers.BANK`. shop, number: of ours, or of the line
    where there is nothing of ours. lines: of the bill, as `[bill, line, kind]`. Sums are signed, below nothing for what
    goes out. solved_by: None when bill and books agree now by themselves. stands: whether they still differ, solved or
    not."""

    __tablename__ = "breaks"
    id: UUID = Field(primary_key=True)
    account: str
    day: date
    kind: BreakKind = Field(sa_type=AutoString)
    family: Family = Field(sa_type=AutoString)
    shop: str | None = None
    number: str | None = None
    lines: list[Any] = Field(sa_type=JSONB, nullable=False)
    our_minor: int = Field(sa_type=BigInteger)
    their_minor: int = Field(sa_type=BigInteger)
    suggestion: str | None = None
    state: State = Field(default="open", sa_type=AutoString)
    opened_at: datetime = instant()
    changed_at: datetime = instant()
    assignee: str | None = None
    ticket: str | None = None
    reason: Reason | None = Field(default=None, sa_type=AutoString)
    note: str | None = None
    explained_by: str | None = None
    explained_at: datetime | None = instant(optional=True)
    solved_by: str | None = None
    solved_at: datetime | None = instant(optional=True)
    stands: bool = True

    __table_args__ = (
        CheckConstraint("solved_by <> explained_by", name="second_person"),
        Index("ix_breaks_account_day", "account", "day"),
        Index("ix_breaks_account_standing", "account", postgresql_where=text("stands")),
        Index("ix_breaks_day_id", "day", "id"),
        Index("ix_breaks_number", "number"),
    )

    @property
    def subject(self) -> str:
        """What its day's event, run and task are about."""
        return f"bill:{self.account}/{self.day}"

    @property
    def difference_minor(self) -> int:
        """What the bill has more than the books."""
        return self.their_minor - self.our_minor


class BreakFilter(NamedTuple):
    """Which breaks are wanted; None: any."""

    account: str | None = None
    state: State | None = None
    kind: BreakKind | None = None
    assignee: str | None = None
    day: date | None = None


class DaySum(NamedTuple):
    """Breaks that are not solved, of one account, day and kind."""

    account: str
    day: date
    kind: BreakKind
    breaks: int
    difference_minor: int


_OLDEST = Order("breaks", (BreakRow.day, BreakRow.id), descending=False)


class Breaks(Repository):
    """Breaks by the accounts that they are of."""

    async def add(self, rows: Sequence[BreakRow]) -> None:
        """Write new ones, which nobody is at: however many, in one statement."""
        values = {f"of_{name}": [getattr(each, name) for each in rows] for name in _GIVEN}
        values["of_lines"] = [json.dumps(each.lines) for each in rows]
        await fetch(self.work, _ADD, {**values, "now": self.now})

    async def known(self, ids: Collection[UUID]) -> Mapping[UUID, BreakRow]:
        """Breaks by their ids, locked."""
        row = BreakRow
        statement = select(row).where(_named(ids)).with_for_update()
        return {each.id: each for each in await self.session.scalars(statement)} if ids else {}

    async def existing(self, ids: Collection[UUID]) -> Mapping[UUID, bool]:
        """Which of these there are, and whether they stand."""
        return dict(await fetch(self.work, _EXISTING, {"ids": list(ids)}))

    async def standing(self, account: str, start: date, end: date) -> Sequence[BreakRow]:
        """What stands of the days `[start, end]`, locked."""
        row = BreakRow
        statement = select(row).where(
            col(row.account) == account, col(row.day).between(start, end), col(row.stands).is_(True)
        )
        return (await self.session.scalars(statement.with_for_update())).all()

    async def standing_of(
        self, account: str, wanted: Collection[tuple[Family, str, str]], lines: Sequence[Theirs]
    ) -> Sequence[BreakRow]:
        """What stands of these families, shops and numbers, or with one of these lines, locked."""
        values = {
            "account": account,
            "families": [family for family, _, _ in wanted],
            "shops": [shop for _, shop, _ in wanted],
            "numbers": [number for _, _, number in wanted],
            "lines": [json.dumps([each.bill, each.line, each.kind]) for each in lines],
        }
        found = [each for (each,) in await fetch(self.work, _STANDING_OF, values)]
        return list((await self.known(found)).values())

    async def of_payout(self, number: str) -> Sequence[BreakRow]:
        """What stands of a payout by our number of it, of whichever account, the oldest first, locked."""
        row = BreakRow
        statement = select(row).where(
            col(row.number) == number, col(row.family) == "transfer", col(row.stands).is_(True)
        )
        return (await self.session.scalars(statement.order_by(col(row.day), col(row.id)).with_for_update())).all()

    async def payout_of(self, break_id: UUID) -> str | None:
        """Our number of the payout that a break is of, if it is of one."""
        row = BreakRow
        of_payouts = (col(row.id) == break_id, col(row.family) == "transfer")
        return await self.session.scalar(select(col(row.number)).where(*of_payouts))

    async def find(self, break_id: UUID, scope: Scope, *, for_update: bool = False) -> BreakRow | None:
        """One within a scope."""
        statement = _visible(scope).where(col(BreakRow.id) == break_id)
        if for_update:
            statement = statement.with_for_update()
        return (await self.session.scalars(statement)).first()

    async def search(self, scope: Scope, page: PageRequest, wanted: BreakFilter) -> Page[BreakRow]:
        """Those within a scope, the oldest first; without a state those that are not solved."""
        row = BreakRow
        statement = _visible(scope)
        if wanted.account is not None:
            statement = statement.where(col(row.account) == wanted.account)
        if wanted.kind is not None:
            statement = statement.where(col(row.kind) == wanted.kind)
        if wanted.assignee is not None:
            statement = statement.where(col(row.assignee) == wanted.assignee)
        if wanted.day is not None:
            statement = statement.where(col(row.day) == wanted.day)
        state = col(row.state)
        statement = statement.where(state == wanted.state if wanted.state is not None else state != "solved")
        return await paginate(self.session, statement, _OLDEST, page, lambda each: each)

    async def left(self, account: str, day: date, limit: int) -> tuple[int, int, Sequence[BreakRow]]:
        """Of a day: how many breaks are open, how many explained, and the first of the open ones. What a later bill may
        still settle is not to be explained yet."""
        row = BreakRow
        of_day = (col(row.account) == account, col(row.day) == day, col(row.kind) != "timing")
        counts = select(col(row.state), func.count().label("breaks")).where(*of_day).group_by(col(row.state))
        found = {each.state: each.breaks for each in await self.session.execute(counts)}
        first = select(row).where(*of_day, col(row.state) == "open").order_by(col(row.id)).limit(limit)
        return found.get("open", 0), found.get("explained", 0), (await self.session.scalars(first)).all()

    async def unsolved(self, start: date, end: date) -> int:
        """How many of the days `[start, end)` are not solved, but for what a later bill may still settle."""
        row = BreakRow
        of_days = (col(row.day) >= start, col(row.day) < end, col(row.kind) != "timing", col(row.state) != "solved")
        return await self.session.scalar(select(func.count()).select_from(row).where(*of_days)) or 0

    async def unsolved_by_day(self, scope: Scope) -> Sequence[DaySum]:
        """How many are not solved, and what they come to, by account, day and kind."""
        row = BreakRow
        by = (col(row.account), col(row.day), col(row.kind))
        absolute = func.sum(func.abs(col(row.their_minor) - col(row.our_minor)))
        statement = (
            select(*by, func.count(), absolute)
            .where(_within(scope), col(row.state) != "solved")
            .group_by(*by)
            .order_by(*by)
        )
        found = (await self.session.execute(statement)).all()
        return [DaySum(account, day, kind, count, int(sum_minor)) for account, day, kind, count, sum_minor in found]


_GIVEN = ("id", "account", "day", "kind", "family", "shop", "number", "our_minor", "their_minor", "suggestion")
_ADD = """
    INSERT INTO breaks (
        id, account, day, kind, family, shop, number, our_minor, their_minor, suggestion, lines, state, opened_at,
        changed_at, stands
    )
    SELECT id, account, day, kind, family, shop, number, ours, theirs, suggestion, CAST(lines AS jsonb), 'open',
        %(now)b::timestamptz, %(now)b::timestamptz, true
    FROM unnest(
        %(of_id)b::uuid[], %(of_account)b::text[], %(of_day)b::date[], %(of_kind)b::text[], %(of_family)b::text[],
        %(of_shop)b::text[], %(of_number)b::text[], %(of_our_minor)b::bigint[], %(of_their_minor)b::bigint[],
        %(of_suggestion)b::text[], %(of_lines)b::text[]
    ) AS t(id, account, day, kind, family, shop, number, ours, theirs, suggestion, lines)
"""
_EXISTING = "SELECT id, stands FROM breaks WHERE id = ANY(%(ids)b::uuid[])"
# Few stand, and thousands are matched.
_STANDING_OF = """
    SELECT id FROM breaks
    WHERE account = %(account)b AND stands AND (
        (family, coalesce(shop, ''), coalesce(number, '')) IN (
            SELECT family, shop, number
            FROM unnest(%(families)b::text[], %(shops)b::text[], %(numbers)b::text[]) AS t(family, shop, number)
        )
        OR EXISTS (
            SELECT FROM jsonb_array_elements(lines) one WHERE one = ANY(CAST(%(lines)b::text[] AS jsonb[]))
        )
    )
"""


def _named(ids: Collection[UUID]) -> ColumnElement[bool]:
    """One array: a day may have more breaks than a statement may have values."""
    return col(BreakRow.id) == any_(literal(list(ids), ARRAY(Uuid)))


def _visible(scope: Scope) -> Any:
    return select(BreakRow).where(_within(scope))


def _within(scope: Scope) -> Any:
    """What banks answered belongs to no account: who sees everything sees it."""
    if scope.kind == "everything":
        return true()
    return col(BreakRow.account).in_(select(col(AccountRow.id)).where(visible(AccountRow, scope)))
