"""Customers' ids: stay where they were, come back when a merge is taken back."""

from typing import NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.customers.naming import CustomerChange, Naming, changes_of, home_in, name_clusters
from domain.customers.strength import Tier


class Key(NamedTuple):
    home: UUID | None
    tier: Tier = Tier.ACCOUNT


A, B, C = (UUID(int=number) for number in (1, 2, 3))


def test_the_oldest_id_stays_and_comes_back() -> None:
    homes = {1: Key(A), 2: Key(A), 3: Key(B)}
    merged = name_clusters([{1, 2, 3}], homes)
    assert merged.names == [A]
    assert merged.owners == {A: 0, B: 0}
    apart = name_clusters([{1, 2}, {3}], homes)
    assert apart.names == [A, B]


def test_what_was_split_off_gets_a_new_id() -> None:
    assert name_clusters([{2}, {1, 3}], {1: Key(A), 2: Key(A), 3: Key(A)}).names == [None, A]
    phone_first = {1: Key(A, Tier.PHONE), 2: Key(A), 3: Key(A)}
    assert name_clusters([{1}, {2}, {3}], phone_first).names == [None, A, None]
    joined_later = {1: Key(A), 2: Key(None), 3: Key(None)}
    assert name_clusters([{1}, {2}, {3}], joined_later).names == [A, None, None]


def home_of(naming: Naming, number: int, key: Key, name: UUID, *, may_claim: bool = True) -> UUID | None:
    return home_in(naming, number, key, name, may_claim=may_claim)


def test_a_key_gives_up_a_home_that_stayed_elsewhere() -> None:
    naming = name_clusters([{1, 3}, {2}], {1: Key(A), 2: Key(A), 3: Key(B)})
    assert naming.names == [A, None]
    assert home_of(naming, 0, Key(B), A) == B
    assert home_of(naming, 1, Key(A), C) == C
    elsewhere = name_clusters([{1}, {2, 3}], {1: Key(A), 2: Key(A), 3: Key(B)})
    assert home_of(elsewhere, 1, Key(A), B) is None
    assert home_of(elsewhere, 1, Key(None), B) is None


@pytest.mark.parametrize("shared", [Tier.PHONE, Tier.DEVICE])
def test_who_turns_up_beside_a_phone_or_a_device_keeps_the_id_without_it(shared: Tier) -> None:
    keys = {1: Key(A, shared), 2: Key(None), 3: Key(None, Tier.PHONE)}
    together = name_clusters([{1, 2, 3}], keys)
    assert [home_of(together, 0, keys[number], A) for number in keys] == [A, A, None]
    assert [home_of(together, 0, keys[number], A, may_claim=False) for number in keys] == [A, None, None], (
        "undoing a decision gives the phone its id back"
    )
    claimed = {**keys, 2: Key(A)}
    assert name_clusters([{1}, {2}, {3}], claimed).names == [None, A, None]
    later = name_clusters([{1, 2, 3, 4}], {**claimed, 4: Key(None, Tier.UNION)})
    assert home_of(later, 0, Key(None, Tier.UNION), A) is None, "the id has somebody already"


def test_of_two_who_become_one_a_person_keeps_the_id_rather_than_a_phone_or_a_device() -> None:
    keys = {1: Key(A, Tier.DEVICE), 2: Key(B, Tier.PHONE), 3: Key(C)}
    merged = name_clusters([{1, 2, 3}], keys)
    assert (merged.names, merged.owners) == ([C], {A: 0, B: 0, C: 0})
    assert name_clusters([{1, 2}, {3}], keys).names == [A, C]


def test_what_became_of_customers() -> None:
    assert changes_of([(B, A), (B, A)], {B: A}, {}) == [CustomerChange(B, A, ())]
    assert changes_of([(A, C)], {}, {A: [B]}) == [CustomerChange(A, None, (C,))]
    assert changes_of([(B, A), (B, C)], {B: A}, {B: [C]}) == [CustomerChange(B, A, (C,))]
    assert changes_of([(B, A)], {B: A}, {B: [A]}) == [CustomerChange(B, A, (), is_new=False)], "they were one before"


@given(st.dictionaries(st.integers(1, 12), st.sampled_from([A, B, C]), min_size=1), st.data())
def test_no_two_clusters_have_one_name(homes: dict[int, UUID], data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, 3), min_size=len(homes), max_size=len(homes)))
    clusters = [
        {key for key, at in zip(homes, numbers, strict=True) if at == number} for number in sorted(set(numbers))
    ]
    naming = name_clusters(clusters, {key: Key(home) for key, home in homes.items()})
    given_names = [name for name in naming.names if name is not None]
    assert len(set(given_names)) == len(given_names)
    assert set(naming.owners) == set(homes.values())


@given(
    st.dictionaries(
        st.integers(1, 12), st.tuples(st.sampled_from([None, A, B, C]), st.sampled_from(list(Tier))), min_size=1
    ),
    st.data(),
)
def test_naming_the_same_clusters_again_changes_nothing(
    known: dict[int, tuple[UUID | None, Tier]], data: st.DataObject
) -> None:
    numbers = data.draw(st.lists(st.integers(0, 3), min_size=len(known), max_size=len(known)))
    keys = {number: Key(*each) for number, each in known.items()}
    clusters = [{key for key, at in zip(keys, numbers, strict=True) if at == number} for number in sorted(set(numbers))]
    naming = name_clusters(clusters, keys)
    names = [name or UUID(int=100 + number) for number, name in enumerate(naming.names)]
    after = {
        key: keys[key]._replace(home=home_of(naming, number, keys[key], names[number]))
        for number, cluster in enumerate(clusters)
        for key in cluster
    }
    again = name_clusters(clusters, after)
    assert again.names == names
    assert {
        key: home_of(again, naming_of, after[key], names[naming_of])
        for naming_of, cluster in enumerate(clusters)
        for key in cluster
    } == {key: each.home for key, each in after.items()}
