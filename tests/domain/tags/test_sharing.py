"""Tags on both sides: whatever people do on either, and wherever a push breaks off, both end alike and rest."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.tags.sharing import (
    Agreed,
    Change,
    Seen,
    TagName,
    done,
    misses_any,
    read_agreed,
    shown_agreed,
    turned,
    wishes,
)

SHARED = {"高价值": "价值", "断粮": "阶段"}
VALUE, HUNGER, OTHER = TagName("价值", "高价值"), TagName("阶段", "断粮"), TagName("人群", "孕妈")
NUMBERS = {VALUE: "et1", HUNGER: "et2", OTHER: "et3"}
EVERY = {number: key for key, number in NUMBERS.items()}


@dataclass
class World:
    """A platform with two members, and Tandem with a rule for each shared tag."""

    platform: dict[str, set[TagName]] = field(default_factory=lambda: {"a": set(), "b": set()})
    rules: set[str] = field(default_factory=set)
    marks: set[str] = field(default_factory=set)
    excluded: set[str] = field(default_factory=set)
    agreed: Agreed = field(default_factory=dict)
    calls: int = 0

    @property
    def carried(self) -> set[str]:
        return (self.rules | self.marks) - self.excluded

    def sync(self, breaks: str = "") -> None:
        """One look at the platform and what follows. breaks: `before` or `after` the platform did the work."""
        seen = {member: Seen(1, {NUMBERS[key]: key for key in keys}) for member, keys in self.platform.items()}
        agreed = read_agreed(shown_agreed(self.agreed))
        found = turned(agreed, seen, EVERY if misses_any(agreed, seen) else None, SHARED)
        self.marks = (self.marks | set(found.given)) - set(found.taken)
        self.excluded = (self.excluded | set(found.opposed)) - set(found.given)
        self.marks -= set(found.opposed)
        self.agreed, changes = wishes(found.after, self.carried, SHARED)
        if changes and breaks == "before":
            return
        self.do(changes)
        if changes and breaks == "after":
            return
        self.agreed = done(self.agreed, NUMBERS)

    def do(self, changes: dict[str, Change]) -> None:
        for member, change in changes.items():
            self.calls += 1
            self.platform[member] |= set(change.add)
            self.platform[member] -= {EVERY[number] for number in change.remove}


def test_a_tag_of_a_rule_is_on_every_members_contact_and_its_echo_is_no_change() -> None:
    world = World(rules={"高价值"})
    world.sync()
    assert world.platform == {"a": {VALUE}, "b": {VALUE}}
    for _ in range(3):
        world.sync()
    assert (world.calls, world.marks, world.excluded) == (2, set(), set())
    world.rules.clear()
    world.sync()
    assert (world.platform, world.calls) == ({"a": set(), "b": set()}, 4)
    assert (world.marks, world.excluded) == (set(), set())


@pytest.mark.parametrize("breaks", ["before", "after"])
@pytest.mark.parametrize("carried", [True, False])
def test_a_push_that_broke_off_is_neither_a_members_work_nor_forgotten(breaks: str, carried: bool) -> None:
    world = World(rules={"高价值"})
    if not carried:
        world.sync()
        world.rules.clear()
    world.sync(breaks)
    world.sync()
    assert world.platform == {member: {VALUE} if carried else set() for member in "ab"}
    assert (world.marks, world.excluded) == (set(), set())


def test_what_a_member_sets_is_carried_and_shared_until_they_take_it_away() -> None:
    world = World()
    world.platform["a"] |= {VALUE, OTHER}
    world.sync()
    assert world.marks == {"高价值", "孕妈"}
    assert world.platform["b"] == {VALUE}, "only what is shared goes to others"
    world.platform["a"].clear()
    world.sync()
    assert (world.marks, world.excluded) == (set(), set())
    assert world.platform == {"a": set(), "b": set()}


def test_a_members_no_is_stronger_than_a_rule_and_their_yes_takes_it_back() -> None:
    world = World(rules={"高价值"})
    world.sync()
    world.platform["a"].clear()
    world.sync()
    assert (world.excluded, world.carried, world.platform["b"]) == ({"高价值"}, set(), set())
    world.platform["b"].add(VALUE)
    world.sync()
    assert (world.excluded, world.platform) == (set(), {"a": {VALUE}, "b": {VALUE}})


def test_a_tag_that_an_administrator_deletes_or_renames_is_nobodys_decision() -> None:
    world = World(rules={"高价值"})
    world.sync()
    gone = {member: Seen(1, {}) for member in "ab"}
    assert turned(world.agreed, gone, {"et2", "et3"}, SHARED).opposed == {}
    renamed = {member: Seen(1, {"et1": TagName("价值", "贵宾")}) for member in "ab"}
    found = turned(world.agreed, renamed, EVERY, SHARED)
    assert (found.opposed, set(found.given)) == ({}, {"贵宾"})


def test_a_contact_made_anew_or_gone_takes_no_decision_along() -> None:
    world = World(rules={"高价值"})
    world.platform["a"].add(OTHER)
    world.sync()
    anew = {"a": Seen(2, {}), "b": Seen(1, {"et1": VALUE})}
    found = turned(world.agreed, anew, EVERY, SHARED)
    assert (found.given, found.taken, found.opposed) == ({}, {}, {})
    assert wishes(found.after, {"高价值"}, SHARED)[1] == {"a": Change((VALUE,), ())}
    assert turned(world.agreed, {}, EVERY, SHARED).after == {}


def test_a_tag_that_is_no_longer_shared_stays_and_takes_no_decision() -> None:
    world = World(rules={"高价值"})
    world.sync()
    seen = {member: Seen(1, {"et1": VALUE}) for member in "ab"}
    after, changes = wishes(turned(world.agreed, seen, None, {}).after, set(), {})
    assert changes == {}
    assert turned(after, {member: Seen(1, {}) for member in "ab"}, EVERY, {}).opposed == {}


Step = st.one_of(
    st.tuples(st.just("rule"), st.sampled_from(sorted(SHARED)), st.just("")),
    st.tuples(st.just("member"), st.sampled_from(sorted(NUMBERS)), st.sampled_from("ab")),
    st.tuples(st.just("sync"), st.just(""), st.sampled_from(["", "before", "after"])),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(Step, max_size=25))
def test_whatever_happens_both_sides_end_alike_and_rest(steps: list[tuple[str, object, str]]) -> None:
    world = World()
    for kind, what, how in steps:
        if kind == "rule":
            world.rules ^= {str(what)}
        elif kind == "member":
            assert isinstance(what, TagName)
            world.platform[how] ^= {what}
        else:
            world.sync(how)
    world.sync()
    for keys in world.platform.values():
        assert {key.name for key in keys if key != OTHER} == world.carried & set(SHARED)
    calls, before = world.calls, (world.agreed, set(world.marks), set(world.excluded))
    world.sync()
    assert (world.calls, (world.agreed, world.marks, world.excluded)) == (calls, before)
