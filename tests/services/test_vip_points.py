"""Each condition of the shipped VIP grade is met by what it speaks of, and not by what comes near."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.customer_tags import CustomerTagService
from services.definition_sources import SourceText
from storage.engine import Database
from tests.actors import an_actor
from tests.clock import SteppedClock
from tests.people import order
from tests.services.test_grading import happens
from tests.services.test_tagging import publish, somebody

Told = tuple[str, datetime, dict[str, Any]]
Records = Callable[[datetime], list[Told]]

VIP = Path("definitions/grades/vip.yaml").read_text("utf-8")
POINTS = [each["name"] for each in yaml.safe_load(VIP)["grading"]["points"]]


def orders(count: int, *, yuan: int = 1, days: float = 1, **more: Any) -> Records:
    return lambda now: [order(f"E{n}", now - timedelta(days=days), yuan * 100, **more) for n in range(count)]


def one(event: str, days: float = 1, /, **data: Any) -> Records:
    return lambda now: [(event, now - timedelta(days=days), data)]


def refunds(count: int, status: str = "refunded", days: float = 1, *, of: Records | None = None) -> Records:
    """Refunds of the orders `E0`, `E1` …, which `of` gives."""

    def told(now: datetime) -> list[Told]:
        given = [
            (
                "refund.updated",
                now - timedelta(days=days),
                {"refund_id": f"R{n}", "order_id": f"E{n}", "status": status, "amount_minor": 100},
            )
            for n in range(count)
        ]
        return [*(of(now) if of else []), *given]

    return told


def both(*some: Records) -> Records:
    return lambda now: [told for each in some for told in each(now)]


def line(quantity: int, number: str = "1") -> dict[str, Any]:
    return {"line_id": number, "title": "商品", "quantity": quantity, "price_minor": 1, "total_minor": quantity}


def elsewhere(now: datetime) -> list[Told]:
    name, at, data = order("J1", now)
    return [(name, at, {**data, "platform": "jd"})]


def kinds(*categories: str) -> Records:
    return lambda now: [order(f"K{each}", now, category=each) for each in categories]


CONTACT, FOLLOWER = {"external_userid": "wm1", "userid": "li"}, {"openid": "o1"}
VISIT, CHAT = {"visit_id": "v1"}, {"message_id": "m1"}
COUPON, CART = {"coupon_id": "c1", "batch_id": "b1"}, {"cart_id": "k1"}

CASES: dict[str, tuple[Records, Records]] = {
    "付款一次以上": (orders(1), orders(1, status="unpaid")),
    "付款三次以上": (orders(3), orders(2)),
    "付款十次以上": (orders(10), orders(9)),
    "一年实付满 500": (orders(2, yuan=250), refunds(1, of=orders(2, yuan=250))),
    "一年实付满 2000": (orders(2, yuan=1000), orders(2, yuan=1000, days=366)),
    "一年实付满 10000": (orders(10, yuan=1000), orders(10, yuan=999)),
    "有过单笔满 1000": (orders(1, yuan=1000, days=800), orders(2, yuan=999)),
    "30 天内付款": (orders(1, days=29), orders(1, days=31)),
    "90 天内付款": (orders(1, days=89), orders(1, days=91)),
    "一年以上老客": (orders(1, days=366), orders(1, days=364)),
    "在两个以上平台购买": (both(orders(1), elsewhere), orders(2)),
    "买过三类以上商品": (kinds("猫粮", "猫砂", "玩具"), kinds("猫粮", "猫砂")),
    "买过十件以上": (
        orders(1, lines=[line(4), line(6, "2")]),
        orders(1, lines=[line(4), line(5, "2")]),
    ),
    "平台会员 88VIP": (orders(1, membership="88VIP"), orders(1, membership="VIP")),
    "不用券也买": (orders(2), orders(2, coupon_ids=["c1"])),
    "一年三单以上且九成没有退款": (refunds(1, of=orders(10)), refunds(1, of=orders(3))),
    "90 天内用过券": (one("coupon.used", 89, **COUPON, state="used"), one("coupon.taken", **COUPON, state="taken")),
    "是企业微信客户": (one("contact.added", **CONTACT), one("contact.removed", **CONTACT)),
    "关注公众号": (
        one("follower.subscribed", **FOLLOWER),
        one("follower.unsubscribed", **FOLLOWER, following=False),
    ),
    "有店铺会员等级": (
        one("member.updated", 800, member_id="M1", grade="金卡"),
        one("member.updated", buyer_id="yz1", unionid="U1"),
    ),
    "30 天内主动咨询": (one("chat.message", 29, **CHAT, direction="in"), one("chat.message", **CHAT, direction="out")),
    "30 天内浏览": (one("visit.made", 29, **VISIT, name="page_view"), one("visit.made", 31, **VISIT, name="page_view")),
    "90 天内进过直播间": (one("visit.made", 89, **VISIT, name="live_enter"), one("visit.made", **VISIT, name="search")),
    "90 天内扫过渠道码": (one("scan.made", 89, scan_id="s1", code="A1"), one("scan.made", 91, scan_id="s1", code="A1")),
    "30 天内购物车有商品": (
        one("cart.updated", 29, **CART, state="open"),
        one("cart.updated", **CART, state="ordered"),
    ),
    "一年内退款三次以上": (refunds(3), refunds(3, "refused")),
    "90 天内投诉": (
        one("chat.message", 89, **CHAT, direction="in", text="我要投诉"),
        one("chat.message", **CHAT, direction="in", text="还有优惠吗"),
    ),
}


async def met(database: Database, clock: SteppedClock, shop: str, records: Records) -> set[str]:
    """What somebody meets who did all this at one shop."""
    customer, identity = await somebody(database)
    told = [(event, at, {**data, "account": shop}) for event, at, data in records(clock.now)]
    await happens(database, customer, identity, *told)
    (vip,) = (await CustomerTagService(database).explain(an_actor("root"), customer, "钻石")).grades
    return {step.name for step in vip.steps if step.met}


@pytest.mark.parametrize("name", POINTS)
async def test_a_condition_is_met_by_what_it_speaks_of(database: Database, clock: SteppedClock, name: str) -> None:
    await publish(database, SourceText("vip.yaml", VIP))
    enough, too_little = CASES[name]
    assert name in await met(database, clock, "enough", enough)
    assert name not in await met(database, clock, "too-little", too_little)
