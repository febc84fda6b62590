"""Since when somebody is known: by the earliest thing that any record tells of them, however late it comes in."""

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import select

from domain.events import Event
from services.identities import IdentityService
from services.intake import Arrival, Intake
from storage.customer_facts import CustomerFacts
from storage.engine import Database
from storage.identities import IdentityRow
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock

DAY = timedelta(days=1)


async def order_comes(database: Database, number: str, told_at: datetime, **instants: datetime) -> datetime:
    """An order of one buyer comes in; since when its buyer is known thereafter."""
    data: dict[str, Any] = {
        "platform": "jd",
        "account": "shop",
        "version": 1,
        "order_id": number,
        "status": "completed",
    }
    data |= {"buyer": {"buyer_id": "B1"}, **{name: at.isoformat() for name, at in instants.items()}}
    event = Event(id=number, source="/shop", type="tandem.order.completed", time=told_at, data=data)
    async with UnitOfWork(database) as work:
        await Intake(IdentityService()).take_in(work, [Arrival.of(event, work.now)])
    async with UnitOfWork(database) as work:
        customer = await work.session.scalar(select(IdentityRow.customer_id))
        assert customer is not None
        seen: datetime = (await CustomerFacts(work).figures(customer))["since"]
        return seen


async def test_somebody_is_known_since_the_earliest_order_not_since_its_arrival(
    database: Database, clock: SteppedClock
) -> None:
    now = clock.now
    assert await order_comes(database, "E1", now, created_at=now - 10 * DAY, paid_at=now - 9 * DAY) == now - 10 * DAY
    assert await order_comes(database, "E2", now, created_at=now - 3 * DAY) == now - 10 * DAY
    assert await order_comes(database, "E3", now - 390 * DAY, created_at=now - 400 * DAY) == now - 400 * DAY
    nowhere = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    assert await order_comes(database, "E4", now, created_at=nowhere) == now - 400 * DAY, "that is no time"
