import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.access import (
    ROLE_PERMISSIONS,
    Permission,
    Role,
    Scope,
    permissions_of,
    require_second_person,
    system_actor,
)
from domain.organisation import Placement, parent_path
from domain.problems import AuthorizationProblem, Text
from tests.actors import an_actor

PATHS = ("/", "/east/", "/east/store-1/", "/east/store-10/", "/eastern/", "/west/", "/west/store-2/")
ACCOUNTS = ("youzan/a", "youzan/b", "wecom/a")
PEOPLE = ("li", "wang")

scopes = st.one_of(
    st.just(Scope.everything()),
    st.sets(st.sampled_from(ACCOUNTS), min_size=1).map(lambda names: Scope.of_accounts(*names)),
    st.sampled_from(PATHS).map(Scope.of_branch),
    st.sampled_from(PEOPLE).map(Scope.of_own_customers),
)
placements = st.builds(
    Placement,
    unit_path=st.sampled_from(PATHS),
    account_id=st.none() | st.sampled_from(ACCOUNTS),
    customer_owner=st.none() | st.sampled_from(PEOPLE),
)


@given(scopes, scopes, placements)
def test_a_scope_that_covers_another_shows_all_that_it_shows(wide: Scope, narrow: Scope, placement: Placement) -> None:
    if wide.covers(narrow) and narrow.allows(placement):
        assert wide.allows(placement)


@given(scopes)
def test_everything_covers_every_scope_and_none_but_everything_covers_it(scope: Scope) -> None:
    assert Scope.everything().covers(scope)
    assert scope.covers(scope)
    assert scope.covers(Scope.everything()) == (scope.kind == "everything")


@pytest.mark.parametrize(
    ("scope", "placement", "visible"),
    [
        (Scope.of_branch("/east/store-1/"), Placement("/east/store-1/"), True),
        (Scope.of_branch("/east/store-1/"), Placement("/east/store-10/"), False),
        (Scope.of_branch("/east/"), Placement("/eastern/"), False),
        (Scope.of_branch("/east/"), Placement("/"), False),
        (Scope.of_branch("/"), Placement("/west/store-2/"), True),
        (Scope.of_accounts("youzan/a"), Placement(account_id="youzan/a"), True),
        (Scope.of_accounts("youzan/a"), Placement(), False),
        (Scope.of_own_customers("li"), Placement(customer_owner="li"), True),
        (Scope.of_own_customers("li"), Placement(), False),
    ],
)
def test_who_sees_what(scope: Scope, placement: Placement, visible: bool) -> None:
    assert scope.allows(placement) is visible


@given(scopes)
def test_a_scope_survives_being_stored(scope: Scope) -> None:
    assert Scope.model_validate(scope.model_dump(mode="json", exclude_defaults=True)) == scope


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "branch"},
        {"kind": "accounts"},
        {"kind": "own"},
        {"kind": "everything", "branch": "/east/"},
        {"kind": "accounts", "accounts": ["youzan/a"], "owner": "li"},
        {"kind": "branch", "branch": "/East/"},
        {"kind": "branch", "branch": "/east"},
        {"kind": "accounts", "accounts": ["youzan"]},
    ],
)
def test_half_a_scope_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Scope.model_validate(fields)


def test_every_role_has_its_rights() -> None:
    assert set(ROLE_PERMISSIONS) == set(Role)
    money = {Permission.SETTLEMENTS_RUN, Permission.PAYOUTS_PREPARE, Permission.PAYOUTS_APPROVE}
    assert not ROLE_PERMISSIONS[Role.ADMIN] & money
    for role in Role:
        assert not ROLE_PERMISSIONS[role] >= {Permission.PAYOUTS_PREPARE, Permission.PAYOUTS_APPROVE}
        assert (Permission.USERS_MANAGE in ROLE_PERMISSIONS[role]) == (role is Role.ADMIN)
    assert ROLE_PERMISSIONS[Role.OPS] >= {Permission.DEFINITIONS_DRAFT, Permission.DEFINITIONS_PUBLISH}
    assert Permission.TASKS_WORK not in ROLE_PERMISSIONS[Role.OPS]
    assert Permission.CUSTOMERS_UNMASK not in ROLE_PERMISSIONS[Role.AGENT]


def test_an_auditor_reads_everything_and_changes_nothing() -> None:
    assert ROLE_PERMISSIONS[Role.AUDITOR] == {permission for permission in Permission if permission.endswith(".read")}


def test_roles_add_up_and_a_token_takes_away() -> None:
    both = an_actor("li", Role.AGENT, Role.APPROVER)
    assert both.permissions == permissions_of({Role.AGENT, Role.APPROVER})
    limited = an_actor("li", Role.AGENT, token_scopes=frozenset({Permission.TASKS_READ, Permission.PAYOUTS_APPROVE}))
    assert limited.permissions == {Permission.TASKS_READ}
    with pytest.raises(AuthorizationProblem) as refusal:
        limited.require(Permission.TASKS_WORK)
    assert refusal.value.problem.as_dict()["permission"] == "tasks.work"


def test_only_who_belongs_to_a_queue_serves_it() -> None:
    agent = an_actor("li", Role.AGENT, queues=frozenset({"warehouse"}))
    assert agent.serves("warehouse")
    assert not agent.serves("finance")
    assert not an_actor("wang", Role.SUPERVISOR).serves("finance")
    assert an_actor("zhao", Role.AGENT, queues=frozenset({"*"})).serves("finance")


def test_four_eyes() -> None:
    what = Text("发布", "Publishing")
    require_second_person(an_actor("wang"), ["li"], what)
    with pytest.raises(AuthorizationProblem, match="second person"):
        require_second_person(an_actor("li"), ["li", "zhao"], what)


def test_nobody_can_pass_for_the_program_itself() -> None:
    assert system_actor("cli").is_system
    assert not an_actor("li").is_system


def test_the_unit_above() -> None:
    assert [parent_path(path) for path in ("/", "/east/", "/east/store-1/")] == [None, "/", "/east/"]
