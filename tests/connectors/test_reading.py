"""Fields of strangers' records: what is none of theirs is refused by its name."""

from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.reading import objects, pieces, rfc3339
from domain.problems import ValidationProblem


@pytest.mark.parametrize("count", [1, "12", 999_999])
def test_a_line_is_of_some_pieces(count: Any) -> None:
    assert pieces({"num": count}, "num") == int(count)


@pytest.mark.parametrize("count", [0, -1, 1_000_000, 10**17, "1.5", "٣", True, None, ""])
def test_a_line_of_none_or_of_too_many_pieces_is_refused(count: Any) -> None:
    with pytest.raises(ValidationProblem, match="num"):
        pieces({"num": count}, "num")


@pytest.mark.parametrize("nothing", [{}, {"rows": None}, {"rows": []}, {"rows": ""}])
def test_no_list_is_an_empty_one(nothing: Any) -> None:
    assert objects(nothing, "rows") == []


@pytest.mark.parametrize("rows", [{"a": 1}, "a", 1, [1], [{"a": 1}, None]])
def test_a_list_of_anything_but_objects_is_refused(rows: Any) -> None:
    with pytest.raises(ValidationProblem, match="rows"):
        objects({"rows": rows}, "rows")


def test_an_instant_with_a_zone_is_read_as_utc() -> None:
    assert rfc3339({"at": "2026-11-11T08:00:00+08:00"}, "at") == datetime(2026, 11, 11, tzinfo=UTC)
    assert rfc3339({}, "at") is None


@pytest.mark.parametrize(
    "told", ["2026-11-11T08:00:00", "yesterday", "0001-01-01T00:00:00+08:00", "9999-12-31T23:00-08:00"]
)
def test_an_instant_without_a_zone_or_beyond_the_calendar_is_refused(told: str) -> None:
    with pytest.raises(ValidationProblem):
        rfc3339({"at": told}, "at")
