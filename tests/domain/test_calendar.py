"""Working days as China keeps them, and the next moment a wait asks for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import named_calendar, next_moment
from domain.catalog.flow import WaitUntilArguments
from domain.problems import ValidationProblem


def shanghai(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00").astimezone(UTC)


@pytest.mark.parametrize(
    ("wait", "now", "expected"),
    [
        ({"at": "20:30"}, "2026-11-11T10:00", "2026-11-11T20:30"),
        ({"at": "20:30"}, "2026-11-11T21:00", "2026-11-12T20:30"),
        ({"at": "20:30"}, "2026-11-11T20:30", "2026-11-11T20:30"),
        ({"working_hours": True}, "2026-11-11T10:00", "2026-11-11T10:00"),
        ({"working_hours": True}, "2026-11-11T18:00", "2026-11-12T09:00"),
        ({"working_hours": True}, "2026-11-13T20:00", "2026-11-16T09:00"),
        ({"weekdays": ["sat"]}, "2026-11-11T10:00", "2026-11-14T00:00"),
        ({"weekdays": ["wed"], "at": "09:00"}, "2026-11-11T10:00", "2026-11-18T09:00"),
        # National Day, and the Saturday that makes up for it.
        ({"working_hours": True}, "2025-10-01T10:00", "2025-10-09T09:00"),
        ({"working_hours": True}, "2025-10-11T08:00", "2025-10-11T09:00"),
        ({"working_days": True, "at": "10:00"}, "2025-10-03T00:00", "2025-10-09T10:00"),
        ({"at": "2026-11-12T00:00:00+08:00"}, "2026-11-11T10:00", "2026-11-12T00:00"),
    ],
)
def test_the_next_moment_is_what_a_colleague_would_say(wait: dict[str, object], now: str, expected: str) -> None:
    assert next_moment(WaitUntilArguments.model_validate(wait), shanghai(now)) == shanghai(expected)


def test_a_moment_that_has_passed_is_now() -> None:
    now = shanghai("2026-11-11T10:00")
    assert next_moment(WaitUntilArguments(at="2026-11-01T00:00:00+08:00"), now) == now


@pytest.mark.parametrize("at", ["25:00", "morgen", "2026-11-11T00:00:00"])
def test_what_is_no_moment_is_refused_with_an_example(at: str) -> None:
    with pytest.raises(ValidationProblem, match="20:30"):
        next_moment(WaitUntilArguments(at=at), shanghai("2026-11-11T10:00"))


def test_an_unknown_calendar_names_those_there_are() -> None:
    with pytest.raises(ValidationProblem, match="cn"):
        named_calendar("mars")


@given(
    minutes=st.integers(0, 1_500_000),
    hours=st.booleans(),
    days=st.booleans(),
    weekdays=st.sets(st.sampled_from(["mon", "tue", "wed", "thu", "fri"])),
)
def test_the_moment_is_never_in_the_past_and_always_within_what_was_asked(
    minutes: int, hours: bool, days: bool, weekdays: set[str]
) -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    wait = WaitUntilArguments.model_validate(
        {"working_hours": hours, "working_days": days, "weekdays": tuple(weekdays)}
    )
    moment = next_moment(wait, now)
    calendar = named_calendar("cn")
    local = moment.astimezone(calendar.zone)
    assert moment >= now
    assert moment - now < timedelta(days=30)
    if hours:
        assert calendar.opens <= local.time() < calendar.closes
    if hours or days:
        assert calendar.is_working_day(local.date())
    if weekdays:
        assert ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[local.weekday()] in weekdays
