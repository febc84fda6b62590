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
REFUND_AMOUNT = "refund-amount"
"""Of orders of which a refund was paid whose sum nobody told."""
REFUND_PATIENCE = timedelta(hours=1)
"""How long a sum may be missing: many pushes tell none, and the platform's list does minutes later. Until then such a
refund counts for the next settlement, as one does that is told a moment later."""
SHOWN = 5
"""How many of each reason are named."""
RULES = "rules "
"""How the reason of a sweep begins that a version of the rules comes into force with."""
PATIENCE = timedelta(minutes=1)
"""How long a change of an order that counts may wait: what came a moment ago counts for the next settlement, as what
comes a moment later does. What a sweep has looked at again may not: whoever began it waits for all of it."""
MOST_UNSWEPT = 10_000
"""How many orders are counted that a sweep has not come to: there may be millions."""
LOOKED_AHEAD = 100_000
"""So many orders are looked at that a sweep comes to next, where nobody has looked at them before: beyond, one that it
has not come to stands for all."""


class Omitted(NamedTuple):
    """Orders that are left out. counts: how many, by reason; some: account and number of the first of each reason."""

    counts: Mapping[str, int]
    some: Sequence[OrderName]


class LeftOut(Repository):
    """Orders that count and have no sales."""

    async def found(self, basis: Basis, start: date, end: date, since: date, begins: str) -> Omitted:
        """Those that count within `[start, end)`. since: of which day on the rules look at orders; begins: why a sweep
        is asked for when they come into force."""
        values = {
            "completed": basis == "completed",
            "start": start,
            "end": end,
            "since": since,
            "begins": begins,
            "rules": f"{RULES}%",
            "refund_amount": REFUND_AMOUNT,
            "told_before": self.now - REFUND_PATIENCE,
            "most": MOST_UNSWEPT,
            "ahead": LOOKED_AHEAD,
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
_DAYS = """
    s.order_key AS seen,
    coalesce(s.paid_on, CASE WHEN o.paid_at IS NOT NULL OR o.status IN ('paid', 'shipped', 'completed')
        THEN (coalesce(o.paid_at, o.created_at, o.told_at) AT TIME ZONE 'Asia/Shanghai')::date
    END) AS paid_on,
    coalesce(s.completed_on, CASE WHEN o.completed_at IS NOT NULL OR o.status = 'completed'
        THEN (coalesce(o.completed_at, o.told_at) AT TIME ZONE 'Asia/Shanghai')::date
    END) AS completed_on,
    CASE WHEN %(completed)b::boolean THEN s.completed_on ELSE s.paid_on END AS counts_on
"""
_IN_PERIOD = """
    CASE WHEN %(completed)b::boolean THEN completed_on ELSE paid_on END >= %(start)b::date
    AND CASE WHEN %(completed)b::boolean THEN completed_on ELSE paid_on END < %(end)b::date
"""
# Orders that a sweep has still to come to are as good as queued; which it comes to, `SaleQueue.sweep` says. When rules
# come into force it comes to orders that nobody ever looked at, whose days only the orders tell; of every other sweep
# they are known already, and those rows are narrow.
_LEFT_OUT = """
    WITH sweeping AS MATERIALIZED (
        SELECT cursor, greatest(since, %(since)b::date) AS since, reason LIKE %(rules)b::text AS is_of_rules
        FROM sale_sweeps WHERE done_at IS NULL
        UNION ALL
        SELECT 0, %(since)b::date, true
        WHERE NOT EXISTS (SELECT FROM sale_sweeps WHERE reason = %(begins)b::text)
    ),
    queued AS (
        SELECT o.id AS order_key, q.queued_at, {days}
        FROM sale_queue q
        JOIN orders o ON o.id = q.order_key
        LEFT JOIN sold_orders s ON s.order_key = q.order_key
    ),
    unswept AS (
        SELECT found.order_key FROM sweeping w CROSS JOIN LATERAL (
            SELECT order_key FROM sold_orders
            WHERE NOT w.is_of_rules AND order_key > w.cursor AND greatest(paid_on, completed_on) >= w.since
                AND {in_period}
            LIMIT %(most)b::integer
        ) found
        UNION
        SELECT found.order_key FROM sweeping w CROSS JOIN LATERAL (
            SELECT order_key FROM (
                SELECT o.id AS order_key, {days},
                    greatest(
                        coalesce(o.paid_at, o.created_at, o.told_at), o.completed_at,
                        CASE WHEN o.status = 'completed' THEN o.told_at END
                    ) AS at
                FROM (
                    SELECT * FROM orders WHERE w.is_of_rules AND id > w.cursor ORDER BY id LIMIT %(ahead)b::integer
                ) o
                LEFT JOIN sold_orders s ON s.order_key = o.id
            ) o
            WHERE at >= w.since::timestamp AT TIME ZONE 'Asia/Shanghai' AND {in_period}
            LIMIT %(most)b::integer
        ) found
        UNION
        SELECT beyond.id FROM sweeping w CROSS JOIN LATERAL (
            SELECT id FROM orders WHERE w.is_of_rules AND w.since < %(end)b::date AND id > w.cursor
            ORDER BY id OFFSET %(ahead)b::integer LIMIT 1
        ) beyond
    ),
    waiting AS (
        SELECT order_key FROM queued
        WHERE {in_period}
            AND (seen IS NOT NULL OR greatest(paid_on, completed_on) >= %(since)b::date)
            AND (
                counts_on IS NULL OR queued_at < %(before)b::timestamptz
                OR EXISTS (
                    SELECT FROM sale_sweeps w
                    WHERE queued_at <= coalesce(w.done_at, 'infinity') AND w.since <= greatest(paid_on, completed_on)
                )
            )
        UNION
        SELECT order_key FROM unswept
    ),
    problems AS (
        SELECT order_key, problem AS reason FROM sold_orders
        WHERE problem IS NOT NULL AND {in_period}
            AND (
                problem <> %(refund_amount)b::text
                OR EXISTS (
                    SELECT FROM orders o JOIN refunds r ON r.account_id = o.account_id AND r.order_id = o.order_id
                    WHERE o.id = order_key AND r.status = 'refunded' AND r.amount_minor IS NULL
                        AND r.told_at < %(told_before)b::timestamptz
                )
            )
    ),
    left_out AS (
        SELECT order_key, reason FROM problems
        UNION ALL
        SELECT order_key, %(waiting)b::text FROM waiting
        WHERE order_key NOT IN (SELECT order_key FROM problems)
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
""".replace("{days}", _DAYS).replace("{in_period}", _IN_PERIOD)
