"""A WeChat Store: callbacks with and without details, orders whose buyer's unionid is known, lists by next_key."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from connectors.accounts import Account
from connectors.single_reads import UNREAD_KIND, refuse_unread
from connectors.webhooks import Verified
from connectors.wechat_store import client as wechat_store
from connectors.wechat_store.events import ORDER, ORDER_STEPS
from domain.canonical import OrderData, keys_of
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.events import Event
from domain.problems import (
    AuthorizationProblem,
    CommunicationProblem,
    ProblemError,
    RateLimitProblem,
    ValidationProblem,
)
from simulator import trade
from tests.connectors.harness import Outside, connector
from tests.connectors.pulls import pull_all

STORE = "demo-wechat-store"
RECEIVED = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
SECONDS = int(RECEIVED.timestamp())
ACCOUNT = Account("wechat_store", "store", {})
ROW: dict[str, Any] = {
    "order_id": "3705115058471208928",
    "status": 20,
    "openid": "oOne",
    "unionid": "uOne",
    "create_time": SECONDS - 90,
    "update_time": SECONDS - 60,
    "order_detail": {
        "product_infos": [
            {
                "product_id": 1000,
                "sku_id": 77,
                "sku_cnt": 2,
                "title": "龙井",
                "sale_price": 19800,
                "estimate_price": 39000,
            }
        ],
        "price_info": {"order_price": 39800, "freight": 800, "discounted_price": 600},
        "pay_info": {"pay_time": SECONDS - 60},
        "delivery_info": {
            "address_info": {"province_name": "浙江省", "city_name": "杭州市", "tel_number": "138****0000"}
        },
        "ext_info": {"order_scene": 2},
        "source_infos": [{"account_type": 1, "account_id": "finder1"}],
    },
}


def called(kind: str, **fields: Any) -> list[Event]:
    body = {"CreateTime": SECONDS, "MsgType": "event", "Event": kind, **fields}
    return connector("wechat_store").to_events(Verified(kind, json.dumps(body).encode(), "k", RECEIVED), ACCOUNT)


def read(row: dict[str, Any], kind: str = ORDER) -> list[Event]:
    return connector("wechat_store").to_events(Verified(kind, json.dumps(row).encode(), "k", RECEIVED), ACCOUNT)


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("channels_ec_order_new", "order.created"),
        ("channels_ec_order_pay", "order.paid"),
        ("channels_ec_order_deliver", "order.shipped"),
        ("channels_ec_order_confirm", "order.completed"),
        ("channels_ec_order_settle", "order.updated"),
        ("channels_ec_order_cancel", "order.closed"),
    ],
)
def test_each_callback_about_an_order_is_an_event(kind: str, event: str) -> None:
    (told,) = called(kind, order_info={"order_id": 3705115058471208928})
    assert (told.type, told.subject) == (f"tandem.{event}", "order:3705115058471208928")
    assert told.type in KNOWN_EVENT_TYPES
    assert ORDER_STEPS.keys() >= {kind}


def test_xml_and_json_say_the_same() -> None:
    xml = (
        f"<xml><CreateTime>{SECONDS}</CreateTime><MsgType>event</MsgType><Event>channels_ec_order_pay</Event>"
        f"<order_info><order_id>3705</order_id><pay_time>{SECONDS - 9}</pay_time></order_info></xml>"
    )
    record = Verified("channels_ec_order_pay", xml.encode(), "k", RECEIVED)
    written = connector("wechat_store").to_events(record, ACCOUNT)
    assert written == called("channels_ec_order_pay", order_info={"order_id": 3705, "pay_time": SECONDS - 9})


def test_an_order_shipped_in_part_is_not_shipped_yet() -> None:
    (told,) = called("channels_ec_order_deliver", order_info={"order_id": 3705, "finish_delivery": 0})
    assert (told.type, told.data["status"]) == ("tandem.order.updated", "paid")


def test_the_callback_and_the_order_that_is_read_are_one_event() -> None:
    (pushed,) = called("channels_ec_order_pay", order_info={"order_id": 3705115058471208928, "pay_time": SECONDS - 60})
    (listed,) = read(ROW)
    assert (pushed.id, pushed.type) == (listed.id, listed.type)
    assert listed.data["version"] > pushed.data["version"]
    assert (pushed.data["says_who_sold"], listed.data["says_who_sold"]) == (False, True)


TEA = ROW["order_detail"]["product_infos"][0]
CUP: dict[str, Any] = {**TEA, "product_id": 1001, "sku_id": 78, "title": "茶杯"}
GIFT: dict[str, Any] = {**CUP, "sale_price": 0, "estimate_price": 0}


def shown_by(account: str | None, **more: Any) -> dict[str, Any]:
    return {"account_type": 1, "account_id": account, "content_id": account and f"video-{account}", **more}


@pytest.mark.parametrize(
    ("products", "sources", "seller"),
    [
        ([TEA], [shown_by("f1")], "f1"),
        ([TEA], [{}], None),
        ([TEA], [], "f9"),
        ([TEA, CUP], [shown_by("f1"), shown_by("f1")], "f1"),
        ([TEA, CUP], [shown_by("f1"), shown_by("f2")], None),
        ([TEA, CUP], [shown_by("f1"), {}], None),
        ([TEA, CUP], [shown_by("f1")], None),
        ([TEA, GIFT], [shown_by("f1")], "f1"),
        ([TEA, GIFT], [shown_by("f1"), {}], "f1"),
        ([TEA, CUP], [shown_by("f1", sku_id=77), shown_by("f1", sku_id="78")], "f1"),
        ([TEA, CUP], [shown_by("f1", sku_id=78), shown_by("f2", sku_id=77)], None),
        ([TEA, CUP], [shown_by("f1", sku_id=77), shown_by("f1", sku_id=77)], None),
        ([TEA, CUP], [shown_by("f1", sku_id=77), shown_by(None, sku_id=78)], None),
        ([TEA, GIFT], [shown_by("f1", sku_id=77), shown_by("f2", sku_id=78)], "f1"),
    ],
    ids=[
        "sold it",
        "nobody sold it",
        "told beside the sources",
        "sold both",
        "two sold one each",
        "nobody sold the second",
        "of the second nothing is told",
        "a gift",
        "a gift that nobody showed",
        "sold both, by number",
        "two sold one each, by number",
        "of the second nothing is told, by number",
        "nobody sold the second, by number",
        "another's gift, by number",
    ],
)
def test_who_sold_one_article_of_a_basket_sold_no_other(
    products: list[dict[str, Any]], sources: list[dict[str, Any]], seller: str | None
) -> None:
    told_beside = {"order_scene": 3, "finder_id": "f9"}
    detail = {**ROW["order_detail"], "ext_info": told_beside, "product_infos": products, "source_infos": sources}
    (told,) = read({**ROW, "order_detail": detail})
    assert told.data["influencer_id"] == seller
    assert told.data["video_id"] == (f"video-{seller}" if seller and sources else None)


def test_an_order_names_its_buyer_by_the_strongest_key_and_its_influencer() -> None:
    (told,) = read(ROW)
    order = OrderData.model_validate(told.data)
    assert [key.kind for key in keys_of(order)] == ["unionid", "openid"]
    assert (order.channel, order.influencer_id, order.paid_minor, order.discount_minor) == (
        "live",
        "finder1",
        39800,
        600,
    )
    assert (order.lines[0].quantity, order.lines[0].total_minor) == (2, 39000)
    assert "138" not in json.dumps(told.data)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order_id": None}, "order_id"),
        ({"order_detail": None}, "order_detail"),
        ({"update_time": SECONDS + 7200}, "update_time"),
        ({"update_time": -5}, "update_time"),
    ],
)
def test_an_anomalous_order_names_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationProblem) as error:
        read({**ROW, **change})
    assert error.value.problem.as_dict()["field"] == field


def test_a_negative_amount_and_a_state_nobody_knows_are_refused() -> None:
    with pytest.raises(ValidationProblem):
        read({**ROW, "order_detail": {**ROW["order_detail"], "price_info": {"order_price": -1}}})
    with pytest.raises(ValidationProblem, match="“777”"):
        read({**ROW, "status": 777})
    asked = {"after_sale_order_id": "1", "order_id": "2"}
    with pytest.raises(ValidationProblem, match="TELEPORTED"):
        called("channels_ec_aftersale_update", finder_shop_aftersale_status_update={**asked, "status": "TELEPORTED"})


def test_kinds_nobody_needs_are_no_error() -> None:
    assert called("product_spu_audit", ProductAudit={"product_id": 1}) == []


# --- the store itself


async def order_of(world: Outside) -> Any:
    simulated = world.sim.app.state.world
    return trade.pay(simulated, trade.place_order(simulated, STORE))


async def test_all_orders_are_read_by_key_while_they_change(world: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wechat_store, "PAGE_SIZE", 3)
    simulated = world.sim.app.state.world
    with simulated.bulletin.quiet():
        for number in range(11):
            moment = datetime.now(UTC) - timedelta(days=2) + timedelta(minutes=number)
            simulated.orders.change(await order_of(world), created_at=moment, updated_at=moment, paid_at=moment)
    await world.break_things(
        {"match": {"platform": "wechat_store", "api": "channels/ec/order/list/get"}, "fault": "shift_page", "copies": 2}
    )
    account, client = await world.account("wechat_store"), await world.open("wechat_store")
    begin = {"since": (datetime.now(UTC) - timedelta(days=20)).isoformat()}
    records, cursor = await pull_all(client, "orders", cursor=begin, until=datetime.now(UTC))
    await world.break_things()
    later = datetime.now(UTC) + timedelta(minutes=5)
    client = connector("wechat_store").open(account, replace(world.link, now=lambda: later))
    more, _ = await pull_all(client, "orders", cursor=cursor, until=later)
    seen: dict[str, dict[str, Any]] = {}
    for record in (*records, *more):
        for event in connector("wechat_store").to_events(record, account):
            known = seen.get(str(event.subject))
            if known is None or event.data["version"] >= known["version"]:
                seen[str(event.subject)] = event.data
    oldest = datetime.now(UTC) - timedelta(days=20)
    truth = {row.id: row for row in simulated.orders.having(shop=STORE) if row.updated_at > oldest}
    assert len(truth) > 11
    assert {number: seen[f"order:{number}"]["status"] for number in truth} == {
        number: row.status.value for number, row in truth.items()
    }
    assert {number: seen[f"order:{number}"]["paid_minor"] for number in truth} == {
        number: row.paid_minor for number, row in truth.items()
    }


async def test_refunds_are_read_again_too(world: Outside) -> None:
    made = await world.sim.refund(shop=STORE, amount_minor=12900)
    later = datetime.now(UTC) + timedelta(minutes=5)
    account = await world.account("wechat_store")
    client = connector("wechat_store").open(account, replace(world.link, now=lambda: later))
    records, _ = await pull_all(
        client, "refunds", cursor={"since": (later - timedelta(minutes=9)).isoformat()}, until=later
    )
    (event,) = [event for record in records for event in connector("wechat_store").to_events(record, account)]
    assert (event.type, event.data["amount_minor"]) == ("tandem.refund.returned", 12900)
    assert event.data["order_id"] == made["tid"]
    assert event.data["buyer"]["unionid"]


async def test_windows_are_as_long_as_the_platform_allows(world: Outside) -> None:
    client = await world.open("wechat_store")
    now = datetime.now(UTC)
    page = await client.pull("orders", {"since": (now - timedelta(days=30)).isoformat()}, now)
    assert page.more is True
    assert datetime.fromisoformat(str(page.cursor["since"])) <= now - timedelta(days=22)
    with pytest.raises(ValidationProblem):
        await client.pull("orders", {"since": "yesterday"}, now)
    with pytest.raises(ValidationProblem):
        await client.pull("stars", {}, now)


async def some_orders(world: Outside, count: int, ago: timedelta = timedelta(hours=1)) -> set[str]:
    """Orders that changed so long ago, which are on one page."""
    simulated, moment = world.sim.app.state.world, datetime.now(UTC) - ago
    with simulated.bulletin.quiet():
        orders = [await order_of(world) for _ in range(count)]
        for order in orders:
            simulated.orders.change(order, created_at=moment, updated_at=moment, paid_at=moment)
    return {order.id for order in orders}


def reads(fault: str, **rule: Any) -> dict[str, Any]:
    return {"match": {"platform": "wechat_store", "api": "channels/ec/order/get"}, "fault": fault, **rule}


async def test_an_order_that_the_platform_does_not_tell_is_set_aside_and_its_page_goes_on(world: Outside) -> None:
    numbers = await some_orders(world, 6)
    client, since = await world.open("wechat_store"), datetime.now(UTC) - timedelta(hours=2)
    await world.break_things(reads("forbidden", times=1))
    records, _ = await pull_all(client, "orders", since)
    told = {json.loads(record.payload)["order_id"]: record for record in records if record.kind == ORDER}
    (aside,) = [record for record in records if record.kind == UNREAD_KIND]
    assert {*told, json.loads(aside.payload)["number"]} >= numbers
    assert json.loads(aside.payload)["number"] not in told
    with pytest.raises(ValidationProblem, match=r"did not tell ec/order/get \d+: .*may not use this interface.*48001"):
        refuse_unread(aside)


@pytest.mark.parametrize("fault", [{"fault": "5xx"}, {"fault": "429", "seconds": 1}])
async def test_orders_that_came_at_a_bad_moment_are_read_again(world: Outside, fault: dict[str, Any]) -> None:
    numbers = await some_orders(world, 6)
    client, since = await world.open("wechat_store"), datetime.now(UTC) - timedelta(hours=2)
    await world.break_things(reads(**fault, times=3))
    records, _ = await pull_all(client, "orders", since)
    assert {record.kind for record in records} == {ORDER}
    assert {json.loads(record.payload)["order_id"] for record in records} >= numbers


@pytest.mark.parametrize(
    ("fault", "problem"),
    [("forbidden", AuthorizationProblem), ("quota", RateLimitProblem), ("5xx", CommunicationProblem)],
)
async def test_what_stops_every_order_stops_the_pull_and_sets_nothing_aside(
    world: Outside, fault: str, problem: type[ProblemError]
) -> None:
    await some_orders(world, 3)
    client, since = await world.open("wechat_store"), datetime.now(UTC) - timedelta(hours=2)
    await world.break_things(reads(fault))
    with pytest.raises(problem):
        await client.pull("orders", {"since": since.isoformat()}, datetime.now(UTC))


async def test_a_used_up_quota_is_asked_no_more_for_each_order_of_the_page(world: Outside) -> None:
    await some_orders(world, 30)
    client, since = await world.open("wechat_store"), datetime.now(UTC) - timedelta(hours=2)
    await world.break_things(reads("quota"))
    with pytest.raises(RateLimitProblem):
        await client.pull("orders", {"since": since.isoformat()}, datetime.now(UTC))
    rules = (await world.sim.admin("GET", "/faults"))["rules"]
    assert rules[0]["hit"] <= 5


async def test_a_busy_store_is_tested_by_one_order_and_one_refund(world: Outside) -> None:
    await some_orders(world, 12, ago=timedelta(seconds=90))
    simulated, moment = world.sim.app.state.world, datetime.now(UTC) - timedelta(seconds=90)
    for _ in range(6):
        made = await world.sim.refund(shop=STORE)
        simulated.refunds.change(simulated.refunds.get(made["id"]), modified_at=moment)
    asked: Counter[str] = Counter()

    async def note(request: httpx.Request) -> None:
        asked[request.url.path.rpartition("/ec/")[2]] += 1

    account = await world.account("wechat_store")
    world.link.http.event_hooks["request"].append(note)
    report = await connector("wechat_store").test_connection(account, world.link)
    world.link.http.event_hooks["request"].remove(note)
    assert report.ok, report.message
    assert {api: times for api, times in asked.items() if "stable_token" not in api} == {
        "order/list/get": 1,
        "order/get": 1,
        "aftersale/getaftersalelist": 1,
        "aftersale/getaftersaleorder": 1,
        "product/list/get": 1,
        "product/get": 1,
    }
