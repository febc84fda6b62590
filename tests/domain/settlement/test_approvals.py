"""Who may approve how much, and how many people it takes."""

import pytest
from pydantic import ValidationError

from domain.access import Role
from domain.problems import AuthorizationProblem, ConflictProblem
from domain.settlement.approvals import ApprovalPolicy, ApprovalStep
from tests.actors import an_actor

LIMITED = ApprovalPolicy(limits_minor={Role.APPROVER: 5_000_000})
WU, HAN = an_actor("wu", Role.APPROVER), an_actor("han", Role.DIRECTOR)


def test_more_money_takes_more_people() -> None:
    policy = ApprovalPolicy()
    assert [policy.needed(sum_, "CNY") for sum_ in (0, 99_999_999, 100_000_000)] == [1, 1, 2]


def test_beyond_an_approvers_limit_a_director_approves() -> None:
    LIMITED.require_within_limit(WU, 5_000_000, "CNY")
    with pytest.raises(AuthorizationProblem) as refusal:
        LIMITED.require_within_limit(WU, 5_000_001, "CNY")
    assert refusal.value.problem.as_dict()["limit_minor"] == 5_000_000
    LIMITED.require_within_limit(HAN, 5_000_001, "CNY")
    LIMITED.require_within_limit(an_actor("li", Role.APPROVER, Role.DIRECTOR), 5_000_001, "CNY")


def test_without_limits_whoever_approves_may_approve_everything() -> None:
    ApprovalPolicy().require_within_limit(WU, 10**15, "CNY")


def test_steps_and_limits_say_nothing_of_another_currency() -> None:
    with pytest.raises(ConflictProblem, match="USD"):
        ApprovalPolicy().needed(1, "USD")
    with pytest.raises(ConflictProblem, match="USD"):
        LIMITED.require_within_limit(HAN, 1, "USD")


@pytest.mark.parametrize(
    "given",
    [
        {"limits_minor": {"approver": 1, "director": 2}},
        {"limits_minor": {"finance": 1}},
        {"limits_minor": {"approver": -1}},
        {"steps": []},
        {"steps": [ApprovalStep(above_minor=5)]},
        {"steps": [ApprovalStep(approvals=2), ApprovalStep(above_minor=5, approvals=1)]},
    ],
)
def test_a_policy_by_which_money_would_stay_for_ever_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ApprovalPolicy.model_validate(given)
