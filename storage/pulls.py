"""Where each stream of each account stands."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, case, func, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import Field, col

from domain.access import Scope
from storage.paging import Order, Page, PageRequest, paginate
from storage.scoping import ScopedColumns, visible
from storage.tables import Table, instant
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


_BY_NAME = Order("streams", (StreamRow.account_id, StreamRow.stream), descending=False)


class Streams(Repository):
    """Streams of accounts."""

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
