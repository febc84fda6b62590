"""Bring customers in line with the evidence about some keys: the one place where keys change their customer."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from uuid import UUID

import structlog

from domain.customers.identity import Pair, Resolution, resolve
from domain.customers.merging import Suggestion
from domain.customers.naming import CustomerChange, changes_of, home_in, keeping_rank, name_clusters
from domain.customers.strength import Tier, is_shareable
from domain.events import Event
from domain.ids import derived_id
from services.run_customers import follow_parting
from storage.decided_keys import DecidedKeys
from storage.identities import Customers, Identities, Placed, StoredKey
from storage.identity_links import Component, IdentityLinks
from storage.identity_reviews import Cause, IdentityMoves, IdentitySuggestions, NewMove
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

SOURCE = "/tandem/customers"
MOST_HANGING = 12_000
"""Keys that are looked at because of one new link. More than anybody may believe to be one person's, with what hangs on
them; of so many nobody could say why they are one."""


Detail = Callable[[Collection[int]], Mapping[str, Any]]
"""What the history keeps as the cause of a move, given the keys of the customers concerned."""


@dataclass(slots=True)
class Resolved:
    """customers: whose each key of what was looked at is now. touched: customers that gained or lost keys. begun: those
    of them whose id was made for keys that somebody else lost. moved: those that merged or parted, also where only the
    id changed by which one goes.

    events: `tandem.customer.merged` and `.split`, for the outbox of the same unit of work.
    """

    customers: dict[int, UUID] = field(default_factory=dict)
    touched: set[UUID] = field(default_factory=set)
    begun: set[UUID] = field(default_factory=set)
    moved: set[UUID] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)

    def add(self, other: "Resolved") -> None:
        """Take in what was found later."""
        self.customers |= other.customers
        self.touched |= other.touched
        self.begun |= other.begun
        self.moved |= other.moved
        self.events += other.events


async def resolve_links(work: UnitOfWork, links: Collection[Pair], detail: Detail, fresh: Collection[int]) -> Resolved:
    """Look anew at all that hangs on new links, and move what belongs to somebody else now.

    A link on which more than `MOST_HANGING` keys hang makes nobody one with what was stored before: it waits on the
    review list, fresh keys are who they are by the links among themselves, and nothing else is read or held. fresh:
    keys that were stored a moment ago in this unit of work, and whose place is no history yet.
    """
    links_of, resolved, tangled, apart = IdentityLinks(work), Resolved(), set[int](), list[Pair]()
    groups = [sorted(links)]
    while groups:
        group = groups.pop()
        open_ones = [pair for pair in group if tangled.isdisjoint(pair)]
        left = [pair for pair in group if not tangled.isdisjoint(pair)]
        if open_ones:
            component = await links_of.component_within({*chain(*open_ones)}, MOST_HANGING)
            if component is not None:
                resolved.add(await _resolve(work, component, "evidence", detail, fresh))
            elif len(some := await links_of.reached(open_ones[0], MOST_HANGING)) > MOST_HANGING or len(open_ones) == 1:
                # Whatever else hangs there hangs on as much.
                tangled |= {*some, *open_ones[0]}
                groups.append(open_ones)
            else:
                # All of them together are too many: most may be few by themselves.
                middle = len(open_ones) // 2
                groups += [open_ones[middle:], open_ones[:middle]]
        if left:
            tangled |= {*chain(*left)}
            apart += left
            # What hangs together by keys that turn out to be a crowd's comes apart.
            ends = await links_of.ends({*chain(*left)})
            await mark_crowds(work, resolve({key: each.known for key, each in ends.keys.items()}, ends.links).crowded)
    if apart:
        resolved.add(await _leave_apart(work, apart, detail, frozenset(fresh).difference(resolved.customers)))
    return resolved


async def _leave_apart(work: UnitOfWork, links: Sequence[Pair], detail: Detail, fresh: frozenset[int]) -> Resolved:
    """Follow links between fresh keys alone, all of them at once, so that one record's keys stay one person's; put the
    others on the review list."""
    component = await IdentityLinks(work).ends(fresh.intersection(chain(*links)))
    resolved = await _resolve(work, component, "evidence", detail, fresh) if component.keys else Resolved()
    open_ones = [Suggestion(low, high, "too_many_linked") for low, high in links if not fresh.issuperset((low, high))]
    await IdentitySuggestions(work).add(open_ones)
    log.warning("links are left for review, too much hangs on them", links=len(open_ones), most=MOST_HANGING)
    return resolved


async def resolve_again(work: UnitOfWork, seeds: Iterable[int], cause: Cause, detail: Detail) -> Resolved:
    """Look anew at all that hangs together with some keys, however much, because of what a person decided."""
    return await _resolve(work, await IdentityLinks(work).component(seeds), cause, detail, ())


async def _resolve(
    work: UnitOfWork, component: Component, cause: Cause, detail: Detail, fresh: Collection[int]
) -> Resolved:
    stored = component.keys
    resolution = resolve({key: each.known for key, each in stored.items()}, component.links, component.decisions)
    naming = name_clusters(resolution.clusters, stored)
    made = await Customers(work).add(sum(name is None for name in naming.names))
    new = iter(made)
    names = [name if name is not None else next(new) for name in naming.names]
    may_claim = not component.decisions
    placed = [
        Placed(key, name, home_in(naming, number, stored[key], name, may_claim=may_claim))
        for number, (cluster, name) in enumerate(zip(resolution.clusters, names, strict=True))
        for key in cluster
    ]
    targets = {home: names[number] for home, number in naming.owners.items()}
    resolved = await _write(work, stored, resolution, placed, targets, cause, detail, frozenset(fresh))
    resolved.begun = {each.customer_id for each in placed if each.id not in fresh}.intersection(made)
    return resolved


async def _write(
    work: UnitOfWork,
    stored: Mapping[int, StoredKey],
    resolution: Resolution,
    placed: Sequence[Placed],
    targets: Mapping[UUID, UUID],
    cause: Cause,
    detail: Detail,
    fresh: Collection[int],
) -> Resolved:
    changed = [
        each for each in placed if (each.customer_id, each.home) != (stored[each.id].customer_id, stored[each.id].home)
    ]
    moved = [each for each in changed if each.customer_id != stored[each.id].customer_id and each.id not in fresh]
    former = await Customers(work).aliases({stored[each.id].customer_id for each in moved}) if moved else {}
    await Identities(work).place(changed)
    if changed:
        await Customers(work).alias({home: None if home == name else name for home, name in targets.items()})
    await mark_crowds(work, resolution.crowded)
    await IdentitySuggestions(work).replace(stored, resolution.suggestions)
    await DecidedKeys(work).hand_over(_heirs(stored, placed, moved, targets))
    await IdentityMoves(work).add(cause, list(_history(stored, placed, moved, detail)))
    resolved = Resolved({each.id: each.customer_id for each in placed})
    for each in changed:
        resolved.touched |= {stored[each.id].customer_id, each.customer_id}
    aliases = {home: name for home, name in targets.items() if home != name}
    changes = changes_of(((stored[each.id].customer_id, each.customer_id) for each in moved), aliases, former)
    parted = {each for change in changes if change.split for each in (change.customer, *change.split)}
    if parted:
        await follow_parting(work, parted | {aliases.get(each, each) for each in parted})
    concerned = ((change.customer, change.merged_into, *change.split) for change in changes)
    resolved.moved = {each for some in concerned for each in some if each is not None}
    resolved.events = events_of(work, changes)
    return resolved


def _heirs(
    stored: Mapping[int, StoredKey], placed: Sequence[Placed], moved: Sequence[Placed], targets: Mapping[UUID, UUID]
) -> Mapping[int, int]:
    """The phones and devices that leave a person, each with the key to which goes what people said of that person.

    One that takes its home along was somebody of its own before a merge, and keeps what was said of them.
    """
    leaving: dict[int, UUID] = {}
    for each in moved:
        key = stored[each.id]
        stays = targets.get(key.home or key.customer_id, key.customer_id)
        if is_shareable(key.tier) and stays != each.customer_id:
            leaving[each.id] = stays
    left = set(leaving.values())
    ranks: dict[UUID, list[tuple[tuple[bool, bool, Tier, int], int]]] = {}
    for each in placed:
        if each.customer_id in left:
            key = stored[each.id]._replace(home=each.home)
            ranks.setdefault(each.customer_id, []).append((keeping_rank(each.id, key, each.customer_id), each.id))
    keepers = {customer: min(found)[1] for customer, found in ranks.items()}
    return {
        number: keeper
        for number, customer in leaving.items()
        if (keeper := keepers.get(customer)) is not None and not is_shareable(stored[keeper].tier)
    }


def _history(
    stored: Mapping[int, StoredKey], placed: Sequence[Placed], moved: Sequence[Placed], detail: Detail
) -> Iterator[NewMove]:
    keys_of: dict[UUID, set[int]] = {}
    for each in placed if moved else ():
        keys_of.setdefault(each.customer_id, set()).add(each.id)
        keys_of.setdefault(stored[each.id].customer_id, set()).add(each.id)
    details: dict[tuple[UUID, UUID], Mapping[str, Any]] = {}
    for each in moved:
        way = stored[each.id].customer_id, each.customer_id
        if way not in details:
            details[way] = detail(keys_of[way[0]] | keys_of[way[1]])
        yield NewMove(each.id, *way, details[way])


async def mark_crowds(work: UnitOfWork, crowded: Iterable[tuple[int, Tier]]) -> None:
    """Note the keys that turned out to be a crowd's."""
    bits: dict[int, int] = {}
    for key, tier in crowded:
        bits[key] = bits.get(key, 0) | 1 << tier
    await Identities(work).mark_crowded(bits)


def events_of(work: UnitOfWork, changes: Iterable[CustomerChange]) -> list[Event]:
    """The events that tell what became of customers; subjects name the customer and all others concerned."""
    merged: dict[UUID, list[UUID]] = {}
    events: list[Event] = []
    for change in changes:
        if change.merged_into is not None and change.is_new:
            merged.setdefault(change.merged_into, []).append(change.customer)
        if change.split:
            customer = change.merged_into or change.customer
            events.append(_event(work, "split", customer, change.split))
    return [_event(work, "merged", customer, others) for customer, others in merged.items()] + events


def _event(work: UnitOfWork, what: str, customer: UUID, others: Sequence[UUID]) -> Event:
    named = [str(other) for other in others]
    return Event(
        id=derived_id("customer", what, str(customer), *named, work.now.isoformat()),
        source=SOURCE,
        type=f"tandem.customer.{what}",
        time=work.now,
        subject=f"customer:{customer}",
        datacontenttype="application/json",
        data={"customer": str(customer), what: named},
        tandemkeys=tuple(f"customer:{other}" for other in others),
    )
