"""Who is above whom: chains end, circles are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.problems import ValidationProblem
from domain.settlement.payees import refuse_circles

NAMES = {1: "A", 2: "B", 3: "C"}


@pytest.mark.parametrize(
    ("uplines", "circle"),
    [({1: 1}, ["A", "A"]), ({1: 2, 2: 3, 3: 1}, ["A", "B", "C", "A"]), ({3: 1, 1: 2, 2: 1}, None)],
)
def test_a_circle_is_named(uplines: dict[int, int], circle: list[str] | None) -> None:
    with pytest.raises(ValidationProblem, match=r"circle") as refused:
        refuse_circles(uplines, NAMES)
    found = refused.value.problem.as_dict()["circle"]
    assert found[0] == found[-1]
    assert circle is None or found == circle


@given(st.dictionaries(st.integers(1, 200), st.integers(1, 200)))
def test_only_circles_are_refused(uplines: dict[int, int]) -> None:
    def ends(at: int | None) -> bool:
        for _ in range(len(uplines) + 2):
            if at is None:
                return True
            at = uplines.get(at)
        return False

    if all(ends(each) for each in uplines):
        refuse_circles(uplines, {})
    else:
        with pytest.raises(ValidationProblem):
            refuse_circles(uplines, {})


def test_a_chain_of_a_hundred_thousand_is_no_trouble() -> None:
    refuse_circles({number: number + 1 for number in range(100_000)}, {})
