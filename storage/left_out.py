"""Orders of a period that have no sales: for want of a rate or of lines, or because nobody has looked at them yet."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from domain.settlement.attribution import Basis
from storage.bulk import fetch
from storage.orders import OrderName
from storage.unit_of_work import Repository

WAITING = "waiting"
"""Of orders that are queued: they do not count yet, or have waited so long that their changes are missing."""
SHOWN = 5
"""How many of each reason are named."""
PATIENCE = timedelta(minutes=1)
"""How long a change of an order that counts may wait: what came a moment ago counts for the next settlement, as what
comes a moment later does."""


class Omitted(NamedTuple):
    """Orders that are left out. counts: how many, by reason; some: account and number of the first of each reason."""

    counts: Mapping[str, int]
    some: Sequence[OrderName]


class LeftOut(Repository):
    """Orders that count and have no sales."""

    async def found(self, basis: Basis, start: date, end: date, since: date) -> Omitted:
        """Those that count within `[start, end)`. since: of which day on the rules look at orders."""
        values = {
            "completed": basis == "completed",
            "start": start,
            "end": end,
            "since": since,
            "waiting": WAITING,
            "before": self.now - PATIENCE,
            "shown": SHOWN,
        }
        rows = await fetch(self.work, _LEFT_OUT, values)
        return Omitted(
            {reason: int(count) for reason, count, _, _ in rows},
            [(account, order_id) for _, _, account, order_id in rows],
        )


# The days of orders that nobody has looked at are found as `services.selling` does.
_LEFT_OUT = """
    WITH queued AS (
        SELECT o.id AS order_key, s.order_key AS seen, q.queued_at,
            coalesce(s.paid_on, CASE WHEN o.paid_at IS NOT NULL OR o.status IN ('paid', 'shipped', 'completed')
                THEN (coalesce(o.paid_at, o.created_at, o.told_at) AT TIME ZONE 'Asia/Shanghai')::date
            END) AS paid_on,
            coalesce(s.completed_on, CASE WHEN o.completed_at IS NOT NULL OR o.status = 'completed'
                THEN (coalesce(o.completed_at, o.told_at) AT TIME ZONE 'Asia/Shanghai')::date
            END) AS completed_on,
            CASE WHEN %(completed)b::boolean THEN s.completed_on ELSE s.paid_on END AS counts_on
        FROM sale_queue q
        JOIN orders o ON o.id = q.order_key
        LEFT JOIN sold_orders s ON s.order_key = q.order_key
    ),
    left_out AS (
        SELECT order_key, problem AS reason FROM sold_orders
        WHERE problem IS NOT NULL
            AND CASE WHEN %(completed)b::boolean THEN completed_on ELSE paid_on END >= %(start)b::date
            AND CASE WHEN %(completed)b::boolean THEN completed_on ELSE paid_on END < %(end)b::date
        UNION ALL
        SELECT order_key, %(waiting)b::text FROM queued
        WHERE CASE WHEN %(completed)b::boolean THEN completed_on ELSE paid_on END >= %(start)b::date
            AND CASE WHEN %(completed)b::boolean THEN completed_on ELSE paid_on END < %(end)b::date
            AND (seen IS NOT NULL OR greatest(paid_on, completed_on) >= %(since)b::date)
            AND (counts_on IS NULL OR queued_at < %(before)b::timestamptz)
            AND NOT EXISTS (SELECT FROM sold_orders s WHERE s.order_key = queued.order_key AND s.problem IS NOT NULL)
    ),
    numbered AS (
        SELECT order_key, reason, count(*) OVER (PARTITION BY reason) AS of_reason,
            row_number() OVER (PARTITION BY reason ORDER BY order_key) AS place
        FROM left_out
    )
    SELECT n.reason, n.of_reason, o.account_id, o.order_id
    FROM numbered n JOIN orders o ON o.id = n.order_key
    WHERE n.place <= %(shown)b::integer
    ORDER BY n.reason, n.place
"""
