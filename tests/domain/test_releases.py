import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.problems import ConflictProblem
from domain.releases import NOTHING_RELEASED, ReleaseAction, ReleaseState, choose_version, released, rolled_back

FLOW = "apparel/return-refund"
History = list[tuple[ReleaseAction, str | None]]
SUBJECTS = [f"customer:{number}" for number in range(4_000)]


def chosen(state: ReleaseState, flow: str = FLOW) -> set[str]:
    return {subject for subject in SUBJECTS if choose_version(state, flow, subject) == state.candidate}


def test_a_tenth_of_the_subjects_gets_the_candidate() -> None:
    state = released(ReleaseState(stable="1.0.0"), "1.1.0", 10)
    assert 0.08 < len(chosen(state)) / len(SUBJECTS) < 0.12


def test_zero_percent_reaches_nobody() -> None:
    assert chosen(released(ReleaseState(stable="1.0.0"), "1.1.0", 0)) == set()


@given(st.floats(0, 99), st.floats(0, 99))
def test_a_subject_keeps_its_side_while_the_share_grows(one: float, other: float) -> None:
    stable = ReleaseState(stable="1.0.0")
    small, large = (released(stable, "1.1.0", share) for share in sorted((one, other)))
    assert chosen(small) <= chosen(large)


def test_flows_draw_independently() -> None:
    state = released(ReleaseState(stable="1.0.0"), "1.1.0", 50)
    both = chosen(state) & chosen(state, "apparel/exchange")
    assert 0.2 < len(both) / len(SUBJECTS) < 0.3


def test_a_hundred_percent_makes_the_candidate_stable() -> None:
    assert released(ReleaseState(stable="1.0.0", candidate="1.1.0", share_percent=10), "1.1.0", 100) == ReleaseState(
        stable="1.1.0"
    )


def test_a_flow_released_to_a_share_only_has_no_version_for_the_others() -> None:
    state = released(NOTHING_RELEASED, "1.0.0", 50)
    assert {choose_version(state, FLOW, subject) for subject in SUBJECTS} == {"1.0.0", None}


def test_the_stable_version_cannot_get_a_share() -> None:
    with pytest.raises(ConflictProblem, match=r"1\.0\.0 is the stable one"):
        released(ReleaseState(stable="1.0.0"), "1.0.0", 10)


def test_a_rollback_drops_the_candidate_first() -> None:
    state = ReleaseState(stable="1.0.0", candidate="1.1.0", share_percent=10)
    assert rolled_back(state, [("release", "1.0.0"), ("release", "1.0.0")]) == ReleaseState(stable="1.0.0")


def test_each_rollback_goes_one_stable_version_further_back() -> None:
    history: History = [("release", "1.0.0"), ("release", "1.1.0"), ("release", "1.2.0")]
    once = rolled_back(ReleaseState(stable="1.2.0"), history)
    assert once.stable == "1.1.0"
    twice = rolled_back(once, [*history, ("rollback", "1.1.0")])
    assert twice.stable == "1.0.0"
    with pytest.raises(ConflictProblem, match="no earlier stable version"):
        rolled_back(twice, [*history, ("rollback", "1.1.0"), ("rollback", "1.0.0")])


def test_after_a_rollback_and_a_new_version_the_bad_one_does_not_return() -> None:
    history: History = [("release", "1.0.0"), ("release", "1.1.0"), ("rollback", "1.0.0"), ("release", "1.2.0")]
    assert rolled_back(ReleaseState(stable="1.2.0"), history).stable == "1.0.0"
