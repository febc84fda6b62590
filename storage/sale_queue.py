"""Orders whose sales are to be looked at (again), and what is known of them.

An order is put here by the unit of work that changes it, and taken out by the one that looks at it.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, func, or_, select, text, update
from sqlmodel import Field, col

from domain.settlement.selling import SoldLine, WentBack
from storage.bulk import fetch
from storage.orders import OrderName
from storage.tables import Table, instant
from storage.unit_of_work import Repository

SWEEP_BATCH = 20_000


class SaleQueueRow(Table, table=True):
    """An order to be looked at. not_before: when, after it could not be."""

    __tablename__ = "sale_queue"
    order_key: int = Field(primary_key=True, sa_type=BigInteger)
    queued_at: datetime = instant(index=True)
    not_before: datetime | None = instant(optional=True)


class SaleSweepRow(Table, table=True):
    """That all orders since a day are to be looked at, and how far that has come. cursor: the last order queued."""

    __tablename__ = "sale_sweeps"
    id: int = Field(default=None, primary_key=True, sa_column_args=[Identity(always=True)])
    since: date
    cursor: int = Field(default=0, sa_type=BigInteger)
    reason: str
    asked_at: datetime = instant()
    done_at: datetime | None = instant(optional=True)

    __table_args__ = (Index("ix_sale_sweeps_open", "id", postgresql_where=text("done_at IS NULL")),)


class QueuedOrder(NamedTuple):
    """An order as it stands now. customer: whose it is, by today's id."""

    key: int
    account_id: str
    order_id: str
    identity_id: int | None
    unit_path: str
    status: str
    currency: str
    paid_minor: int | None
    postage_minor: int | None
    created_at: datetime | None
    paid_at: datetime | None
    completed_at: datetime | None
    told_at: datetime
    channel: str | None
    influencer_id: str | None


class Scan(NamedTuple):
    """A code that the buyer of an order scanned before it, and when."""

    order_key: int
    code: str
    at: datetime


class SaleQueue(Repository):
    """Putting orders in and taking them out."""

    async def add(self, orders: Collection[OrderName]) -> None:
        """Have these orders looked at, where they are known."""
        if orders:
            named = sorted(orders)
            values = {"accounts": [each[0] for each in named], "numbers": [each[1] for each in named], "now": self.now}
            await fetch(self.work, _ADD, values)

    async def add_keys(self, orders: Collection[int]) -> None:
        """Have orders looked at by their keys."""
        if orders:
            await fetch(self.work, _ADD_KEYS, {"keys": sorted(orders), "now": self.now})

    async def add_invited(self, customer: UUID, below: int, since: date, most: int) -> bool:
        """Have the orders since a day looked at of a customer and of everybody whom they invited, `below` invitations
        down; False, and none of them, where the people or their orders are more than `most`."""
        values = {"customer": customer, "below": below, "since": since, "most": most, "now": self.now}
        ((orders,),) = await fetch(self.work, _ADD_INVITED, values)
        return bool(orders <= most)

    async def add_paid_in(self, currencies: Sequence[str], starts: Sequence[date], ends: Sequence[date]) -> None:
        """Have those of the orders that count looked at that were paid in a currency on days `[start, end)`, of several
        at once."""
        values = {"currencies": list(currencies), "starts": list(starts), "ends": list(ends), "now": self.now}
        await fetch(self.work, _ADD_PAID_IN, values)

    async def has_work(self) -> bool:
        """Whether an order waits whose time has come, or a sweep."""
        sweeps = select(col(SaleSweepRow.id)).where(col(SaleSweepRow.done_at).is_(None))
        row = SaleQueueRow
        due = select(col(row.order_key)).where(or_(col(row.not_before).is_(None), col(row.not_before) <= self.now))
        for statement in (due, sweeps):
            if (await self.session.scalar(statement.limit(1))) is not None:
                return True
        return False

    async def take(
        self, limit: int, only: Collection[int] | None = None, *, again_first: bool = False
    ) -> list[QueuedOrder]:
        """The orders that wait longest; nobody else has them until this unit of work ends, and then they are out. Those
        that were put off and whose time has come are by themselves: when no others wait, or first.

        only: of those with these keys.
        """
        values = {"limit": limit, "only": None if only is None else list(only), "now": self.now}
        first = await fetch(self.work, _TAKE, {**values, "again": again_first})
        taken = [key for (key,) in first or await fetch(self.work, _TAKE, {**values, "again": not again_first})]
        # Read once they are out: whoever changed one before that has queued it before, and what they wrote is seen.
        return [QueuedOrder(*row) for row in await fetch(self.work, _TAKEN, {"keys": taken})]

    async def waiting(self, limit: int, *, again_first: bool = False) -> list[tuple[int, datetime]]:
        """The keys of the orders that `take` would have next, and since when they wait."""
        values = {"limit": limit, "now": self.now}
        first = await fetch(self.work, _WAITING, {**values, "again": again_first})
        found = first or await fetch(self.work, _WAITING, {**values, "again": not again_first})
        return [(key, queued_at) for key, queued_at in found]

    async def put_off(self, order: int, queued_at: datetime, until: datetime) -> None:
        """Let an order that waits since then be looked at no sooner, unless it changes, or did meanwhile."""
        row = SaleQueueRow
        same = (col(row.order_key) == order, col(row.queued_at) == queued_at)
        await self.session.execute(update(row).where(*same).values(not_before=until))

    async def lines(self, orders: Collection[int]) -> Mapping[int, Sequence[SoldLine]]:
        """The lines of orders."""
        found: dict[int, list[SoldLine]] = defaultdict(list)
        for order, *line in await fetch(self.work, _LINES, {"keys": list(orders)}):
            found[order].append(SoldLine(*line))
        return found

    async def refunds(self, orders: Collection[int]) -> Mapping[int, Sequence[WentBack]]:
        """What went back of orders."""
        found: dict[int, list[WentBack]] = defaultdict(list)
        for order, refund_id, amount, at, lines in await fetch(self.work, _REFUNDS, {"keys": list(orders)}):
            found[order].append(WentBack(refund_id, amount, at, tuple(lines)))
        return found

    async def unclear_refunds(self, orders: Collection[int]) -> Mapping[int, bool]:
        """The orders of which something went back that cannot be taken off: the sum is not known, or in another
        currency; whether it is the currency."""
        return dict(await fetch(self.work, _UNCLEAR, {"keys": list(orders)}))

    async def scans(self, orders: Mapping[int, tuple[int, datetime]], within: timedelta) -> Sequence[Scan]:
        """Codes that the buyers of orders scanned before, the latest first. orders: identity and instant by key."""
        if not orders:
            return []
        keys = list(orders)
        values = {
            "keys": keys,
            "identities": [orders[key][0] for key in keys],
            "ats": [orders[key][1] for key in keys],
            "within": within,
        }
        return [Scan(*row) for row in await fetch(self.work, _SCANS, values)]

    async def ask_for_sweep(self, since: date, reason: str) -> None:
        """Have all orders since a day looked at, bit by bit; together with what was asked for and has not begun."""
        row = SaleSweepRow
        waits = (col(row.done_at).is_(None), col(row.cursor) == 0, col(row.reason) == reason)
        earlier = update(row).where(*waits).values(since=func.least(col(row.since), since)).returning(col(row.id))
        if (await self.session.execute(earlier)).first() is None:
            await self.insert(SaleSweepRow(since=since, cursor=0, reason=reason, asked_at=self.now))

    async def was_swept(self, reason: str) -> bool:
        """Whether a sweep was asked for with this reason."""
        statement = select(col(SaleSweepRow.id)).where(col(SaleSweepRow.reason) == reason).limit(1)
        return (await self.session.scalar(statement)) is not None

    async def sweep(self, since: date) -> bool:
        """Queue the next orders of the oldest sweep; False when there is none. None looks further back than `since`."""
        row = SaleSweepRow
        oldest = select(row).where(col(row.done_at).is_(None)).order_by(col(row.id)).limit(1)
        sweep = (await self.session.scalars(oldest.with_for_update(skip_locked=True))).first()
        if sweep is None:
            return False
        values = {"after": sweep.cursor, "since": max(sweep.since, since), "limit": SWEEP_BATCH}
        ((last, seen),) = await fetch(self.work, _SWEEP, {**values, "now": self.now})
        changes = {"cursor": last} if seen == SWEEP_BATCH else {"done_at": self.now}
        await self.session.execute(update(row).where(col(row.id) == sweep.id).values(changes))
        return True


# An order that is queued already is written anew, not passed over: held by who changes it, it is looked at afterwards.
_ADD = """
    INSERT INTO sale_queue (order_key, queued_at)
    SELECT orders.id, %(now)b::timestamptz
    FROM unnest(%(accounts)b::text[], %(numbers)b::text[]) AS named (account_id, order_id)
    JOIN orders USING (account_id, order_id)
    ORDER BY orders.id
    ON CONFLICT (order_key) DO UPDATE SET queued_at = excluded.queued_at, not_before = NULL
"""
_ADD_KEYS = """
    INSERT INTO sale_queue (order_key, queued_at)
    SELECT key, %(now)b::timestamptz FROM unnest(%(keys)b::bigint[]) AS named (key) ORDER BY key
    ON CONFLICT (order_key) DO UPDATE SET queued_at = excluded.queued_at, not_before = NULL
"""
# Whoever invited a million is not followed to the last of them: `LIMIT` ends the search. Somebody is reached once a
# level at most.
_ADD_INVITED = """
    WITH RECURSIVE invited AS (
        SELECT %(customer)b::uuid AS customer_id, 0 AS level
        UNION
        SELECT own.customer_id, invited.level + 1
        FROM invited
        JOIN identities k ON k.customer_id = invited.customer_id
        JOIN invitations i ON i.by_identity_id = k.id
        JOIN identities own ON own.id = i.identity_id
        WHERE invited.level < %(below)b::integer
    ), people AS (
        SELECT DISTINCT customer_id FROM (
            SELECT customer_id FROM invited LIMIT (%(most)b::integer + 1) * (%(below)b::integer + 1)
        ) reached
    ), found AS (
        SELECT DISTINCT o.id FROM people
        JOIN identities k ON k.customer_id = people.customer_id
        JOIN orders o ON o.identity_id = k.id
        WHERE greatest(
            coalesce(o.paid_at, o.created_at, o.told_at), o.completed_at,
            CASE WHEN o.status = 'completed' THEN o.told_at END
        ) >= %(since)b::date::timestamp AT TIME ZONE 'Asia/Shanghai'
        LIMIT %(most)b::integer + 1
    ), counted AS (
        SELECT greatest((SELECT count(*) FROM found), (SELECT count(*) FROM people)) AS orders
    ), queued AS (
        INSERT INTO sale_queue (order_key, queued_at)
        SELECT found.id, %(now)b::timestamptz FROM found, counted WHERE counted.orders <= %(most)b::integer
        ORDER BY found.id
        ON CONFLICT (order_key) DO UPDATE SET queued_at = excluded.queued_at, not_before = NULL
    )
    SELECT orders FROM counted
"""
# The day that a rate is of, as `services.selling` finds it.
_ADD_PAID_IN = """
    INSERT INTO sale_queue (order_key, queued_at)
    SELECT DISTINCT o.id, %(now)b::timestamptz
    FROM unnest(%(currencies)b::text[], %(starts)b::date[], %(ends)b::date[]) AS named (currency, start, finish)
    JOIN orders o ON o.currency = named.currency AND o.currency <> 'CNY'
        AND coalesce(o.paid_at, o.created_at, o.told_at) >= named.start::timestamp AT TIME ZONE 'Asia/Shanghai'
        AND coalesce(o.paid_at, o.created_at, o.told_at) < named.finish::timestamp AT TIME ZONE 'Asia/Shanghai'
    JOIN sold_orders s ON s.order_key = o.id
    ORDER BY o.id
    ON CONFLICT (order_key) DO UPDATE SET queued_at = excluded.queued_at, not_before = NULL
"""
_TAKE = """
    DELETE FROM sale_queue WHERE order_key IN (
        SELECT order_key FROM sale_queue
        WHERE CASE WHEN %(again)b::boolean THEN not_before <= %(now)b::timestamptz ELSE not_before IS NULL END
            AND (%(only)b::bigint[] IS NULL OR order_key = ANY(%(only)b::bigint[]))
        ORDER BY queued_at LIMIT %(limit)b::integer FOR UPDATE SKIP LOCKED
    )
    RETURNING order_key
"""
_WAITING = """
    SELECT order_key, queued_at FROM sale_queue
    WHERE CASE WHEN %(again)b::boolean THEN not_before <= %(now)b::timestamptz ELSE not_before IS NULL END
    ORDER BY queued_at LIMIT %(limit)b::integer
"""
_TAKEN = """
    SELECT o.id, o.account_id, o.order_id, o.identity_id, o.unit_path, o.status, o.currency, o.paid_minor,
        o.postage_minor, o.created_at, o.paid_at, o.completed_at, o.told_at, nullif(o.channel, ''),
        nullif(o.influencer_id, '')
    FROM orders o WHERE o.id = ANY(%(keys)b::bigint[])
    ORDER BY o.id
"""
_LINES = """
    SELECT order_key, line_id, quantity, total_minor, category, item_id
    FROM order_lines WHERE order_key = ANY(%(keys)b::bigint[])
"""
_REFUNDS = """
    SELECT o.id, r.refund_id, r.amount_minor, r.refunded_at, r.line_ids
    FROM unnest(%(keys)b::bigint[]) AS named (key)
    JOIN orders o ON o.id = named.key
    JOIN refunds r ON r.account_id = o.account_id AND r.order_id = o.order_id
    WHERE r.status = 'refunded' AND r.amount_minor > 0 AND coalesce(r.currency, o.currency) = o.currency
"""
_UNCLEAR = """
    SELECT o.id, bool_or(coalesce(r.currency, o.currency) <> o.currency)
    FROM unnest(%(keys)b::bigint[]) AS named (key)
    JOIN orders o ON o.id = named.key
    JOIN refunds r ON r.account_id = o.account_id AND r.order_id = o.order_id
    WHERE r.status = 'refunded'
        AND (r.amount_minor IS NULL OR r.amount_minor > 0 AND coalesce(r.currency, o.currency) <> o.currency)
    GROUP BY o.id
"""
_SCANS = """
    SELECT named.key, i.channel, i.occurred_at
    FROM unnest(%(keys)b::bigint[], %(identities)b::bigint[], %(ats)b::timestamptz[]) AS named (key, identity_id, at)
    JOIN identities own ON own.id = named.identity_id
    JOIN identities k ON k.customer_id = own.customer_id
    JOIN interactions i ON i.identity_id = k.id
    WHERE i.kind IN ('scan', 'contact', 'follow') AND i.channel <> ''
        AND i.occurred_at <= named.at AND i.occurred_at > named.at - %(within)b::interval
    ORDER BY i.occurred_at DESC, i.channel
"""
_SWEEP = """
    WITH seen AS (
        SELECT id, greatest(
            coalesce(paid_at, created_at, told_at), completed_at, CASE WHEN status = 'completed' THEN told_at END
        ) AS at
        FROM orders
        WHERE id > %(after)b::bigint ORDER BY id LIMIT %(limit)b::integer
    ),
    queued AS (
        INSERT INTO sale_queue (order_key, queued_at)
        SELECT id, %(now)b::timestamptz FROM seen
        WHERE at >= %(since)b::date::timestamp AT TIME ZONE 'Asia/Shanghai' ORDER BY id
        ON CONFLICT (order_key) DO UPDATE SET queued_at = excluded.queued_at, not_before = NULL
    )
    SELECT coalesce(max(id), 0), count(*) FROM seen
"""
