"""A Pinduoduo shop: its channel and its increments, its rules about receivers, and what is refused."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from connectors.accounts import Account
from connectors.channels import listen
from connectors.connection_report import ConnectionFault
from connectors.pinduoduo.channel import PinduoduoChannel
from connectors.pinduoduo.codes import CODES
from connectors.pinduoduo.messages import REFUND_TOPICS
from connectors.pinduoduo.pulling import ORDERS, REFUNDS
from connectors.pinduoduo.records import REFUNDED
from connectors.webhooks import Verified, WebhookRequest
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.events import Event, rfc3339
from domain.problems import (
    AuthenticationProblem,
    ValidationProblem,
)
from simulator import trade
from simulator.platforms.pinduoduo.authorisations import authorise
from simulator.platforms.pinduoduo.channel import PddMessage
from tests.connectors.harness import Outside, connector, perform
from tests.connectors.pulls import events_of, pull_all
from tests.connectors.sockets import Socket

SHOP = "demo-pinduoduo"
RECEIVED = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
ACCOUNT = Account("pinduoduo", "shop", {"client_id": "c1", "client_secret": "s1", "refresh_token": "r1"})
ORDER: dict[str, Any] = {
    "order_sn": "261123-000000000000001",
    "parent_order_sn": "261123-000000000000000",
    "group_order_id": "g1",
    "open_uid": "pdd1",
    "order_status": 1,
    "refund_status": 1,
    "group_status": 1,
    "pay_amount": "79.9",
    "created_time": "2026-11-23 09:00:00",
    "confirm_time": "2026-11-23 09:05:00",
    "updated_at": "2026-11-23 09:05:00",
    "receiver_name": "~n~",
    "receiver_phone": "~p~",
    "address": "~a~",
    "province": "浙江省",
    "item_list": [{"goods_id": 1, "sku_id": 2, "goods_name": "坚果", "goods_count": 2, "goods_price": "39.95"}],
}
REFUND = {
    "id": 1,
    "order_sn": "261123-000000000000001",
    "after_sales_type": 2,
    "after_sales_status": 2,
    "refund_amount": "79.90",
    "created_time": "2026-11-23 09:30:00",
    "updated_time": "2026-11-23 09:30:00",
}


def told(kind: str, body: dict[str, Any]) -> list[Event]:
    return connector("pinduoduo").to_events(Verified(kind, json.dumps(body).encode(), "key", RECEIVED), ACCOUNT)


def frame(topic: str, at: datetime = RECEIVED, **content: Any) -> dict[str, Any]:
    message = {"type": topic, "mallID": 95, "content": json.dumps(content)}
    return {"id": 7, "commandType": "Common", "time": int(at.timestamp() * 1000), "message": message}


def waiting(world: Outside) -> int:
    return len(world.sim.app.state.world.shelf("pdd_message", PddMessage).having(shop=SHOP))


class Inbox:
    """Keeps what the channel brings, until it breaks."""

    def __init__(self, mall: int, breaks_at: int | None = None) -> None:
        self.mall = str(mall)
        self.breaks_at = breaks_at
        self.records: list[Verified] = []
        self.unreadable: list[Verified] = []

    async def set_aside(self, frame: Verified) -> None:
        self.unreadable.append(frame)

    async def keep(self, owner: str, record: Verified) -> bool:
        if len(self.records) == self.breaks_at:
            raise ConnectionError("the database is gone")
        if owner == self.mall:
            self.records.append(record)
        return True


@pytest.fixture
def slow_lists(world: Outside) -> Iterator[None]:
    """The lists of changes run ten minutes behind, as the platform admits."""
    lags = world.sim.app.state.world.settings.read_lag_s
    lags["pinduoduo"] = 600.0
    yield
    del lags["pinduoduo"]


async def opened(world: Outside, account: Account) -> Socket:
    address = urlsplit(PinduoduoChannel(account).address(datetime.now(UTC)))
    socket = Socket(world.sim.app, unquote(address.path))
    assert await socket.open()
    return socket


async def take(world: Outside, inbox: Inbox, count: int) -> Socket:
    """Listens until the inbox holds so many records and the platform knows of it."""
    account = await world.account("pinduoduo")
    socket = await opened(world, account)
    channel = PinduoduoChannel(account)
    listening = asyncio.ensure_future(listen(channel, socket, inbox.keep, inbox.set_aside, lambda: datetime.now(UTC)))
    for _ in range(500):
        if len(socket.sent) >= count or listening.done():
            break
        await asyncio.sleep(0.01)
    await socket.close()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return socket


class Silent:
    """The other side of a channel that says what it is told to, and then nothing."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.sent: list[str] = []

    async def receive(self) -> str | None:
        if self.texts:
            return self.texts.pop(0)
        await asyncio.sleep(3600)
        return None

    async def send(self, text: str) -> None:
        self.sent.append(text)


def test_the_address_is_signed_with_client_time_and_secret() -> None:
    at = datetime(2026, 11, 23, 2, 0, 0, 123000, tzinfo=UTC)
    # md5("c11795399200123s1") in hex, in base64, with its = escaped.
    assert PinduoduoChannel(ACCOUNT).address(at) == (
        "wss://message-api.pinduoduo.com/message/c1/1795399200123/MTFlNTE2NjdkYjU2MzNhNTQ1OGY3YjFjYjA3ODE4NzQ%3D"
    )


async def test_all_that_the_platform_keeps_is_read_although_its_clock_is_ahead(world: Outside) -> None:
    client, now = await world.open("pinduoduo"), datetime.now(UTC)
    await world.break_things({"match": {"platform": "pinduoduo"}, "fault": "clock_skew", "seconds": 300})
    for stream in (ORDERS, REFUNDS):
        page = await client.pull(stream.name, {"since": rfc3339(now - timedelta(days=90))}, now)
        assert page.more


async def test_an_order_is_one_event_a_stage_pushed_or_pulled(world: Outside) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    client, account, state = await world.open("pinduoduo"), await world.account("pinduoduo"), world.sim.app.state.world
    order = trade.pay(state, trade.place_order(state, SHOP, group_id="g-7", parent_id="main-7"))
    inbox = Inbox(account.settings["mall_id"])
    await take(world, inbox, 1)
    (short,) = events_of(inbox.records, account)
    assert (await pull_all(client, "orders", since))[0] == [], "the last three minutes are left alone"
    pulled, _ = await pull_all(client, "orders", since, until=datetime.now(UTC) + timedelta(minutes=4))
    (whole,) = [event for event in events_of(pulled, account) if event.subject == f"order:{order.id}"]
    assert short.id == whole.id
    assert short.data["version"] < whole.data["version"]
    assert (whole.data["group_id"], whole.data["parent_order_id"]) == ("g-7", "main-7")
    assert (whole.type, whole.data["paid_minor"]) == ("tandem.order.paid", order.paid_minor)


async def test_what_the_lists_show_ten_minutes_late_is_found(world: Outside, slow_lists: None) -> None:
    now = datetime.now(UTC)
    client, account, state = await world.open("pinduoduo"), await world.account("pinduoduo"), world.sim.app.state.world
    order = trade.pay(state, trade.place_order(state, SHOP))
    records, position = await pull_all(client, "orders", now - timedelta(minutes=5), until=now + timedelta(minutes=4))
    assert records == []
    await world.sim.admin("POST", "/advance", json={"seconds": 660})
    records, _ = await pull_all(client, "orders", cursor=position, until=now + timedelta(minutes=11))
    assert f"order:{order.id}" in {event.subject for event in events_of(records, account)}


async def test_a_page_that_shifts_while_it_is_read_hides_nothing(world: Outside) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    client, account, state = await world.open("pinduoduo"), await world.account("pinduoduo"), world.sim.app.state.world
    made = [trade.pay(state, trade.place_order(state, SHOP)).id for _ in range(230)]
    later = datetime.now(UTC) + timedelta(minutes=4)
    match = {"platform": "pinduoduo", "api": "pdd.order.number.list.increment.get"}
    await world.break_things({"match": match, "fault": "shift_page", "copies": 5})
    records, position = await pull_all(client, "orders", since, until=later)
    await world.break_things()
    more, _ = await pull_all(client, "orders", cursor=position, until=later)
    seen = {event.subject for event in events_of([*records, *more], account)}
    assert {f"order:{number}" for number in made} - seen == set()


async def test_a_receiver_is_ciphertext_then_blank_and_blank_says_nothing(world: Outside) -> None:
    client, state = await world.open("pinduoduo"), world.sim.app.state.world
    order = trade.pay(state, trade.place_order(state, SHOP))
    open_order = await perform(client, "pinduoduo.get_order", order_id=order.id)
    assert open_order.delivery.phone_ciphertext.startswith("~")
    assert order.phone not in open_order.model_dump_json()
    trade.ship(state, order, "SF1")
    shipped = await perform(client, "pinduoduo.get_order", order_id=order.id)
    assert (shipped.status, shipped.delivery) == ("shipped", None)


async def test_a_new_authorisation_replaces_what_it_killed(world: Outside) -> None:
    client, state = await world.open("pinduoduo"), world.sim.app.state.world
    await client.gateway.tokens.current()
    code = authorise(state, SHOP)
    stale = await connector("pinduoduo").test_connection(await world.account("pinduoduo"), world.link)
    assert not stale.ok
    assert "authorization_code" in stale.message.en
    account = await world.account("pinduoduo", authorization_code=code)
    assert (await connector("pinduoduo").test_connection(account, world.link)).ok
    # The code is spent; from here on the refresh token that came with it serves.
    await world.sim.admin("POST", "/advance", json={"seconds": 25 * 3600})
    assert (await connector("pinduoduo").test_connection(account, world.link)).ok


async def test_a_code_lives_ten_minutes(world: Outside) -> None:
    code = authorise(world.sim.app.state.world, SHOP)
    await world.sim.admin("POST", "/advance", json={"seconds": 601})
    account = await world.account("pinduoduo", authorization_code=code, refresh_token=None)
    report = await connector("pinduoduo").test_connection(account, world.link)
    assert not report.ok
    assert "10 minutes" in report.message.en


async def test_a_wrong_clock_is_said_in_plain_words(world: Outside) -> None:
    await world.break_things({"match": {"platform": "pinduoduo"}, "fault": "clock_skew", "seconds": 700})
    report = await connector("pinduoduo").test_connection(await world.account("pinduoduo"), world.link)
    assert not report.ok
    assert CODES[10020].text.zh in report.message.zh
    assert report.hint is not None
    assert "clock" in report.hint.en


async def test_by_a_wrong_name_or_none_no_message_would_come(world: Outside) -> None:
    pinduoduo, right = connector("pinduoduo"), str((await world.account("pinduoduo")).settings["mall_id"])
    wrong = await pinduoduo.test_connection(await world.account("pinduoduo", mall_id=17), world.link)
    assert wrong.fault is ConnectionFault.SETTINGS
    for said in ("mall_id", "17", right):
        assert said in wrong.message.en
    unnamed = await pinduoduo.test_connection(await world.account("pinduoduo", mall_id=None), world.link)
    assert unnamed.ok
    assert unnamed.hint is not None
    assert f"mall_id = {right}" in unnamed.hint.zh


def test_nobody_pushes_for_pinduoduo_over_http() -> None:
    with pytest.raises(AuthenticationProblem, match="does not push"):
        connector("pinduoduo").verify(WebhookRequest("POST", {}, {}, b"{}", RECEIVED), ACCOUNT)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "paid"),
        ({"group_status": 0}, "paid"),
        ({"group_status": 2}, "closed"),
        ({"order_status": 2}, "shipped"),
        ({"order_status": 3}, "completed"),
        ({"order_status": 3, "refund_status": 4}, "completed"),
        ({"order_status": 3, "refund_status": 4, REFUNDED: 7989}, "completed"),
        ({"order_status": 3, "refund_status": 4, REFUNDED: 7990}, "closed"),
        ({"order_status": 1, "refund_status": 4}, "closed"),
        ({"order_status": 1, "refund_status": 4, REFUNDED: 0}, "closed"),
        ({"order_status": 2, "refund_status": 4, REFUNDED: 0}, "shipped"),
        ({"order_status": 1, "refund_status": 4, REFUNDED: 100}, "paid"),
        ({"group_status": 0, "refund_status": 4, REFUNDED: 7990}, "closed"),
        ({"order_status": None}, "unknown"),
    ],
)
def test_an_order_is_where_order_group_and_refund_say(change: dict[str, Any], status: str) -> None:
    (event,) = told("order", {**ORDER, **change})
    assert event.data["status"] == status


def test_an_order_reads_in_fen_with_its_group_and_its_main_order() -> None:
    (event,) = told("order", ORDER)
    assert (event.data["paid_minor"], event.data["lines"][0]["total_minor"]) == (7990, 7990)
    assert (event.data["group_id"], event.data["parent_order_id"]) == ("g1", "261123-000000000000000")
    assert event.tandemkeys == ("customer:pinduoduo/pdd1",)


def test_a_message_is_older_than_the_record_of_its_stage_whatever_the_clocks_say() -> None:
    late = RECEIVED + timedelta(minutes=9)
    (short,) = told("pdd_trade_TradeConfirmed", frame("pdd_trade_TradeConfirmed", late, tid=ORDER["order_sn"]))
    (whole,) = told("order", ORDER)
    (shipped,) = told("pdd_trade_TradeSellerShip", frame("pdd_trade_TradeSellerShip", tid=ORDER["order_sn"]))
    assert short.id == whole.id
    assert short.data["version"] < whole.data["version"] < shipped.data["version"]


def test_consent_to_a_return_is_no_payment() -> None:
    topic = "pdd_refund_RefundAgreeAgreement"
    about: dict[str, Any] = {"tid": "1", "refund_id": "2", "refund_fee": "79.90"}
    (goods,) = told(topic, frame(topic, bill_type=2, **about))
    (money,) = told(topic, frame(topic, bill_type=1, **about))
    unsaid = [told(topic, frame(topic, bill_type=kind, **about))[0] for kind in (None, 9)]
    assert (goods.data["status"], money.data["status"]) == ("awaiting_return", "refunded")
    assert [(event.type, event.data["status"]) for event in unsaid] == [("tandem.refund.updated", "unknown")] * 2
    assert {goods.type, money.type} == {"tandem.refund.return_agreed", "tandem.refund.succeeded"}
    assert {goods.type, money.type} <= set(KNOWN_EVENT_TYPES)


@pytest.mark.parametrize("topic", REFUND_TOPICS)
@pytest.mark.parametrize("kind", [3, 4, 5])
def test_a_message_of_an_exchange_asks_nobody_for_money(topic: str, kind: int) -> None:
    about: dict[str, Any] = {"tid": "1", "refund_id": "2", "refund_fee": "79.90", "bill_type": kind}
    (event,) = told(topic, frame(topic, **about))
    assert (event.type, event.data["status"]) == ("tandem.refund.closed", "closed")
    (withdrawn,) = told("pdd_refund_RefundClosed", frame("pdd_refund_RefundClosed", tid="1", refund_id="2"))
    is_the_same_end = topic == "pdd_refund_RefundClosed"
    assert (event.id == withdrawn.id) == is_the_same_end


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("order", {**ORDER, "order_sn": None}, "order_sn"),
        ("order", {**ORDER, "pay_amount": "-1"}, "pay_amount"),
        ("order", {**ORDER, "order_status": 9}, "order_status"),
        ("order", {**ORDER, "pay_amount": "1.005"}, "pay_amount"),
        ("order", {**ORDER, "updated_at": "2026-11-24 09:00:00"}, "updated_at"),
        ("order", {**ORDER, "item_list": {"a": 1}}, "item_list"),
        ("order", {**ORDER, "item_list": [{**ORDER["item_list"][0], "goods_count": 0}]}, "goods_count"),
        ("refund", {**REFUND, "refund_amount": ""}, "refund_amount"),
        ("refund", {**REFUND, "id": True}, "id"),
        ("pdd_trade_TradeConfirmed", frame("pdd_trade_TradeConfirmed"), "tid"),
        ("pdd_trade_TradeConfirmed", {"message": {"content": 5}}, "content"),
        (
            "pdd_refund_RefundCreated",
            frame("pdd_refund_RefundCreated", tid="1", refund_id="2", modified=-1),
            "modified",
        ),
        (
            "pdd_trade_TradeSuccess",
            frame("pdd_trade_TradeSuccess", RECEIVED + timedelta(hours=2), tid="1"),
            "time",
        ),
    ],
)
def test_an_anomalous_record_names_the_field(kind: str, body: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationProblem) as error:
        told(kind, body)
    assert error.value.problem.as_dict()["field"] == field
