"""A customer's figures over the records of all their keys."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from domain.money import HOME_CURRENCY
from domain.tags.facts import PAID_STATUSES
from storage.unit_of_work import Repository

# Some sources tell that an order is on its way and not when it was paid.
_PAID = list(PAID_STATUSES)
_FIGURES = text(
    """
    WITH keys AS (SELECT id FROM identities WHERE customer_id = :customer),
    paid AS (
        SELECT account_id, order_id, status, paid_minor, refunded_minor, currency = :home AS is_home,
            coalesce(paid_at, created_at, told_at) AS paid_at
        FROM orders WHERE identity_id IN (SELECT id FROM keys) AND (paid_at IS NOT NULL OR status = ANY(:paid))
    )
    SELECT count(*) AS orders, coalesce(sum(paid_minor) FILTER (WHERE is_home), 0)::bigint AS paid_minor,
        coalesce(sum(refunded_minor) FILTER (WHERE is_home), 0)::bigint AS refunded_minor,
        min(paid_at) AS first_paid_at,
        (SELECT count(*) FROM refunds WHERE identity_id IN (SELECT id FROM keys)
            AND status IN ('requested', 'awaiting_return', 'returned')) AS open_refunds,
        (SELECT min(at) FROM (
            SELECT first_seen_at AS at FROM identities WHERE customer_id = :customer
            UNION ALL SELECT told.at FROM orders, unnest(ARRAY[created_at, paid_at, told_at]) AS told (at)
                WHERE identity_id IN (SELECT id FROM keys)
            UNION ALL SELECT told.at FROM refunds, unnest(ARRAY[requested_at, told_at]) AS told (at)
                WHERE identity_id IN (SELECT id FROM keys)
            UNION ALL SELECT occurred_at FROM interactions WHERE identity_id IN (SELECT id FROM keys)
        ) AS told WHERE at >= :earliest) AS since
    FROM paid
    """
)
_NO_SHOP_BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
"""An earlier instant is how some platform says that it does not know."""
_LAST_ORDER = text(
    """
    SELECT account_id, order_id, status, paid_minor, coalesce(paid_at, created_at, told_at) AS paid_at, array(
        SELECT DISTINCT item_id FROM order_lines
        WHERE order_key = orders.id AND item_id IS NOT NULL
            AND (CAST(:categories AS text[]) = '{}' OR category = ANY(:categories))
        ORDER BY item_id LIMIT 50
    ) AS items
    FROM orders
    WHERE identity_id IN (SELECT id FROM identities WHERE customer_id = :customer)
        AND (paid_at IS NOT NULL OR status = ANY(:paid))
        AND (CAST(:categories AS text[]) = '{}' OR EXISTS (
            SELECT FROM order_lines WHERE order_key = orders.id AND category = ANY(:categories)))
    ORDER BY coalesce(paid_at, created_at, told_at) DESC, id DESC LIMIT 1
    """
)
_OPEN_CART = text(
    """
    WITH keys AS (SELECT id FROM identities WHERE customer_id = :customer),
    cart AS (
        SELECT account_id, key AS cart_id, occurred_at AS filled_at, state, details FROM interactions
        WHERE identity_id IN (SELECT id FROM keys) AND kind = 'cart'
        ORDER BY occurred_at DESC, id DESC LIMIT 1
    )
    SELECT account_id, cart_id, filled_at, array(
        SELECT DISTINCT item ->> 'item_id' FROM jsonb_array_elements(details -> 'items') AS item
        WHERE item ->> 'item_id' IS NOT NULL ORDER BY 1 LIMIT 50
    ) AS items
    FROM cart
    WHERE state = 'open' AND NOT EXISTS (
        SELECT FROM orders WHERE identity_id IN (SELECT id FROM keys)
            AND coalesce(created_at, paid_at, told_at) >= cart.filled_at)
    """
)
_CONTACT = text(
    """
    SELECT account_id, key FROM interactions
    WHERE identity_id IN (SELECT id FROM identities WHERE customer_id = :customer)
        AND kind = 'contact' AND state = 'contact'
    ORDER BY occurred_at DESC, id DESC LIMIT 1
    """
)


class CustomerFacts(Repository):
    """What the records of a customer's keys add up to."""

    async def figures(self, customer: UUID) -> dict[str, Any]:
        """`orders`, `paid_minor`, `refunded_minor`, `first_paid_at`, `open_refunds`, `since`.

        Amounts are of orders in the merchant's own currency; all orders are counted. since: the earliest that any
        record tells of the customer, however late it came in.
        """
        names = {"customer": customer, "paid": _PAID, "home": HOME_CURRENCY, "earliest": _NO_SHOP_BEFORE}
        return {**(await self.session.execute(_FIGURES, names)).mappings().one()}

    async def last_order(self, customer: UUID, categories: Sequence[str] = ()) -> dict[str, Any] | None:
        """`account_id`, `order_id`, `status`, `paid_minor`, `paid_at`, `items` (ids) of the order that was paid last.

        With `categories`: the last one with goods of these, and only those goods.
        """
        names = {"customer": customer, "paid": _PAID, "categories": list(categories)}
        row = (await self.session.execute(_LAST_ORDER, names)).mappings().first()
        return {**row} if row is not None else None

    async def open_cart(self, customer: UUID) -> dict[str, Any] | None:
        """`account_id`, `cart_id`, `filled_at`, `items` (ids) of the newest cart, while it stands open and nothing was
        ordered since."""
        row = (await self.session.execute(_OPEN_CART, {"customer": customer})).mappings().first()
        return {**row} if row is not None else None

    async def contact(self, customer: UUID) -> tuple[str, str] | None:
        """The account and the key (`external_userid/userid`) of the newest contact that still stands."""
        row = (await self.session.execute(_CONTACT, {"customer": customer})).first()
        return (row.account_id, row.key) if row is not None else None
