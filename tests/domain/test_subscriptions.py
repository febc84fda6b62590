"""Which events a subscription wants, and how long a failed delivery waits."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.access import EVERYTHING, Scope
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
