"""Meituan and Ele.me: takeaway and dine-in told apart, lists read while they change, and pushes that are odd."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from connectors.accounts import Account
from connectors.catering.connector import CateringConnector
from connectors.connection_report import ConnectionFault
from connectors.eleme.gateway import push_sign
from connectors.meituan.gateway import sign
from connectors.webhooks import Verified, WebhookRequest
from domain.problems import AuthenticationProblem, ValidationProblem
from simulator import trade
from simulator.stirring import stir
from tests.connectors.harness import Outside, connector, perform
from tests.connectors.pulls import events_of, pull_all

PLATFORMS = ["meituan", "eleme"]
NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
LONG_AGO = timedelta(days=80)
LATER = timedelta(minutes=2)


def shop_of(platform: str) -> str:
    return f"demo-{platform}"


def until() -> datetime:
    return datetime.now(UTC) + LATER


@pytest.fixture(params=PLATFORMS)
def platform(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


def test_a_sync_can_see_what_there_is_to_read_again(platform: str) -> None:
    assert [stream.name for stream in connector(platform).client.streams] == ["orders", "refunds", "goods"]


async def test_an_order_reads_in_tandems_words(world: Outside, platform: str) -> None:
    simulated = world.sim.app.state.world
    order = trade.pay(simulated, trade.place_order(simulated, shop_of(platform)))
    read = await perform(await world.open(platform), f"{platform}.get_order", order_id=order.id)
    assert (read.status, read.paid_minor, read.order_id) == ("paid", order.paid_minor, order.id)
    assert sum(line.total_minor for line in read.lines) == order.goods_minor
    assert read.lines[0].category == order.lines[0].category
    assert order.phone not in read.model_dump_json()


async def test_history_tells_takeaway_from_dine_in(world: Outside, platform: str) -> None:
    simulated = world.sim.app.state.world
    since = datetime.now(UTC) - LONG_AGO
    records, _ = await pull_all(await world.open(platform), "orders", since, until=until())
    found = {event.data["order_id"]: event.data for event in events_of(records, await world.account(platform))}
    expected = {
        order.id: order for order in simulated.orders.having(shop=shop_of(platform)) if order.updated_at >= since
    }
    assert set(found) == set(expected)
    for number, order in expected.items():
        told = found[number]
        assert (told["dining"], told["paid_minor"], told["status"]) == (
            order.dining or "takeaway",
            order.paid_minor,
            order.status.value,
        )


async def test_the_second_that_a_window_ends_with_is_read_whole(world: Outside, platform: str) -> None:
    simulated = world.sim.app.state.world
    order = trade.pay(simulated, trade.place_order(simulated, shop_of(platform)))
    until = order.updated_at.replace(microsecond=0)
    records, _ = await pull_all(await world.open(platform), "orders", until - timedelta(hours=1), until=until)
    found = {event.data["order_id"] for event in events_of(records, await world.account(platform))}
    assert order.id in found, "else it comes with the next reading, although nothing has changed"


async def test_nothing_is_missed_while_the_list_changes(world: Outside, platform: str) -> None:
    simulated, shop = world.sim.app.state.world, shop_of(platform)
    client, account = await world.open(platform), await world.account(platform)

    async def live(_turn: int) -> None:
        stir(simulated, shop, 2)

    since = datetime.now(UTC) - timedelta(days=3)
    records, cursor = await pull_all(client, "orders", since, between=live)
    more, _ = await pull_all(client, "orders", cursor=cursor, until=until())
    found = sorted((event.data for event in events_of([*records, *more], account)), key=lambda data: data["version"])
    last = {data["order_id"]: data for data in found}
    for order in simulated.orders.having(shop=shop):
        if order.updated_at >= since:
            assert last[order.id]["status"] == order.status.value


async def test_a_change_is_one_event_whether_it_was_pushed_or_pulled(world: Outside, platform: str) -> None:
    account, client = await world.account(platform), await world.open(platform)
    made = await world.sim.refund(shop=shop_of(platform), returns_goods=False, push=True)
    request = (await world.pushes(platform, 1))[0]
    [pushed] = connector(platform).to_events(connector(platform).verify(request, account), account)
    records, _ = await pull_all(client, "refunds", datetime.now(UTC) - timedelta(hours=1), until=until())
    pulled = {event.id: event for event in events_of(records, account)}
    assert pushed.type == "tandem.refund.created"
    assert pushed.data["refund_id"] == made["id"]
    assert pulled[pushed.id].data == pushed.data


async def test_a_wrong_clock_is_said_in_plain_words(world: Outside, platform: str) -> None:
    link = replace(world.link, now=lambda: datetime.now(UTC) - timedelta(minutes=15))
    report = await connector(platform).test_connection(await world.account(platform), link)
    assert report.fault is ConnectionFault.CLOCK
    assert "时钟" in report.message.zh


MEITUAN = Account("meituan", "s", {"app_id": "7", "app_secret": "hush", "shop_id": "9"})
ELEME = Account("eleme", "s", {"app_key": "7", "app_secret": "hush", "shop_id": 9})


def meituan_push(kind: str, data: Any) -> WebhookRequest:
    form = {"app_id": "7", "app_poi_code": "9", "timestamp": str(int(NOW.timestamp())), "kind": kind}
    form["data"] = data if isinstance(data, str) else json.dumps(data)
    form["sig"] = sign("", form, "hush")
    return WebhookRequest("POST", {}, {}, urlencode(form).encode(), NOW)


def eleme_push(kind: str, data: Any) -> WebhookRequest:
    body = {"appId": 7, "shopId": 9, "timestamp": int(NOW.timestamp() * 1000), "requestId": "r1"}
    body |= {"type": {"order": 12, "refund": 30}.get(kind, 99)}
    body |= {"message": data if isinstance(data, str) else json.dumps(data)}
    body["signature"] = push_sign(body, "hush")
    return WebhookRequest("POST", {}, {}, json.dumps(body).encode(), NOW)


@pytest.mark.parametrize("kind", ["order\x00", "k" * 65])
def test_a_signed_form_that_cannot_be_stored_is_refused(kind: str) -> None:
    with pytest.raises(ValidationProblem):
        connector("meituan").verify(meituan_push(kind, {}), MEITUAN)


AT = int(NOW.timestamp()) - 60
GOOD_ORDERS: dict[str, dict[str, Any]] = {
    "meituan": {"order_id": "1", "status": 4, "delivery_type": 2, "total": "28.80", "utime": AT},
    "eleme": {"orderId": "1", "status": "valid", "orderBusinessType": 1, "totalPrice": 28.8, "updatedAt": AT},
}
MAKERS: dict[str, tuple[Account, Callable[[str, Any], WebhookRequest]]] = {
    "meituan": (MEITUAN, meituan_push),
    "eleme": (ELEME, eleme_push),
}


def told(platform: str, kind: str, data: Any) -> list[Any]:
    account, make = MAKERS[platform]
    verified = connector(platform).verify(make(kind, data), account)
    return connector(platform).to_events(verified, account)


def test_a_pushed_order_is_understood(platform: str) -> None:
    [event] = told(platform, "order", GOOD_ORDERS[platform])
    assert (event.data["dining"], event.data["paid_minor"], event.data["status"]) == ("dine_in", 2880, "paid")
    assert told(platform, "menu", {}) == [], "a kind without use"


@pytest.mark.parametrize(
    ("change", "ok"),
    [
        ({0: None}, True),
        ({0: "new-word"}, False),
        ({1: "-1.00"}, False),
        ({1: "28.805"}, False),
        ({1: {}}, False),
        ({2: AT + 7_200 + 120}, False),
        ({2: None}, False),
        ({2: "yesterday"}, False),
    ],
)
def test_odd_fields_are_unknown_or_refused(platform: str, change: dict[int, Any], ok: bool) -> None:
    names = {"meituan": ("status", "total", "utime"), "eleme": ("status", "totalPrice", "updatedAt")}[platform]
    data = {**GOOD_ORDERS[platform], **{names[place]: value for place, value in change.items()}}
    if ok:
        assert told(platform, "order", data)[0].data["status"] == "unknown"
        return
    with pytest.raises(ValidationProblem):
        told(platform, "order", data)


def test_a_push_of_another_time_is_refused_with_what_is_allowed(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    caterer, (account, make) = connector(platform), MAKERS[platform]
    assert isinstance(caterer, CateringConnector)
    monkeypatch.setattr(caterer, "wire", replace(caterer.wire, window=timedelta(minutes=7)))
    request = make("order", GOOD_ORDERS[platform])
    for late in (timedelta(minutes=7), timedelta(minutes=-7)):
        caterer.verify(replace(request, received_at=NOW + late), account)
        with pytest.raises(AuthenticationProblem, match="more than 7 minutes") as refusal:
            caterer.verify(replace(request, received_at=NOW + late * 1.1), account)
        assert "7 分钟" in refusal.value.text.zh


@pytest.mark.parametrize("data", ["", "[]", "{", "[" * 100, "null"])
def test_a_message_that_is_none_goes_to_quarantine(platform: str, data: str) -> None:
    with pytest.raises(ValidationProblem):
        told(platform, "order", data)


def test_a_row_of_a_list_that_is_none_stops_no_other(platform: str) -> None:
    account, _ = MAKERS[platform]
    row = Verified("pulled.order", b'"odd"', "k", NOW)
    with pytest.raises(ValidationProblem):
        connector(platform).to_events(row, account)
