"""Which order of a customer was paid first: told by the orders alone, whichever of them came in first."""

from collections.abc import Collection, Mapping
from uuid import UUID

from storage.bulk import fetch
from storage.orders import OrderName
from storage.unit_of_work import Repository


class FirstOrders(Repository):
    """Saying it, and finding whatever was noted otherwise."""

    async def of(self, orders: Collection[int]) -> Mapping[int, bool]:
        """Of those of the orders that were paid and whose buyer is known, whether their buyer paid for no other one
        before."""
        return dict(await fetch(self.work, _FIRSTS, {"keys": list(orders)})) if orders else {}

    async def misjudged(self, buyers: Collection[int], besides: Collection[int]) -> set[int]:
        """Other orders of the buyers with these identities that are noted as the first and are not, or the other way
        round, and those that somebody looks at right now; none that waits to be looked at anyway."""
        values = {"identities": sorted(buyers), "besides": list(besides)}
        return {key for (key,) in await fetch(self.work, _OF_BUYERS, values)}

    async def queue(self, orders: Collection[OrderName], moved: Collection[UUID]) -> None:
        """Have these orders looked at, as `SaleQueue.add`, and of customers who merged or parted those that are noted
        as the first and are not, or the other way round. One statement takes all of them in the order of their keys."""
        named = sorted(orders)
        values = {"accounts": [each[0] for each in named], "numbers": [each[1] for each in named]}
        await fetch(self.work, _QUEUE, {**values, "customers": sorted(moved), "now": self.now})


_MISJUDGED = """
    theirs AS (
        SELECT o.id, row_number() OVER (
            PARTITION BY k.customer_id
            ORDER BY coalesce(o.paid_at, o.created_at, o.told_at), o.account_id, o.order_id
        ) = 1 AS is_first
        FROM identities k JOIN orders o ON o.identity_id = k.id
        WHERE k.customer_id IN ({customers})
            AND (o.paid_at IS NOT NULL OR o.completed_at IS NOT NULL OR o.status IN ('paid', 'shipped', 'completed'))
    ), misjudged AS (
        SELECT t.id FROM theirs t LEFT JOIN sold_orders s ON s.order_key = t.id
        WHERE s.is_first <> t.is_first OR EXISTS (SELECT FROM sale_queue q WHERE q.order_key = t.id)
    )
"""
# Who looks at an order has deleted its row, which others see, and see locked, until that is done.
_BESIDES = """
    WITH {misjudged}, waiting AS (
        SELECT order_key FROM sale_queue WHERE order_key IN (SELECT id FROM misjudged) FOR KEY SHARE SKIP LOCKED
    )
    SELECT id FROM misjudged
    WHERE id <> ALL(%(besides)b::bigint[]) AND id NOT IN (SELECT order_key FROM waiting)
"""
_BUYERS = "SELECT customer_id FROM identities WHERE id = ANY(%(identities)b::bigint[])"
_OF_BUYERS = _BESIDES.format(misjudged=_MISJUDGED.format(customers=_BUYERS))
# What waits already is put in, too: it might be looked at before anybody else sees that these customers moved.
_WITH_MISJUDGED = """
    WITH {misjudged}
    INSERT INTO sale_queue (order_key, queued_at)
    SELECT id, %(now)b::timestamptz
    FROM (
        SELECT orders.id FROM unnest(%(accounts)b::text[], %(numbers)b::text[]) AS named (account_id, order_id)
        JOIN orders USING (account_id, order_id)
        UNION SELECT id FROM misjudged
    ) found
    ORDER BY id
    ON CONFLICT (order_key) DO UPDATE SET queued_at = excluded.queued_at, not_before = NULL
"""
_QUEUE = _WITH_MISJUDGED.format(misjudged=_MISJUDGED.format(customers="SELECT unnest(%(customers)b::uuid[])"))
_FIRSTS = """
    SELECT own.id, NOT EXISTS (
        SELECT FROM identities named
        JOIN identities k ON k.customer_id = named.customer_id
        JOIN orders o ON o.identity_id = k.id
        WHERE named.id = own.identity_id
            AND (o.paid_at IS NOT NULL OR o.completed_at IS NOT NULL OR o.status IN ('paid', 'shipped', 'completed'))
            AND (coalesce(o.paid_at, o.created_at, o.told_at), o.account_id, o.order_id)
                < (coalesce(own.paid_at, own.created_at, own.told_at), own.account_id, own.order_id)
    )
    FROM orders own
    WHERE own.id = ANY(%(keys)b::bigint[]) AND own.identity_id IS NOT NULL
        AND (own.paid_at IS NOT NULL OR own.completed_at IS NOT NULL OR own.status IN ('paid', 'shipped', 'completed'))
"""
