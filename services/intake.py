"""From canonical events to what Tandem knows: rows, whose they are, what follows from them. One transaction a batch.

Every step is one statement or a few over the whole batch. Rows are written in the order of their keys, so two batches
at once wait for each other and never embrace.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.customers.records import Record, fold, record_of
from domain.events import Event
from services.identities import Assigned, IdentityService, Sighting
from storage.events import Events
from storage.placements import Placements
from storage.records import Records, Written
from storage.suppressions import Suppressions
from storage.unit_of_work import UnitOfWork

TRIGGERS_WITHIN = timedelta(days=2)
"""How late an event may come and still start or reach runs; longer than any outage that pushes are retried over."""


class Tagging(Protocol):
    """Whoever computes what follows from records: tags, grades, stages."""

    async def evaluate(self, work: UnitOfWork, customers: frozenset[UUID], kinds: frozenset[str]) -> Sequence[Event]:
        """Bring the computed traits of these customers up to date for rules that look at these kinds of records.

        The events tell who gained or lost which tag.
        """


@dataclass(frozen=True, slots=True)
class Arrival:
    """One canonical event, when it came, and the record in it."""

    event: Event
    received_at: datetime
    record: Record | None

    @classmethod
    def of(cls, event: Event, received_at: datetime) -> "Arrival":
        """Raises ValidationProblem when the event's data is not what its type promises."""
        return cls(event, received_at, record_of(event, received_at))

    @property
    def is_history(self) -> bool:
        """Whether it came so late that nothing should start because of it: a shop's past, read when it is connected."""
        return self.event.time is not None and self.received_at - self.event.time > TRIGGERS_WITHIN


@dataclass(slots=True)
class TakenIn:
    """What a batch did. events: those that were new."""

    events: int = 0
    written: Written = field(default_factory=Written)
    customers: frozenset[UUID] = frozenset()


_NOBODY = Assigned((), {}, {}, {})


class Intake:
    """The way in of everything that platforms tell."""

    def __init__(self, identities: IdentityService | None = None, tagging: Tagging | None = None) -> None:
        self._identities = identities
        self._tagging = tagging

    async def take_in(self, work: UnitOfWork, arrivals: Sequence[Arrival]) -> TakenIn:
        """Remember the records, find out whose they are, and put the events where triggers and listeners get them."""
        assigned = await self._assign(work, arrivals)
        records = fold(record for arrival in arrivals if (record := arrival.record) is not None)
        owners = [assigned.identities.get(record.people[0]) if record.people else None for record in records]
        for record, owner in zip(records, owners, strict=True):
            record.complete_key(owner)
        placements = await Placements(work).of_accounts({record.account_id for record in records})
        written = await Records(work).write(records, owners, placements)
        await Suppressions(work).follow_refunds(_orders_of(records))
        fresh: list[Event] = list(assigned.events)
        history: list[Event] = []
        for arrival in arrivals:
            (history if arrival.is_history else fresh).append(_told_whose(arrival, assigned))
        if self._tagging is not None and assigned.touched:
            kinds = frozenset(record.kind for record in records)
            fresh += await self._tagging.evaluate(work, assigned.touched, kinds)
        new = await Events(work).add(fresh) + await Events(work).add(history, queue=False)
        return TakenIn(new, written, assigned.touched)

    async def _assign(self, work: UnitOfWork, arrivals: Sequence[Arrival]) -> Assigned:
        sightings = [
            Sighting(record.people, record.account_id, record.name, arrival.event.time or arrival.received_at)
            for arrival in arrivals
            if (record := arrival.record) is not None and record.people
        ]
        if self._identities is None or not sightings:
            return _NOBODY
        return await self._identities.assign(work, sightings)


def _orders_of(records: Sequence[Record]) -> set[tuple[str, str]]:
    """The account and number of every order that a batch told something about, itself or a refund of it."""
    orders = {(each.account_id, each.key[1]) for each in records if each.shelf == "orders"}
    return orders | {(each.account_id, each.values["order_id"]) for each in records if each.shelf == "refunds"}


def _told_whose(arrival: Arrival, assigned: Assigned) -> Event:
    """The event, with its customer and that customer's earlier ids among its subjects."""
    people = arrival.record.people if arrival.record is not None else ()
    customer = assigned.customers.get(people[0]) if people else None
    if customer is None:
        return arrival.event
    names = [f"customer:{each}" for each in (customer, *assigned.aliases.get(customer, ()))]
    keys = tuple(dict.fromkeys((*arrival.event.tandemkeys, *names)))
    return arrival.event.model_copy(update={"tandemkeys": keys})
