"""Customers with one key each and records of theirs, written straight into the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from domain.customers.folding import fold
from domain.customers.records import Record, record_of
from domain.events import Event
from storage.identities import CustomerRow, IdentityRow
from storage.records import Records
from storage.unit_of_work import UnitOfWork

SHOP = {"platform": "youzan", "account": "flagship", "version": 1}


async def add_customers(work: UnitOfWork, count: int) -> list[tuple[UUID, int]]:
    """New customers, each with the identity that its records point at."""
    customers = [CustomerRow(created_at=work.now, changed_at=work.now) for _ in range(count)]
    work.session.add_all(customers)
    await work.session.flush()
    return [(customer.id, await add_identity(work, customer.id)) for customer in customers]


async def add_identity(work: UnitOfWork, customer: UUID) -> int:
    """One more key of a customer."""
    number = await work.session.scalar(text("SELECT coalesce(max(id), 0) + 1 FROM identities"))
    # Identities may know where they go back to when a merge is undone.
    home: dict[str, Any] = {"home": customer} if "home" in IdentityRow.model_fields else {}
    row = IdentityRow(
        kind="buyer",
        scope="youzan",
        digest=str(number).encode(),
        value=f"B{number}",
        customer_id=customer,
        first_seen_at=work.now,
        **home,
    )
    work.session.add(row)
    await work.session.flush()
    return row.id


async def add_records(work: UnitOfWork, owned: Sequence[tuple[int | None, str, datetime, dict[str, Any]]]) -> None:
    """Write what canonical events say; each with its identity, the event's name, its time and its data."""
    records: list[tuple[Record, int | None]] = []
    for identity, name, at, data in owned:
        event = Event(id="1", source="/test", type=f"tandem.{name}", time=at, data={**SHOP, "occurred_at": at, **data})
        record = record_of(event, at)
        assert record is not None
        record.complete_key(identity)
        records.append((record, identity))
    owners = {(record.shelf, record.key): identity for record, identity in records}
    folded = fold(record for record, _ in records)
    await Records(work).write(folded, [owners[record.shelf, record.key] for record in folded], {})


def order(order_id: str, at: datetime, paid_minor: int = 10_000, **more: Any) -> tuple[str, datetime, dict[str, Any]]:
    """An order that was paid; `category` gives it a line of that kind."""
    category = more.pop("category", None)
    line = {
        "line_id": "1",
        "item_id": "i1",
        "title": "商品",
        "quantity": 1,
        "price_minor": paid_minor,
        "total_minor": paid_minor,
        "category": category,
    }
    data = {"order_id": order_id, "status": "paid", "paid_minor": paid_minor, "paid_at": at, "lines": [line], **more}
    return "order.paid", at, data
