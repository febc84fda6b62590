"""Chunks of a batch's payouts: how they are cut, which of them nobody follows, what of one is to be done now."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, select, update
from sqlmodel import col

from domain.settlement.payouts import ENDS, FOLLOWERS, Rail
from storage.bulk import fetch
from storage.payouts import PayoutRow
from storage.unit_of_work import Repository

LOOKED_FOR_WORD = timedelta(minutes=5)
"""How often it is looked whether the platform has told the end of payouts that wait for their payees."""


class Chunk(NamedTuple):
    """Payouts of a batch by the first and the last of their rows. day: only those of this one."""

    first: int
    last: int
    day: date | None = None


class DayChunk(NamedTuple):
    """Some payouts of one day, by the first and the last of their rows."""

    day: date
    first: int
    last: int


class PayoutChunks(Repository):
    """What of payouts is to be asked, and when."""

    async def chunks(self, batch: UUID, size: int, rails: Collection[Rail]) -> Sequence[tuple[int, int]]:
        """First and last number of each so many payouts of some rails that have not ended."""
        values = {"batch": batch, "size": size, "rails": list(rails)}
        return [(first, last) for first, last in await fetch(self.work, _CHUNKS, values)]

    async def unfollowed(
        self,
        batch: UUID,
        rails: Collection[Rail],
        size: int,
        since: tuple[date, datetime],
        after: tuple[date, int] | None,
        limit: int,
    ) -> Sequence[DayChunk]:
        """Each so many payouts of a day, up to a day, of which some were never tried, were put off to it, or should
        have been asked about before an instant; in order, those behind `after`. The cut is the same whatever has ended,
        but not when payouts are given other days: some are followed twice then, one turn after the other."""
        day, first = after or (date.min, 0)
        values = {"batch": batch, "rails": list(rails), "size": size, "upto": since[0], "before": since[1]}
        values |= {"after_day": day, "after_first": first, "limit": limit}
        return [DayChunk(*found) for found in await fetch(self.work, _UNFOLLOWED, values)]

    async def due(
        self, batch: UUID, rails: Collection[Rail], chunk: Chunk, at: datetime, limit: int
    ) -> Sequence[PayoutRow]:
        """Payouts of a chunk that a rail is to be asked about at an instant."""
        row = PayoutRow
        statement = (
            select(row)
            .where(col(row.batch) == batch, col(row.rail).in_(rails), _within(chunk))
            .where(col(row.state).in_(set(FOLLOWERS) - ENDS - {"created"}), col(row.next_at) <= at)
            .order_by(col(row.next_at), col(row.id))
            .limit(limit)
        )
        return (await self.session.scalars(statement)).all()

    async def next_of(
        self, batch: UUID, rails: Collection[Rail], chunk: Chunk | None = None
    ) -> tuple[int, datetime | None]:
        """How many payouts of a batch, or of a chunk of it, have not ended, and when the first of them is to be asked
        about, or may be (see `ask_soon`)."""
        row = PayoutRow
        soon = func.least(col(row.next_at), self.now + LOOKED_FOR_WORD)
        at = func.min(case((col(row.state) == "awaiting_user", soon), else_=col(row.next_at)))
        statement = select(func.count(), at).where(
            col(row.batch) == batch,
            col(row.rail).in_(rails),
            col(row.state).in_(set(FOLLOWERS) - ENDS),
        )
        if chunk is not None:
            statement = statement.where(_within(chunk))
        count, next_at = (await self.session.execute(statement)).one()
        return count, next_at

    async def ask_soon(self, numbers: Collection[str]) -> None:
        """The platform told the end of these: let it be asked about them next. One that somebody writes to is left."""
        row = PayoutRow
        waiting = (
            select(col(row.id))
            .where(col(row.number).in_(numbers), col(row.state).in_(("accepted", "awaiting_user")))
            .with_for_update(skip_locked=True)
        )
        await self.session.execute(
            update(row).where(col(row.id).in_(waiting), col(row.next_at) > self.now).values(next_at=self.now)
        )


_CHUNKS = """
    SELECT min(id), max(id) FROM (
        SELECT id, (row_number() OVER (ORDER BY id) - 1) / %(size)b::bigint AS chunk FROM payouts
        WHERE batch = %(batch)b::uuid AND rail = ANY(%(rails)b::text[])
            AND state IN ('created', 'reserved', 'submitting', 'accepted', 'awaiting_user', 'unknown')
    ) numbered
    GROUP BY chunk ORDER BY chunk
"""
_UNFOLLOWED = """
    SELECT pay_on, min(id), max(id) FROM (
        SELECT id, pay_on, state, attempts, put_off, next_at,
            (row_number() OVER (PARTITION BY pay_on ORDER BY id) - 1) / %(size)b::bigint AS chunk
        FROM payouts
        WHERE batch = %(batch)b::uuid AND rail = ANY(%(rails)b::text[]) AND pay_on <= %(upto)b::date
    ) numbered
    GROUP BY pay_on, chunk
    HAVING bool_or(
        (state = 'reserved' AND (attempts = 0 OR put_off > 0)) OR (
            state IN ('created', 'reserved', 'submitting', 'accepted', 'awaiting_user', 'unknown')
            AND next_at <= %(before)b::timestamptz
        )
    ) AND (pay_on, min(id)) > (%(after_day)b::date, %(after_first)b::bigint)
    ORDER BY pay_on, min(id) LIMIT %(limit)b::integer
"""


def _within(chunk: Chunk) -> ColumnElement[bool]:
    rows = col(PayoutRow.id).between(chunk.first, chunk.last)
    return rows if chunk.day is None else and_(rows, col(PayoutRow.pay_on) == chunk.day)
