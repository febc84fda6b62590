"""A Douyin shop: signatures, pushes, who sold what, shipping, and lists that change while they are read."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.accounts import Account
from connectors.douyin.carriers import carrier_code
from connectors.douyin.codes import meaning_of
from connectors.douyin.gateway import param_json, request_sign
from connectors.douyin.pushes import event_sign
from connectors.douyin.records import search_index
from connectors.webhooks import UNPARSED_KIND, Verified, WebhookRequest
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.events import Event
from domain.problems import AuthenticationProblem, ValidationProblem
from simulator import trade
from tests.connectors.harness import Outside, connector, perform

SHOP = "demo-douyin"
ACCOUNT = Account("douyin", "shop", {"app_key": "key", "app_secret": "secret", "shop_id": 7})
RECEIVED = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
PAID = {
    "p_id": "6917000000000000001",
    "s_ids": ["1"],
    "shop_id": 7,
    "order_status": 2,
    "pay_time": 1795398600,
    "pay_amount": 12900,
}
LINE = {
    "order_id": "1",
    "product_id": 35500,
    "product_name": "面膜",
    "item_num": 1,
    "origin_amount": 12900,
    "pay_amount": 12900,
    "author_id": 70001,
    "room_id": 73001,
    "video_id": 0,
}
ROW = {
    "order_id": "6917000000000000001",
    "order_status": 2,
    "doudian_open_id": "1@#a",
    "create_time": 1795398500,
    "pay_time": 1795398600,
    "update_time": 1795398601,
    "pay_amount": 12900,
    "post_amount": 0,
    "encrypt_post_tel": "$aW5kZXg=$c2VhbGVk$1$$",
    "sku_order_list": [LINE],
}


def pushed(tag: str, data: dict[str, Any], **more: Any) -> list[Event]:
    body = json.dumps([{"tag": tag, "msg_id": "1", "data": json.dumps(data), **more}]).encode()
    return connector("douyin").to_events(Verified(tag, body, "1", RECEIVED), ACCOUNT)


def pulled(row: dict[str, Any], kind: str = "order.searchList") -> list[Event]:
    return connector("douyin").to_events(Verified(kind, json.dumps(row).encode(), "k", RECEIVED), ACCOUNT)


def signed(messages: Any, **headers: str) -> WebhookRequest:
    body = json.dumps(messages).encode()
    own = {"app-id": "key", "event-sign": event_sign("key", body, "secret")}
    return WebhookRequest("POST", {}, {**own, **headers}, body, RECEIVED)


# --- signatures


def test_a_request_is_signed_by_the_documented_formula() -> None:
    """The formula worked out by hand with openssl over the documented text; app, secret and parameters are invented."""
    params = param_json({"size": 10, "page": 0, "combine_status": [{"order_status": "2", "main_status": "103"}]})
    assert params == '{"combine_status":[{"main_status":"103","order_status":"2"}],"page":0,"size":10}'
    sign = request_sign("3409409348479354011", "order.searchList", params, "1795398600", "2a75b98b-4cf5")
    assert sign == "cd2e9890825e5dd2bd1bf56748da3d6db33624f841ed77a8d336b0b5227c2f4d"


def test_parameters_are_sorted_on_every_level_and_whole_numbers_have_no_fraction() -> None:
    value = {"b": 1.0, "a": {"d": Decimal("2.0"), "c": [1.5, "<&>中"]}}
    assert param_json(value) == '{"a":{"c":[1.5,"<&>中"],"d":2},"b":1}'


@given(
    st.recursive(
        st.integers() | st.text() | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    )
)
def test_the_order_in_which_parameters_were_given_never_matters(value: Any) -> None:
    turned = dict(reversed(list({"x": value, "a": value}.items())))
    assert param_json({"x": value, "a": value}) == param_json(turned)
    assert json.loads(param_json({"x": value})) == {"x": value}


def test_the_platforms_probe_is_answered_and_not_stored() -> None:
    verified = connector("douyin").verify(signed([{"tag": "0", "msg_id": "0", "data": "2026-11-23 10:00:00"}]), ACCOUNT)
    assert verified.echo is not None
    assert json.loads(connector("douyin").acknowledge(verified, ACCOUNT).body)["code"] == 0


def test_a_probe_may_not_smuggle_a_message_past_the_inbox() -> None:
    messages = [{"tag": "0", "msg_id": "0", "data": ""}, {"tag": "101", "msg_id": "9", "data": json.dumps(PAID)}]
    assert connector("douyin").verify(signed(messages), ACCOUNT).echo is None


@pytest.mark.parametrize("header", [{"event-sign": "0" * 32}, {"event-sign": "é"}, {"app-id": "other"}])
def test_a_push_with_a_wrong_header_is_refused(header: dict[str, str]) -> None:
    with pytest.raises(AuthenticationProblem):
        connector("douyin").verify(signed([{"tag": "101", "msg_id": "1", "data": json.dumps(PAID)}], **header), ACCOUNT)


@given(st.binary(max_size=300))
def test_no_body_crashes_the_verification(body: bytes) -> None:
    headers = {"app-id": "key", "event-sign": event_sign("key", body, "secret")}
    kept = connector("douyin").verify(WebhookRequest("POST", {}, headers, body, RECEIVED), ACCOUNT)
    assert (kept.kind, kept.payload) == (UNPARSED_KIND, body)


# --- what pushes and lists say


def test_a_paid_order_reads_in_fen_and_utc() -> None:
    (event,) = pushed("101", PAID)
    assert (event.type, event.subject) == ("tandem.order.paid", "order:6917000000000000001")
    assert (event.data["status"], event.data["paid_minor"]) == ("paid", 12900)
    assert event.time == datetime.fromtimestamp(1795398600, UTC)


def test_each_message_of_a_push_stands_by_itself_and_is_known_in_any_company() -> None:
    paid, odd = {"tag": "101", "msg_id": "1", "data": PAID}, {"tag": "103", "msg_id": "3", "data": "no JSON"}
    push = connector("douyin").verify(signed([paid, odd, "no message", {"tag": "9999", "msg_id": "4"}]), ACCOUNT)
    assert [part.kind for part in push.parts] == ["101", "unreadable", "unreadable", "9999"]
    assert [part.dedupe_key for part in push.parts if len(part.dedupe_key) == 1] == ["1", "3", "4"]
    alone = connector("douyin").verify(signed([paid]), ACCOUNT)
    assert (alone.parts, alone.dedupe_key) == ((), "1")
    events = [connector("douyin").to_events(record, ACCOUNT) for record in (alone, push.parts[0])]
    assert events[0] == events[1] != []
    nothing = connector("douyin").verify(signed([odd, "no message"]), ACCOUNT)
    assert (nothing.kind, nothing.parts) == (UNPARSED_KIND, ()), "kept as it came"


def test_a_push_with_one_message_for_another_shop_is_refused() -> None:
    messages = [{"tag": "101", "msg_id": str(shop), "data": {**PAID, "shop_id": shop}} for shop in (PAID["shop_id"], 2)]
    with pytest.raises(AuthenticationProblem):
        connector("douyin").verify(signed(messages), ACCOUNT)


def test_several_messages_in_one_push_are_several_events() -> None:
    body = json.dumps(
        [
            {"tag": "101", "msg_id": "1", "data": PAID},
            {"tag": "9999", "msg_id": "2", "data": {}},
            {"tag": "103", "msg_id": "3", "data": {**PAID, "order_status": 5, "complete_time": 1795398700}},
        ]
    ).encode()
    events = connector("douyin").to_events(Verified("101,103", body, "1", RECEIVED), ACCOUNT)
    assert [event.type for event in events] == ["tandem.order.paid", "tandem.order.completed"]


def test_the_push_and_the_list_tell_of_one_event_and_the_list_knows_more() -> None:
    (push,), (listed,) = pushed("101", PAID), pulled(ROW)
    assert (push.source, push.id, push.type) == (listed.source, listed.id, listed.type)
    assert listed.data["version"] > push.data["version"]
    assert listed.data["lines"][0]["title"] == "面膜"
    assert (push.data["says_who_sold"], listed.data["says_who_sold"]) == (False, True)


def test_of_two_states_within_one_second_the_later_is_the_newer() -> None:
    (made,) = pushed("100", {**PAID, "order_status": 1, "create_time": 1795398600})
    (paid,) = pushed("101", PAID)
    assert paid.data["version"] > made.data["version"]


def test_who_and_what_sold_the_goods_is_on_the_order() -> None:
    (event,) = pulled(ROW)
    assert (event.data["influencer_id"], event.data["channel"], event.data["video_id"]) == ("70001", "live", None)
    line = {**LINE, "room_id": 0, "video_id": 7301}
    (event,) = pulled({**ROW, "sku_order_list": [line]})
    assert (event.data["channel"], event.data["video_id"]) == ("short_video", "7301")


@pytest.mark.parametrize(
    ("second", "seller"),
    [
        ({"author_id": 70001}, "70001"),
        ({"author_id": 70002}, None),
        ({"author_id": 0}, None),
        ({"author_id": 0, "pay_amount": 0}, "70001"),
    ],
    ids=["sold both", "another sold the second", "nobody sold the second", "a gift"],
)
def test_who_sold_one_article_of_a_basket_sold_no_other(second: dict[str, Any], seller: str | None) -> None:
    cheap, dear = {**LINE, "pay_amount": 2000}, {**LINE, "order_id": "2", "pay_amount": 200000, **second}
    (event,) = pulled({**ROW, "sku_order_list": [cheap, dear]})
    assert event.data["influencer_id"] == seller


def test_a_basket_that_was_shown_in_several_ways_came_by_none() -> None:
    other = {**LINE, "order_id": "2", "room_id": 0, "video_id": 7301}
    (event,) = pulled({**ROW, "sku_order_list": [LINE, other]})
    assert (event.data["channel"], event.data["video_id"], event.data["influencer_id"]) == (None, None, "70001")


def test_an_article_names_the_videos_that_show_it() -> None:
    row = {
        "product_id": 35500,
        "name": "面膜",
        "update_time": 1795398600,
        "discount_price": 12900,
        "category_detail": {"first_cname": "美妆", "second_cname": "面膜"},
        "material_video_id": "7301",
    }
    for kind in ("product.detail", "product.listV2"):
        (event,) = pulled(row, kind)
        assert (event.data["item_id"], event.data["video_ids"], event.data["category"]) == ("35500", ["7301"], "面膜")


def test_the_variants_of_an_article_tell_their_codes_and_how_many_are_left() -> None:
    variants = [{"sku_id": 1, "price": 12900, "stock_num": 0, "code": "SQ-1"}, {"sku_id": 2, "code": "", "price": 1}]
    row = {"product_id": 35500, "name": "面膜", "outer_product_id": "SQ", "spec_prices": variants}
    article, first, stock, second = pulled(row, "product.detail")
    assert (article.data["sku_id"], article.data["merchant_code"]) == (None, "SQ")
    assert (first.data["sku_id"], first.data["merchant_code"], first.data["price_minor"]) == ("1", "SQ-1", 12900)
    assert (stock.type, stock.data["sku_id"], stock.data["available"]) == ("tandem.stock.changed", "1", 0)
    assert (second.data["sku_id"], second.data["merchant_code"]) == ("2", None)


def test_a_line_names_the_merchant_s_code_and_an_endless_one_is_none() -> None:
    for code, read in (("SQ-1", "SQ-1"), ("", None), ("x" * 65, None)):
        (event,) = pulled({**ROW, "sku_order_list": [{**LINE, "code": code}]})
        assert event.data["lines"][0]["merchant_code"] == read


def test_personal_data_stays_ciphertext_with_its_search_index() -> None:
    (event,) = pulled(ROW)
    assert event.data["buyer"]["phone"] is None
    assert "138" not in json.dumps(event.data)
    assert search_index("$aW5kZXg=$c2VhbGVk$1$$") == "aW5kZXg="
    assert search_index("#bmFtZQ==#c2VhbGVk#1#") == "bmFtZQ=="
    assert [search_index(text) for text in (None, "", "13800000000", "$$")] == [None] * 4


def test_a_parcel_is_an_event_of_its_own_however_it_is_told() -> None:
    parcel = {"logistics_msg": {"express_company_id": "shunfeng", "logistics_code": "SF1"}}
    shipped, told = pushed("102", {**PAID, "order_status": 3, "update_time": 1795398700, **parcel})
    listed = pulled({**ROW, "order_status": 3, "logistics_info": [{"tracking_no": "SF1", "ship_time": 1795398700}]})[1]
    assert (shipped.type, told.type) == ("tandem.order.shipped", "tandem.shipment.updated")
    assert (told.id, told.data["waybill"]) == (listed.id, "SF1")


def test_every_tag_gives_a_declared_event() -> None:
    refund = {"aftersale_id": "70", "p_id": "69", "s_id": "1", "refund_amount": 1, "aftersale_type": 0}
    for tag in ("100", "101", "102", "103", "106", "200", "201", "202", "203", "204", "205", "206", "207"):
        events = pushed(tag, {**PAID, **refund, "order_status": None})
        assert events, tag
        assert {event.type for event in events} <= KNOWN_EVENT_TYPES.keys()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"p_id": None}, "p_id"),
        ({"p_id": {"a": 1}}, "p_id"),
        ({"pay_amount": -1}, "pay_amount"),
        ({"pay_amount": "1.5"}, "pay_amount"),
        ({"pay_time": 99999999999}, "pay_time"),
        ({"pay_time": int(RECEIVED.timestamp()) + 7200}, "pay_time"),
        ({"pay_time": "soon"}, "pay_time"),
    ],
)
def test_an_anomalous_message_names_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationProblem) as error:
        pushed("101", {**PAID, **change})
    assert error.value.problem.as_dict()["field"] == field


def test_a_state_nobody_knows_yet_is_refused_and_none_is_not() -> None:
    with pytest.raises(ValidationProblem, match="“777”"):
        pulled({**ROW, "order_status": 777})
    with pytest.raises(ValidationProblem, match="“777”"):
        pushed("101", {**PAID, "order_status": 777})
    (event,) = pulled({name: value for name, value in ROW.items() if name != "order_status"})
    assert (event.type, event.data["status"]) == ("tandem.order.updated", "unknown")


# --- the shop itself


def reachable(world: Outside) -> set[str]:
    """The orders that changed within the ninety days that the platform lets one read."""
    oldest = datetime.now(UTC) - timedelta(days=90)
    return {row.id for row in world.sim.app.state.world.orders.having(shop=SHOP) if row.updated_at > oldest}


async def orders_of_last_week(world: Outside, count: int) -> None:
    """Paid orders, each changed some minutes after the one before."""
    simulated = world.sim.app.state.world
    with simulated.bulletin.quiet():
        for number in range(count):
            made = await order_of(world)
            moment = datetime.now(UTC) - timedelta(days=3) + timedelta(minutes=7 * number)
            simulated.orders.change(made, created_at=moment, updated_at=moment, paid_at=moment)


async def order_of(world: Outside, **more: Any) -> Any:
    simulated = world.sim.app.state.world
    return trade.pay(simulated, trade.place_order(simulated, SHOP, **more))


@pytest.mark.parametrize(
    ("company", "code"),
    [
        ("顺丰速运", "shunfeng"),
        (" 圆通 ", "yuantong"),
        ("J&T", "jtexpress"),
        ("中国邮政", "youzhengguonei"),
        ("EMS", "ems"),
        ("zhongtong", "zhongtong"),
        ("danniao", "danniao"),
    ],
)
def test_a_carrier_is_known_by_name_and_by_code(company: str, code: str) -> None:
    assert carrier_code(company) == code


async def test_a_carrier_that_nobody_knows_is_refused_before_anything_is_told(world: Outside) -> None:
    made = await order_of(world)
    parcel = {"order_id": made.id, "waybill": "SF1", "company": "某某快运"}
    with pytest.raises(ValidationProblem, match="Give Douyin's code"):
        await perform(await world.open("douyin"), "douyin.ship_order", **parcel)
    assert await world.effects(kind="shipped", tid=made.id) == 0


@pytest.mark.parametrize(
    ("sub_code", "words"),
    [
        ("isv.ip-not-in-white-list", "IP"),
        ("isv.app-permissions-insufficient:11", "interface"),
        ("isv.shop-unauthorized", "authorised"),
    ],
)
def test_what_keeps_an_application_out_is_said_in_plain_words(sub_code: str, words: str) -> None:
    meaning = meaning_of(40003, sub_code)
    assert meaning is not None
    assert words in meaning.text.en
