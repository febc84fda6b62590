"""Which customer each cluster of keys is: ids stay where they were, merges can be taken back, new ids are rare."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.customers.strength import Tier, is_shareable


@dataclass(frozen=True, slots=True)
class Naming:
    """names: for each cluster its customer, None for one that needs a new id. owners: for each home the number of the
    cluster that has it; a home that did not become its cluster's name is an alias of that name. unclaimed: the numbers
    of clusters that nothing but phones and devices began."""

    names: Sequence[UUID | None]
    owners: Mapping[UUID, int]
    unclaimed: Collection[int]


class Homed(Protocol):
    """A key as this module sees it. home: the customer that began with it, None for a key that joined one."""

    @property
    def tier(self) -> Tier: ...

    @property
    def home(self) -> UUID | None: ...


def name_clusters(clusters: Sequence[Collection[int]], keys: Mapping[int, Homed]) -> Naming:
    """The customers of clusters of numbered keys.

    A home stays with the key of it that tells people apart best, the oldest (the lowest number) of these. A cluster is
    named by the oldest home it has, and by that of a phone or a device only when it has no other: those may turn out to
    be nobody's, and must not take the name of the person with them. One whose keys were all split off from others has
    none. So a merge that is taken back gives every customer its own id again.
    """
    best: dict[UUID, tuple[Tier, int]] = {}
    for number, key in keys.items():
        if key.home is not None:
            rank = (key.tier, number)
            best[key.home] = min(rank, best.get(key.home, rank))
    cluster_of = {key: number for number, cluster in enumerate(clusters) for key in cluster}
    owners = {home: cluster_of[number] for home, (_, number) in best.items()}
    names: list[UUID | None] = [None] * len(clusters)
    for home, number in sorted(owners.items(), key=lambda each: (is_shareable(best[each[0]][0]), each[0])):
        if names[number] is None:
            names[number] = home
    unclaimed = {number for number, name in enumerate(names) if name is not None and is_shareable(best[name][0])}
    return Naming(names, owners, unclaimed)


def home_in(naming: Naming, number: int, key: Homed, name: UUID, *, may_claim: bool) -> UUID | None:
    """The home from now on of a key in the cluster of this number, given the cluster's name.

    A cluster that got a new name begins a customer: that is its keys' home. A home that stayed elsewhere is given up.
    What tells people apart better than the phones and devices that began a customer claims its id as its home, so that
    the person keeps it when those turn out to be nobody's. may_claim: not while a decision is in force nearby, for it
    may be undone, and each customer gets its own id back then.
    """
    if key.home is not None and naming.owners[key.home] == number:
        return key.home
    claims = may_claim and number in naming.unclaimed and not is_shareable(key.tier)
    return name if claims or naming.names[number] is None else None


def keeping_rank(number: int, key: Homed, customer: UUID) -> tuple[bool, bool, Tier, int]:
    """How surely a key of a customer stays theirs, the lowest most surely: a phone or a device last, and first a key
    that the customer's id stays with."""
    return is_shareable(key.tier), key.home != customer, key.tier, number


@dataclass(frozen=True, slots=True)
class CustomerChange:
    """What became of a customer. merged_into: who took its place, None while it is there. split: who got keys of it.
    is_new: False when the two were one before, and only the id changed by which they go."""

    customer: UUID
    merged_into: UUID | None
    split: tuple[UUID, ...]
    is_new: bool = True


def changes_of(
    moves: Iterable[tuple[UUID, UUID]],
    aliases: Mapping[UUID, UUID],
    former: Mapping[UUID, Collection[UUID]],
) -> Sequence[CustomerChange]:
    """What moves (from, to) of keys did to the customers they left, in the order of ids.

    aliases: the customers that are others now, and whom. former: the aliases that these customers had before.
    """
    left: dict[UUID, set[UUID]] = {}
    for origin, target in moves:
        left.setdefault(origin, set()).add(target)
    return [
        CustomerChange(
            customer,
            into := aliases.get(customer),
            tuple(sorted(targets - {into, customer})),
            is_new=into not in former.get(customer, ()),
        )
        for customer, targets in sorted(left.items())
    ]
