"""Steps of orders that a short push told: their events wait for the whole order, which is asked for meanwhile.

A row is gone as soon as its event is told, so there are never more than the pushes of `PATIENCE`.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb
from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from domain.events import Event
from storage.bulk import fetch
from storage.notifications import LOOKUPS_CHANNEL, notify
from storage.orders import OrderName
from storage.tables import Table, instant
from storage.unit_of_work import Repository

PATIENCE = timedelta(minutes=20)
"""How long an event waits; then it is told as it is. Pinduoduo's list runs ten minutes behind, read every five."""
AGAIN_AFTER = timedelta(seconds=15)
"""Until an order is asked about once more; then twice as long each time."""


class AwaitedOrderRow(Table, table=True):
    """An event that waits; nobody is named in it. stage: how far its order must be in what completes it. received_at:
    when its push came, waits_since: when that was read. ask_at: when the platform is asked (again); attempts: how often
    it was. tell_at: when the event is told as it is."""

    __tablename__ = "awaited_orders"
    account_id: str = Field(primary_key=True)
    event_id: str = Field(primary_key=True)
    platform: str
    order_id: str
    stage: int
    event: dict[str, Any] = Field(sa_type=JSONB, nullable=False)
    received_at: datetime = instant()
    waits_since: datetime = instant()
    attempts: int = 0
    ask_at: datetime = instant()
    tell_at: datetime = instant(index=True)

    __table_args__ = (
        Index("ix_awaited_orders_account_id_order_id", "account_id", "order_id"),
        Index("ix_awaited_orders_platform_ask_at", "platform", "ask_at"),
    )


class OrderStep(NamedTuple):
    """What an event tells of an order. stage: how far the order is then. waits_since: when it was read."""

    order: OrderName
    stage: int
    event: Event
    received_at: datetime
    waits_since: datetime


_ADD = """
    INSERT INTO awaited_orders (
        account_id, event_id, platform, order_id, stage, event, received_at, waits_since,
        attempts, ask_at, tell_at
    )
    SELECT account, id, split_part(account, '/', 1), order_id, stage, event, received_at, since, 0, %(now)b::timestamptz,
        %(tell_at)b::timestamptz
    FROM unnest(
        %(accounts)b::text[], %(ids)b::text[], %(orders)b::text[], %(stages)b::int[], %(events)b::jsonb[],
        %(received)b::timestamptz[], %(since)b::timestamptz[]
    ) AS told (account, id, order_id, stage, event, received_at, since)
    WHERE NOT EXISTS (SELECT FROM events WHERE source = '/' || account AND event_id = id)
    ORDER BY account, id
    ON CONFLICT DO NOTHING RETURNING 1
"""
_TAKE = """
    WITH found AS (
        SELECT account_id, event_id FROM awaited_orders
        JOIN unnest(%(accounts)b::text[], %(orders)b::text[], %(stages)b::int[]) AS read (account_id, order_id, reached)
            USING (account_id, order_id)
        WHERE stage <= reached ORDER BY account_id, event_id FOR UPDATE OF awaited_orders
    )
    DELETE FROM awaited_orders USING found
    WHERE awaited_orders.account_id = found.account_id AND awaited_orders.event_id = found.event_id
    RETURNING awaited_orders.account_id, order_id, stage, event, received_at, waits_since
"""
_TAKE_OVERDUE = """
    DELETE FROM awaited_orders WHERE (account_id, event_id) IN (
        SELECT account_id, event_id FROM awaited_orders WHERE tell_at <= %(now)b::timestamptz
        ORDER BY tell_at LIMIT %(limit)b::int FOR UPDATE SKIP LOCKED
    )
    RETURNING account_id, order_id, stage, event, received_at, waits_since
"""
_IS_DUE = """
    SELECT 1 FROM awaited_orders WHERE platform = %(platform)b::text AND ask_at <= %(now)b::timestamptz
        AND account_id <> ALL(%(without)b::text[]) LIMIT 1
"""
# Those never asked about first, the newest of them first: where more come than can be asked about, the older ones are
# the list's, and the newer ones are told at once.
_CLAIM = """
    WITH due AS (
        SELECT account_id, order_id FROM awaited_orders
        WHERE platform = %(platform)b::text AND ask_at <= %(now)b::timestamptz
            AND account_id <> ALL(%(without)b::text[])
        ORDER BY attempts, received_at DESC LIMIT %(limit)b::int FOR UPDATE SKIP LOCKED
    )
    UPDATE awaited_orders SET attempts = attempts + 1,
        ask_at = %(now)b::timestamptz + %(again)b::interval * power(2, least(attempts, 10))
    WHERE (account_id, order_id) IN (SELECT * FROM due)
    RETURNING account_id, order_id
"""


class AwaitedOrders(Repository):
    """Events that wait for their whole order."""

    async def add(self, steps: Collection[OrderStep]) -> None:
        """Let events wait that were not told yet; whoever asks platforms is woken."""
        if not steps:
            return
        values = {
            "accounts": [step.order[0] for step in steps],
            "ids": [step.event.id for step in steps],
            "orders": [step.order[1] for step in steps],
            "stages": [step.stage for step in steps],
            "events": [Jsonb(step.event.envelope()) for step in steps],
            "received": [step.received_at for step in steps],
            "since": [step.waits_since for step in steps],
            "now": self.now,
            "tell_at": self.now + PATIENCE,
        }
        if await fetch(self.work, _ADD, values):
            await notify(self.work, LOOKUPS_CHANNEL)

    async def take(self, reached: Mapping[OrderName, int]) -> list[OrderStep]:
        """The events that wait for these orders and ask for no further stage than they reached; they wait no more."""
        if not reached:
            return []
        names = list(reached)
        values = {
            "accounts": [account for account, _ in names],
            "orders": [order for _, order in names],
            "stages": [reached[name] for name in names],
        }
        return self._steps(await fetch(self.work, _TAKE, values))

    async def take_overdue(self, limit: int) -> list[OrderStep]:
        """Events that have waited long enough; they wait no more."""
        return self._steps(await fetch(self.work, _TAKE_OVERDUE, {"now": self.now, "limit": limit}))

    async def is_due(self, platform: str, without: Collection[str] = ()) -> bool:
        """Whether a platform is to be asked about an order now, accounts that pause left out."""
        values = {"platform": platform, "now": self.now, "without": list(without)}
        return bool(await fetch(self.work, _IS_DUE, values))

    async def claim(self, platform: str, limit: int, without: Collection[str] = ()) -> list[OrderName]:
        """Orders to ask about now; nobody else asks about them before it is time to ask again."""
        values = {
            "platform": platform,
            "now": self.now,
            "without": list(without),
            "limit": limit,
            "again": AGAIN_AFTER,
        }
        claimed = await fetch(self.work, _CLAIM, values)
        return sorted({(account, order) for account, order in claimed})

    def _steps(self, rows: Collection[tuple[Any, ...]]) -> list[OrderStep]:
        steps = [
            OrderStep((account, order), stage, Event.model_validate(event), *instants)
            for account, order, stage, event, *instants in rows
        ]
        return sorted(steps, key=lambda step: (step.received_at, step.stage, step.event.id))
