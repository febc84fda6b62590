"""A JD shop, which is only ever asked: by creation and by change, and what is refused."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.accounts import Account
from connectors.jd.codes import GATEWAY_CODES
from connectors.webhooks import Verified, WebhookRequest
from domain.events import Event
from domain.problems import AuthenticationProblem, ProblemError, ValidationProblem
from simulator import trade
from tests.connectors.harness import Outside, connector, perform
from tests.connectors.pulls import events_of, pull_all

SHOP = "demo-jd"
RECEIVED = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
ACCOUNT = Account("jd", "shop", {})
ORDER = {
    "orderId": "289000000001",
    "parentOrderId": "288000000000",
    "orderState": "WAIT_SELLER_STOCK_OUT",
    "orderPayment": "129.00",
    "freightPrice": "0.00",
    "sellerDiscount": "10.00",
    "orderStartTime": "2026-11-23 09:00:00",
    "paymentConfirmTime": "2026-11-23 09:01:00",
    "modified": "2026-11-23 09:01:00",
    "open_id_buyer": "jd_open_1",
    "pin": "jd***",
    "consigneeInfo": {"fullname": "c1==", "mobile": "c2==", "fullAddress": "c3==", "province": "浙江省"},
    "itemInfoList": [
        {"skuId": "1001", "skuName": "耳机", "jdPrice": "69.50", "itemTotal": "2"},
        {"skuId": "1001", "skuName": "耳机（赠品）", "jdPrice": "0.00", "itemTotal": "1"},
    ],
}


def told(kind: str, body: Any) -> list[Event]:
    return connector("jd").to_events(Verified(kind, json.dumps(body).encode(), "key", RECEIVED), ACCOUNT)


async def test_orders_are_found_by_their_change_and_by_their_creation(world: Outside) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    client, account, state = await world.open("jd"), await world.account("jd"), world.sim.app.state.world
    order = trade.pay(state, trade.place_order(state, SHOP))
    by_change, _ = await pull_all(client, "orders", since)
    by_creation, _ = await pull_all(client, "orders_created", since)
    for records in (by_change, by_creation):
        (event,) = [event for event in events_of(records, account) if event.subject == f"order:{order.id}"]
        assert (event.type, event.data["paid_minor"]) == ("tandem.order.paid", order.paid_minor)
    assert {record.dedupe_key for record in by_creation} <= {record.dedupe_key for record in by_change}


async def test_an_old_order_that_changed_is_found_by_its_change_alone(world: Outside) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    client, account = await world.open("jd"), await world.account("jd")
    made = await world.sim.refund(shop=SHOP)
    orders, _ = await pull_all(client, "orders", since)
    created, _ = await pull_all(client, "orders_created", since)
    assert f"order:{made['tid']}" in {event.subject for event in events_of(orders, account)}
    assert created == []


async def test_a_page_that_shifts_while_it_is_read_hides_nothing(world: Outside) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    client, account, state = await world.open("jd"), await world.account("jd"), world.sim.app.state.world
    made = [trade.pay(state, trade.place_order(state, SHOP)).id for _ in range(230)]
    match = {"platform": "jd", "api": "jingdong.pop.order.enSearch"}
    await world.break_things({"match": match, "fault": "shift_page", "copies": 5})
    records, position = await pull_all(client, "orders", since)
    await world.break_things()
    more, _ = await pull_all(client, "orders", cursor=position)
    seen = {event.subject for event in events_of([*records, *more], account)}
    assert {f"order:{number}" for number in made} - seen == set()


async def test_a_refund_is_told_when_it_is_asked_for_and_when_it_is_decided(world: Outside) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    client, account = await world.open("jd"), await world.account("jd")
    made = await world.sim.refund(shop=SHOP, stage="asked", amount_minor=12900, returns_goods=False)
    asked, _ = await pull_all(client, "refunds_requested", since)
    (event,) = events_of(asked, account)
    assert (event.type, event.data["amount_minor"]) == ("tandem.refund.created", 12900)
    assert (await pull_all(client, "refunds_checked", since))[0] == []
    await perform(client, "jd.agree_refund", refund_id=made["id"], amount_minor=12900)
    decided, _ = await pull_all(client, "refunds_checked", since)
    assert [event.type for event in events_of(decided, account)] == ["tandem.refund.succeeded"]


async def test_goods_that_come_back_are_told_when_asked_for_and_when_the_money_went(world: Outside) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    client, account, state = await world.open("jd"), await world.account("jd"), world.sim.app.state.world
    made = await world.sim.refund(shop=SHOP, stage="asked", amount_minor=9900)
    number, order = f"afs-{made['id']}", state.orders.get(made["tid"])
    asked, _ = await pull_all(client, "aftersales_requested", since)
    [event] = [each for each in events_of(asked, account) if each.data["refund_id"] == number]
    assert (event.type, event.data["returns_goods"]) == ("tandem.refund.created", True)
    assert event.data["line_ids"] == [order.lines[0].sku_id], "as the order's lines are called"
    applications, _ = await pull_all(client, "refunds_requested", since)
    assert number.removeprefix("afs-") not in {event.data["refund_id"] for event in events_of(applications, account)}
    returned = trade.agree_return(state, state.refunds.get(made["id"]), state.refunds.get(made["id"]).version)
    approved, cursor = await pull_all(client, "aftersales_approved", since)
    assert "tandem.refund.succeeded" not in {event.type for event in events_of(approved, account)}
    returned = trade.send_back(state, returned)
    trade.pay_back(state, returned, returned.version)
    later, _ = await pull_all(client, "aftersales_approved", cursor=cursor)
    [event] = [each for each in events_of(later, account) if each.data["refund_id"] == number]
    assert (event.type, event.data["amount_minor"]) == ("tandem.refund.succeeded", 9900)
    with pytest.raises(ValidationProblem, match="service order"):
        await perform(client, "jd.agree_refund", refund_id=number, amount_minor=9900)


async def test_a_service_order_that_is_refused_or_taken_back_is_told(world: Outside) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    client, account, state = await world.open("jd"), await world.account("jd"), world.sim.app.state.world
    refused, withdrawn, agreed = [await world.sim.refund(shop=SHOP, stage="asked", amount_minor=9900) for _ in range(3)]

    async def told_of(made: dict[str, Any]) -> tuple[str, str]:
        changed, _ = await pull_all(client, "aftersales_changed", since)
        mine = [each for each in events_of(changed, account) if each.data["refund_id"] == f"afs-{made['id']}"]
        (event,) = mine
        assert (event.data["order_id"], event.data["returns_goods"]) == (made["tid"], True)
        return event.type, event.data["status"]

    def row(made: dict[str, Any]) -> Any:
        return state.refunds.get(made["id"])

    assert await told_of(refused) == ("tandem.refund.created", "requested")
    trade.refuse(state, row(refused), row(refused).version, "已影响二次销售")
    trade.withdraw(state, row(withdrawn))
    trade.agree_return(state, row(agreed), row(agreed).version)
    assert (await told_of(refused))[1] == "refused"
    assert (await told_of(withdrawn))[1] == "closed"
    assert (await told_of(agreed))[1] == "awaiting_return"


def test_an_exchange_is_no_refund_and_a_finished_service_order_tells_no_state() -> None:
    row = {"serviceId": 1, "orderId": 2, "applyTime": "2026-11-22 09:00:00", "updateDate": "2026-11-22 10:00:00"}
    assert told("service", {**row, "customerExpect": 20, "serviceStatus": 10004}) == []
    (event,) = told("service", {**row, "customerExpect": 10, "serviceStatus": 10010})
    assert (event.data["status"], event.data["amount_minor"]) == ("unknown", None)


async def test_a_wrong_clock_is_said_in_plain_words(world: Outside) -> None:
    await world.break_things({"match": {"platform": "jd"}, "fault": "clock_skew", "seconds": -400})
    report = await connector("jd").test_connection(await world.account("jd"), world.link)
    assert not report.ok
    assert GATEWAY_CODES[8].text.en in report.message.en
    assert report.hint is not None
    assert "clock" in report.hint.en


def test_nobody_pushes_for_jd() -> None:
    with pytest.raises(AuthenticationProblem, match="does not push"):
        connector("jd").verify(WebhookRequest("POST", {}, {}, b"{}", RECEIVED), ACCOUNT)


def test_an_order_reads_with_its_parent_and_a_line_for_each_article() -> None:
    (event,) = told("order", ORDER)
    assert (event.type, event.data["parent_order_id"]) == ("tandem.order.paid", "288000000000")
    assert [line["line_id"] for line in event.data["lines"]] == ["1001", "1001-2"]
    assert [line["total_minor"] for line in event.data["lines"]] == [13900, 0]
    assert (event.data["buyer"]["buyer_id"], event.data["discount_minor"]) == ("jd_open_1", 1000)
    assert event.data["delivery"]["phone_ciphertext"] == "c2=="


@pytest.mark.parametrize(("state", "is_news"), [("WAIT_GOODS_RECEIVE_CONFIRM", True), ("FINISHED_L", False)])
def test_a_parcel_that_may_have_gone_long_ago_is_no_news(state: str, is_news: bool) -> None:
    changes = {"orderState": state, "waybill": f"JD1;JD2、{'9' * 65}", "modified": "2026-11-23 10:00:00"}
    order, *parcels = told("order", {**ORDER, **changes, "paymentConfirmTime": "2026-11-01 09:00:00"})
    assert order.type.startswith("tandem.order.")
    assert [each.data["waybill"] for each in parcels] == ["JD1", "JD2"]
    assert {each.time == order.time for each in parcels} == {is_news}


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("order", {"orderId": ""}, "orderId"),
        ("order", {"orderPayment": "-0.01"}, "orderPayment"),
        ("order", {"itemInfoList": [{"skuId": "1", "skuName": "x", "jdPrice": "1", "itemTotal": "-1"}]}, "itemTotal"),
        ("order", {"itemInfoList": {"skuId": "1"}}, "itemInfoList"),
        ("order", {"modified": "2026-11-24 09:00:00"}, "modified"),
        ("order", {"orderState": "ON_THE_MOON"}, "orderState"),
        ("refund", {"applyRefundSum": -1}, "applyRefundSum"),
        ("refund", {"status": 777}, "status"),
        ("refund", {"applyTime": "2026-02-30 00:00:00"}, "applyTime"),
    ],
)
def test_an_anomalous_record_names_the_field(kind: str, change: dict[str, Any], field: str) -> None:
    refund = {"id": "1", "orderId": "2", "applyRefundSum": 100, "status": 0, "applyTime": "2026-11-23 09:00:00"}
    with pytest.raises(ValidationProblem) as error:
        told(kind, {**(ORDER if kind == "order" else refund), **change})
    assert error.value.problem.as_dict()["field"] == field


def test_a_locked_order_says_nothing_of_its_stage() -> None:
    (event,) = told("order", {**ORDER, "orderState": "LOCKED"})
    assert (event.type, event.data["status"]) == ("tandem.order.updated", "unknown")


@pytest.mark.parametrize("moment", ["2026-11-22 12:00:00", 1795320000000])
def test_a_service_order_reads_times_of_both_kinds(moment: str | int) -> None:
    bill = {"serviceId": 234, "orderId": 289000000001, "wareId": 1001, "afsApplyTime": "2026-11-20 09:00:00"}
    row = {"status": 13, "refoundAmount": "69.50", "completeTime": moment, "sameOrderServiceBill": bill}
    (event,) = told("aftersale", row)
    assert (event.type, event.data["refund_id"]) == ("tandem.refund.succeeded", "afs-234")
    assert (event.data["amount_minor"], event.data["line_ids"]) == (6950, ["1001"])
    assert event.time == datetime(2026, 11, 22, 4, tzinfo=UTC)


@pytest.mark.parametrize("told_sum", [{}, {"refoundAmount": None}, {"refoundAmount": "0.00"}])
def test_a_service_order_that_was_paid_without_a_sum_tells_none(told_sum: dict[str, Any]) -> None:
    """Nothing of it is made up: settlement says that it is missing."""
    bill = {"serviceId": 234, "orderId": 289000000001, "wareId": 1001, "afsApplyTime": "2026-11-20 09:00:00"}
    (event,) = told("aftersale", {"status": 13, "sameOrderServiceBill": bill, **told_sum})
    assert (event.data["status"], event.data["amount_minor"]) == ("refunded", None)


@pytest.mark.parametrize("wrong", [{"completeTime": -1}, {"refoundAmount": "-1"}, {"sameOrderServiceBill": None}])
def test_a_service_order_that_says_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    bill = {"serviceId": 234, "orderId": 289000000001, "afsApplyTime": "2026-11-20 09:00:00"}
    with pytest.raises(ValidationProblem):
        told("aftersale", {"status": 13, "refoundAmount": "1.00", "sameOrderServiceBill": bill, **wrong})


@pytest.mark.parametrize(("fault", "code"), [("busy", "65"), ("quota", "2")])
async def test_a_busy_token_desk_is_asked_again_later(world: Outside, fault: str, code: str) -> None:
    """The gateway stands before it too, and refuses in its own words."""
    client = await world.open("jd")
    await world.break_things({"match": {"platform": "jd", "api": "oauth2/refresh_token"}, "fault": fault})
    with pytest.raises(ProblemError) as refused:
        await pull_all(client, "orders", datetime.now(UTC) - timedelta(minutes=5))
    told = refused.value.problem.as_dict()
    assert (told["retryable"], told["platform_code"]) == (True, code)
