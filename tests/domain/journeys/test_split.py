"""Splits: fair, and the same every time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.flow import SplitArguments
from domain.journeys.split import HOLDOUT, choose_branch
from domain.problems import ValidationProblem


def test_shares_come_out_as_asked() -> None:
    split = SplitArguments(shares={"a": 50, "b": 30}, salt="s")
    branches = [choose_branch(split, f"customer:{number}") for number in range(20_000)]
    counts = {branch: branches.count(branch) / 20_000 for branch in ("a", "b", HOLDOUT)}
    assert counts == pytest.approx({"a": 0.5, "b": 0.3, HOLDOUT: 0.2}, abs=0.015)


@given(subject=st.text(min_size=1), salt=st.text(min_size=1), grow=st.integers(0, 50))
def test_who_is_in_a_growing_first_branch_stays_in_it(subject: str, salt: str, grow: int) -> None:
    before = choose_branch(SplitArguments(shares={"new": 50}, salt=salt), subject)
    after = choose_branch(SplitArguments(shares={"new": 50 + grow}, salt=salt), subject)
    assert before == HOLDOUT or after == "new"


def test_salts_draw_independently() -> None:
    first, second = (SplitArguments(shares={"a": 50}, salt=salt) for salt in ("one", "two"))
    both = sum(
        choose_branch(first, f"customer:{number}") == choose_branch(second, f"customer:{number}") == "a"
        for number in range(10_000)
    )
    assert both / 10_000 == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("shares", [{"a": 60, "b": 50}, {"a": -1}])
def test_impossible_shares_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ValidationProblem):
        choose_branch(SplitArguments(shares=shares, salt="s"), "customer:1")


def test_a_split_needs_somebody() -> None:
    with pytest.raises(ValidationProblem):
        choose_branch(SplitArguments(shares={"a": 50}, salt="s"), "")
