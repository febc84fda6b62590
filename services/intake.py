"""From canonical events to what Tandem knows: rows, whose they are, what follows from them. One transaction a batch.

Every step is one statement or a few over the whole batch. Rows are written in the order of their keys, so two batches
at once wait for each other and never embrace.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from domain.customers.awaited_orders import is_step, is_whole, stage_of
from domain.customers.folding import fold
from domain.customers.records import Record, record_of
from domain.customers.tombstones import made_nobodys
from domain.events import Event
from domain.tags import EVERY_KIND
from services.awaited_orders import completed_steps
from services.consents import note_consents
from services.identities import Assigned, IdentityService, Sighting
from services.missed_contacts import missed_contacts
from services.run_customers import take_customers
from services.shop_stock import shop_stock_events
from services.stage_times import StageTimes
from services.suppressions import suppressed_events
from storage.awaited_orders import AwaitedOrders, OrderStep
from storage.erased_people import erased_people, follow_orders
from storage.events import EventName, Events
from storage.identities import Identities
from storage.orders import OrderName
from storage.parcels import find_shops
from storage.payout_chunks import PayoutChunks
from storage.placements import Placements
from storage.records import RecordName, Records, Written
from storage.refund_settling import RefundSettling
from storage.suppressions import Suppressions
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

TRIGGERS_WITHIN = timedelta(days=2)
"""How late an event may come and still start or reach runs; longer than any outage that pushes are retried over."""

_PAYOUT_ENDED = frozenset({"tandem.payout.succeeded", "tandem.payout.failed"})


class Tagging(Protocol):
    """Whoever computes what follows from records: tags, grades, stages."""

    async def evaluate(
        self,
        work: UnitOfWork,
        customers: frozenset[UUID],
        kinds: frozenset[str],
        moved: frozenset[UUID] = frozenset(),
    ) -> Sequence[Event]:
        """Bring the computed traits of these customers up to date for rules that look at these kinds of records.

        The events tell who gained or lost which tag.
        """


class Lookups(Protocol):
    """Whoever asks platforms about people whom they only named."""

    async def ask(self, work: UnitOfWork, arrivals: Sequence["Arrival"], assigned: Assigned) -> None:
        """Note whom to ask about because of a batch."""


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
    def name(self) -> EventName:
        return self.event.source, self.event.id

    @property
    def is_history(self) -> bool:
        """Whether it came so late that nothing should start because of it: a shop's past, read when it is connected."""
        return self.event.time is not None and self.received_at - self.event.time > TRIGGERS_WITHIN


@dataclass(slots=True)
class TakenIn:
    """What a batch did. events: those that were new. erased: sources and ids of events about people who were erased.
    orders: what it told something about, itself or a refund of it."""

    events: int = 0
    written: Written = field(default_factory=Written)
    customers: frozenset[UUID] = frozenset()
    erased: frozenset[EventName] = frozenset()
    orders: frozenset[OrderName] = frozenset()


class Selling(Protocol):
    """Whoever makes sales of orders."""

    async def note(self, work: UnitOfWork, orders: Collection[OrderName], moved: Collection[UUID] = ()) -> None:
        """Note that something changed of these orders; moved: customers who merged or parted."""


MOST_MET = 500
_MET_KINDS = frozenset({"orders", "refunds"})
_NOBODY = Assigned((), {}, {}, {})


class Intake:
    """The way in of everything that platforms tell."""

    def __init__(
        self,
        identities: IdentityService | None = None,
        tagging: Tagging | None = None,
        lookups: Lookups | None = None,
        selling: Selling | None = None,
    ) -> None:
        self._identities = identities
        self._tagging = tagging
        self._lookups = lookups
        self._selling = selling

    async def take_in(self, work: UnitOfWork, arrivals: Sequence[Arrival], times: StageTimes | None = None) -> TakenIn:
        """Remember the records, find out whose they are, and put the events where triggers and listeners get them."""
        times = times or StageTimes()
        with times.of("identity"):
            missed = await missed_contacts(work, [arrival.event for arrival in arrivals])
            if missed.repeated:
                arrivals = [arrival for arrival in arrivals if arrival.name not in missed.repeated]
            arrivals = [*arrivals, *(Arrival.of(event, work.now) for event in missed.found)]
            arrivals, erased = await _without_erased(work, arrivals)
            assigned = await self._assign(work, arrivals)
        with times.of("records"):
            told = [arrival.record for arrival in arrivals if arrival.record is not None]
            for record in told:
                # Before they are folded: two people whom only their phones name are two.
                record.complete_key(_owner(record, assigned))
            records = fold(record for record in told if not record.is_nameless)
            owners = [_owner(record, assigned) for record in records]
            placements = await Placements(work).of_accounts({record.account_id for record in records})
            written = await Records(work).write(records, owners, placements)
            others = await _customers_of(work, written)
            orders = _orders_of(records)
            if self._selling is not None:
                await self._selling.note(work, orders, assigned.moved)
            silenced = await Suppressions(work).follow_refunds(orders)
            lately = [each for each in silenced if work.now - each.caused_at <= TRIGGERS_WITHIN]
            withdrawn = await note_consents(work, records, owners)
            # A notice ends no payout: the platform is asked, as about every other.
            if ended := {each.event.data["out_bill_no"] for each in arrivals if each.event.type in _PAYOUT_ENDED}:
                await PayoutChunks(work).ask_soon(ended)
        with times.of("events"):
            if written.owned:
                await take_customers(work, written.owned)
            left_alone = [event for event, at in withdrawn if work.now - at <= TRIGGERS_WITHIN]
            first = [*assigned.events, *await suppressed_events(work, lately), *left_alone]
            told_now = [each for each in arrivals if each.name not in erased]
            first += await shop_stock_events(work, [each.event for each in arrivals if not each.is_history])
            new = await _remember(work, first, told_now, assigned, missed.again)
        # Last, because customers are held from here until the commit.
        with times.of("tags"):
            kinds = frozenset(record.kind for record in records)
            new += await self._follow(work, arrivals, assigned, others, kinds)
            if self._lookups is not None and assigned.identities:
                # Behind the tags: whoever holds customers and lookups at once takes them in this order.
                await self._lookups.ask(work, arrivals, assigned)
        return TakenIn(new, written, assigned.touched, erased, frozenset(orders))

    async def met_lately(self, work: UnitOfWork, within: timedelta) -> set[OrderName]:
        """Orders that `settle` has something to do for, as theirs was told so lately; up to `MOST_MET` refunds'."""
        found = await RefundSettling(work).met_later(MOST_MET, within=within)
        return {(each.account_id, each.order_id) for each in found}

    async def settle(self, work: UnitOfWork, orders: Collection[OrderName]) -> int:
        """What follows from refunds whose order came at the same moment, in another batch, so that neither saw the
        other: whose they are, what they silence, which tags. How many there were, up to `MOST_MET` at once.

        orders: what some batch told of.
        """
        settling = RefundSettling(work)
        met = await settling.met(orders, MOST_MET)
        if not met:
            return 0
        named = {(each.account_id, each.order_id) for each in met}
        settled = await settling.settle(named)
        if self._selling is not None:
            await self._selling.note(work, named)
        silenced = await Suppressions(work).follow_refunds(named)
        await Events(work).add(
            await suppressed_events(work, [each for each in silenced if work.now - each.caused_at <= TRIGGERS_WITHIN])
        )
        if self._tagging is not None:
            others = {identity for each in settled for identity in each.identities if identity is not None}
            concerned = frozenset(
                {*(each.customer for each in met), *(await Identities(work).customers_of(others)).values()}
            )
            lately = {f"customer:{each.customer}" for each in met if work.now - each.told_at <= TRIGGERS_WITHIN}
            told = await self._tagging.evaluate(work, concerned, _MET_KINDS)
            await Events(work).add([event for event in told if event.subject in lately])
            await Events(work).add([event for event in told if event.subject not in lately], queue=False)
        return len(met)

    async def tell_overdue(self, work: UnitOfWork) -> int:
        """Tell as they are the events that waited too long for their whole order; how many waited, up to `MOST_MET`."""
        waited = await AwaitedOrders(work).take_overdue(MOST_MET)
        if waited:
            log.warning("events of orders are told in part, the whole orders could not be read", count=len(waited))
            told = [Arrival.of(step.event, step.received_at) for step in waited]
            _, erased = await _without_erased(work, told)
            await Events(work).add([each.event for each in told if each.name not in erased], waited=_since(waited))
        return len(waited)

    async def _follow(
        self,
        work: UnitOfWork,
        arrivals: Sequence[Arrival],
        assigned: Assigned,
        others: Mapping[RecordName, Collection[UUID]],
        kinds: frozenset[str],
    ) -> int:
        """Let tags follow what these kinds of records said; how many events tell of it.

        others: by record, whom it changed something of and does not name itself.
        """
        # Whose the keys are by now: a person may have been parted since they were looked up.
        owners = await Identities(work).customers_of(set(assigned.identities.values()))
        touched = assigned.touched.union(owners.values(), *others.values())
        if self._tagging is None or not touched:
            return 0
        # Who merged or parted has other records now, of any kind.
        kinds = kinds | EVERY_KIND if assigned.moved else kinds
        told = await self._tagging.evaluate(work, touched, kinds, assigned.moved)
        stirred = {f"customer:{each}" for each in _stirred(arrivals, assigned, owners, others)} if told else set()
        new = await Events(work).add([event for event in told if event.subject in stirred])
        return new + await Events(work).add([event for event in told if event.subject not in stirred], queue=False)

    async def _assign(self, work: UnitOfWork, arrivals: Sequence[Arrival]) -> Assigned:
        sightings = [
            Sighting(record.people, record.account_id, record.name, arrival.event.time or arrival.received_at)
            for arrival in arrivals
            if (record := arrival.record) is not None and record.people
        ]
        if self._identities is None or not sightings:
            return _NOBODY
        return await self._identities.assign(work, sightings)


async def _remember(
    work: UnitOfWork,
    first: Sequence[Event],
    arrivals: Sequence[Arrival],
    assigned: Assigned,
    again: frozenset[EventName],
) -> int:
    """Store the events, `first` and those that came, and queue what is not history; how many were new.

    again: those that tell once more what was told before in other words.
    """
    fresh, history = list[Event](), list[Event]()
    steps, wholes = list[OrderStep](), list[OrderStep]()
    for arrival in arrivals:
        is_past, record = arrival.is_history or arrival.name in again, arrival.record
        event = _told_whose(arrival, assigned)
        if record is not None and is_whole(event, record):
            wholes.append(_order_step(event, record, arrival, work.now))
        if record is not None and is_step(event, record) and not is_past:
            steps.append(_order_step(event, record, arrival, work.now))
        else:
            (history if is_past else fresh).append(event)
    completed = await completed_steps(work, steps, wholes)
    # What was pushed before what is read: its step is told first, and where both are one event, as what happened now.
    told = [*first, *(step.event for step in completed), *fresh]
    new = await Events(work).add(told, waited=_since(completed))
    return new + await Events(work).add(history, queue=False)


def _order_step(event: Event, record: Record, arrival: Arrival, now: datetime) -> OrderStep:
    return OrderStep((record.account_id, record.key[1]), stage_of(record), event, arrival.received_at, now)


def _since(waited: Sequence[OrderStep]) -> dict[EventName, datetime]:
    """Since when events wait. Refunds and parcels of their orders did not, and are told already."""
    return {(step.event.source, step.event.id): step.waits_since for step in waited}


def _owner(record: Record, assigned: Assigned) -> int | None:
    """The identity that a record's row points at."""
    return assigned.identities.get(record.people[0]) if record.people else None


async def _customers_of(work: UnitOfWork, written: Written) -> Mapping[RecordName, Collection[UUID]]:
    """Whom records changed something of without naming them."""
    if not written.others:
        return {}
    customers = await Identities(work).customers_of(set[int]().union(*written.others.values()))
    return {
        name: {customers[each] for each in identities if each in customers}
        for name, identities in written.others.items()
    }


def _stirred(
    arrivals: Sequence[Arrival],
    assigned: Assigned,
    owners: Mapping[int, UUID],
    others: Mapping[RecordName, Collection[UUID]],
) -> set[UUID]:
    """The customers of whom something happened just now: what a shop's past tells of others starts nothing, and what
    was known before of keys that are somebody new from now on does not either."""
    records = [arrival.record for arrival in arrivals if arrival.record is not None and not arrival.is_history]
    people = {record.people[0] for record in records if record.people}
    stirred = {assigned.customers[key] for key in people if key in assigned.customers}
    numbers = {assigned.identities[key] for key in people if key in assigned.identities}
    stirred |= {owners[each] for each in numbers if each in owners}
    stirred = stirred.union(*(others.get(name, ()) for record in records for name in _names_of(record)))
    return (stirred | (assigned.touched - set(assigned.customers.values()))) - assigned.begun


def _names_of(record: Record) -> Iterator[RecordName]:
    """The rows that a record may change: a refund's order as well."""
    yield record.shelf, record.key
    if record.shelf == "refunds" and record.values["order_id"]:
        yield "orders", (record.account_id, record.values["order_id"])


async def _without_erased(
    work: UnitOfWork, arrivals: Sequence[Arrival]
) -> tuple[Sequence[Arrival], frozenset[EventName]]:
    """The arrivals, those about erased people without them; and the events that are remembered by nobody.

    Nothing starts because of such an event, and it is not stored: it would tell again what was erased.
    """
    records = [arrival.record for arrival in arrivals if arrival.record is not None]
    await find_shops(work, records)
    erased = await erased_people(work, records)
    if not erased.keys:
        return arrivals, frozenset()
    await follow_orders(work, records, erased)
    kept: list[Arrival] = []
    gone: set[EventName] = set()
    for arrival in arrivals:
        record = arrival.record
        if record is not None and erased.have(record):
            gone.add(arrival.name)
            kept.append(replace(arrival, record=made_nobodys(record)))
        else:
            if record is not None:
                record.people = tuple(each for each in record.people if each not in erased.keys)
            kept.append(arrival)
    return kept, frozenset(gone)


def _orders_of(records: Sequence[Record]) -> set[OrderName]:
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
