"""How often a customer buys again, by category of goods: the median interval between the days on which they bought.

Who bought on one day only has the interval that is usual in the category: the median over everybody who bought more
often, measured once a day. An interval is whole days, one at least; days are those in Shanghai.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    FromClause,
    Integer,
    Interval,
    Select,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, col

from domain.access import Scope
from domain.tags.facts import PAID_STATUSES
from storage.measuring import LONGEST, Measuring
from storage.orders import OrderLineRow, OrderRow
from storage.recordsets import table_of
from storage.scoping import visible
from storage.tables import Instant, Table, instant
from storage.unit_of_work import Repository

LEAST_CUSTOMERS = 5
"""How many have to have bought again before an interval counts as usual: fewer would speak of single people."""
MOST_CATEGORIES = 200
_LOOKS_BACK = timedelta(days=730)
_DAY_ZONE = "Asia/Shanghai"
# The row that says when all were measured, also when there was nothing to measure.
_ALL = ""


class CategoryRhythmRow(Table, table=True):
    """The interval that is usual in a category, and over how many customers it was measured."""

    __tablename__ = "category_rhythms"
    category: str = Field(primary_key=True)
    days: int
    customers: int = Field(sa_type=BigInteger)
    measured_at: datetime = instant()


_ORDERS, _LINES, _USUAL = table_of(OrderRow), table_of(OrderLineRow), table_of(CategoryRhythmRow)
ORDER_AT = func.coalesce(_ORDERS.c.paid_at, _ORDERS.c.created_at, _ORDERS.c.told_at)
_DAY: ColumnElement[Any] = cast(func.timezone(_DAY_ZONE, ORDER_AT), Date)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often somebody buys goods of a category. purchases: days on which they did. own: whether the interval is
    theirs, not the usual one; interval_days, due_at: None while nobody knows any."""

    category: str
    purchases: int
    last_at: datetime
    interval_days: int | None
    own: bool
    due_at: datetime | None


def rhythms(
    ids: ColumnElement[Any],
    given_by: FromClause | None = None,
    *,
    scope: Scope | None = None,
    categories: Collection[str] | None = None,
) -> Select[Any]:
    """One row a category: category, purchases, last_at, interval_days, own, due_at.

    ids: an array of identities. given_by: what `ids` is a column of, where that stands outside.
    categories: only these.
    """
    bought = (
        select(
            _LINES.c.category,
            func.max(ORDER_AT).label("at"),
            cast(_DAY - func.lag(_DAY).over(partition_by=_LINES.c.category, order_by=_DAY), Integer).label("gap"),
        )
        .select_from(_ORDERS.join(_LINES, _LINES.c.order_key == _ORDERS.c.id))
        .where(_ORDERS.c.identity_id == func.any(ids), _ORDERS.c.status.in_(PAID_STATUSES), _LINES.c.category > "")
        .group_by(_LINES.c.category, _DAY)
    )
    if categories is not None:
        bought = bought.where(_LINES.c.category.in_(sorted(categories)))
    if scope is not None:
        bought = bought.where(visible(OrderRow, scope))
    if given_by is not None:
        bought = bought.correlate(given_by)
    days = bought.subquery("days")
    median = func.percentile_disc(0.5).within_group(days.c.gap)
    own = (
        select(
            days.c.category,
            func.count().label("purchases"),
            func.max(days.c.at).label("last_at"),
            case((func.count(days.c.gap) > 0, median)).label("own_days"),
        )
        .group_by(days.c.category)
        .subquery("own")
    )
    interval = func.coalesce(own.c.own_days, _USUAL.c.days)
    return select(
        own.c.category,
        own.c.purchases,
        own.c.last_at,
        interval.label("interval_days"),
        own.c.own_days.is_not(None).label("own"),
        (own.c.last_at + interval * literal_column("interval '1 day'")).label("due_at"),
    ).select_from(own.outerjoin(_USUAL, _USUAL.c.category == own.c.category))


class PurchaseRhythms(Repository):
    """Rhythms of one customer, and what is usual."""

    async def of(self, identities: Sequence[int], scope: Scope) -> list[Rhythm]:
        """By category, what is due first at the top; of orders within a scope."""
        ids = cast(literal(list(identities), ARRAY(BigInteger)), ARRAY(BigInteger))
        found = rhythms(ids, scope=scope).subquery()
        statement = select(found).order_by(found.c.due_at.asc().nulls_last(), found.c.category).limit(MOST_CATEGORIES)
        return [
            Rhythm(row.category, row.purchases, row.last_at, row.interval_days, row.own, row.due_at)
            for row in await self.session.execute(statement)
        ]

    async def measured_at(self) -> datetime | None:
        """When what is usual was measured; None when it never was."""
        at: datetime | None = await self.session.scalar(
            select(col(CategoryRhythmRow.measured_at)).where(col(CategoryRhythmRow.category) == _ALL)
        )
        return at

    async def usual(self) -> Mapping[str, int]:
        """The usual interval of each category, in days."""
        rows = await self.session.execute(select(_USUAL.c.category, _USUAL.c.days).where(_USUAL.c.category != _ALL))
        return {row.category: row.days for row in rows}

    async def is_due(self) -> bool:
        """Whether what is usual was not measured for a day; in the first days sooner, see `Measuring`."""
        return await Measuring(self.work).is_due(await self.measured_at())

    async def measure(self) -> bool:
        """Measure what is usual over the orders of two years, unless it is not due yet."""
        if not await self.is_due():
            return False
        await self.session.execute(LONGEST)
        await self.session.execute(
            _MEASURE,
            {
                "now": self.now,
                "since": self.now - _LOOKS_BACK,
                "paid": list(PAID_STATUSES),
                "zone": _DAY_ZONE,
                "least": LEAST_CUSTOMERS,
            },
        )
        await self.session.execute(_FORGET, {"now": self.now})
        return True


_MEASURE = text(
    """
    WITH bought AS (
        SELECT identities.customer_id, lines.category,
            (coalesce(orders.paid_at, orders.created_at, orders.told_at) AT TIME ZONE :zone)::date AS day
        FROM orders
        JOIN identities ON identities.id = orders.identity_id
        JOIN order_lines lines ON lines.order_key = orders.id
        WHERE orders.status = ANY(:paid) AND lines.category > ''
            AND coalesce(orders.paid_at, orders.created_at, orders.told_at) > :since
        GROUP BY 1, 2, 3
    ), gaps AS (
        SELECT customer_id, category, day - lag(day) OVER (PARTITION BY customer_id, category ORDER BY day) AS gap
        FROM bought
    ), own AS (
        SELECT customer_id, category, percentile_disc(0.5) WITHIN GROUP (ORDER BY gap) AS days
        FROM gaps WHERE gap IS NOT NULL GROUP BY customer_id, category
    ), usual AS (
        SELECT category, percentile_disc(0.5) WITHIN GROUP (ORDER BY days) AS days, count(*) AS customers
        FROM own GROUP BY category HAVING count(*) >= :least
        UNION ALL
        SELECT '', 0, 0
    )
    INSERT INTO category_rhythms (category, days, customers, measured_at)
    SELECT category, days, customers, :now FROM usual
    ON CONFLICT (category) DO UPDATE
    SET days = excluded.days, customers = excluded.customers, measured_at = excluded.measured_at
    """
)
_FORGET = text("DELETE FROM category_rhythms WHERE measured_at < :now")

AT_RHYTHM: ColumnElement[Any] = literal_column("rhythm.last_at", Instant)
DUE: ColumnElement[Any] = literal_column("rhythm.due_at", Instant)
FIELDS: Mapping[str, ColumnElement[Any]] = {
    "category": literal_column("rhythm.category"),
    "purchases": literal_column("rhythm.purchases", BigInteger),
    "interval": literal_column("rhythm.interval_days", BigInteger),
    "own": literal_column("rhythm.own"),
}
"""The columns of `rhythms` where it stands as `rhythm`."""


def interval_or(assumed_days: int | None) -> ColumnElement[Any]:
    """The interval in days, or what is assumed while nobody knows one."""
    known = FIELDS["interval"]
    return known if assumed_days is None else func.coalesce(known, literal_column(str(assumed_days), BigInteger))


def silent_for(percent: int, assumed_days: int | None) -> ColumnElement[Any]:
    """The instant at which somebody has bought nothing for so many percent of the interval."""
    length = (
        interval_or(assumed_days) * literal_column(str(percent)) * literal_column("interval '864 seconds'", Interval)
    )
    return cast(AT_RHYTHM + length, Instant)
