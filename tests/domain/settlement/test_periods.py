"""Every day is in one period of each cycle, and periods follow one another."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.problems import ValidationProblem
from domain.settlement.days import FIRST_DAY, LAST_DAY
from domain.settlement.periods import begun_between, period_of
from domain.settlement.scheme import CYCLES, Cycle


@pytest.mark.parametrize(
    ("cycle", "day", "start", "end"),
    [
        ("day", "2026-11-11", "2026-11-11", "2026-11-12"),
        ("week", "2026-11-11", "2026-11-09", "2026-11-16"),
        ("half-month", "2026-11-15", "2026-11-01", "2026-11-16"),
        ("half-month", "2026-02-16", "2026-02-16", "2026-03-01"),
        ("month", "2026-12-31", "2026-12-01", "2027-01-01"),
    ],
)
def test_periods(cycle: Cycle, day: str, start: str, end: str) -> None:
    assert period_of(cycle, date.fromisoformat(day)) == (date.fromisoformat(start), date.fromisoformat(end))


@given(st.sampled_from(CYCLES), st.dates(date(2001, 1, 1), date(2100, 11, 30)))
def test_no_day_is_in_two_periods_or_in_none(cycle: Cycle, day: date) -> None:
    start, end = period_of(cycle, day)
    assert start <= day < end
    assert period_of(cycle, start) == period_of(cycle, end - timedelta(days=1)) == (start, end)
    assert period_of(cycle, end)[0] == end


@pytest.mark.parametrize(
    ("cycle", "day", "upto", "begun"),
    [
        ("month", "2026-12-02", "2026-12-31", 0),
        ("month", "2026-12-02", "2027-01-01", 1),
        ("half-month", "2026-12-02", "2027-01-01", 2),
        ("day", "2026-12-02", "2026-12-04", 2),
        ("day", "2026-12-02", "2027-12-04", 3),
        ("week", "2026-12-31", "2026-12-01", 0),
    ],
)
def test_periods_that_begin_after_a_day(cycle: Cycle, day: str, upto: str, begun: int) -> None:
    assert begun_between(cycle, date.fromisoformat(day), date.fromisoformat(upto), 3) == begun


@pytest.mark.parametrize("cycle", CYCLES)
def test_a_day_of_another_age_has_no_period(cycle: Cycle) -> None:
    for day in (date.min, FIRST_DAY - timedelta(days=1), LAST_DAY + timedelta(days=1), date.max):
        with pytest.raises(ValidationProblem) as refused:
            period_of(cycle, day)
        assert str(day) in refused.value.text.zh
    assert period_of(cycle, FIRST_DAY)[0] == FIRST_DAY
    assert period_of(cycle, LAST_DAY)[1] > LAST_DAY
