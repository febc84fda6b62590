"""What comparing the streams of accounts with their platforms found, night by night."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Index, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, col

from domain.access import Scope
from storage.paging import Order, Page, PageRequest, paginate
from storage.record_comparison import Difference
from storage.scoping import ScopedColumns, visible
from storage.tables import Table, identifier, instant
from storage.unit_of_work import Repository

_LONGEST_PROBLEM = 2_000
_GOES_ON_WITHIN = timedelta(hours=20)
"""So long a comparison that stopped is gone on with; after that the next night's is the better one."""
_NEVER_ENDED = "it did not come to an end before the next one began"

State = Literal["under_way", "stopped", "failed", "done"]


class ComparisonRow(ScopedColumns, Table, table=True):
    """One comparison of a stream over `[since, until)`: how many records the platform has, how many of them Tandem did
    not have (`missing`), had otherwise (`differing`) or cannot understand (`unread`) before they were mended.

    parts: in how many of the differing ones each part differed. cursor: where it goes on, NULL when it is over.
    problem: why it stopped; it is gone on with while there is a cursor, and was given up without one.
    """

    __tablename__ = "comparisons"
    id: UUID = identifier()
    stream: str
    since: datetime = instant()
    until: datetime = instant()
    records: int = 0
    missing: int = 0
    differing: int = 0
    unread: int = 0
    parts: dict[str, int] = Field(default_factory=dict, sa_type=JSONB, nullable=False)
    cursor: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)
    problem: str | None = None
    begun_at: datetime = instant()
    compared_at: datetime = instant()

    __table_args__ = (
        Index("ix_comparisons_account_id_compared_at_id", "account_id", "compared_at", "id"),
        Index("ix_comparisons_compared_at_id", "compared_at", "id"),
        Index(
            "ix_comparisons_account_id_stream",
            "account_id",
            "stream",
            unique=True,
            postgresql_where=text("cursor IS NOT NULL"),
        ),
    )

    @property
    def state(self) -> State:
        """Whether it is under way, stopped for a problem and will be gone on with, was given up, or is done."""
        if self.cursor is not None:
            return "stopped" if self.problem else "under_way"
        return "failed" if self.problem else "done"

    @property
    def accuracy(self) -> float | None:
        """The share of the records that Tandem had as the platform has them; None when there were none."""
        return accuracy_of(self.records, self.missing + self.differing + self.unread)

    @property
    def found(self) -> Difference:
        """All of it so far."""
        return Difference(self.records, self.missing, self.differing, self.unread, self.parts)


def accuracy_of(records: int, wrong: int) -> float | None:
    """The share of records that were right, None for no records."""
    return 1 - wrong / records if records else None


_NEWEST_FIRST = Order("comparisons", (ComparisonRow.compared_at, ComparisonRow.id))


class Comparisons(Repository):
    """Comparisons; one of a stream at a time."""

    async def begin(
        self, account_id: str, stream: str, unit_path: str, since: datetime, until: datetime, cursor: Mapping[str, Any]
    ) -> ComparisonRow:
        """The comparison that is under way, where it stands; a new one when there is none, or it stopped long ago."""
        statement = (
            select(ComparisonRow)
            .where(
                col(ComparisonRow.account_id) == account_id,
                col(ComparisonRow.stream) == stream,
                col(ComparisonRow.cursor).is_not(None),
            )
            .with_for_update()
        )
        open_one = await self.session.scalar(statement)
        if open_one is not None:
            if self.now - open_one.begun_at < _GOES_ON_WITHIN:
                return open_one
            open_one.cursor, open_one.problem = None, open_one.problem or _NEVER_ENDED
            await self.session.flush()
        row = ComparisonRow(
            account_id=account_id,
            unit_path=unit_path,
            stream=stream,
            since=since,
            until=until,
            cursor=dict(cursor),
            begun_at=self.now,
            compared_at=self.now,
        )
        await self.insert(row)
        return row

    async def advance(
        self, row: ComparisonRow, found: Difference, cursor: Mapping[str, Any] | None
    ) -> ComparisonRow | None:
        """Go on from here with all that was found so far; without a cursor it is done. None when somebody else went on
        from where this one stood."""
        statement = (
            update(ComparisonRow)
            .where(col(ComparisonRow.id) == row.id, col(ComparisonRow.cursor) == row.cursor)
            .values(
                records=found.records,
                missing=found.missing,
                differing=found.differing,
                unread=found.unread,
                parts=dict(found.parts),
                cursor=None if cursor is None else dict(cursor),
                problem=None,
                compared_at=self.now,
            )
            .returning(ComparisonRow)
        )
        return await self.session.scalar(statement, execution_options={"populate_existing": True})

    async def stopped(self, row: ComparisonRow, problem: str) -> None:
        """Remember why it stopped, as long as it is under way."""
        await self.session.execute(
            update(ComparisonRow)
            .where(col(ComparisonRow.id) == row.id, col(ComparisonRow.cursor).is_not(None))
            .values(problem=problem[:_LONGEST_PROBLEM], compared_at=self.now)
        )

    async def list(
        self, scope: Scope, page: PageRequest, *, account_id: str | None = None, stream: str | None = None
    ) -> Page[ComparisonRow]:
        """Comparisons within a data scope, the newest first."""
        statement = select(ComparisonRow).where(visible(ComparisonRow, scope))
        if account_id is not None:
            statement = statement.where(col(ComparisonRow.account_id) == account_id)
        if stream is not None:
            statement = statement.where(col(ComparisonRow.stream) == stream)
        return await paginate(self.session, statement, _NEWEST_FIRST, page, lambda row: row)
