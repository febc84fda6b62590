"""Whose orders are, with the evidence, and what became of each order in sales.

An attribution is never changed: a correction ends the rows of one turn and adds those of the next.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, ForeignKey, Index, SmallInteger, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from domain.settlement.attribution import Basis, Shares
from storage.bulk import fetch
from storage.tables import Table, instant
from storage.unit_of_work import Repository


class AttributionRow(Table, table=True):
    """That an order is a payee's, in a role. way: how that was found, `correction` for a person's word; evidence: by
    which key, or which correction; rules: the version that found it. ended_at: since when another turn counts."""

    __tablename__ = "attributions"
    order_key: int = Field(primary_key=True, sa_type=BigInteger)
    role: str = Field(primary_key=True)
    turn: int = Field(primary_key=True, sa_type=SmallInteger)
    payee: int = Field(primary_key=True, sa_column_args=[ForeignKey("payees.id")])
    share: int
    way: str
    evidence: str
    rules: str | None = None
    decided_at: datetime = instant()
    ended_at: datetime | None = instant(optional=True)

    __table_args__ = (Index("ix_attributions_payee_decided_at", "payee", "decided_at"),)


class SoldOrderRow(Table, table=True):
    """An order that was looked at. is_first: whether it is its customer's first, None while nobody knows whose it is.
    paid_on, completed_on: the days that it counts on, as they were known first. problem: why it has no sales."""

    __tablename__ = "sold_orders"
    order_key: int = Field(primary_key=True, sa_type=BigInteger)
    is_first: bool | None = None
    paid_on: date | None = None
    completed_on: date | None = None
    problem: str | None = None
    counted_at: datetime = instant()

    __table_args__ = (
        Index("ix_sold_orders_problem", "problem", "order_key", postgresql_where=text("problem IS NOT NULL")),
    )


class Attributed(NamedTuple):
    """A payee's part in an order."""

    role: str
    payee: int
    share: int
    way: str
    evidence: str
    rules: str | None


class Known(NamedTuple):
    """What was decided of orders. owners: whose each is, by role; none in a role that is nobody's by a person's word.
    ever: everybody who has or had part in one of them."""

    owners: Mapping[int, Mapping[str, Shares]]
    ever: Collection[int]


class Standing(NamedTuple):
    """What was found of an order when it began to count. Days stay. problem: why it has no sales."""

    is_first: bool | None = None
    paid_on: date | None = None
    completed_on: date | None = None
    problem: str | None = None

    @property
    def days(self) -> dict[Basis, date]:
        """On which day it counts, by each way of counting that it has come to."""
        found: dict[Basis, date | None] = {"paid": self.paid_on, "completed": self.completed_on}
        return {basis: day for basis, day in found.items() if day is not None}


class Attributions(Repository):
    """Deciding whose an order is, and remembering it."""

    async def known(self, orders: Collection[int]) -> Known:
        """What was decided of these orders."""
        row = AttributionRow
        statement = (
            select(col(row.order_key), col(row.role), col(row.payee), col(row.share), col(row.ended_at))
            .where(col(row.order_key).in_(orders))
            .order_by(col(row.order_key), col(row.role), col(row.share).desc(), col(row.payee))
        )
        owners: dict[int, dict[str, Shares]] = defaultdict(dict)
        ever: set[int] = set()
        for order, role, payee, share, ended_at in await self.session.execute(statement):
            ever.add(payee)
            now = owners[order].get(role, ())
            owners[order][role] = now if ended_at is not None else (*now, (payee, share))
        return Known(owners, ever)

    async def history(self, order: int) -> Sequence[AttributionRow]:
        """All that was ever said of whose an order is, the latest first."""
        row = AttributionRow
        statement = select(row).where(col(row.order_key) == order)
        ordered = statement.order_by(col(row.role), col(row.turn).desc(), col(row.share).desc(), col(row.payee))
        return (await self.session.scalars(ordered)).all()

    async def decide(self, found: Mapping[int, Sequence[Attributed]]) -> None:
        """Note whose orders are whose they were not, in these roles."""
        values = [
            {"order_key": order, "turn": 1, "decided_at": self.now, **each._asdict()}
            for order, attributed in found.items()
            for each in attributed
        ]
        if values:
            await self.session.execute(insert(AttributionRow), values)

    async def correct(self, order: int, role: str, attributed: Sequence[Attributed]) -> None:
        """Let an order be these payees' in a role from now on, and nobody else's."""
        row = AttributionRow
        of_role = (col(row.order_key) == order, col(row.role) == role)
        turns = await self.session.scalars(select(col(row.turn)).where(*of_role).with_for_update())
        await self.session.execute(update(row).where(*of_role, col(row.ended_at).is_(None)).values(ended_at=self.now))
        turn = max(turns, default=0) + 1
        await self.insert(
            *(row(order_key=order, turn=turn, decided_at=self.now, **each._asdict()) for each in attributed)
        )

    async def standings(self, orders: Collection[int]) -> dict[int, Standing]:
        """Those of the orders that were looked at before."""
        row = SoldOrderRow
        found = await self.session.scalars(select(row).where(col(row.order_key).in_(orders)))
        return {
            each.order_key: Standing(each.is_first, each.paid_on, each.completed_on, each.problem) for each in found
        }

    async def counted(self, orders: Mapping[int, Standing]) -> None:
        """Note what came of looking at orders."""
        if orders:
            keys = sorted(orders)
            values = {
                "keys": keys,
                "firsts": [orders[key].is_first for key in keys],
                "paid": [orders[key].paid_on for key in keys],
                "completed": [orders[key].completed_on for key in keys],
                "problems": [orders[key].problem for key in keys],
                "now": self.now,
            }
            await fetch(self.work, _COUNTED, values)


_COUNTED = """
    INSERT INTO sold_orders (order_key, is_first, paid_on, completed_on, problem, counted_at)
    SELECT key, first, paid, completed, problem, %(now)b::timestamptz
    FROM unnest(
        %(keys)b::bigint[], %(firsts)b::boolean[], %(paid)b::date[], %(completed)b::date[], %(problems)b::text[]
    ) AS t(key, first, paid, completed, problem)
    ON CONFLICT (order_key) DO UPDATE SET
        is_first = excluded.is_first, paid_on = excluded.paid_on, completed_on = excluded.completed_on,
        problem = excluded.problem, counted_at = excluded.counted_at
"""
