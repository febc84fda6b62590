"""Quiet hours and caps: when a message goes out, and why not."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.journeys.quiet_hours import QuietHours
from domain.journeys.reach import Cap, Customer, ReachPolicy, skip_reason

INSTANTS = st.integers(min_value=1_577_836_800, max_value=2_051_222_400).map(lambda s: datetime.fromtimestamp(s, UTC))
NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
NIGHT = datetime(2026, 11, 23, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("utc_hour", "quiet"), [(13, False), (14, True), (20, True), (23, True), (0, False), (4, False)]
)
def test_the_night_is_the_customers_night(utc_hour: int, quiet: bool) -> None:
    assert QuietHours().covers(datetime(2026, 11, 23, utc_hour, tzinfo=UTC)) is quiet


def test_a_window_within_one_day() -> None:
    lunch = QuietHours(start=time(12), end=time(14))
    assert lunch.covers(NOON)
    assert lunch.over_at(NOON) == datetime(2026, 11, 23, 6, tzinfo=UTC)


def test_the_night_is_over_in_the_morning() -> None:
    assert QuietHours().over_at(NIGHT) == datetime(2026, 11, 24, 0, tzinfo=UTC)


@given(
    instant=INSTANTS,
    start=st.times(),
    end=st.times(),
    zone=st.sampled_from(["Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"]),
)
def test_quiet_hours_end_and_what_follows_is_not_quiet(instant: datetime, start: time, end: time, zone: str) -> None:
    if start == end:
        return
    hours = QuietHours(start=start, end=end, time_zone=zone)
    over = hours.over_at(instant)
    assert not hours.covers(over)
    assert instant <= over <= instant + timedelta(hours=26)


@pytest.mark.parametrize("wrong", [{"start": "22:00", "end": "22:00"}, {"time_zone": "Mars/Base"}, {"start": "25:00"}])
def test_an_impossible_window_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        QuietHours.model_validate(wrong)


def test_service_messages_go_at_night_and_marketing_does_not() -> None:
    assert skip_reason(ReachPolicy(), Customer(), "service", NIGHT) is None
    assert skip_reason(ReachPolicy(), Customer(), "marketing", NIGHT) == "quiet_hours"
    assert skip_reason(ReachPolicy(), Customer(), "marketing", NOON) is None


def test_the_suppressed_are_never_reached() -> None:
    assert skip_reason(ReachPolicy(), Customer(suppressed=True), "service", NOON) == "suppressed"


def test_marketing_needs_consent() -> None:
    demanding = ReachPolicy(marketing_consent="required")
    for policy in (ReachPolicy(), demanding):
        for purpose in ("marketing", "service"):
            assert skip_reason(policy, Customer(consent="withdrawn"), purpose, NOON) == "no_consent"
            assert skip_reason(policy, Customer(consent="given"), purpose, NOON) is None
    assert skip_reason(demanding, Customer(), "marketing", NOON) == "no_consent"
    assert skip_reason(demanding, Customer(), "service", NOON) is None
    assert skip_reason(ReachPolicy(), Customer(), "marketing", NOON) is None


@given(ages_h=st.lists(st.integers(min_value=-1, max_value=24 * 40), max_size=8))
def test_caps_count_what_lies_within_their_days(ages_h: list[int]) -> None:
    policy = ReachPolicy(caps=(Cap(messages=2, days=7),))
    customer = Customer(marketing_sent_at=[NOON - timedelta(hours=age) for age in ages_h])
    expected = "cap" if sum(age < 24 * 7 for age in ages_h) >= 2 else None
    assert skip_reason(policy, customer, "marketing", NOON) == expected
    assert policy.looks_back == timedelta(days=7)
