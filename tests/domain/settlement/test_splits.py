"""Cutting a sum: nothing is lost, nobody is more than one unit from exact, equals are served in order."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.settlement.splits import allot, split

WEIGHTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any)


@pytest.mark.parametrize(
    ("total", "weights", "wanted"),
    [
        (15, [80, 8, 12], [12, 1, 2]),
        # Numscript itself rounds down and serves in the order listed: 13/2/0. Here the largest remainder has the rest.
        (15, [80, 15, 5], [12, 2, 1]),
        (100, [1, 1, 1], [34, 33, 33]),
        (101, [3, 7], [30, 71]),
        (0, [1, 2], [0, 0]),
        (-100, [1, 1, 1], [-34, -33, -33]),
    ],
)
def test_published_examples(total: int, weights: list[int], wanted: list[int]) -> None:
    assert split(total, weights) == wanted


@given(st.integers(-(10**12), 10**12), WEIGHTS)
def test_parts_add_up_and_are_near_exact(total: int, weights: list[int]) -> None:
    parts = split(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1
    assert split(-total, weights) == [-part for part in parts]


@given(st.integers(0, 10**12), st.lists(st.integers(0, 2_500), min_size=1, max_size=4))
def test_shares_and_what_is_kept_are_the_whole(total: int, shares: list[int]) -> None:
    parts, kept = allot(total, shares, 10_000)
    assert sum(parts) + kept == total
    assert kept >= 0


def test_shares_above_the_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="more than the whole"):
        allot(100, [6_000, 5_000], 10_000)
    for wrong in ([], [0, 0], [1, -1]):
        with pytest.raises(ValueError, match="weights"):
            split(1, wrong)
