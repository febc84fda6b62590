"""Customers' ids: stay where they were, come back when a merge is taken back."""

from typing import NamedTuple
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.customers.naming import CustomerChange, changes_of, home_in, name_clusters
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
    joined_later = {1: Key(A, Tier.PHONE), 2: Key(None), 3: Key(None)}
    assert name_clusters([{1}, {2}, {3}], joined_later).names == [A, None, None]


def test_a_key_gives_up_a_home_that_stayed_elsewhere() -> None:
    naming = name_clusters([{1, 3}, {2}], {1: Key(A), 2: Key(A), 3: Key(B)})
    assert naming.names == [A, None]
    assert home_in(naming, 0, B, A) == B
    assert home_in(naming, 1, A, C) == C
    elsewhere = name_clusters([{1}, {2, 3}], {1: Key(A), 2: Key(A), 3: Key(B)})
    assert home_in(elsewhere, 1, A, B) is None
    assert home_in(elsewhere, 1, None, B) is None


def test_what_became_of_customers() -> None:
    assert changes_of([(B, A), (B, A)], {B: A}) == [CustomerChange(B, A, ())]
    assert changes_of([(A, C)], {}) == [CustomerChange(A, None, (C,))]
    assert changes_of([(B, A), (B, C)], {B: A}) == [CustomerChange(B, A, (C,))]


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
