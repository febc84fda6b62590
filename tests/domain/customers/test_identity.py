"""Who is one person: examples that a merchant would argue about, and laws that hold for any evidence."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical.keys import KeyKind
from domain.customers.identity import Decision, Link, Resolution, resolve
from domain.customers.strength import MOST_LINKS, Known, Tier, is_exclusive, link_tier

SCOPES: dict[str, tuple[KeyKind, str]] = {
    "U": ("unionid", ""),
    "E": ("external_userid", "wecom/corp"),
    "O": ("openid", "official_account/a"),
    "Q": ("openid", "official_account/b"),
    "T": ("buyer", "taobao"),
    "J": ("buyer", "jd"),
    "G": ("buyer", "pinduoduo"),
    "Y": ("buyer", "youzan"),
    "M": ("member", "erp/a"),
    "P": ("phone", ""),
    "D": ("device", ""),
}
"""Keys are written as a letter (kind and scope) and a number (value): T1 and T2 are two buyers of one platform."""


class World:
    """Keys by name, numbered as they are first named."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        return self.numbers.setdefault(name, len(self.numbers) + 1)

    def pair(self, one: str, other: str) -> tuple[int, int]:
        low, high = sorted((self.number(one), self.number(other)))
        return low, high

    def side(self, names: str) -> list[int]:
        return [self.number(name) for name in names.split("+")]

    def resolve(self, links: Iterable[str], joins: Iterable[str] = (), parts: Iterable[str] = ()) -> Resolution:
        """Pairs are written `T1-P1`."""
        found = set()
        for one, other in (link.split("-") for link in links):
            found.add(Link(*self.pair(one, other), link_tier(SCOPES[one[0]][0], SCOPES[other[0]][0])))
        decisions = [Decision("join", self.pair(*pair.split("-"))) for pair in joins]
        decisions += [Decision("part", *(self.side(side) for side in part.split("-"))) for part in parts]
        return resolve({number: Known(*SCOPES[name[0]]) for name, number in self.numbers.items()}, found, decisions)

    def people(self, resolution: Resolution) -> set[str]:
        """The clusters as `P1 T1`, those of one key left out."""
        names = {number: name for name, number in self.numbers.items()}
        return {" ".join(sorted(names[key] for key in each)) for each in resolution.clusters if len(each) > 1}

    def doubts(self, resolution: Resolution) -> set[str]:
        names = {number: name for name, number in self.numbers.items()}
        return {"-".join(sorted((names[low], names[high]))) + f" {why}" for low, high, why in resolution.suggestions}


def people(links: Sequence[str], joins: Sequence[str] = (), parts: Sequence[str] = ()) -> tuple[set[str], set[str]]:
    world = World()
    resolution = world.resolve(links, joins, parts)
    return world.people(resolution), world.doubts(resolution)


@pytest.mark.parametrize(
    ("case", "links", "expected", "doubts"),
    [
        ("a phone at JD, the same at Pinduoduo", ["J1-P1", "G1-P1"], {"G1 J1 P1"}, set()),
        ("follower and contact by unionid", ["O1-U1", "E1-U1"], {"E1 O1 U1"}, set()),
        (
            "a family's phone: two buyers of one platform",
            ["T1-P1", "T2-P1"],
            set(),
            {"P1-T1 shared_phone", "P1-T2 shared_phone"},
        ),
        (
            "the family's other accounts stay with whom their own phones name",
            ["T1-P1", "T2-P1", "T1-P2", "J1-P2", "T2-P3", "G1-P3"],
            {"J1 P2 T1", "G1 P3 T2"},
            {"P1-T1 shared_phone", "P1-T2 shared_phone"},
        ),
        (
            "two WeChat users with one phone",
            ["Y1-U1", "Y1-P1", "Y2-U2", "Y2-P1"],
            {"U1 Y1", "U2 Y2"},
            {"P1-Y1 conflicting_unionid", "P1-Y2 conflicting_unionid"},
        ),
        (
            "a shop account used by two WeChat users",
            ["Y1-U1", "Y1-U2", "U1-O1", "U2-E1"],
            {"O1 U1", "E1 U2"},
            {"U1-Y1 conflicting_unionid", "U2-Y1 conflicting_unionid"},
        ),
        ("one WeChat user with two accounts at one platform", ["Y1-U1", "Y2-U1", "Y1-P1"], {"P1 U1 Y1 Y2"}, set()),
        ("a device seen with one person is theirs", ["D1-T1", "T1-P1", "D1-P1"], {"D1 P1 T1"}, set()),
        ("a device seen with two", ["D1-T1", "D1-J1"], set(), {"J1-T1 shared_device"}),
        ("a device of two who cannot be one", ["D1-U1", "D1-U2"], set(), set()),
        (
            "a chain whose weak place nobody knows",
            ["J1-P1", "T1-P1", "T1-P2", "J2-P2", "G1-P3", "T1-P3"],
            {"G1 P3 T1"},
            {f"{pair} shared_phone" for pair in ("J1-P1", "P1-T1", "P2-T1", "J2-P2")},
        ),
        (
            "two contacts of one corp with one unionid",
            ["E1-U1", "E2-U1", "O1-U1"],
            {"O1 U1"},
            {"E1-U1 conflicting_external_userid", "E2-U1 conflicting_external_userid"},
        ),
        (
            "two numbers in one record, each a person's",
            ["P1-P2", "T1-P1", "T2-P2"],
            {"P1 T1", "P2 T2"},
            {"P1-P2 shared_phone"},
        ),
        ("a member number and a buyer", ["M1-P1", "J1-P1", "M1-J1"], {"J1 M1 P1"}, set()),
        (
            "two members of one till with one phone",
            ["M1-P1", "M2-P1"],
            set(),
            {"M1-P1 shared_phone", "M2-P1 shared_phone"},
        ),
    ],
)
def test_who_is_one_person(case: str, links: list[str], expected: set[str], doubts: set[str]) -> None:
    assert people(links) == (expected, doubts)


def test_what_a_person_joins_is_one_whatever_speaks_against_it() -> None:
    links = ["Y1-U1", "Y1-U2", "U1-O1", "U2-O2", "U3-P1", "Y1-P1"]
    joined, doubts = people(links, joins=["U1-U2", "O1-U1", "O1-O2"])
    assert joined == {"O1 O2 U1 U2 Y1"}
    assert doubts == {"P1-U3 conflicting_unionid", "P1-Y1 conflicting_unionid"}


def test_a_family_s_phone_can_be_given_to_one_of_them() -> None:
    assert people(["T1-P1", "T2-P1", "J1-P1"], joins=["P1-T1"])[0] == {"J1 P1 T1"}


def test_what_a_person_parts_stays_apart_and_the_rest_together() -> None:
    assert people(["J1-P1", "G1-P1"], parts=["J1-P1", "G1-J1"]) == ({"G1 P1"}, set())
    assert people(["J1-P1", "G1-P1"], parts=["G1-J1"])[0] == set()
    assert people(["D1-T1", "D1-J1"], parts=["J1-T1"])[1] == set()
    assert people(["D1-T1", "D2-T1"], parts=["D1-D2"])[0] == set()


def test_what_a_crowd_uses_ties_nobody_together() -> None:
    shops_phone = [f"J{number}-P1" for number in range(MOST_LINKS[Tier.PHONE] + 1)]
    assert people([*shops_phone, "T1-P1", "G1-P1", "G1-U1"]) == ({"G1 U1"}, set())
    guest = [f"J0-P{number}" for number in range(MOST_LINKS[Tier.PHONE] + 1)]
    assert people([*guest, "J0-U1", "T1-P1"])[0] == {"J0 U1", "P1 T1"}


def test_too_many_people_for_a_suggestion() -> None:
    assert people([f"J{number}-P1" for number in range(7)]) == (set(), set())


KEYS = [f"{kind}{number}" for kind in SCOPES for number in range(3)]
evidence = st.sets(st.sampled_from([f"{a}-{b}" for a, b in combinations(KEYS, 2)]), max_size=14)
pairs = st.sets(st.sampled_from([f"{a}-{b}" for a, b in combinations(KEYS, 2)]), max_size=3)


def fresh() -> World:
    world = World()
    for name in KEYS:
        world.number(name)
    return world


@given(evidence, pairs, pairs, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(links: set[str], joins: set[str], parts: set[str], random: Random) -> None:
    world = fresh()
    first = world.resolve(sorted(links), sorted(joins), sorted(parts))
    mixed = [*links, *links, *("-".join(reversed(link.split("-"))) for link in links)]
    random.shuffle(mixed)
    # Keys get other numbers, as if they had come in another order.
    other, names = World(), list(KEYS)
    random.shuffle(names)
    for name in names:
        other.number(name)
    second = other.resolve(mixed, [*joins, *joins], parts)
    assert world.people(first) == other.people(second)


@given(evidence, pairs, pairs)
def test_every_key_is_in_exactly_one_cluster(links: set[str], joins: set[str], parts: set[str]) -> None:
    world = fresh()
    resolution = world.resolve(links, joins, parts)
    assert sorted(key for cluster in resolution.clusters for key in cluster) == sorted(world.numbers.values())
    place = {key: number for number, cluster in enumerate(resolution.clusters) for key in cluster}
    assert all(low < high and place[low] != place[high] for low, high, _ in resolution.suggestions)
    assert len({(low, high) for low, high, _ in resolution.suggestions}) == len(resolution.suggestions)


@given(evidence, pairs)
def test_nobody_becomes_two_wechat_users_silently(links: set[str], parts: set[str]) -> None:
    world = fresh()
    for cluster in world.people(world.resolve(links, parts=parts)):
        counts = Counter(SCOPES[name[0]] for name in cluster.split())
        doubled = {kind for (kind, scope), count in counts.items() if count > 1}
        assert not {kind for kind in doubled if is_exclusive(kind, Tier.UNION)}, cluster


@given(evidence, pairs, pairs)
def test_joined_is_joined_and_parted_is_parted(links: set[str], joins: set[str], parts: set[str]) -> None:
    world = fresh()
    resolution = world.resolve(links, joins, parts)
    place = {key: number for number, cluster in enumerate(resolution.clusters) for key in cluster}
    by_joins = world.resolve([], joins)
    joined = {key: number for number, cluster in enumerate(by_joins.clusters) for key in cluster}
    for one, other in (world.pair(*pair.split("-")) for pair in joins):
        assert place[one] == place[other]
    for one, other in (world.pair(*pair.split("-")) for pair in parts):
        assert place[one] != place[other] or joined[one] == joined[other]


@given(evidence, evidence)
def test_what_hangs_apart_is_resolved_apart(links: set[str], others: set[str]) -> None:
    """The ground for looking only at what a batch touched."""
    world = fresh()
    everything = world.resolve(links | others)
    touched = world.people(world.resolve(links))
    apart = {key for link in links for key in link.split("-")} & {key for link in others for key in link.split("-")}
    if not apart:
        assert touched <= world.people(everything)


@given(evidence)
def test_strong_keys_alone_never_merge_by_devices(links: set[str]) -> None:
    world = fresh()
    strong = {link for link in links if "D" not in link}
    with_devices = {
        " ".join(name for name in cluster.split() if name[0] != "D") for cluster in world.people(world.resolve(links))
    }
    assert {each for each in with_devices if " " in each} == world.people(world.resolve(strong))


sides = st.tuples(
    st.sets(st.sampled_from(KEYS), min_size=1, max_size=4), st.sets(st.sampled_from(KEYS), min_size=1, max_size=4)
)


@given(evidence, pairs, st.lists(sides, max_size=3))
def test_to_part_many_at_once_is_to_part_each_of_them_from_each_of_the_others(
    links: set[str], joins: set[str], parted: list[tuple[set[str], set[str]]]
) -> None:
    world = fresh()
    apart = [(sorted(one - other), sorted(other - one)) for one, other in parted if one - other and other - one]
    at_once = ["-".join("+".join(side) for side in both) for both in apart]
    one_by_one = {f"{low}-{high}" for one, other in apart for low in one for high in other}
    first, second = (world.resolve(links, joins, parts) for parts in (at_once, one_by_one))
    assert (world.people(first), world.doubts(first)) == (world.people(second), world.doubts(second))
