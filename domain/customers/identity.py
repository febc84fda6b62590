"""Who is one person: what the evidence and people's decisions say, and nothing else.

Keys that one record named are linked. What hangs together by links is one person, unless that would give a person two
values of a kind of which people have one: then the keys in between are *contested*, stay by themselves, and are
suggested for somebody to look at. The answer is a function of the links and decisions; no order of arrival is in it.

Links count by tier (`domain.customers.strength`), the best first. So a family's phone, which would tie two people
together, does not take away what their unionids and accounts say about each of them.

- A key that touches one person is theirs. One that touches several who can be one makes them one.
- Of a chain that would make one person of keys that cannot be one, every link between those keys is contested: which of
  them is wrong is not known. What hangs on the chain's sides stays where it hangs.
- A device never makes two people one. Seen with one person, it is theirs; with several, nobody's.
- `join` ties keys whatever they are; `part` keeps two apart. Where both are said of the same keys, `join` holds: the
  service refuses such a decision.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from domain.customers.merging import Clusters, Parting, Suggestion, merge_tier
from domain.customers.strength import MOST_LINKS, Known, Tier, is_exclusive

Verdict = Literal["join", "part"]
Pair = tuple[int, int]


class Link(NamedTuple):
    """Two keys that one record named together, and the tier of the weaker one."""

    low: int
    high: int
    tier: Tier


class Decision(NamedTuple):
    """What a person decided about keys. `join`: all of them are one person's; `part`: those of `one` are another
    person's than those of `other`."""

    verdict: Verdict
    one: Collection[int]
    other: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """Every key in exactly one cluster; what to look at; which keys turned out to be a crowd's, and in which tier."""

    clusters: Sequence[frozenset[int]]
    suggestions: Sequence[Suggestion]
    crowded: frozenset[tuple[int, Tier]]


def resolve(keys: Mapping[int, Known], links: Iterable[Link], decisions: Iterable[Decision] = ()) -> Resolution:
    """Whose keys are one person's. Keys are numbered; links name two numbers each, the lower one first.

    A link to a key that is not among `keys` only counts towards its other end being a crowd's. Time: about linear in
    keys and links.
    """
    links = set(links)
    crowded = _crowds(keys, links)
    joins, parts = _split(keys, decisions)
    live = [
        link
        for link in links
        if link.low in keys
        and link.high in keys
        and not any(keys[end].crowded >> link.tier & 1 or (end, link.tier) in crowded for end in link[:2])
    ]
    parted = {key for sides in parts for side in sides for key in side}
    clusters: list[frozenset[int]] = []
    suggestions: list[Suggestion] = []
    for members, edges, joined in _components(keys, live, joins):
        undecided = not joined and parted.isdisjoint(members)
        if len(members) == 1 or (undecided and _is_plainly_one(keys, members, edges)):
            clusters.append(frozenset(members))
            continue
        found, doubts = _settle(keys, members, edges, joined, parts)
        clusters += found
        suggestions += doubts
    return Resolution(clusters, suggestions, crowded)


def _crowds(keys: Mapping[int, Known], links: Iterable[Link]) -> frozenset[tuple[int, Tier]]:
    degrees: dict[tuple[int, Tier], int] = defaultdict(int)
    for low, high, tier in links:
        degrees[low, tier] += 1
        degrees[high, tier] += 1
    return frozenset(place for place, count in degrees.items() if count > MOST_LINKS[place[1]] and place[0] in keys)


def _split(keys: Mapping[int, Known], decisions: Iterable[Decision]) -> tuple[set[Pair], list[Parting]]:
    """The pairs that are joined, each key of a decision with the next one, and the sets that are parted."""
    joins: set[Pair] = set()
    parts: list[Parting] = []
    for verdict, one, other in decisions:
        if verdict == "join":
            joins.update(pairwise(sorted(keys.keys() & {*one, *other})))
        else:
            sides = keys.keys() & set(one), keys.keys() & set(other)
            if all(sides):
                parts.append(sides)
    return joins, parts


def _components(
    keys: Iterable[int], links: Iterable[Link], joins: Iterable[Pair]
) -> Iterator[tuple[Sequence[int], Sequence[Link], Sequence[Pair]]]:
    """What hangs together, whatever the tier, each part with its links and its joins."""
    parent = {key: key for key in keys}

    def root(key: int) -> int:
        while parent[key] != key:
            parent[key] = key = parent[parent[key]]
        return key

    for low, high, *_ in (*links, *joins):
        one, other = root(low), root(high)
        if one != other:
            parent[max(one, other)] = min(one, other)
    found: dict[int, tuple[list[int], list[Link], list[Pair]]] = {}
    for key in parent:
        found.setdefault(root(key), ([], [], []))[0].append(key)
    for link in links:
        found[root(link.low)][1].append(link)
    for pair in joins:
        found[root(pair[0])][2].append(pair)
    yield from found.values()


def _is_plainly_one(keys: Mapping[int, Known], members: Sequence[int], links: Sequence[Link]) -> bool:
    """Whether a part without decisions holds nothing twice, so that no rule could cut it: nearly every one is so."""
    exclusive: set[tuple[str, str]] = set()
    devices = 0
    for member in members:
        kind, scope, _ = keys[member]
        if is_exclusive(kind, Tier.PHONE):
            if (kind, scope) in exclusive:
                return False
            exclusive.add((kind, scope))
        devices += kind == "device"
    if not devices:
        return True
    strong = [link for link in links if link.tier < Tier.DEVICE]
    people = [member for member in members if keys[member].kind != "device"]
    return len(list(_components(people, strong, ()))) == 1


def _settle(
    keys: Mapping[int, Known],
    members: Sequence[int],
    links: Sequence[Link],
    joins: Sequence[Pair],
    parts: Sequence[Parting],
) -> tuple[list[frozenset[int]], list[Suggestion]]:
    clusters = Clusters({member: keys[member] for member in members}, parts)
    for low, high in joins:
        clusters.unite(low, high)
    doubts: dict[Pair, Suggestion] = {}
    for tier in Tier:
        for each in sorted(merge_tier(clusters, tier, [link for link in links if link.tier == tier])):
            # Of several reasons for the same pair the first one is that of the better links.
            doubts.setdefault((each.low, each.high), each)
    open_ones = [each for each in doubts.values() if clusters.place(each.low) != clusters.place(each.high)]
    return list(clusters.all()), open_ones
