"""Steps of orders that a short push told: their events wait for the whole order, which is asked for meanwhile.

A row is gone as soon as its event is told, so there are never more than the pushes of `PATIENCE`. One that cannot be
read, because its key is missing here or another release wrote it, is left to another process for `UNREADABLE_FOR`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString, NamedTuple

import structlog
from sqlalchemy import Index, text
from sqlmodel import Field

from domain.customers.records import record_of
from domain.events import Event
from domain.problems import ProblemError
from storage.awaited_statements import ADD, CLAIM, IS_DUE, LET_GO, OVERDUE, PUT_OFF, REACHED
from storage.bulk import fetch, fetch_by_index
from storage.encryption import EncryptedJson
from storage.events import unsealed
from storage.notifications import wake_lookups
from storage.orders import OrderName
from storage.tables import Table, instant
from storage.unit_of_work import Repository

log = structlog.get_logger(__name__)

PATIENCE = timedelta(minutes=20)
"""How long an event waits; then it is told as it is. Pinduoduo's list runs ten minutes behind, read every five."""
INBOX_PATIENCE = timedelta(hours=2)
"""How much longer it may wait for pushes of its account that were not read yet."""
AGAIN_AFTER = timedelta(seconds=15)
"""Until an order is asked about once more; then twice as long each time."""
UNREADABLE_FOR = timedelta(days=2)
"""Then an event that nobody could read is given up; so old, it would start nothing any more."""
_TRIED_AGAIN_AFTER = timedelta(hours=1)
_EVENT = "awaited_orders.event"


class AwaitedOrderRow(Table, table=True):
    """An event that waits; it has no key of anybody. stage: how far its order must be in what completes it.
    received_at: when its push came, waits_since: when that was read. ask_at: when the platform is asked (again);
    attempts: how often it was. tell_at: when the event is told as it is."""

    __tablename__ = "awaited_orders"
    account_id: str = Field(primary_key=True)
    event_id: str = Field(primary_key=True)
    platform: str
    order_id: str
    stage: int
    event: dict[str, Any] = Field(sa_type=EncryptedJson(_EVENT), nullable=False)
    received_at: datetime = instant()
    waits_since: datetime = instant()
    attempts: int = 0
    ask_at: datetime = instant()
    tell_at: datetime = instant()

    __table_args__ = (
        Index("ix_awaited_orders_account_id_order_id", "account_id", "order_id"),
        Index("ix_awaited_orders_platform_account_id_tell_at", "platform", "account_id", "tell_at"),
        Index(
            "ix_awaited_orders_never_asked",
            "platform",
            "account_id",
            "received_at",
            postgresql_where=text("attempts = 0"),
        ),
        Index("ix_awaited_orders_asked", "platform", "account_id", "ask_at", postgresql_where=text("attempts > 0")),
    )


class OrderStep(NamedTuple):
    """What an event tells of an order. stage: how far the order is then. waits_since: when it was read."""

    order: OrderName
    stage: int
    event: Event
    received_at: datetime
    waits_since: datetime


class AwaitedOrders(Repository):
    """Events that wait for their whole order."""

    async def add(self, steps: Collection[OrderStep]) -> None:
        """Let events wait that were not told yet; whoever asks platforms is woken."""
        if not steps:
            return
        keyring = self.work.database.keyring
        values = {
            "accounts": [step.order[0] for step in steps],
            "ids": [step.event.id for step in steps],
            "orders": [step.order[1] for step in steps],
            "stages": [step.stage for step in steps],
            "events": [keyring.encrypt(step.event.envelope_json(), _EVENT) for step in steps],
            "received": [step.received_at for step in steps],
            "since": [step.waits_since for step in steps],
            "now": self.now,
            "tell_at": self.now + PATIENCE,
        }
        added = await fetch(self.work, ADD, values)
        await wake_lookups(self.work, (platform for (platform,) in added))

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
        return await self._let_go(await fetch(self.work, REACHED, values))

    async def take_overdue(self, limit: int) -> list[OrderStep]:
        """Events that have waited long enough; they wait no more. Not while a push of their account waits in the inbox
        that came before that, because it may be the whole order: `INBOX_PATIENCE` at most."""
        values = {"now": self.now, "limit": limit, "in_any_case": self.now - INBOX_PATIENCE}
        return await self._let_go(await fetch_by_index(self.work, OVERDUE, values))

    async def is_due(self, platform: str, without: Collection[str] = ()) -> bool:
        """Whether a platform is to be asked about an order now, accounts that pause left out."""
        values = {"platform": platform, "now": self.now, "without": list(without), "limit": 1}
        return bool(await fetch_by_index(self.work, IS_DUE, values))

    async def claim(self, platform: str, limit: int, without: Collection[str] = ()) -> list[OrderName]:
        """Orders to ask about now, shop by shop in turn; nobody else asks about them before it is time to ask again."""
        values = {
            "platform": platform,
            "now": self.now,
            "without": list(without),
            "limit": limit,
            "again": AGAIN_AFTER,
        }
        claimed = await fetch_by_index(self.work, CLAIM, values)
        return list(dict.fromkeys((account, order) for _, account, order in sorted(claimed)))

    async def _let_go(self, rows: Collection[tuple[Any, ...]]) -> list[OrderStep]:
        """The steps of locked rows, which wait no more; those that cannot be read stay, and hold up no other."""
        steps: list[OrderStep] = []
        unread: list[tuple[str, str]] = []
        given_up: list[tuple[str, str]] = []
        for account, event_id, order, stage, sealed, received_at, waits_since in rows:
            try:
                event = self._read(bytes(sealed), received_at)
            except ProblemError as problem:
                is_old = waits_since < self.now - UNREADABLE_FOR
                (given_up if is_old else unread).append((account, event_id))
                log.warning(
                    "event of an order cannot be read", account=account, order=order, given_up=is_old, why=str(problem)
                )
            else:
                steps.append(OrderStep((account, order), stage, event, received_at, waits_since))
        await self._change(LET_GO, [*((step.order[0], step.event.id) for step in steps), *given_up])
        await self._change(PUT_OFF, unread, tell_at=self.now + _TRIED_AGAIN_AFTER)
        return sorted(steps, key=lambda step: (step.received_at, step.stage, step.event.id))

    def _read(self, sealed: bytes, received_at: datetime) -> Event:
        """Raises ProblemError, also for one whose order this release does not understand."""
        event = unsealed(self.work.database.keyring, sealed, _EVENT)
        record_of(event, received_at)
        return event

    async def _change(self, statement: LiteralString, rows: Sequence[tuple[str, str]], **values: Any) -> None:
        if rows:
            accounts, ids = zip(*rows, strict=True)
            await fetch(self.work, statement, {"accounts": list(accounts), "ids": list(ids), **values})
