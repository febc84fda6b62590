"""A step of an order keeps its moment and takes the rest from the whole order."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.canonical import Buyer, OrderData
from domain.canonical.announcing import announce
from domain.customers.awaited_orders import completed
from domain.events import Event

PAID_AT = datetime(2026, 11, 23, 1, 5, tzinfo=UTC)
SHIPPED_AT = PAID_AT + timedelta(hours=3)
SHORT: dict[str, Any] = {"status": "paid", "version": 1, "occurred_at": PAID_AT, "told_in_part": True}
FULL: dict[str, Any] = {
    "status": "shipped",
    "version": 2,
    "occurred_at": SHIPPED_AT,
    "paid_minor": 9900,
    "buyer": Buyer(buyer_id="b1"),
    "influencer_id": "kol",
}


def told(**said: Any) -> Event:
    return announce(OrderData(platform="douyin", account="shop", order_id="1", **said), PAID_AT)


def test_what_the_step_says_of_its_moment_stays_and_the_rest_is_the_whole_order() -> None:
    step, whole = told(**SHORT, close_reason="不想要了"), told(**FULL)
    event = completed(step, whole)
    assert (event.id, event.type, event.time) == (step.id, "tandem.order.paid", PAID_AT)
    data = OrderData.model_validate(event.data)
    assert (data.status, data.version, data.occurred_at, data.told_in_part) == ("paid", 1, PAID_AT, False)
    assert (data.paid_minor, data.buyer.buyer_id, data.influencer_id) == (9900, "b1", "kol")
    assert data.close_reason == "不想要了", "what the whole order leaves out"
    assert "customer:douyin/b1" in event.subjects


def test_one_event_told_twice_is_the_whole_order() -> None:
    step = told(**SHORT)
    whole = told(**{**FULL, "status": "paid", "version": 1})
    assert completed(step, whole) == whole
