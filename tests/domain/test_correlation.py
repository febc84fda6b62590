"""Which events match which filters."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.correlation import contains, correlate, matches
from domain.dsl.expressions import compile_condition
from domain.dsl.model import EventFilter
from domain.events import Event

EVENT = Event(
    id="1",
    source="/youzan/shop",
    type="tandem.refund.created",
    subject="refund:1",
    data={"amount": 5, "shop": {"id": 7}},
)


def evaluate(expression: str, value: Any) -> Any:
    return compile_condition(expression).evaluate(value, {}, now=datetime(2026, 1, 1, tzinfo=UTC))


def wanted(**attributes: Any) -> EventFilter:
    return EventFilter.model_validate({"with": attributes})


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"type": "tandem.refund.created"}, True),
        ({"type": "tandem.refund.closed"}, False),
        ({"subject": '${ startswith("refund:") }'}, True),
        ({"subject": '${ "refund:1" }'}, True),
        ({"data": "${ .amount > 3 }"}, True),
        ({"data": "${ .amount > 9 }"}, False),
        ({"data": {"shop": {"id": 7}}}, True),
        ({"data": {"shop": {"id": 8}}}, False),
        ({"data": {"missing": None}}, False),
        ({"type": "tandem.refund.created", "data": {"amount": "${ . >= 5 }"}}, True),
        ({"roomid": 4}, False),
    ],
)
def test_every_attribute_must_be_as_the_filter_says(attributes: dict[str, Any], expected: bool) -> None:
    assert matches(wanted(**attributes), EVENT, evaluate) is expected


def test_correlation_compares_with_what_is_expected() -> None:
    by_shop = EventFilter.model_validate(
        {"with": {"type": "t"}, "correlate": {"shop": {"from": ".data.shop.id", "expect": "7"}}}
    )
    assert correlate(by_shop, EVENT, evaluate, {"shop": 7}) == {"shop": 7}
    assert correlate(by_shop, EVENT, evaluate, {"shop": 8}) is None
    assert correlate(by_shop, EVENT, evaluate, {}) == {"shop": 7}


def test_an_event_without_the_value_never_correlates() -> None:
    by_room = EventFilter.model_validate({"with": {"type": "t"}, "correlate": {"room": {"from": ".data.room"}}})
    assert correlate(by_room, EVENT, evaluate, {}) is None


@pytest.mark.parametrize(
    ("whole", "part", "expected"),
    [({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, True), ({"a": [1]}, {"a": [1]}, True), ([1, 2], [1], False)],
)
def test_containing_goes_into_objects_only(whole: Any, part: Any, expected: bool) -> None:
    assert contains(whole, part) is expected
