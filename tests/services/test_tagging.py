"""Tags follow the records: gained and lost exactly once, by records, by time, by merges, by a rule's new version."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.access import system_actor
from domain.events import Event
from domain.tags import EVERY_KIND
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.tag_rules import RuleBook
from services.tagging import Tagging
from storage.customer_facts import CustomerFacts
from storage.customer_tags import CustomerTags
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.clock import SteppedClock
from tests.people import add_customers, add_identity, add_records, order

OPS = system_actor("test")
DAY = timedelta(days=1)
SHIPPED = [SourceText(path.name, path.read_text("utf-8")) for path in sorted(Path("definitions/tags").glob("*.yaml"))]

Shop = tuple[Tagging, Database]


def rule(when: str, *, name: str = "r", version: str = "1.0.0", tag: str = "标签", more: str = "") -> SourceText:
    head = f"tag-rule: {{ name: {name}, version: {version}, tag: {tag}, title: t, {more} when: {{ {when} }} }}"
    return SourceText("rule.yaml", head)


async def publish(database: Database, *texts: SourceText) -> None:
    definitions = DefinitionService(database)
    for uploaded in await definitions.upload(OPS, texts):
        version = uploaded.version
        await definitions.publish(OPS, (version.kind, version.namespace, version.name, version.version))


async def somebody(database: Database) -> tuple[UUID, int]:
    async with UnitOfWork(database) as work:
        return (await add_customers(work, 1))[0]


async def happens(
    database: Database, customer: UUID, identity: int, *records: tuple[str, Any, dict[str, Any]], kinds: str = ""
) -> list[str]:
    """Records come in; what the customer gained (+) and lost (-)."""
    async with UnitOfWork(database) as work:
        await add_records(work, [(identity, *record) for record in records])
        events = await Tagging(database).evaluate(work, frozenset({customer}), frozenset(kinds.split()) or EVERY_KIND)
    return told(events)


def told(events: Sequence[Event]) -> list[str]:
    return sorted(("+" if event.type.endswith("gained") else "-") + event.data["tag"] for event in events)


async def outbox(database: Database) -> int:
    async with UnitOfWork(database) as work:
        return int(await work.session.scalar(text("SELECT count(*) FROM event_outbox")) or 0)


async def test_the_third_order_makes_a_customer_valuable_once(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    customer, identity = await somebody(database)
    assert await happens(database, customer, identity, order("E1", clock.now), order("E2", clock.now)) == []
    assert await happens(database, customer, identity, order("E3", clock.now)) == ["+高价值"]
    assert await happens(database, customer, identity, order("E3", clock.now), order("E4", clock.now)) == []
    # An order that was closed does not count any more.
    closed = [
        ("order.closed", clock.now, {"order_id": name, "status": "closed", "version": 9}) for name in ("E1", "E2")
    ]
    assert await happens(database, customer, identity, *closed) == ["-高价值"]


async def test_a_check_by_a_rule_that_cannot_be_read_here_is_not_lost(
    database: Database, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while workers are upgraded one after the other."""
    await publish(database, rule("all: [ { orders: { latest: { older-than: P30D } } } ]"))
    customer, identity = await somebody(database)
    assert await happens(database, customer, identity, order("E1", clock.now)) == []
    clock.advance(days=31)

    async def cannot_read(*_: object) -> list[object]:
        return []

    with monkeypatch.context() as old_release:
        old_release.setattr(RuleBook, "current", cannot_read)
        await Tagging(database).check_due()
        assert (await Tagging(database).backfill()).complete
    clock.advance(hours=2)
    assert (await Tagging(database).check_due()).gained == 1


async def test_rules_look_at_the_moment_in_which_they_look(database: Database, clock: SteppedClock) -> None:
    """Not at the one in which their batch began: somebody else may have looked since."""
    await publish(database, rule("all: [ { orders: { latest: { older-than: P30D } } } ]"))
    customer, identity = await somebody(database)
    await happens(database, customer, identity, order("E1", clock.now))
    clock.advance(days=30, seconds=-1)
    async with UnitOfWork(database) as work:
        clock.advance(seconds=2)
        events = await Tagging(database).evaluate(work, frozenset({customer}), EVERY_KIND)
    assert told(events) == ["+标签"]


async def test_a_tag_says_what_the_rule_saw(database: Database, clock: SteppedClock) -> None:
    await publish(database, rule("all: [ { orders: { sum: { of: paid, at-least: '250.00' } } } ]"))
    customer, identity = await somebody(database)
    async with UnitOfWork(database) as work:
        await add_records(work, [(identity, *order(f"E{number}", clock.now)) for number in range(3)])
        (event,) = await Tagging(database).evaluate(work, frozenset({customer}), frozenset({"orders"}))
    assert event.subject == f"customer:{customer}"
    assert event.data["why"] == [
        {
            "place": "/when/all/0/orders",
            "fact": "orders",
            "measure": "sum",
            "of": "paid",
            "value": 30_000,
            "met": True,
        }
    ]


async def test_time_alone_takes_and_gives_tags(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    customer, identity = await somebody(database)
    tagging = Tagging(database)
    assert await happens(database, customer, identity, order("E1", clock.now, category="猫粮")) == []
    clock.advance(days=29, hours=23)
    assert (await tagging.check_due()).gained == 0
    clock.advance(hours=1)
    assert (await tagging.check_due()).gained == 1
    assert await happens(database, customer, identity, order("E2", clock.now, category="猫粮")) == ["-断粮"]
    # Now an interval of 30 days is known: one and a half of it have to pass.
    clock.advance(days=44, hours=23)
    await tagging.check_due()
    clock.advance(hours=1)
    assert (await tagging.check_due()).gained == 1
    clock.advance(days=150)
    checked = await tagging.check_due()
    assert (checked.gained, checked.lost) == (0, 1)
    assert await outbox(database) == 3


async def test_a_coupon_taken_live_and_not_used_makes_somebody_hesitate(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, *SHIPPED)
    coupon = {"coupon_id": "C1", "batch_id": "b", "state": "taken", "source": "live", "value_minor": 2_000}
    (waits, key), (buys, other) = await somebody(database), await somebody(database)
    assert await happens(database, waits, key, ("coupon.taken", clock.now, coupon)) == []
    assert await happens(database, buys, other, ("coupon.taken", clock.now, {**coupon, "coupon_id": "C2"})) == []
    clock.advance(days=2)
    used = {**coupon, "coupon_id": "C2", "state": "used", "version": 2}
    assert await happens(database, buys, other, order("E1", clock.now), ("coupon.used", clock.now, used)) == []
    clock.advance(days=1)
    assert (await Tagging(database).check_due()).gained == 1
    assert await happens(database, waits, key, order("E2", clock.now)) == ["-犹豫型"]


async def test_who_bought_before_the_coupon_hesitates_and_who_bought_after_it_does_not(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, *SHIPPED)
    coupon = {"coupon_id": "C1", "batch_id": "b", "state": "taken", "source": "live", "value_minor": 2_000}
    (before, key), (after, other) = await somebody(database), await somebody(database)
    first = ("coupon.taken", clock.now - 5 * DAY, coupon)
    second = ("coupon.taken", clock.now - 5 * DAY, {**coupon, "coupon_id": "C2"})
    # Neither bought within the last three days.
    assert await happens(database, before, key, first, order("E1", clock.now - 6 * DAY)) == ["+犹豫型"]
    assert await happens(database, after, other, second, order("E2", clock.now - 4 * DAY)) == []
    late = ("coupon.taken", clock.now, {**coupon, "coupon_id": "C3"})
    assert await happens(database, after, other, late) == []
    clock.advance(days=3)
    assert (await Tagging(database).check_due()).gained == 1, "a new coupon, and nothing bought since"
    assert await happens(database, before, key, order("E3", clock.now), kinds="orders") == ["-犹豫型"]


async def test_a_cart_waits_until_something_is_paid_after_it(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    (before, key), (after, other) = await somebody(database), await somebody(database)
    minute = timedelta(minutes=1)

    def cart(name: str, minutes_ago: int) -> tuple[str, Any, dict[str, Any]]:
        return "cart.updated", clock.now - minutes_ago * minute, {"cart_id": name, "state": "open"}

    assert await happens(database, before, key, order("E1", clock.now - 10 * minute), cart("C1", 5)) == []
    assert await happens(database, after, other, cart("C2", 120), order("E2", clock.now - 60 * minute)) == []
    clock.advance(minutes=25)
    # What was paid in the half hour before the rule looks, and before the cart, says nothing about the cart.
    assert (await Tagging(database).check_due()).gained == 1
    assert await happens(database, before, key, order("E3", clock.now), kinds="orders") == ["-加购未买"]


async def test_what_counts_is_the_part_that_one_way_of_dining_has(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    customer, identity = await somebody(database)
    out = [order(f"T{number}", clock.now - number * DAY, dining="takeaway") for number in range(6)]
    inside = [order(f"D{number}", clock.now - 60 * DAY, dining="dine_in") for number in range(3)]
    assert await happens(database, customer, identity, *out, *inside) == ["+外卖型", "+高价值"]
    more = [order(f"D{number}", clock.now - 60 * DAY, dining="dine_in") for number in range(3, 6)]
    assert await happens(database, customer, identity, *more) == ["-外卖型"], "half of them is no majority"
    async with UnitOfWork(database) as work:
        why = await work.session.scalar(text("SELECT why FROM customer_tags WHERE rule = 'takeaway'"))
    assert why is not None
    assert (why[1]["measure"], why[1]["value"]) == ("share", "6/12")
    # The meals inside leave the ninety days.
    clock.advance(days=30)
    assert (await Tagging(database).check_due()).gained == 1


async def test_coupons_and_carts_keep_to_one_currency(database: Database, clock: SteppedClock) -> None:
    def worth(fact: str, currency: str = "") -> str:
        return f"all: [ {{ {fact}: {{ {currency} sum: {{ of: amount, at-least: '50.00' }} }} }} ]"

    abroad = "where: { currency: USD },"
    await publish(
        database,
        rule(worth("coupons"), name="coupons", tag="大额券"),
        rule(worth("coupons", abroad), name="coupons-abroad", tag="美元大额券"),
        rule(worth("carts"), name="carts", tag="大额购物车"),
        rule(worth("carts", abroad), name="carts-abroad", tag="美元大额购物车"),
    )
    customer, identity = await somebody(database)

    def coupon(number: int, **more: str) -> tuple[str, Any, dict[str, Any]]:
        told = {"coupon_id": f"C{number}", "batch_id": "b1", "state": "taken", "value_minor": 3_000, **more}
        return "coupon.taken", clock.now, told

    def cart(number: int, **more: str) -> tuple[str, Any, dict[str, Any]]:
        return "cart.updated", clock.now, {"cart_id": f"K{number}", "total_minor": 3_000, **more}

    mixed = coupon(1), coupon(2, currency="USD"), cart(1), cart(2, currency="USD")
    assert await happens(database, customer, identity, *mixed) == [], "thirty yuan and thirty dollars are not sixty"
    more = coupon(3, currency="CNY"), cart(3, currency="USD")
    assert await happens(database, customer, identity, *more) == ["+大额券", "+美元大额购物车"]


async def test_amounts_of_two_currencies_are_never_added_up(database: Database, clock: SteppedClock) -> None:
    dollars = "all: [ { orders: { where: { currency: USD }, sum: { of: kept, at-least: '1500.00' } } } ]"
    back = "all: [ { refunds: { where: { currency: USD }, sum: { of: amount, at-least: '5.00' } } } ]"
    await publish(
        database,
        *SHIPPED,
        rule(dollars, name="dollars", tag="美元大客"),
        rule("all: [ { refunds: { sum: { of: amount, at-least: '5.00' } } } ]", name="back", tag="退过"),
        rule(back, name="dollars-back", tag="退过美元"),
    )
    customer, identity = await somebody(database)
    home, abroad = order("E1", clock.now, 150_000), order("E2", clock.now, 149_900, currency="USD")
    assert await happens(database, customer, identity, home, abroad) == [], "they are not 2999 yuan"
    more = order("E3", clock.now, 100, currency="USD")
    assert await happens(database, customer, identity, more) == ["+美元大客", "+高价值"]
    refund = {"refund_id": "R1", "order_id": "E2", "status": "refunded", "amount_minor": 100_000}
    told = await happens(database, customer, identity, ("refund.succeeded", clock.now, refund))
    assert told == ["+退过美元", "-美元大客"], "a refund is in its order's currency, and none in yuan"
    async with UnitOfWork(database) as work:
        assert (await CustomerFacts(work).figures(customer))["paid_minor"] == 150_000


async def test_stages_of_a_pregnancy_follow_the_calendar(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    customer, identity = await somebody(database)
    due_on = (clock.now + timedelta(days=200)).date().isoformat()
    life = ("life.event", clock.now, {"event_id": "L1", "name": "pregnancy", "due_on": due_on})
    assert await happens(database, customer, identity, life, kinds="life") == ["+孕早期"]
    tagging, seen = Tagging(database), []
    for days in (20, 100, 85, 100):
        clock.advance(days=days)
        checked = await tagging.check_due()
        seen.append((checked.gained, checked.lost))
    assert seen == [(1, 1), (1, 1), (1, 1), (0, 1)]


@pytest.mark.parametrize(("dining", "tag"), [("takeaway", "+外卖型"), ("dine_in", "+堂食型")])
async def test_takeaway_and_dining_in_are_told_apart(
    database: Database, clock: SteppedClock, dining: str, tag: str
) -> None:
    await publish(database, *SHIPPED)
    customer, identity = await somebody(database)
    meals = [order(f"M{number}", clock.now, dining=dining) for number in range(2)]
    assert await happens(database, customer, identity, *meals) == [tag]


async def test_who_buys_with_coupons_or_asks_for_discounts_is_sensitive_to_promotions(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, *SHIPPED)
    (buyer, key), (asker, other) = await somebody(database), await somebody(database)
    with_coupon = [order(f"E{number}", clock.now, coupon_ids=["c"]) for number in range(2)]
    assert await happens(database, buyer, key, *with_coupon) == ["+促销敏感"]
    chats = [
        ("chat.message", clock.now, {"message_id": f"m{number}", "direction": "in", "text": said})
        for number, said in enumerate(("有优惠吗", "能便宜点吗", "太贵了"))
    ]
    assert await happens(database, asker, other, *chats, kinds="chat") == ["+促销敏感"]


async def test_two_batches_about_one_customer_at_once_give_the_tag_once(
    database: Database, clock: SteppedClock
) -> None:
    await publish(database, *SHIPPED)
    customer, identity = await somebody(database)
    await happens(database, customer, identity, order("E1", clock.now))
    both = await asyncio.gather(
        *(happens(database, customer, identity, order(name, clock.now)) for name in ("E2", "E3"))
    )
    assert sorted(both) == [[], ["+高价值"]]


async def test_a_merge_keeps_what_one_of_them_had_and_counts_both(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    (stays, first), (goes, second) = await somebody(database), await somebody(database)
    await happens(database, stays, first, order("E1", clock.now))
    assert await happens(database, goes, second, *(order(f"F{n}", clock.now) for n in range(3))) == ["+高价值"]
    async with UnitOfWork(database) as work:
        moved = {"stays": stays, "goes": goes}
        await work.session.execute(text("UPDATE identities SET customer_id = :stays WHERE customer_id = :goes"), moved)
        await work.session.execute(text("UPDATE customers SET merged_into = :stays WHERE id = :goes"), moved)
        both = frozenset({stays, goes})
        events = await Tagging(database).evaluate(work, both, frozenset({"member"}), both)
    assert told(events) == []
    async with UnitOfWork(database) as work:
        assert await CustomerTags(work).carried(stays) == ["高价值"]
        assert await CustomerTags(work).holders("高价值", None, 10) == [stays]


async def test_a_new_rule_is_filled_in_for_everybody_and_starts_nothing(
    database: Database, clock: SteppedClock
) -> None:
    async with UnitOfWork(database) as work:
        people = await add_customers(work, 25)
        await add_records(
            work,
            [
                (identity, *order(f"E{identity}-{number}", clock.now))
                for place, (_, identity) in enumerate(people)
                for number in range(3 if place % 5 == 0 else 1)
            ],
        )
    await publish(database, rule("all: [ { orders: { count: { at-least: 3 } } } ]"))
    tagging = Tagging(database)
    rounds = []
    while not (done := await tagging.backfill(limit=10)).complete:
        rounds.append((done.customers, done.gained))
    assert [customers for customers, _ in rounds] == [10, 10, 5]
    assert sum(gained for _, gained in rounds) == 5
    assert await outbox(database) == 0
    await publish(
        database, rule("all: [ { orders: { count: { at-least: 3 } } } ]", version="1.0.1", more="active: false,")
    )
    assert (await tagging.backfill()).lost == 5


async def test_a_rule_for_those_without_records_sees_new_customers(database: Database) -> None:
    await publish(database, rule("all: [ { orders: { count: { at-most: 0 } } } ]", tag="从未下单"))
    customer, identity = await somebody(database)
    contact = ("contact.added", (await _now(database)), {"external_userid": "w1", "userid": "g"})
    assert await happens(database, customer, identity, contact, kinds="contact") == ["+从未下单"]


async def test_two_rules_for_one_tag_are_gained_and_lost_together(database: Database, clock: SteppedClock) -> None:
    await publish(
        database,
        rule("all: [ { orders: { count: { at-least: 1 } } } ]", name="one"),
        rule("all: [ { orders: { within: P1D, count: { at-least: 2 } } } ]", name="two"),
    )
    customer, identity = await somebody(database)
    assert await happens(database, customer, identity, order("E1", clock.now)) == ["+标签"]
    assert await happens(database, customer, identity, order("E2", clock.now)) == []
    clock.advance(days=1)
    assert (await Tagging(database).check_due()).lost == 1
    assert await outbox(database) == 0


async def _now(database: Database) -> Any:
    return database.clock()


async def test_a_second_key_of_a_customer_counts(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    customer, identity = await somebody(database)
    async with UnitOfWork(database) as work:
        second = await add_identity(work, customer)
    await happens(database, customer, identity, order("E1", clock.now), order("E2", clock.now))
    assert await happens(database, customer, second, order("T3", clock.now)) == ["+高价值"]


async def test_who_and_what_sold_the_goods_is_a_tag(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)

    def sold(number: str, **by: Any) -> tuple[str, Any, dict[str, Any]]:
        name, at, data = order(number, clock.now)
        return name, at, {**data, **by}

    customer, identity = await somebody(database)
    assert await happens(database, customer, identity, sold("E1")) == []
    live = sold("E2", influencer_id="70001", channel="live")
    assert set(await happens(database, customer, identity, live)) == {"+达人带货", "+直播间"}
    video = sold("E3", influencer_id="70001", channel="short_video", video_id="7301")
    assert "+短视频" in await happens(database, customer, identity, video)
    fan, key = await somebody(database)
    first, second = sold("F1", influencer_id="70001"), sold("F2", influencer_id="70001")
    assert "+达人忠粉" in await happens(database, fan, key, first, second)
    assert "-达人忠粉" in await happens(database, fan, key, sold("F3", influencer_id="70002"))
    viewer, sees = await somebody(database)
    assert "+达人带货" in await happens(database, viewer, sees, sold("V1", influencer_id="70001", channel="live"))
    nobodys = sold("V1", version=10**15, says_who_sold=True)
    assert {"-达人带货", "-直播间"} <= set(await happens(database, viewer, sees, nobodys))


async def test_who_opened_a_group_is_told_from_who_joined_it(database: Database, clock: SteppedClock) -> None:
    await publish(database, *SHIPPED)
    leader, leads = await somebody(database)
    joiner, joins = await somebody(database)
    name, at, data = order("P1", clock.now)
    assert await happens(database, leader, leads, (name, at, {**data, "group_id": "g1"})) == ["+拼团团长"]
    name, at, data = order("P2", clock.now)
    joined = (name, at, {**data, "group_id": "g1", "parent_order_id": "P1"})
    assert await happens(database, joiner, joins, joined) == ["+参团"]
