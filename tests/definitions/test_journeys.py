"""The journeys, on the virtual clock and on Temporal: who is written to, when, and who is left alone."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from domain.catalog import CATALOG
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.dsl.definition import parse_definition
from domain.dsl.dry_run import RunResult, Scenario, TimedEvent, dry_run
from domain.dsl.program import Program
from domain.events import Event
from runtime.rehearsal import Rehearsal

JOURNEYS = {
    "unpaid-order": ("tandem.order.created", "tandem.order.paid", timedelta(minutes=30)),
    "live-coupon": ("tandem.coupon.taken", "tandem.coupon.used", timedelta(days=3)),
}


def text_of(name: str) -> str:
    return Path(f"definitions/journeys/{name}.yaml").read_text(encoding="utf-8")


def example(kind: str) -> dict[str, Any]:
    return {**KNOWN_EVENT_TYPES[kind].example}


def cause(kind: str, **more: Any) -> list[dict[str, Any]]:
    return [{"data": {**example(kind), **more}, "tandemkeys": ["key:buyer/youzan/B1", "customer:c1"]}]


def play(name: str, given: Any, *events: TimedEvent) -> RunResult:
    definition = parse_definition(text_of(name))
    return dry_run(Program(definition.flow, definition.data), CATALOG, Scenario(input=given, events=events))


def sent(result: RunResult) -> list[dict[str, Any]]:
    return [call["arguments"] for call in result.calls if call["call"] == "send"]


@pytest.mark.parametrize("name", JOURNEYS)
def test_who_did_nothing_is_reminded_when_the_time_is_over(name: str) -> None:
    begins, _, patience = JOURNEYS[name]
    result = play(name, cause(begins))
    assert result.output == {"result": "reminded", "reason": None}
    assert result.virtual_s == pytest.approx(patience.total_seconds(), abs=1)
    (message,) = sent(result)
    assert message["purpose"] == "marketing"
    assert message["about"]["customer"] == "customer:c1"


@pytest.mark.parametrize("name", JOURNEYS)
def test_who_acted_in_time_is_left_alone_and_others_do_not_count(name: str) -> None:
    begins, ends, patience = JOURNEYS[name]
    data = example(ends)
    other = {key: "other" if key in ("order_id", "coupon_id") else value for key, value in data.items()}
    foreign = TimedEvent(patience / 3, Event(id="1", source="/shop", type=ends, data=other))
    own = TimedEvent(patience / 2, Event(id="2", source="/shop", type=ends, data=data))
    result = play(name, cause(begins), foreign, own)
    assert isinstance(result.output, dict)
    assert result.output["result"] == "not-needed"
    assert result.virtual_s == pytest.approx(patience.total_seconds() / 2, abs=1)
    assert sent(result) == []
    assert len(sent(play(name, cause(begins), foreign))) == 1


def test_what_was_ordered_or_taken_is_checked_when_it_is_sent() -> None:
    (order,) = sent(play("unpaid-order", cause("tandem.order.created")))
    assert [item["item_id"] for item in order["about"]["items"]] == [
        line["item_id"] for line in example("tandem.order.created")["lines"]
    ]
    (coupon,) = sent(play("live-coupon", cause("tandem.coupon.taken")))
    assert coupon["about"]["coupon"]["coupon_id"] == example("tandem.coupon.taken")["coupon_id"]


def test_a_new_customer_has_the_gift_within_two_days() -> None:
    result = play("new-customer-gift", cause("tandem.contact.added"))
    assert result.output == {"result": "given", "reason": None}
    assert result.virtual_s <= 48 * 3600
    assert [message["to"] for message in sent(result)] == [example("tandem.contact.added")["external_userid"]]


def test_a_gift_that_came_at_a_bad_moment_is_given_the_next_morning_but_never_to_who_is_suppressed() -> None:
    def answered(*answers: dict[str, Any]) -> RunResult:
        left = iter(answers)
        definition = parse_definition(text_of("new-customer-gift"))
        given = cause("tandem.contact.added")
        scenario = Scenario(input=given, perform=lambda request: {"message_id": None, **next(left)})
        return dry_run(Program(definition.flow, definition.data), CATALOG, scenario)

    capped, suppressed = ({"sent": False, "skipped_reason": reason} for reason in ("cap", "suppressed"))
    later = answered(capped, {"sent": True, "skipped_reason": None})
    assert (later.output, len(sent(later))) == ({"result": "given", "reason": None}, 2)
    assert later.virtual_s <= 48 * 3600
    never = answered(suppressed)
    assert (never.output, len(sent(never))) == ({"result": "skipped", "reason": "suppressed"}, 1)


@pytest.mark.parametrize(
    ("name", "begins", "ending"),
    [
        ("unpaid-order", "tandem.order.created", "reminded"),
        ("live-coupon", "tandem.coupon.taken", "reminded"),
        ("new-customer-gift", "tandem.contact.added", "given"),
    ],
)
async def test_temporal_ends_them_alike(
    time_skipping: WorkflowEnvironment, name: str, begins: str, ending: str
) -> None:
    stage = Rehearsal(time_skipping.client)
    async with stage.worker():
        handle = await stage.start(text_of(name), f"journeys/{name}", cause(begins))
        output = await asyncio.wait_for(handle.result(), 30)
    assert output == {"result": ending, "reason": None}
    assert [call.call for call in stage.calls].count("send") == 1
