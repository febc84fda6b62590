"""Fields of strangers' records: what is none of theirs is refused by its name."""

from typing import Any

import pytest

from connectors.reading import objects, pieces
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
