from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.human_tasks import (
    OPEN_STATES,
    Person,
    PersonAction,
    Standing,
    State,
    SystemAction,
    moved_by_person,
    moved_by_system,
    overdue_s,
)
from domain.problems import AuthorizationProblem, ConflictProblem, ProblemError, ValidationProblem

LI = Person("li", frozenset({"warehouse"}))
WANG = Person("wang", frozenset({"warehouse"}))
FINANCE = Person("zhao", frozenset({"finance"}))
BOSS = Person("boss", supervises=True)
READY = Standing("ready", "warehouse")


def test_the_usual_way_of_a_task() -> None:
    reserved = moved_by_person(READY, "claim", LI)
    assert (reserved.state, reserved.assignee) == ("reserved", "li")
    assert moved_by_person(reserved, "start", LI).state == "in_progress"
    assert moved_by_person(reserved, "save", LI).state == "in_progress"
    done = moved_by_person(reserved, "complete", LI)
    assert (done.state, done.assignee) == ("completed", "li")


def test_the_second_claim_hears_who_was_faster() -> None:
    with pytest.raises(ConflictProblem, match="reserved by li") as caught:
        moved_by_person(moved_by_person(READY, "claim", LI), "claim", WANG)
    assert caught.value.problem.model_dump()["assignee"] == "li"


def test_only_the_queue_may_claim() -> None:
    with pytest.raises(AuthorizationProblem, match="which you do not serve"):
        moved_by_person(READY, "claim", FINANCE)


def test_only_the_assignee_may_complete() -> None:
    reserved = moved_by_person(READY, "claim", LI)
    for other in (WANG, BOSS):
        with pytest.raises(AuthorizationProblem, match="The task is li's"):
            moved_by_person(reserved, "complete", other)


def test_a_supervisor_delegates_and_releases_what_others_hold() -> None:
    reserved = moved_by_person(READY, "claim", LI)
    assert moved_by_person(reserved, "delegate", BOSS, "wang").assignee == "wang"
    assert moved_by_person(reserved, "release", BOSS) == READY


def test_a_delegation_needs_a_receiver() -> None:
    with pytest.raises(ValidationProblem, match="whom to delegate"):
        moved_by_person(moved_by_person(READY, "claim", LI), "delegate", LI)


@pytest.mark.parametrize("action", ["claim", "start"])
def test_who_is_excluded_cannot_take_it(action: PersonAction) -> None:
    with pytest.raises(AuthorizationProblem, match="four eyes"):
        moved_by_person(Standing("ready", "warehouse", excluded=frozenset({"li"})), action, LI)


def test_it_cannot_be_delegated_to_who_is_excluded() -> None:
    standing = Standing("reserved", "warehouse", "wang", excluded=frozenset({"li"}))
    with pytest.raises(AuthorizationProblem, match="four eyes"):
        moved_by_person(standing, "delegate", WANG, "li")


def test_a_suspended_task_comes_back_as_it_was() -> None:
    working = Standing("in_progress", "warehouse", "li")
    suspended = moved_by_system(working, "suspend")
    with pytest.raises(ConflictProblem, match="suspended"):
        moved_by_person(suspended, "complete", LI)
    assert moved_by_system(suspended, "suspend") == suspended
    assert moved_by_system(suspended, "resume") == working


STATES: tuple[State, ...] = get_args(State)
ACTIONS: tuple[PersonAction, ...] = get_args(PersonAction)
ORDERS: tuple[SystemAction, ...] = get_args(SystemAction)


@given(st.sampled_from(STATES), st.sampled_from(ACTIONS), st.sampled_from([LI, WANG, FINANCE, BOSS]))
def test_an_ended_task_never_moves_again(state: State, action: PersonAction, person: Person) -> None:
    assignee = None if state == "ready" else "li"
    standing = Standing(state, "warehouse", assignee)
    if state in OPEN_STATES:
        return
    with pytest.raises(ProblemError):
        moved_by_person(standing, action, person, "wang")
    for order in ORDERS:
        assert moved_by_system(standing, order) == standing


def test_overdue_counts_from_the_due_time_until_the_end() -> None:
    due = datetime(2026, 11, 11, tzinfo=UTC)
    assert overdue_s(due, None, due - timedelta(hours=1)) == 0
    assert overdue_s(due, None, due + timedelta(minutes=2)) == 120
    assert overdue_s(due, due - timedelta(minutes=1), due + timedelta(days=9)) == 0
    assert overdue_s(None, None, due) == 0
