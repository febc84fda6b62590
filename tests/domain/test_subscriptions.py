"""Which events a subscription wants, and how long a failed delivery waits."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.access import EVERYTHING, Scope
from domain.catalog import CATALOG
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.events import Event
from domain.subscriptions import MOST_ATTEMPTS, NewSubscription, Subscription, outgoing, pause_after

_AT = datetime(2026, 11, 11, tzinfo=UTC)


def a_subscription(*types: str, accounts: tuple[str, ...] = ()) -> Subscription:
    """Of these types; everything else as it may be."""
    return Subscription(
        id=UUID(int=1),
        name="warehouse",
        url="https://a.example",
        types=types,
        accounts=accounts,
        masked=True,
        batched=False,
        created_at=_AT,
        created_by="ops",
        paused_at=None,
        cursor_xact=0,
        cursor=0,
        delivered=0,
        attempts=0,
        next_attempt_at=_AT,
        problem=None,
        problem_at=None,
        previous_until=None,
    )


@pytest.mark.parametrize(
    ("pattern", "type_", "wanted"),
    [
        ("tandem.order.paid", "tandem.order.paid", True),
        ("tandem.order.paid", "tandem.order.paid.late", False),
        ("tandem.order.*", "tandem.order.paid", True),
        ("tandem.order.*", "tandem.order", False),
        ("tandem.order.*", "tandem.orders.paid", False),
        ("*", "anything", True),
    ],
)
def test_a_pattern_is_exact_or_a_prefix_of_whole_words(pattern: str, type_: str, wanted: bool) -> None:
    assert a_subscription(pattern).wants(type_, "/pos/1", EVERYTHING) is wanted
    assert NewSubscription(name="n", url="https://a.example", types=(pattern,)).types == (pattern,)


def test_accounts_let_only_their_own_events_through() -> None:
    own = a_subscription("*", accounts=("youzan/flagship",))
    assert own.wants("a", "/youzan/flagship", EVERYTHING)
    assert own.wants("a", "/youzan/flagship", Scope.of_accounts("youzan/flagship"))
    assert not own.wants("a", "/youzan/flagship", Scope.of_accounts("youzan/flagship", "youzan/other"))
    assert not own.wants("a", "/youzan/other", EVERYTHING)
    assert not own.wants("a", "/tandem/run", EVERYTHING)


@given(st.integers(1, 10_000))
def test_pauses_grow_up_to_an_hour(attempts: int) -> None:
    assert timedelta(seconds=5) <= pause_after(attempts) <= pause_after(attempts + 1) <= timedelta(hours=1)


def test_all_attempts_take_less_than_an_hour() -> None:
    assert sum((pause_after(each) for each in range(1, MOST_ATTEMPTS)), timedelta()) < timedelta(hours=1)


def test_further_subjects_go_out_as_one_text() -> None:
    event = Event(id="1", source="/a/b", type="t", tandemkeys=("order:1", "customer:2"))
    assert outgoing(event, None)["tandemkeys"] == "order:1,customer:2"
    assert "tandemkeys" not in outgoing(Event(id="1", source="/a/b", type="t"), None)


def attributes_of(event: Event, *, masked: bool) -> dict[str, Any]:
    """The context attributes that go out, each as CloudEvents 1.0.2 has it."""
    shown = outgoing(event, CATALOG.masking() if masked else None)
    attributes = {name: value for name, value in shown.items() if name != "data"}
    for name, value in attributes.items():
        assert re.fullmatch("[a-z0-9]+", name), name
        assert isinstance(value, str | bool) or (type(value) is int and abs(value) < 2**31), name
    assert json.loads(json.dumps(shown)) == shown
    return attributes


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("name", KNOWN_EVENT_TYPES)
def test_every_event_that_tandem_knows_goes_out_as_a_cloud_event(name: str, masked: bool) -> None:
    data, keys = KNOWN_EVENT_TYPES[name].example, ("customer:2",)
    event = Event(id="1", source="/a/b", type=name, time=_AT, subject="order:1", tandemkeys=keys, data=data)
    assert attributes_of(event, masked=masked) == {
        "specversion": "1.0",
        "id": "1",
        "source": "/a/b",
        "type": name,
        "time": "2026-11-11T00:00:00Z",
        "subject": "order:1",
        "tandemkeys": "customer:2",
    }
    assert outgoing(event, None)["data"] == data


def test_what_an_author_adds_goes_out_as_far_as_an_event_may_have_it() -> None:
    added = {"colour": "red", "count": 3, "fresh": True, "big": 2**31, "rate": 0.5, "size": {"cm": [1, 2]}, "No_1": "x"}
    shown = attributes_of(Event(id="1", source="/a/b", type="t", **added), masked=False)
    texts = {"big": "2147483648", "rate": "0.5", "size": '{"cm":[1,2]}'}
    assert {name: shown.get(name) for name in added} == {**added, **texts, "No_1": None}
