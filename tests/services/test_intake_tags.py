"""Tags within the drain's own transaction: what just happened starts something, a shop's past does not."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from domain.canonical import IdentityKey
from domain.events import Event
from services.intake import Arrival, Assigned, Intake, Sighting
from services.tagging import Tagging
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.people import add_customers
from tests.services.test_tagging import SHIPPED, publish


class Known:
    """Everybody's key is known already."""

    def __init__(self, people: Mapping[str, tuple[UUID, int]]) -> None:
        self._people = people

    async def assign(self, work: UnitOfWork, sightings: Sequence[Sighting]) -> Assigned:
        keys: set[IdentityKey] = {key for sighting in sightings for key in sighting.keys}
        customers = {key: self._people[key.value][0] for key in keys}
        identities = {key: self._people[key.value][1] for key in keys}
        return Assigned(identities, customers, {}, frozenset(customers.values()))


async def test_what_happens_now_starts_something_and_a_past_that_is_read_does_not(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, *SHIPPED)
    async with UnitOfWork(database) as work:
        people = dict(zip(("B1", "B2"), await add_customers(work, 2), strict=True))

    def orders(buyer: str, days_ago: int) -> list[Arrival]:
        at = clock.now - timedelta(days=days_ago)
        return [
            Arrival.of(
                Event(
                    id=f"{buyer}-{number}",
                    source="/shop",
                    type="tandem.order.paid",
                    time=at,
                    data={
                        "platform": "youzan",
                        "account": "flagship",
                        "version": 1,
                        "order_id": f"{buyer}-{number}",
                        "status": "paid",
                        "paid_minor": 100,
                        "paid_at": at.isoformat(),
                        "buyer": {"buyer_id": buyer},
                    },
                ),
                clock.now,
            )
            for number in range(3)
        ]

    async with UnitOfWork(database) as work:
        intake = Intake(Known(people), Tagging(database))
        await intake.take_in(work, [*orders("B1", 0), *orders("B2", 300)])
    async with UnitOfWork(database) as work:
        gained = (
            "SELECT subjects[1] FROM events JOIN event_outbox USING (seq) WHERE type = 'tandem.customer.tag-gained'"
        )
        queued = list(await work.session.scalars(text(gained)))
        held = await work.session.scalar(text("SELECT count(*) FROM customer_tags WHERE held AND tag = '高价值'"))
    assert queued == [f"customer:{people['B1'][0]}"]
    assert held == 2
