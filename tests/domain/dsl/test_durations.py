"""Durations, as authors write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dsl.durations import parse_duration
from domain.problems import ValidationProblem


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("PT15M", 900),
        ("P1DT2H", 93_600),
        ("PT0.5S", 0.5),
        ("P2W", 1_209_600),
        ({"days": 1, "milliseconds": 500}, 86_400.5),
        ({"seconds": 0}, 0),
    ],
)
def test_lengths(written: object, seconds: float) -> None:
    assert parse_duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize("written", ["15M", "P", "PT", "-PT5S", "1 hour", "", {}, {"weeks": 1}, {"days": -1}, 5, None])
def test_what_is_no_duration_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValidationProblem, match="PT15M"):
        parse_duration(written)


@pytest.mark.parametrize("written", ["P11Y", {"days": 10**12}, "P99999999999999999999D"])
def test_every_wait_has_an_end(written: object) -> None:
    with pytest.raises(ValidationProblem):
        parse_duration(written)


@given(st.integers(0, 300), st.integers(0, 10_000), st.integers(0, 10_000))
def test_both_ways_of_writing_agree(days: int, minutes: int, seconds: int) -> None:
    assert parse_duration(f"P{days}DT{minutes}M{seconds}S") == parse_duration(
        {"days": days, "minutes": minutes, "seconds": seconds}
    )
