"""A Taobao shop: messages and increments, what they say together, and what is refused."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.accounts import Account
from connectors.connection_report import ConnectionFault
from connectors.taobao import TaobaoConnector
from connectors.taobao.codes import CODES
from connectors.taobao.messages import ORDER_TOPICS, PARCEL_TOPIC, REFUND_TOPICS, STOCK_TOPIC
from connectors.webhooks import Verified, WebhookRequest
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.customers.folding import fold
from domain.customers.records import record_of
from domain.events import Event
from domain.problems import AuthenticationProblem, ValidationProblem
from simulator import trade
from simulator.platforms.taobao.messages import TmcMessage
from tests.connectors.harness import Outside, connector, perform
from tests.connectors.pulls import events_of, pull_all

SHOP = "demo-taobao"
RECEIVED = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
ACCOUNT = Account("taobao", "shop", {})
LINE: dict[str, Any] = {
    "oid": "2610000000000000002",
    "num_iid": 600000000001,
    "sku_id": "700001",
    "title": "牛仔裤",
    "sku_properties_name": "颜色:深蓝;尺码:28",
    "num": 2,
    "price": "129.50",
    "total_fee": "259.00",
}
TRADE = {
    "tid": "2610000000000000001",
    "status": "WAIT_SELLER_SEND_GOODS",
    "payment": "259.00",
    "post_fee": "0.00",
    "created": "2026-11-23 09:00:00",
    "pay_time": "2026-11-23 09:01:00",
    "modified": "2026-11-23 09:01:00",
    "buyer_nick": "小**",
    "buyer_open_uid": "AAH1",
    "oaid": "1abc",
    "receiver_name": "王**",
    "receiver_state": "浙江省",
    "trade_attr": '{"vip88":"1"}',
    "orders": {"order": [LINE]},
}


def told(kind: str, **body: Any) -> list[Event]:
    record = Verified(kind, json.dumps(body).encode(), "key", RECEIVED)
    return connector("taobao").to_events(record, ACCOUNT)


def message(topic: str, **content: Any) -> list[Event]:
    return told(topic, id=1, topic=topic, pub_time="2026-11-23 09:59:00", content=content)


async def test_an_order_is_one_event_a_stage_pushed_or_pulled(world: Outside) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    client, account = await world.open("taobao"), await world.account("taobao")
    state = world.sim.app.state.world
    order = trade.pay(state, trade.place_order(state, SHOP, membership="88VIP"))
    pushed, position = await pull_all(client, "messages")
    pulled, _ = await pull_all(client, "orders", since)
    events = [event for event in events_of(pushed, account) if event.subject == f"order:{order.id}"]
    (again,) = [event for event in events_of(pulled, account) if event.subject == f"order:{order.id}"]
    # Both messages carry the trade as it was read, so both tell its present stage.
    assert {event.id for event in events} == {again.id}
    assert {event.data["version"] for event in events} == {again.data["version"]}
    assert (again.type, again.data["membership"]) == ("tandem.order.paid", "88VIP")
    assert again.data["paid_minor"] == order.paid_minor
    assert again.data["delivery"]["receiver_ciphertext"]
    assert position["confirm"]


async def test_messages_are_confirmed_when_they_were_kept_and_come_again_when_not(world: Outside) -> None:
    client, state = await world.open("taobao"), world.sim.app.state.world
    trade.place_order(state, SHOP)
    first = await client.pull("messages", {}, datetime.now(UTC))
    assert first.records
    waiting = state.shelf("tmc_message", TmcMessage)
    assert len(waiting) == len(first.records)
    # The process died before it kept them: nothing is confirmed, and the platform gives them out again.
    for row in list(waiting):
        waiting.change(row, given_at=None)
    second = await client.pull("messages", {}, datetime.now(UTC))
    assert [record.dedupe_key for record in second.records] == [record.dedupe_key for record in first.records]
    third = await client.pull("messages", second.cursor, datetime.now(UTC))
    assert (third.records, len(waiting)) == ([], 0)


class Paced:
    """Gives every turn at once, and remembers which were in bulk."""

    def __init__(self) -> None:
        self.turns: list[bool] = []

    async def turn(self, account_id: str, per_second: float, *, bulk: bool) -> None:
        self.turns.append(bulk)

    async def hold(self, account_id: str, seconds: float) -> None:
        raise AssertionError("nothing was too often")


async def test_what_messages_are_about_is_read_before_what_is_read_in_bulk(world: Outside) -> None:
    """At a peak a shop has more messages a second than requests in bulk."""
    account, pacer = await world.account("taobao"), Paced()
    link = replace(world.link, pacer=pacer).paced(f"taobao/{account.slug}", 40, bulk=True)
    shop = connector("taobao").open(account, link)
    await shop.pull("goods", {}, datetime.now(UTC))
    assert set(pacer.turns) == {True}
    pacer.turns.clear()
    for _ in range(3):
        trade.pay(world.sim.app.state.world, trade.place_order(world.sim.app.state.world, SHOP))
    page = await shop.pull("messages", {}, datetime.now(UTC))
    read = sum(1 for each in page.records if b'"trade"' in each.payload)
    assert read >= 3
    assert pacer.turns.count(False) >= 3
    assert pacer.turns[0] is True, "asking whether there are any is not what a flow waits for"
    assert pacer.turns.count(True) <= 2


async def test_what_messages_missed_the_increments_have(world: Outside) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    await world.break_things({"match": {"platform": "taobao", "api": "taobao_*"}, "fault": "drop_push"})
    client, account, state = await world.open("taobao"), await world.account("taobao"), world.sim.app.state.world
    order = trade.pay(state, trade.place_order(state, SHOP))
    refund = trade.request_refund(state, order)
    assert (await pull_all(client, "messages"))[0] == []
    orders, _ = await pull_all(client, "orders", since)
    refunds, _ = await pull_all(client, "refunds", since)
    assert f"order:{order.id}" in {event.subject for event in events_of(orders, account)}
    (event,) = [event for event in events_of(refunds, account) if event.subject == f"refund:{refund.id}"]
    assert (event.type, event.data["amount_minor"]) == ("tandem.refund.created", refund.amount_minor)


async def test_a_message_that_cannot_be_understood_is_kept_and_stops_no_other(world: Outside) -> None:
    client, account, state = await world.open("taobao"), await world.account("taobao"), world.sim.app.state.world
    trade.pay(state, trade.place_order(state, SHOP))
    waiting = state.shelf("tmc_message", TmcMessage)
    odd: tuple[dict[str, Any], ...] = (
        {"topic": "taobao_trade_TradeBuyerPay", "content": "not json"},
        {"topic": "taobao_trade_TradeBuyerPay", "content": '{"tid":{}}'},
        {"topic": "taobao_trade_TradeBuyerPay", "content": '{"tid":"1"}'},
        {"topic": None, "content": None},
    )
    for number, body in enumerate(odd, start=1):
        waiting.put(TmcMessage(id=f"{number}-0", shop=SHOP, number=str(number), body={"id": number, **body}))
    records, position = await pull_all(client, "messages")
    assert {f"message:{number}" for number in range(1, 5)} <= {record.dedupe_key for record in records}
    refused = 0
    for record in records:
        try:
            events_of([record], account)
        except ValidationProblem:
            refused += 1
    # A trade that is not there is told by the message alone, and of a message without a topic nothing is wanted.
    assert refused == 2
    await client.pull("messages", position, datetime.now(UTC))
    assert len(waiting) == 0


async def test_a_trade_that_cannot_be_read_is_told_by_its_message_alone_and_stops_no_other(world: Outside) -> None:
    client, account, state = await world.open("taobao"), await world.account("taobao"), world.sim.app.state.world
    orders = {trade.pay(state, trade.place_order(state, SHOP)).id for _ in range(3)}
    # Once a word of the service that nobody listed, then a bad moment of the platform.
    await world.break_things(
        {"match": {"platform": "taobao", "api": "taobao.trade.fullinfo.get"}, "fault": "forbidden", "times": 1},
        {"match": {"platform": "taobao", "api": "taobao.trade.fullinfo.get"}, "fault": "5xx", "times": 2},
    )
    records, _ = await pull_all(client, "messages")
    found = {event.subject: event for event in events_of(records, account) if event.type == "tandem.order.paid"}
    assert {f"order:{number}" for number in orders} <= found.keys()
    alone = [subject for subject, event in found.items() if not event.data.get("lines")]
    assert len(alone) <= 1


async def test_a_shop_that_is_called_by_anothers_name_is_told_so(world: Outside) -> None:
    account = await world.account("taobao", seller_nick="另一家天猫店")
    report = await connector("taobao").test_connection(account, world.link)
    assert report.fault is ConnectionFault.SETTINGS
    assert "seller_nick" in report.message.zh


async def test_a_page_that_shifts_while_it_is_read_hides_nothing(world: Outside) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    client, account, state = await world.open("taobao"), await world.account("taobao"), world.sim.app.state.world
    made = [trade.pay(state, trade.place_order(state, SHOP)).id for _ in range(120)]
    await world.break_things(
        {
            "match": {"platform": "taobao", "api": "taobao.trades.sold.increment.get"},
            "fault": "shift_page",
            "copies": 3,
        }
    )
    records, position = await pull_all(client, "orders", since)
    await world.break_things()
    more, _ = await pull_all(client, "orders", cursor=position)
    seen = {event.subject for event in events_of([*records, *more], account)}
    assert {f"order:{number}" for number in made} - seen == set()


@pytest.mark.parametrize("method", ["md5", "hmac", "hmac-sha256"])
async def test_every_way_of_signing_is_understood(world: Outside, method: str) -> None:
    account = await world.account("taobao", sign_method=method)
    report = await connector("taobao").test_connection(account, world.link)
    assert report.ok, report.message


async def test_a_wrong_clock_is_said_in_plain_words(world: Outside) -> None:
    await world.break_things({"match": {"platform": "taobao"}, "fault": "clock_skew", "seconds": 700})
    report = await connector("taobao").test_connection(await world.account("taobao"), world.link)
    assert not report.ok
    assert CODES[31].text.zh in report.message.zh
    assert report.hint is not None
    assert "clock" in report.hint.en


async def test_a_dead_session_without_a_refresh_token_asks_for_a_new_authorisation(world: Outside) -> None:
    account = await world.account("taobao", refresh_token=None, session="dead-session")
    report = await connector("taobao").test_connection(account, world.link)
    assert not report.ok
    assert "authorise again" in report.message.en


async def test_a_shop_that_authorised_again_is_served_by_its_new_refresh_token(world: Outside) -> None:
    client = await world.open("taobao")
    await client.gateway.tokens.current()
    # All that was given out before is dead, the refresh token that came with it included.
    await world.sim.admin("POST", "/tokens/kill", json={"platform": "taobao", "account": SHOP})
    report = await connector("taobao").test_connection(await world.account("taobao"), world.link)
    assert report.ok, report.message


def test_nobody_pushes_for_taobao() -> None:
    with pytest.raises(AuthenticationProblem, match="does not push"):
        TaobaoConnector().verify(WebhookRequest("POST", {}, {}, b"{}", RECEIVED), ACCOUNT)


def test_a_trade_reads_in_fen_and_utc_with_its_membership_and_its_cipher() -> None:
    (event,) = told("trade", trade=TRADE)
    assert (event.type, event.subject) == ("tandem.order.paid", "order:2610000000000000001")
    assert event.data["paid_at"] == "2026-11-23T01:01:00Z"
    assert (event.data["membership"], event.data["buyer"]["buyer_id"]) == ("88VIP", "AAH1")
    assert event.data["delivery"]["receiver_ciphertext"] == "1abc"
    assert "王**" not in json.dumps(event.data, ensure_ascii=False)
    (line,) = event.data["lines"]
    assert (line["sku"], line["quantity"], line["total_minor"]) == ("深蓝 28", 2, 25900)


def test_an_encrypted_order_number_is_kept_as_it_is() -> None:
    number = "~AgAAAAEXAMPLE" + "x" * 100 + "~"
    (event,) = told("trade", trade={**TRADE, "tid": number})
    assert (event.subject, event.data["order_id"]) == (f"order:{number}", number)


async def test_an_order_with_an_encrypted_number_is_shipped_by_the_shop_and_the_warehouse(world: Outside) -> None:
    client, erp, state = await world.open("taobao"), await world.open("erp"), world.sim.app.state.world
    number = "~AgAAAAEXAMPLE" + "x" * 145 + "~"
    order = trade.pay(state, trade.place_order(state, SHOP))
    state.orders.put(order.replaced(id=number))
    await perform(client, "taobao.ship_order", order_id=number, waybill="SF1", company="SF")
    read = await perform(client, "taobao.get_order", order_id=number)
    assert (read.order_id, read.status, read.waybills) == (number, "shipped", ("SF1",))
    pulled, _ = await pull_all(client, "messages")
    assert f"order:{number}" in {event.subject for event in events_of(pulled, await world.account("taobao"))}
    goods = [{"sku": "A-1", "quantity": 1, "line_id": number}]
    made = await perform(erp, "erp.create_shipping_order", order_id=number, shop=f"taobao/{SHOP}", lines=goods)
    assert (await perform(erp, "erp.get_shipping_order", order_id=number)).number == made.number
    waybills, _ = await pull_all(erp, "waybills", until=datetime.now(UTC) + timedelta(minutes=1))
    (parcel,) = events_of(waybills, await world.account("erp"))
    assert parcel.data["order_id"] == number


def test_a_message_that_came_alone_is_older_than_the_trade_of_its_stage() -> None:
    (short,) = message("taobao_trade_TradeBuyerPay", tid=2610000000000000001, payment="259.00")
    (whole,) = told("trade", trade=TRADE)
    (later,) = message("taobao_trade_TradeSellerShip", tid=2610000000000000001)
    assert short.id == whole.id
    assert short.data["version"] < whole.data["version"] < later.data["version"]


def test_every_topic_gives_a_declared_event() -> None:
    found = [event for topic in ORDER_TOPICS for event in message(topic, tid=1)]
    found += [event for topic in REFUND_TOPICS for event in message(topic, tid=1, refund_id=2, refund_fee="1.00")]
    found += message(PARCEL_TOPIC, tid=1, out_sid="SF1", action="SIGNED", company_name="顺丰")
    found += message(STOCK_TOPIC, num_iid=1, sku_id=2, quantity=0)
    assert {event.type for event in found} <= set(KNOWN_EVENT_TYPES)
    assert len(found) == len(ORDER_TOPICS) + len(REFUND_TOPICS) + 2
    assert message("taobao_item_ItemAdd", num_iid=1) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tid": None}, "tid"),
        ({"tid": "9" * 200}, "tid"),
        ({"payment": "-1.00"}, "payment"),
        ({"payment": "1.005"}, "payment"),
        ({"payment": None}, "payment"),
        ({"modified": "2026-11-23 23:00:00"}, "modified"),
        ({"modified": "yesterday"}, "modified"),
        ({"orders": {"order": "none"}}, "order"),
        ({"orders": {"order": [{"oid": 1}]}}, "title"),
        ({"orders": {"order": [LINE | {"num": 0}]}}, "num"),
    ],
)
def test_an_anomalous_trade_names_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationProblem) as error:
        told("trade", trade={**TRADE, **change})
    assert error.value.problem.as_dict()["field"] == field


@pytest.mark.parametrize("sent", [{"consign_time": "2026-11-23 09:20:00"}, {}])
def test_what_a_carrier_says_of_a_parcel_stays_when_its_order_is_told_again(sent: dict[str, Any]) -> None:
    articles = [LINE | {"oid": oid, "invoice_no": "SF1", "logistics_company": "顺丰"} | sent for oid in ("1", "2")]
    articles.append(LINE | {"oid": "3", "invoice_no": "SF2"})
    later = {"modified": "2026-11-23 09:50:00", "status": "TRADE_FINISHED", "end_time": "2026-11-23 09:50:00"}
    _, *parcels = told("trade", trade={**TRADE, **later, "orders": {"order": articles}})
    assert [(each.data["waybill"], each.data["line_ids"]) for each in parcels] == [("SF1", ["1", "2"]), ("SF2", ["3"])]
    traced = [
        event
        for action, at in (("CONSIGN", "09:21:00"), ("SIGNED", "09:40:00"))
        for event in message(PARCEL_TOPIC, tid=TRADE["tid"], out_sid="SF1", action=action, time=f"2026-11-23 {at}")
    ]
    assert traced[0].id == parcels[0].id, "handed over once, whoever says so"
    for events in ([*traced, parcels[0]], [parcels[0], *traced]):
        (kept,) = fold(record for event in events if (record := record_of(event, RECEIVED)) is not None)
        assert (kept.values["state"], kept.values["company"]) == ("signed", "顺丰")


def test_a_state_nobody_knows_is_refused_and_none_never_overwrites() -> None:
    with pytest.raises(ValidationProblem, match="WAIT_FOR_GODOT"):
        told("trade", trade={**TRADE, "status": "WAIT_FOR_GODOT"})
    (parcel,) = message(PARCEL_TOPIC, tid=1, out_sid="SF1", action="TELEPORTED")
    assert (parcel.data["waybill"], parcel.data["state"]) == ("SF1", "unknown")
    (event,) = told("trade", trade={**TRADE, "status": None})
    assert (event.type, event.data["status"]) == ("tandem.order.updated", "unknown")
    (known,) = told("trade", trade=TRADE)
    assert event.data["version"] < known.data["version"]


@given(
    kind=st.sampled_from(["trade", "refund", *ORDER_TOPICS, *REFUND_TOPICS, PARCEL_TOPIC, STOCK_TOPIC]),
    body=st.recursive(st.none() | st.text() | st.integers() | st.booleans(), lambda inner: st.lists(inner, max_size=3)),
)
def test_no_payload_ends_in_anything_but_a_problem(kind: str, body: Any) -> None:
    for payload in ({"content": body}, {"content": {"tid": body}}, {kind: body}, {"trade": {"tid": body}}):
        with suppress(ValidationProblem):
            told(kind, **payload)
