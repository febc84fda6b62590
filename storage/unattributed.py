"""Orders of a period that are nobody's in a role: counted among the latest of each shop, so that it takes no longer
however many there are."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from domain.settlement.attribution import Basis
from domain.settlement.bills import SHANGHAI
from storage.bulk import fetch
from storage.orders import OrderName
from storage.unit_of_work import Repository

MOST = 5_000
"""Orders that are looked at, shared by the shops: LEAST of each at least."""
LEAST = 50
LATEST_COMPLETION = timedelta(days=60)
"""How long before a period an order may have been paid that was completed within it, and is still found here."""


class Unattributed(NamedTuple):
    """Orders that are nobody's in a role. looked_at: of how many; paid_since: none that was paid before was looked at,
    None where no order of the period was; is_all: there were no others in the period since then. some: the latest of
    them, by account and number."""

    role: str
    orders: int
    looked_at: int
    is_all: bool
    paid_since: date | None
    some: Sequence[OrderName]


class UnattributedOrders(Repository):
    """Orders that count and were never anybody's."""

    async def of(
        self, roles: Collection[str], basis: Basis, start: date, end: date, shown: int
    ) -> Sequence[Unattributed]:
        """By role, where there are any, of orders that count within `[start, end)`."""
        completed = basis == "completed"
        since = start - LATEST_COMPLETION if completed else start
        values = {
            "roles": sorted(set(roles)),
            "completed": completed,
            "start": start,
            "end": end,
            "paid_from": datetime(since.year, since.month, since.day, tzinfo=SHANGHAI),
            "paid_until": datetime(end.year, end.month, end.day, tzinfo=SHANGHAI),
            "most": MOST,
            "least": LEAST,
            "shown": shown,
        }
        rows = await fetch(self.work, _UNATTRIBUTED, values)
        return [
            Unattributed(
                role,
                count,
                looked_at,
                is_all,
                since if completed else None,
                list(zip(accounts, numbers, strict=True)),
            )
            for role, count, looked_at, is_all, accounts, numbers in rows
        ]


# The shops are found by a step for each over the index of orders. LIMIT 1 makes it go by key for each order that is
# looked at: how few these are the planner cannot know, and would read the tables through.
_UNATTRIBUTED = """
    WITH RECURSIVE shops AS (
        (SELECT account_id FROM orders WHERE paid_at IS NOT NULL ORDER BY account_id LIMIT 1)
        UNION ALL
        SELECT (
            SELECT o.account_id FROM orders o
            WHERE o.paid_at IS NOT NULL AND o.account_id > s.account_id ORDER BY o.account_id LIMIT 1
        )
        FROM shops s WHERE s.account_id IS NOT NULL
    ),
    share AS (
        SELECT greatest(%(least)b::bigint, %(most)b::bigint / greatest(count(account_id), 1)) AS each FROM shops
    ),
    latest AS MATERIALIZED (
        SELECT o.id, o.account_id, o.order_id, o.paid_at
        FROM shops a
        CROSS JOIN LATERAL (
            SELECT id, account_id, order_id, paid_at FROM orders
            WHERE account_id = a.account_id
                AND paid_at >= %(paid_from)b::timestamptz AND paid_at < %(paid_until)b::timestamptz
            ORDER BY paid_at DESC LIMIT (SELECT each FROM share)
        ) o
    ),
    counted AS MATERIALIZED (
        SELECT l.* FROM latest l
        CROSS JOIN LATERAL (SELECT * FROM sold_orders WHERE order_key = l.id LIMIT 1) s
        WHERE s.problem IS NULL
            AND CASE WHEN %(completed)b::boolean THEN s.completed_on ELSE s.paid_on END >= %(start)b::date
            AND CASE WHEN %(completed)b::boolean THEN s.completed_on ELSE s.paid_on END < %(end)b::date
    ),
    nobodys AS (
        SELECT w.role, c.account_id, c.order_id,
            row_number() OVER (PARTITION BY w.role ORDER BY c.paid_at DESC, c.id DESC) AS place
        FROM unnest(%(roles)b::text[]) AS w (role) CROSS JOIN counted c
        LEFT JOIN LATERAL (
            SELECT true AS is_there FROM attributions WHERE order_key = c.id AND role = w.role LIMIT 1
        ) somebodys ON true
        WHERE somebodys.is_there IS NULL
    )
    SELECT n.role, count(*), (SELECT count(*) FROM counted),
        NOT EXISTS (SELECT FROM latest GROUP BY account_id HAVING count(*) >= (SELECT each FROM share)),
        array_agg(n.account_id ORDER BY n.place) FILTER (WHERE n.place <= %(shown)b::integer),
        array_agg(n.order_id ORDER BY n.place) FILTER (WHERE n.place <= %(shown)b::integer)
    FROM nobodys n GROUP BY n.role ORDER BY n.role
"""
