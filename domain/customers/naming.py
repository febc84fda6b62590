"""Which customer each cluster of keys is: ids stay where they were, merges can be taken back, new ids are rare."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.customers.strength import Tier


@dataclass(frozen=True, slots=True)
class Naming:
    """names: for each cluster its customer, None for one that needs a new id. owners: for each home the number of the
    cluster that has it; a home that did not become its cluster's name is an alias of that name."""

    names: Sequence[UUID | None]
    owners: Mapping[UUID, int]


class Homed(Protocol):
    """A key as this module sees it. home: the customer that began with it, None for a key that joined one."""

    @property
    def tier(self) -> Tier: ...

    @property
    def home(self) -> UUID | None: ...


def name_clusters(clusters: Sequence[Collection[int]], keys: Mapping[int, Homed]) -> Naming:
    """The customers of clusters of numbered keys.

    A home stays with the key of it that tells people apart best, the oldest (the lowest number) of these. A cluster is
    named by the oldest home it has; one whose keys were all split off from others has none. So a merge that is taken
    back gives every customer its own id again.
    """
    best: dict[UUID, tuple[Tier, int]] = {}
    for number, key in keys.items():
        if key.home is not None:
            rank = (key.tier, number)
            best[key.home] = min(rank, best.get(key.home, rank))
    cluster_of = {key: number for number, cluster in enumerate(clusters) for key in cluster}
    owners = {home: cluster_of[number] for home, (_, number) in best.items()}
    names: list[UUID | None] = [None] * len(clusters)
    for home, number in owners.items():
        held = names[number]
        names[number] = home if held is None else min(held, home)
    return Naming(names, owners)


def home_in(naming: Naming, number: int, home: UUID | None, name: UUID) -> UUID | None:
    """The home from now on of a key in the cluster of this number, given the cluster's name.

    A cluster that got a new name begins a customer: that is its keys' home. A home that stayed elsewhere is given up.
    """
    if home is not None and naming.owners[home] == number:
        return home
    return name if naming.names[number] is None else None


@dataclass(frozen=True, slots=True)
class CustomerChange:
    """What became of a customer. merged_into: who took its place, None while it is there. split: who got keys of it."""

    customer: UUID
    merged_into: UUID | None
    split: tuple[UUID, ...]


def changes_of(moves: Iterable[tuple[UUID, UUID]], aliases: Mapping[UUID, UUID]) -> Sequence[CustomerChange]:
    """What moves (from, to) of keys did to the customers they left, in the order of ids.

    aliases: the customers that are others now, and whom.
    """
    left: dict[UUID, set[UUID]] = {}
    for origin, target in moves:
        left.setdefault(origin, set()).add(target)
    return [
        CustomerChange(customer, into := aliases.get(customer), tuple(sorted(targets - {into, customer})))
        for customer, targets in sorted(left.items())
    ]
