"""Orders and their refunds, whichever came first: what was refunded, whose a refund is, and which met unseen."""

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Text,
    Update,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy import Table as TableOfRows
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import BigInteger

from storage.bulk import fetch
from storage.orders import OrderLineRow, OrderRow, RefundRow
from storage.recordsets import recordset, run_with_rows, table_of
from storage.unit_of_work import Repository

_BORROWED = (-(2**63), -1)

MEET_WITHIN = timedelta(hours=1)
"""How far back is looked for refunds and orders that came at one moment, once a minute."""


# From the refunds that wait to their orders, whatever the statistics say: while tables grow they are old, and a join
# would go through every order.
_MET = """
    WITH unsettled AS MATERIALIZED (
        SELECT account_id, order_id, told_at, recorded_at FROM refunds
        WHERE unsettled AND recorded_at > %(since)b::timestamptz
            AND (%(shops)b::text[] IS NULL OR account_id = ANY(%(shops)b::text[]))
        UNION ALL
        SELECT waiting.* FROM unnest(%(accounts)b::text[], %(numbers)b::text[]) AS given (account_id, order_id)
        CROSS JOIN LATERAL (
            SELECT account_id, order_id, told_at, recorded_at FROM refunds
            WHERE refunds.account_id = given.account_id AND refunds.order_id = given.order_id AND unsettled
            OFFSET 0
        ) AS waiting
    )
    SELECT unsettled.account_id, unsettled.order_id, unsettled.told_at, owner.customer_id
    FROM unsettled CROSS JOIN LATERAL (
        SELECT identities.customer_id FROM orders JOIN identities ON identities.id = orders.identity_id
        WHERE orders.account_id = unsettled.account_id AND orders.order_id = unsettled.order_id
            AND EXISTS (SELECT FROM order_lines WHERE order_key = orders.id OFFSET 0)
        OFFSET 0
    ) AS owner
    ORDER BY unsettled.recorded_at LIMIT %(limit)b::bigint
"""
_HOLD = """
    SELECT 1 FROM unnest(%(accounts)b::text[], %(numbers)b::text[]) AS named (account_id, order_id)
    JOIN orders o USING (account_id, order_id)
    ORDER BY o.account_id, o.order_id FOR NO KEY UPDATE OF o
"""
_OF_NO_ORDER = {"accounts": None, "numbers": None}
_OF_NO_TIME = {"since": None, "shops": None}


class Met(NamedTuple):
    """A refund and its order that came at the same moment. told_at: of the refund."""

    account_id: str
    order_id: str
    told_at: datetime
    customer: UUID


class Settled(NamedTuple):
    """An order that learned of a refund, or a refund that learned whose it is. identities: whom that concerns."""

    account_id: str
    order_id: str
    identities: tuple[int | None, ...]


class RefundSettling(Repository):
    """Set-based, order by order in the order of their keys."""

    async def settle(self, orders: Collection[tuple[str, ...]]) -> list[Settled]:
        """Let orders (account, number) know what was refunded, and refunds whose they are, whichever came first; what
        that changed."""
        await self.hold(orders)
        return await self.tell(orders)

    async def hold(self, orders: Collection[tuple[str, ...]]) -> None:
        """Keep other batches from orders until the unit ends, in the order in which they are written.

        A sum over an order's refunds that waits for another batch would be without those that it wrote.
        """
        if orders:
            accounts, numbers = zip(*orders, strict=True)
            await fetch(self.work, _HOLD, {"accounts": list(accounts), "numbers": list(numbers)})

    async def tell(self, orders: Collection[tuple[str, ...]]) -> list[Settled]:
        """As `settle`, of orders that are held."""
        rows = [{"account_id": account_id, "order_id": order_id} for account_id, order_id in sorted(orders)]
        lent = await run_with_rows(self.session, _tell_refunds(), OrderRow, rows)
        paid_back = await run_with_rows(self.session, _tell_orders(), OrderRow, rows)
        settled = [Settled(row.account_id, row.order_id, (row.was, row.whose)) for row in lent if row.was != row.whose]
        return settled + [Settled(row.account_id, row.order_id, (row.identity_id,)) for row in paid_back]

    async def met(self, orders: Collection[tuple[str, str]], limit: int) -> list[Met]:
        """Refunds of these orders (account, number) that were written while nobody saw their order, which is here now:
        two batches at once may each have brought one of the two. `settle` takes them off."""
        if not orders:
            return []
        accounts, numbers = zip(*orders, strict=True)
        given = {**_OF_NO_TIME, "accounts": list(accounts), "numbers": list(numbers), "limit": limit}
        return [Met(*row) for row in await fetch(self.work, _MET, given)]

    async def met_later(
        self, limit: int, accounts: Collection[str] | None = None, *, within: timedelta = MEET_WITHIN
    ) -> list[Met]:
        """As `met`, whatever the order (of these accounts, when given): of the refunds that were told so lately,
        however many wait."""
        shops = None if accounts is None else list(accounts)
        given = {**_OF_NO_ORDER, "since": self.now - within, "shops": shops, "limit": limit}
        return [Met(*row) for row in await fetch(self.work, _MET, given)]


@lru_cache(maxsize=1)
def _tell_orders() -> Update:
    """Set `refunded_minor` of the given orders to what their refunds paid back."""
    orders, refunds = table_of(OrderRow), table_of(RefundRow)
    source = recordset(OrderRow, ("account_id", "order_id"))
    paid_back = (
        select(cast(func.coalesce(func.sum(refunds.c.amount_minor), literal(0)), BigInteger))
        .where(
            refunds.c.account_id == orders.c.account_id,
            refunds.c.order_id == orders.c.order_id,
            refunds.c.status == "refunded",
            or_(refunds.c.currency.is_(None), refunds.c.currency == orders.c.currency),
        )
        .scalar_subquery()
    )
    return (
        update(orders)
        .where(
            orders.c.account_id == source.c.account_id,
            orders.c.order_id == source.c.order_id,
            orders.c.refunded_minor != paid_back,
        )
        .values(refunded_minor=paid_back)
        .returning(orders.c.account_id, orders.c.order_id, orders.c.identity_id)
    )


@lru_cache(maxsize=1)
def _tell_refunds() -> Update:
    """Let refunds that name nobody point where their order points, and note which do not know their order yet.

    What is borrowed so is older than anything that a telling of the refund says.
    """
    orders, refunds = table_of(OrderRow), table_of(RefundRow)
    source = recordset(OrderRow, ("account_id", "order_id"))
    owner = select(orders.c.identity_id).where(_of_order(refunds, orders)).correlate(refunds).scalar_subquery()
    known = select(orders.c.id).where(_of_order(refunds, orders), orders.c.identity_id.is_not(None), _has_lines(orders))
    is_known = known.correlate(refunds).exists()
    gaps = func.coalesce(refunds.c.gap_versions, cast(literal("{}", Text), JSONB))
    borrowed = cast(literal(json.dumps({"identity_id": _BORROWED}), Text), JSONB)
    has_none = or_(refunds.c.identity_id.is_(None), gaps.contains(borrowed))
    borrows = and_(has_none, owner.is_not(None), refunds.c.identity_id.is_distinct_from(owner))
    return (
        update(refunds)
        .where(
            refunds.c.account_id == source.c.account_id,
            refunds.c.order_id == source.c.order_id,
            or_(borrows, refunds.c.unsettled == is_known),
        )
        .values(
            identity_id=case((borrows, owner), else_=refunds.c.identity_id),
            gap_versions=case((borrows, gaps.op("||")(borrowed)), else_=refunds.c.gap_versions),
            unsettled=~is_known,
        )
        .returning(
            refunds.c.account_id,
            refunds.c.order_id,
            literal_column("old.identity_id").label("was"),
            refunds.c.identity_id.label("whose"),
        )
    )


def _of_order(refunds: TableOfRows, orders: TableOfRows) -> ColumnElement[bool]:
    return and_(refunds.c.account_id == orders.c.account_id, refunds.c.order_id == orders.c.order_id)


def _has_lines(orders: TableOfRows) -> ColumnElement[bool]:
    lines = table_of(OrderLineRow)
    return select(lines.c.line_id).where(lines.c.order_key == orders.c.id).correlate(orders).exists()
