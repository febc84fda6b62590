"""Where each stream of each account stands, and what its nightly comparison found."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, case, func, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import Field, col

from domain.access import Scope
from storage.paging import Order, Page, PageRequest, paginate
from storage.scoping import ScopedColumns, visible
from storage.tables import Table, identifier, instant
from storage.unit_of_work import Repository

_LONGEST_PROBLEM = 2_000


class StreamRow(ScopedColumns, Table, table=True):
    """One stream of one account. cursor: where reading goes on. reached_at: everything changed before it was read.

    records, missed: how many were read so far, and how many of them no push had brought. problem: why the last attempt
    stopped, NULL when it did not; problem_since: when the first of those attempts did that stopped one after the other.
    """

    __tablename__ = "streams"
    account_id: str = Field(primary_key=True)
    stream: str = Field(primary_key=True)
    cursor: dict[str, Any] = Field(sa_type=JSONB, nullable=False)
    reached_at: datetime | None = instant(optional=True)
    records: int = Field(default=0, sa_type=BigInteger)
    missed: int = Field(default=0, sa_type=BigInteger)
    problem: str | None = None
    problem_since: datetime | None = instant(optional=True)
    pulled_at: datetime = instant()


class ComparisonRow(ScopedColumns, Table, table=True):
    """One comparison of a stream over `[since, until)`: how many records the platform has, how many of them Tandem did
    not have (`missing`) or had otherwise (`differing`) before they were mended."""

    __tablename__ = "comparisons"
    id: UUID = identifier()
    stream: str
    since: datetime = instant()
    until: datetime = instant()
    records: int
    missing: int
    differing: int
    compared_at: datetime = instant()

    @property
    def accuracy(self) -> float | None:
        """The share of the records that Tandem had as the platform has them; None when there were none."""
        return accuracy_of(self.records, self.missing + self.differing)

    __table_args__ = (
        Index("ix_comparisons_account_id_compared_at_id", "account_id", "compared_at", "id"),
        Index("ix_comparisons_compared_at_id", "compared_at", "id"),
    )


def accuracy_of(records: int, wrong: int) -> float | None:
    """The share of records that were right, None for no records."""
    return 1 - wrong / records if records else None


_NEWEST_FIRST = Order("comparisons", (ComparisonRow.compared_at, ComparisonRow.id))
_BY_NAME = Order("streams", (StreamRow.account_id, StreamRow.stream), descending=False)


class Streams(Repository):
    """Streams and their comparisons."""

    async def stand(self, account_id: str, stream: str) -> StreamRow | None:
        """Where a stream stands, None when it was never read."""
        return await self.session.get(StreamRow, (account_id, stream))

    async def note(
        self,
        account_id: str,
        stream: str,
        unit_path: str,
        cursor: Mapping[str, Any],
        *,
        reached_at: datetime | None,
        records: int = 0,
        missed: int = 0,
        problem: str | None = None,
    ) -> None:
        """Go on from here; counts are added to those before.

        A stream that was read up to an instant stays read up to it, whatever stops the next reading halfway.
        """
        row = {
            "account_id": account_id,
            "stream": stream,
            "unit_path": unit_path,
            "cursor": dict(cursor),
            "reached_at": reached_at,
            "records": records,
            "missed": missed,
            "problem": problem[:_LONGEST_PROBLEM] if problem else None,
            "problem_since": self.now if problem else None,
            "pulled_at": self.now,
        }
        statement = insert(StreamRow).values(**row)
        new = statement.excluded
        await self.session.execute(
            statement.on_conflict_do_update(
                index_elements=["account_id", "stream"],
                set_={
                    "cursor": new.cursor,
                    "reached_at": func.greatest(col(StreamRow.reached_at), new.reached_at),
                    "records": col(StreamRow.records) + new.records,
                    "missed": col(StreamRow.missed) + new.missed,
                    "problem": new.problem,
                    "problem_since": case(
                        (new.problem.is_not(None), func.coalesce(col(StreamRow.problem_since), new.problem_since))
                    ),
                    "pulled_at": new.pulled_at,
                },
            )
        )

    async def list(self, scope: Scope, page: PageRequest, *, account_id: str | None = None) -> Page[StreamRow]:
        """Streams within a data scope, by account and name."""
        statement = select(StreamRow).where(visible(StreamRow, scope))
        if account_id is not None:
            statement = statement.where(col(StreamRow.account_id) == account_id)
        return await paginate(self.session, statement, _BY_NAME, page, lambda row: row)

    async def comparisons(
        self, scope: Scope, page: PageRequest, *, account_id: str | None = None, stream: str | None = None
    ) -> Page[ComparisonRow]:
        """Comparisons within a data scope, the newest first."""
        statement = select(ComparisonRow).where(visible(ComparisonRow, scope))
        if account_id is not None:
            statement = statement.where(col(ComparisonRow.account_id) == account_id)
        if stream is not None:
            statement = statement.where(col(ComparisonRow.stream) == stream)
        return await paginate(self.session, statement, _NEWEST_FIRST, page, lambda row: row)
