import pytest
from pydantic import ValidationError

from domain.access import Permission, Role, Scope
from domain.people import require_good_password, require_grant, require_right_over, require_separate_duties
from domain.problems import AuthorizationProblem, ValidationProblem
from tests.actors import a_user, an_actor


@pytest.mark.parametrize("login", ["", "a", "Li", "li na", "system:cli", "-li", "li/na", "l" * 70])
def test_a_login_that_could_be_mistaken_is_refused(login: str) -> None:
    with pytest.raises(ValidationError):
        a_user(login)


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaa", "lina-manager123!", "x" * 300])
def test_a_weak_password_is_refused(password: str) -> None:
    with pytest.raises(ValidationProblem):
        require_good_password(password, "lina-manager")


def test_a_long_password_is_good() -> None:
    require_good_password("正确的马电池订书钉哦", "lina")


def test_nobody_raises_the_own_rights() -> None:
    with pytest.raises(AuthorizationProblem, match="own roles"):
        require_grant(an_actor("li"), "li", {Role.FINANCE}, Scope.everything(), "/")


def test_who_does_not_manage_users_grants_nothing() -> None:
    with pytest.raises(AuthorizationProblem, match=r"users\.manage"):
        require_grant(an_actor("li", Role.OPS), "wang", {Role.AGENT}, Scope.everything(), "/")


def test_a_branch_administrator_stays_within_the_branch() -> None:
    admin = an_actor("li", Role.ADMIN, scope=Scope.of_branch("/east/"))
    require_grant(admin, "wang", {Role.AGENT}, Scope.of_branch("/east/store-1/"), "/east/store-1/")
    require_grant(admin, "wang", {Role.AGENT}, Scope.of_own_customers("wang"), "/east/store-1/")
    for scope, unit in (
        (Scope.of_branch("/"), "/east/"),
        (Scope.everything(), "/east/"),
        (Scope.of_branch("/west/"), "/east/"),
        (Scope.of_own_customers("wang"), "/west/"),
    ):
        with pytest.raises(AuthorizationProblem, match="scope"):
            require_right_over(admin, "wang", scope, unit)


def test_a_limited_token_grants_no_more_than_it_holds() -> None:
    token = an_actor("li", token_scopes=frozenset({Permission.USERS_MANAGE, Permission.USERS_READ}))
    with pytest.raises(AuthorizationProblem, match="admin"):
        require_grant(token, "wang", {Role.ADMIN}, Scope.everything(), "/")
    require_grant(an_actor("li"), "wang", {Role.FINANCE}, Scope.everything(), "/")


@pytest.mark.parametrize("approving", [Role.APPROVER, Role.DIRECTOR])
def test_nobody_both_prepares_and_approves_payments(approving: Role) -> None:
    require_separate_duties("wang", {approving, Role.AGENT})
    require_separate_duties("wang", {Role.FINANCE, Role.AUDITOR})
    with pytest.raises(AuthorizationProblem, match="different people"):
        require_separate_duties("wang", {approving, Role.FINANCE})
