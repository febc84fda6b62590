from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.access import Scope
from domain.catalog.events import EVENT_TYPES
from domain.events import Event
from domain.organisation import Placement
from domain.problems import AuthorizationProblem
from domain.publishing import account_of, require_right_to_publish
from tests.actors import an_actor

EAST = Placement("/east/", "youzan/east-shop")
NARROW = [
    Scope.of_branch("/east/"),
    Scope.of_accounts("youzan/east-shop"),
    Scope.of_accounts("youzan/east-shop", "a/b"),
]


def an_event(name: str = "com.example.visit", source: str = "/youzan/east-shop", /, **data: Any) -> Event:
    return Event(id="1", source=source, type=name, subject="customer:42", data=data)


def refusal(scope: Scope, event: Event, place: Placement | None) -> dict[str, Any] | None:
    try:
        require_right_to_publish(an_actor(scope=scope), event, place)
    except AuthorizationProblem as problem:
        return problem.problem.as_dict()
    return None


@pytest.mark.parametrize(
    ("source", "account"),
    [
        ("/youzan/flagship", "youzan/flagship"),
        ("/pos/store-0017", "pos/store-0017"),
        ("/tandem/runs", None),
        ("https://example.com/a/b", None),
        ("youzan/flagship", None),
        ("/youzan/flagship/", None),
        ("//youzan/flagship", None),
        ("/youzan/flag ship", None),
        ("/youzan", None),
        ("/", None),
    ],
)
def test_the_account_of_a_source(source: str, account: str | None) -> None:
    assert account_of(source) == account


@pytest.mark.parametrize("scope", NARROW, ids=lambda scope: scope.key)
def test_a_narrow_scope_speaks_for_its_own_accounts(scope: Scope) -> None:
    assert refusal(scope, an_event(), EAST) is None
    own = an_event("tandem.refund.created", platform="youzan", account="east-shop")
    assert refusal(scope, own, EAST) is None


@pytest.mark.parametrize("scope", [*NARROW, Scope.of_own_customers("someone")], ids=lambda scope: scope.key)
@pytest.mark.parametrize(
    ("event", "place"),
    [
        (an_event("com.example.visit", "/youzan/west-shop"), Placement("/west/", "youzan/west-shop")),
        (an_event("com.example.visit", "/youzan/nobody"), Placement(account_id="youzan/nobody")),
        (an_event("com.example.visit", "https://example.com/crm"), None),
        (an_event("tandem.refund.created", platform="youzan", account="west-shop"), EAST),
        (an_event("tandem.refund.created", platform="wecom", account="east-shop"), EAST),
        (an_event("tandem.refund.created", account="east-shop"), EAST),
        (an_event("tandem.refund.created"), EAST),
        (an_event("tandem.refund.created", platform="youzan").model_copy(update={"data": "youzan/east-shop"}), EAST),
        (an_event("tandem.human-task.completed", task="inspect"), EAST),
        (an_event("io.serverlessworkflow.workflow.completed.v1", name="return-refund.apparel"), EAST),
    ],
    ids=str,
)
def test_a_narrow_scope_speaks_for_nobody_else(scope: Scope, event: Event, place: Placement | None) -> None:
    said = refusal(scope, event, place)
    assert said is not None
    assert (said["rule"], said["source"], said["event"]) == ("data-scope", event.source, "1")
    assert said["message"]["zh"] != said["message"]["en"]


def test_every_word_of_a_platform_is_held_to_its_account() -> None:
    for kind in EVENT_TYPES:
        place = Placement("/", f"{kind.example['platform']}/{kind.example['account']}")
        event = an_event(kind.name, f"/{place.account_id}", **kind.example)
        assert refusal(Scope.of_accounts(str(place.account_id)), event, place) is None
        assert refusal(Scope.of_accounts("youzan/other"), event, Placement("/", "youzan/other")) is not None


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_who_sees_everything_publishes_everything(source: str, kind: str) -> None:
    assert refusal(Scope.everything(), an_event(kind, source), None) is None


@given(st.text(max_size=40))
def test_any_source_is_an_account_or_none(source: str) -> None:
    account = account_of(source)
    assert account is None or source == f"/{account}"
