"""What Youzan's orders say beside what was bought: in tags, grades and books, by coupons, discounts and times."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from connectors.accounts import Account
from connectors.reading import CHINA
from connectors.webhooks import Verified
from connectors.youzan.pulling import PULLED_ORDER
from domain.canonical import OrderData
from domain.events import Event
from services.customer_tags import CustomerTagService
from services.definition_sources import SourceText
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.connectors.harness import connector
from tests.services.test_grading import happens as is_graded
from tests.services.test_selling import NOW, Counter
from tests.services.test_tagging import SHIPPED, happens, publish, somebody
from tests.services.test_vip_points import VIP

RULES = """
attribution:
  name: orders
  version: {version}
  title: 归属
  since: 2026-01-01
  counts: [paid, completed]
  roles:
    store: shop
"""
PUSHED = "trade_TradeSuccess"
LATER = timedelta(days=40)


def local(at: datetime) -> str:
    return f"{at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"


def row(number: str, at: datetime, *coupons: str, **info: Any) -> dict[str, Any]:
    """An order as the platform shows it, paid at `at`: a discount without a coupon of 2 yuan, and coupons of 5."""
    promotions = [{"promotion_type": "meetReduce", "sub_promotion_type": "", "coupon_id": "", "discount_fee": "2.00"}]
    promotions += [{"sub_promotion_type": "card", "coupon_id": each, "discount_fee": "5.00"} for each in coupons]
    line = {"oid": "1", "item_id": 7, "title": "大衣", "num": 1, "price": "300.00", "total_fee": "300.00"}
    told = {"tid": number, "status": "WAIT_SELLER_SEND_GOODS", "created": local(at), "pay_time": local(at)}
    return {
        "full_order_info": {
            "order_info": {**told, "update_time": local(at), **info},
            "pay_info": {"payment": "293.00", "post_fee": "0.00"},
            "orders": [line],
        },
        "order_promotion": {
            "item": None,
            "order": promotions,
            "item_discount_fee": None,
            "order_discount_fee": f"{2 + 5 * len(coupons)}.00",
        },
    }


def told_by(told: dict[str, Any], received_at: datetime, kind: str = PULLED_ORDER) -> Event:
    """The event of an order that is read from the list, or pushed."""
    body = told if kind == PULLED_ORDER else {"msg": told, "version": 10**12}
    record = Verified(kind, json.dumps(body).encode(), "k", received_at)
    return next(iter(connector("youzan").to_events(record, Account("youzan", "flagship", {}))))


def orders(now: datetime, *coupons: str) -> list[tuple[str, datetime, dict[str, Any]]]:
    at = now - timedelta(days=1)
    numbers = [f"E{number}-{len(coupons)}" for number in range(2)]
    return [("order.paid", at, dict(told_by(row(number, at, *coupons), now).data)) for number in numbers]


async def test_who_buys_with_coupons_there_waits_for_discounts(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    (buyer, key), (other, another) = await somebody(database), await somebody(database)
    assert await happens(database, buyer, key, *orders(clock.now, "cp1")) == ["+促销敏感"]
    assert await happens(database, other, another, *orders(clock.now)) == []


@pytest.mark.parametrize(("coupons", "is_met"), [((), True), (("cp1",), False)])
async def test_only_who_buys_without_coupons_there_has_the_points_for_it(
    database: Database, clock: SteppedClock, coupons: tuple[str, ...], is_met: bool
) -> None:
    await publish(database, SourceText("vip.yaml", VIP))
    customer, key = await somebody(database)
    await is_graded(database, customer, key, *orders(clock.now, *coupons))
    (vip,) = (await CustomerTagService(database).explain(an_actor("root"), customer, "钻石")).grades
    assert ("不用券也买" in {step.name for step in vip.steps if step.met}) is is_met


@pytest.mark.parametrize("kind", [PULLED_ORDER, PUSHED])
async def test_an_order_counts_as_completed_when_it_was_and_not_when_it_changed_last(
    database: Database, kind: str
) -> None:
    counter = Counter(database)
    await counter.publish(rules=RULES)
    await counter.people()
    paid, done, changed = NOW - LATER, NOW - LATER + timedelta(days=5), NOW - timedelta(hours=1)
    ended = {"status": "TRADE_SUCCESS", "consign_time": local(paid + timedelta(days=1)), "success_time": local(done)}
    event = told_by(row("E1", paid, "cp1", **ended, update_time=local(changed)), NOW, kind)
    await counter.told(OrderData.model_validate(event.data))
    assert await counter.days() == {date(2026, 3, 24), date(2026, 3, 29)}
    async with UnitOfWork(database) as work:
        stored = text("SELECT discount_minor, coupon_ids, shipped_at FROM orders")
        (kept,) = await work.session.execute(stored)
    assert tuple(kept) == (700, ["cp1"], (paid + timedelta(days=1)).astimezone(UTC))
