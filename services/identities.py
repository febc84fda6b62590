"""Whose is a record? The keys of a batch become identities, identities hang together, customers follow.

This is the identity step of the drain, inside the drain's own unit of work. A batch that names only what is known,
in combinations that are known, costs two statements. New keys that hang on nothing known are resolved here and stored
at once. Only what hangs on a new link is looked at again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from domain.canonical.keys import IdentityKey, strongest_first
from domain.customers.identity import Link, resolve
from domain.customers.merging import Suggestion
from domain.customers.strength import Known, link_tier
from domain.events import Event
from services.identity_resolution import Detail, Resolved, mark_crowds, resolve_links
from storage.identities import Customers, Identities, NewKey, StoredKey
from storage.identity_links import IdentityLinks, NewLink
from storage.identity_reviews import IdentitySuggestions
from storage.unit_of_work import UnitOfWork

_MOST_RECORDS_NAMED = 5


class Sighting(NamedTuple):
    """Keys that one record named together. record: the record's name, `order:E2026…`; at: when it happened."""

    keys: tuple[IdentityKey, ...]
    account_id: str
    record: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Assigned:
    """Whose keys they are. identity_ids: for each sighting the identity that its row points at, None without keys.

    aliases: earlier ids of a customer. touched: the customers of all sightings, and those that gained or lost keys.
    begun: those whose id was made just now for keys that somebody else lost. fresh: identities that were stored a
    moment ago. moved: those that merged or parted. events: merges and splits that are news, to be put into the outbox
    by the caller.
    """

    identity_ids: Sequence[int | None]
    identities: Mapping[IdentityKey, int]
    customers: Mapping[IdentityKey, UUID]
    aliases: Mapping[UUID, Sequence[UUID]]
    touched: frozenset[UUID] = frozenset()
    events: Sequence[Event] = ()
    begun: frozenset[UUID] = frozenset()
    fresh: frozenset[int] = field(default=frozenset(), compare=False)
    moved: frozenset[UUID] = frozenset()


class IdentityService:
    """The identity step of the drain."""

    async def assign(self, work: UnitOfWork, sightings: Sequence[Sighting]) -> Assigned:
        """The identity and the customer of every key, with all that follows for other keys written in `work`.

        A record points at the key that tells people apart best. What others do at this moment with the same keys is
        waited for; a deadlock of two batches ends one with UnavailableProblem, and nothing of it is written. Rules for
        customers look the customers up by identity once the batch's rows are written: they may have merged meanwhile.
        """
        return await _Batch(work, sightings).assign()


class _Batch:
    """One call of `assign`."""

    def __init__(self, work: UnitOfWork, sightings: Sequence[Sighting]) -> None:
        self._work = work
        self._named = [strongest_first(sighting.keys) for sighting in sightings]
        self._identities = Identities(work)
        # The pairs that records name, the better key first, with the first record that names them.
        self._pairs: dict[tuple[IdentityKey, IdentityKey], Sighting] = {}
        self._first_seen: dict[IdentityKey, datetime] = {}
        for sighting, keys in zip(sightings, self._named, strict=True):
            for key in keys:
                seen = self._first_seen.get(key)
                self._first_seen[key] = sighting.at if seen is None else min(seen, sighting.at)
            for other in keys[1:]:
                self._pairs.setdefault((keys[0], other), sighting)
        self._ids: dict[IdentityKey, int] = {}
        self._customers: dict[int, UUID] = {}
        self._crowded: dict[int, int] = {}
        self._fresh: set[int] = set()

    async def assign(self) -> Assigned:
        known = await self._identities.find(self._first_seen)
        for key, stored in known.items():
            self._know(key, stored)
        missing = [key for key in self._first_seen if key not in known]
        apart = await self._store(missing, known) if missing else set()
        added = await self._link()
        links = [pair for pair in added if not apart.issuperset(pair)]
        resolved = Resolved()
        if links:
            resolved = await resolve_links(self._work, links, self._records(added), self._fresh)
            self._customers |= resolved.customers
        customers = {key: self._customers[number] for key, number in self._ids.items()}
        present = frozenset(customers.values())
        return Assigned(
            [self._ids[keys[0]] if keys else None for keys in self._named],
            self._ids,
            customers,
            await Customers(self._work).aliases(present),
            present | resolved.touched,
            resolved.events,
            frozenset(resolved.begun),
            frozenset(self._fresh),
            frozenset(resolved.moved),
        )

    def _know(self, key: IdentityKey, stored: StoredKey) -> None:
        self._ids[key] = stored.id
        self._customers[stored.id] = stored.customer_id
        if stored.crowded:
            self._crowded[stored.id] = stored.crowded

    async def _store(self, missing: Sequence[IdentityKey], known: Mapping[IdentityKey, StoredKey]) -> set[int]:
        """Store new keys; the ids of those that hang on nothing stored before, and that are settled thereby."""
        near = self._near(missing, known)
        alone = {number: key for number, key in enumerate(missing) if key not in near}
        numbers = {key: number for number, key in alone.items()}
        pairs = [pair for pair in self._pairs if pair[0] in numbers and pair[1] in numbers]
        links = []
        for one, other in pairs:
            low, high = sorted((numbers[one], numbers[other]))
            links.append(Link(low, high, link_tier(one.kind, other.kind)))
        resolution = resolve({number: Known(key.kind, key.scope) for number, key in alone.items()}, links)
        customers = await Customers(self._work).add(len(resolution.clusters))
        to = dict(near)
        for cluster, customer in zip(resolution.clusters, customers, strict=True):
            to.update((alone[number], customer) for number in cluster)
        new = [NewKey(key, to[key], None if key in near else to[key], self._first_seen[key]) for key in missing]
        stored = await self._identities.add(new)
        for key, number in stored.items():
            self._ids[key], self._customers[number] = number, to[key]
        self._fresh.update(stored.values())
        if len(stored) < len(missing):
            return await self._yield_to_others(missing, to, customers)
        await IdentitySuggestions(self._work).add(
            [_renumbered(each, alone, self._ids) for each in resolution.suggestions]
        )
        crowded = frozenset((self._ids[alone[number]], tier) for number, tier in resolution.crowded)
        await mark_crowds(self._work, crowded)
        return {self._ids[key] for key in alone.values()}

    async def _yield_to_others(
        self, missing: Sequence[IdentityKey], to: Mapping[IdentityKey, UUID], customers: Collection[UUID]
    ) -> set[int]:
        """Another batch stored some of the keys first: theirs are known now, and everything new is looked at again."""
        for key, stored in (await self._identities.find([key for key in missing if key not in self._ids])).items():
            self._know(key, stored)
        used = {to[key] for key in missing if self._customers[self._ids[key]] == to[key]}
        await Customers(self._work).remove(set(customers) - used)
        return set()

    def _near(self, missing: Iterable[IdentityKey], known: Mapping[IdentityKey, StoredKey]) -> dict[IdentityKey, UUID]:
        """The new keys that records tie to known ones, each with the customer it will most likely belong to."""
        beside: dict[IdentityKey, list[IdentityKey]] = {key: [] for key in missing}
        near: dict[IdentityKey, UUID] = {}
        for one, other in self._pairs:
            for key, neighbour in ((one, other), (other, one)):
                if key not in beside:
                    continue
                beside[key].append(neighbour)
                if neighbour in known:
                    customer = known[neighbour].customer_id
                    near[key] = min(customer, near.get(key, customer))
        frontier = list(near)
        for key in frontier:
            for neighbour in beside[key]:
                if neighbour in beside and neighbour not in near:
                    near[neighbour] = near[key]
                    frontier.append(neighbour)
        return near

    async def _link(self) -> set[tuple[int, int]]:
        """Note what was named together; the pairs that are new."""
        links = []
        for (one, other), sighting in self._pairs.items():
            low, high = sorted((self._ids[one], self._ids[other]))
            tier = link_tier(one.kind, other.kind)
            if self._crowded.get(low, 0) & self._crowded.get(high, 0) & 1 << tier:
                continue
            links.append(NewLink(low, high, tier, sighting.account_id, sighting.record, sighting.at))
        return await IdentityLinks(self._work).add(links)

    def _records(self, added: Collection[tuple[int, int]]) -> Detail:
        """The records that tied keys together just now, as the history keeps them."""
        records: dict[int, list[str]] = {}
        for (one, other), sighting in self._pairs.items():
            low, high = sorted((self._ids[one], self._ids[other]))
            if (low, high) in added:
                for end in (low, high):
                    records.setdefault(end, []).append(f"{sighting.account_id} {sighting.record}")

        def named(keys: Collection[int]) -> Mapping[str, Any]:
            found = dict.fromkeys(record for key in sorted(keys) for record in records.get(key, ()))
            return {"records": list(found)[:_MOST_RECORDS_NAMED]}

        return named


def _renumbered(suggestion: Suggestion, keys: Mapping[int, IdentityKey], ids: Mapping[IdentityKey, int]) -> Suggestion:
    low, high = sorted((ids[keys[suggestion.low]], ids[keys[suggestion.high]]))
    return Suggestion(low, high, suggestion.why)
