"""One tier of links: what they tie together, and what they must not."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from domain.customers.strength import TIER_OF, Known, Tier, is_exclusive

MOST_SUGGESTED = 5
"""Seen with more people than this, a key is nobody's in particular and suggests nothing."""

Place = int
_Group = tuple[str, str]
_PARTED = "parted"
_BOTH = 3

Parting = tuple[Collection[int], Collection[int]]
"""Keys that are another person's than some others."""


class Suggestion(NamedTuple):
    """Two keys that may be one person's, and why nobody can tell: `conflicting_unionid`, `shared_phone` …"""

    low: int
    high: int
    why: str


class Clusters:
    """Keys in disjoint sets. A set is named by its lowest key, and holds *groups* of which people have one value."""

    def __init__(self, keys: Mapping[int, Known], parts: Iterable[Parting]) -> None:
        self.keys = keys
        self._place = {key: key for key in keys}
        self._members: dict[Place, list[int]] = {key: [key] for key in keys}
        # What sets hold is kept beside them: a person may have thousands of keys.
        self._kinds: dict[Place, set[_Group]] = {key: {(kind, scope)} for key, (kind, scope, _) in keys.items()}
        self._tiers: dict[Place, set[Tier]] = {key: {known.tier} for key, known in keys.items()}
        self._sides: dict[Place, dict[_Group, int]] = {}
        for number, sides in enumerate(parts):
            for side, members in enumerate(sides, 1):
                for key in members:
                    if key in keys:
                        held = self._sides.setdefault(key, {})
                        held[_PARTED, str(number)] = held.get((_PARTED, str(number)), 0) | side

    def place(self, key: int) -> Place:
        return self._place[key]

    def members(self, place: Place) -> Sequence[int]:
        return self._members[place]

    def tiers(self, place: Place) -> Collection[Tier]:
        """The tiers of the keys of a set."""
        return self._tiers[place]

    def all(self) -> Iterator[frozenset[int]]:
        return (frozenset(members) for members in self._members.values())

    def unite(self, one: int, other: int) -> None:
        """Make the sets of two keys one."""
        kept, gone = sorted((self._place[one], self._place[other]))
        if kept == gone:
            return
        for member in self._members[gone]:
            self._place[member] = kept
        self._members[kept] += self._members.pop(gone)
        self._kinds[kept] |= self._kinds.pop(gone)
        self._tiers[kept] |= self._tiers.pop(gone)
        if parted := self._sides.pop(gone, None):
            held = self._sides.setdefault(kept, {})
            for group, sides in parted.items():
                held[group] = held.get(group, 0) | sides

    def groups(self, place: Place, tier: Tier) -> set[_Group]:
        """What another set must not hold as well (of a decision: the other side) if links of the tier are to make them
        one."""
        found = {group for group in self._kinds[place] if is_exclusive(group[0], tier)}
        return found.union(self._sides.get(place, ()))

    def conflicts(self, places: Collection[Place], tier: Tier) -> set[_Group]:
        """The groups that more than one of the sets holds; none when they can be one person."""
        counts = Counter(group for place in places for group in self.groups(place, tier))
        return {group for group, count in counts.items() if count > 1 and self._are_two(group, places)}

    def are_parted(self, one: Place, other: Place) -> bool:
        """Whether a person said that they are two people."""
        shared = self._sides.get(one, {}).keys() & self._sides.get(other, {}).keys()
        return any(self._are_two(group, (one, other)) for group in shared)

    def _are_two(self, group: _Group, places: Iterable[Place]) -> bool:
        """Of a decision, whether sets that hold some of its keys hold both sides of it, and not the same one."""
        if group[0] != _PARTED:
            return True
        sides = 0
        for place in places:
            sides |= self._sides.get(place, {}).get(group, 0)
        return sides == _BOTH


@dataclass(frozen=True, slots=True)
class _Bridge:
    """Keys of the tier itself that hang together (none for a bare link), and the sets that they touch.

    contacts: the links between the two, as (key of the bridge or of one set, key of a touched set).
    """

    own: frozenset[Place]
    touched: frozenset[Place]
    contacts: tuple[tuple[int, int], ...]

    @property
    def places(self) -> frozenset[Place]:
        return self.own | self.touched


def merge_tier(clusters: Clusters, tier: Tier, links: Sequence[tuple[int, int, Tier]]) -> list[Suggestion]:
    """Let the links of one tier make sets one as far as nothing speaks against it; what to look at.

    All links of better tiers have had their turn. The result does not depend on the order of links.
    """
    pairs = [
        (low, high)
        for low, high, _ in links
        if clusters.place(low) != clusters.place(high)
        and not clusters.are_parted(clusters.place(low), clusters.place(high))
    ]
    contested: list[tuple[_Bridge, set[_Group]]] = []
    sound: list[_Bridge] = []
    for bridge in _bridges(clusters, tier, pairs):
        pieces = _pieces(clusters, tier, bridge)
        if len(pieces) > 1:
            contested += _cuts(clusters, tier, bridge, pairs)
        for piece in pieces:
            conflict = clusters.conflicts(piece.places, tier)
            if conflict or (tier is Tier.DEVICE and len(piece.touched) > 1):
                contested.append((piece, conflict))
            else:
                sound.append(piece)
    for chain in _chains(sound):
        conflict = clusters.conflicts({place for bridge in chain for place in bridge.places}, tier)
        core = _core(clusters, tier, chain, conflict) if conflict else set()
        contested += [(chain[number], conflict) for number in core]
        for number, bridge in enumerate(chain):
            if number not in core:
                first, *rest = bridge.places
                for place in rest:
                    clusters.unite(first, place)
    return [each for bridge, conflict in contested for each in _suggestions(clusters, tier, bridge, conflict)]


def _bridges(clusters: Clusters, tier: Tier, pairs: Sequence[tuple[int, int]]) -> Iterator[_Bridge]:
    """What the links consist of: parts of keys of this tier that hang together, and bare links between other sets."""
    inner: dict[Place, set[Place]] = defaultdict(set)
    contacts: dict[Place, list[tuple[int, int]]] = defaultdict(list)
    for low, high in pairs:
        ours = [_is_of(clusters, clusters.place(end), tier) for end in (low, high)]
        one, other = clusters.place(low), clusters.place(high)
        if all(ours):
            inner[one].add(other)
            inner[other].add(one)
        elif ours[0]:
            contacts[one].append((low, high))
        elif ours[1]:
            contacts[other].append((high, low))
        else:
            yield _Bridge(frozenset(), frozenset((one, other)), ((low, high),))
    left = {*inner, *contacts}
    while left:
        own = {left.pop()}
        frontier = list(own)
        while frontier:
            found = inner[frontier.pop()] & left
            left -= found
            own |= found
            frontier += found
        yield _bridge(clusters, own, contacts)


def _bridge(clusters: Clusters, own: Iterable[Place], contacts: Mapping[Place, Sequence[tuple[int, int]]]) -> _Bridge:
    own = frozenset(own)
    touching = tuple(sorted(contact for place in own for contact in contacts.get(place, ())))
    return _Bridge(own, frozenset(clusters.place(outer) for _, outer in touching), touching)


def _pieces(clusters: Clusters, tier: Tier, bridge: _Bridge) -> Sequence[_Bridge]:
    """The bridge; or each of its keys alone, when together they would make one of what cannot be one."""
    if len(bridge.own) < 2 or not clusters.conflicts(bridge.places, tier):
        return [bridge]
    contacts: dict[Place, list[tuple[int, int]]] = defaultdict(list)
    for inner, outer in bridge.contacts:
        contacts[clusters.place(inner)].append((inner, outer))
    return [_bridge(clusters, (place,), contacts) for place in bridge.own]


def _cuts(
    clusters: Clusters, tier: Tier, bridge: _Bridge, pairs: Iterable[tuple[int, int]]
) -> Iterator[tuple[_Bridge, set[_Group]]]:
    """The links inside a bridge that fell into pieces."""
    conflict = clusters.conflicts(bridge.places, tier)
    for low, high in pairs:
        ends = frozenset((clusters.place(low), clusters.place(high)))
        if ends <= bridge.own:
            yield _Bridge(frozenset(), ends, ((low, high),)), conflict


def _chains(bridges: Sequence[_Bridge]) -> Iterator[Sequence[_Bridge]]:
    """Bridges that hang together by what they touch."""
    at: dict[Place, list[int]] = defaultdict(list)
    for number, bridge in enumerate(bridges):
        for place in bridge.places:
            at[place].append(number)
    left = set(range(len(bridges)))
    while left:
        chain = [left.pop()]
        for number in chain:
            found = {other for place in bridges[number].places for other in at[place]} & left
            left -= found
            chain += found
        yield [bridges[number] for number in chain]


def _core(clusters: Clusters, tier: Tier, chain: Sequence[_Bridge], conflict: set[_Group]) -> set[int]:
    """The bridges (by number) that lie between sets that cannot be one: what is left when all loose ends are taken off.

    Two sets in conflict are never taken off, so that they end up in the core, and so does every way between them.
    """
    at: dict[Place, set[int]] = defaultdict(set)
    for number, bridge in enumerate(chain):
        for place in bridge.touched:
            at[place].add(number)
    stuck = {place for place in at if clusters.groups(place, tier) & conflict}
    held = {n for n, bridge in enumerate(chain) if any(clusters.groups(own, tier) & conflict for own in bridge.own)}
    ends = {number: set(bridge.touched) for number, bridge in enumerate(chain)}
    loose: list[tuple[bool, int]] = [(True, number) for number in ends] + [(False, place) for place in at]
    while loose:
        is_bridge, name = loose.pop()
        mine, others = (ends, at) if is_bridge else (at, ends)
        if name not in mine or len(mine[name]) > 1 or name in (held if is_bridge else stuck):
            continue
        for neighbour in mine.pop(name):
            others[neighbour].discard(name)
            loose.append((not is_bridge, neighbour))
    return set(ends)


def _is_of(clusters: Clusters, place: Place, tier: Tier) -> bool:
    return clusters.tiers(place) == {tier}


def _suggestions(clusters: Clusters, tier: Tier, bridge: _Bridge, conflict: set[_Group]) -> Iterator[Suggestion]:
    """Pairs to look at: a bridge with each set it touches; for a device the sets with each other."""
    if not 1 <= len(bridge.touched) <= MOST_SUGGESTED:
        return
    best: dict[Place, tuple[int, int]] = {}
    for inner, outer in bridge.contacts:
        place = clusters.place(outer)
        if place not in best or _rank(clusters, outer) < _rank(clusters, best[place][1]):
            best[place] = (inner, outer)
    why = _reason(clusters, bridge, conflict)
    if tier is Tier.DEVICE and bridge.own:
        ends = sorted(outer for _, outer in best.values())
        pairs = [(low, high) for number, low in enumerate(ends) for high in ends[number + 1 :]]
    else:
        pairs = sorted((min(pair), max(pair)) for pair in best.values())
    for low, high in pairs:
        one, other = clusters.place(low), clusters.place(high)
        if one == other or clusters.are_parted(one, other):
            continue
        if tier is Tier.DEVICE and clusters.conflicts((one, other), tier):
            continue
        yield Suggestion(low, high, why)


def _rank(clusters: Clusters, key: int) -> tuple[Tier, int]:
    return clusters.keys[key].tier, key


def _reason(clusters: Clusters, bridge: _Bridge, conflict: set[_Group]) -> str:
    """`conflicting_…` names the kind of which there would be two; `shared_…` the kind of key that several use."""
    certain = [kind for kind, _ in conflict if is_exclusive(kind, Tier.UNION)]
    if certain:
        return f"conflicting_{min(certain, key=lambda kind: (TIER_OF[kind], kind))}"
    inner = bridge.contacts[0][0] if bridge.contacts else min(bridge.own)
    outer = bridge.contacts[0][1] if bridge.contacts else inner
    weaker = max(inner, outer, key=lambda key: clusters.keys[key].tier)
    return f"shared_{clusters.keys[weaker].kind}"
