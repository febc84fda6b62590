"""When a stream that tells in place of pushes is asked again: always, but for the moments before its next stroke."""

from datetime import UTC, datetime, timedelta

import pytest

from connectors.pulling import Stream
from connectors.taobao.pulling import MESSAGES

STROKE = datetime(2026, 11, 30, 17, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("after", "asked"), [(0.0, True), (20.0, True), (26.9, True), (27.1, False), (29.9, False), (47.0, True)]
)
def test_it_is_asked_again_until_the_next_stroke_is_near_whenever_its_reading_began(after: float, asked: bool) -> None:
    assert MESSAGES.is_asked_again(STROKE + timedelta(seconds=after)) is asked


def test_what_is_not_the_first_to_tell_waits_for_its_stroke() -> None:
    assert not Stream("orders", reaches_back=timedelta(days=90)).is_asked_again(STROKE)
