"""An exchange or a repair is no refund: nobody is paid for it, and nobody is silenced. What lists publish is known."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.accounts import Account
from connectors.douyin import records as douyin
from connectors.jd import records as jd
from connectors.pinduoduo import records as pinduoduo
from connectors.reading import CHINA
from connectors.single_reads import UNREAD_KIND
from connectors.taobao import records as taobao
from connectors.webhooks import Verified
from connectors.wechat_store import events as wechat_store_events
from connectors.wechat_store import records as wechat_store
from connectors.youzan import records as youzan
from connectors.youzan.pulling import PULLED_REFUND
from connectors.youzan.pushes import REFUND_KINDS
from domain.problems import ConflictProblem, ProblemError
from simulator import trade
from simulator.platforms.youzan import render
from simulator.platforms.youzan.call import ApiError
from tests.connectors.harness import Outside, connector, perform
from tests.connectors.pulls import events_of, pull_all

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
Read = Callable[[Mapping[str, Any]], Any]
DOUYIN = {"aftersale_id": "70", "related_id": "69", "aftersale_status": 6, "aftersale_type": 0}
WECHAT = {"after_sale_order_id": "70", "order_id": "69", "status": "MERCHANT_PROCESSING", "type": "RETURN"}
TAOBAO = {"refund_id": "70", "tid": "69", "status": "WAIT_SELLER_AGREE", "refund_fee": "79.90"}
YOUZAN = {
    "refund_id": "70",
    "tid": "69",
    "status": "WAIT_SELLER_AGREE",
    "refund_fee": "79.90",
    "version": 1,
    "demand": 2,
}
YOUZAN_KINDS: list[dict[str, Any]] = [{"demand": 3}, {"refund_type": "EXCHANGE_GOODS"}, {"type": 4}, {"type": "5"}]
PINDUODUO = {"id": 70, "order_sn": "69", "after_sales_status": 2, "after_sales_type": 2, "refund_amount": "79.90"}


def at_douyin(row: Mapping[str, Any]) -> Any:
    return douyin.read_refund({"aftersale_info": row})


@pytest.mark.parametrize(
    ("read", "refund", "exchange"),
    [
        *((at_douyin, DOUYIN, {"aftersale_type": kind}) for kind in (3, 7, 8)),
        *((at_douyin, DOUYIN, {"aftersale_status": state}) for state in (3, 8, 13, 14, 51)),
        *((wechat_store.read_refund, WECHAT, {"type": kind}) for kind in ("EXCHANGE", "RESHIP")),
        (wechat_store.read_refund, WECHAT, {"status": "MERCHANT_EXCHANGE_SUCCESS"}),
        (wechat_store.read_refund, WECHAT, {"status": "MERCHANT_REJECT_EXCHANGE"}),
        (taobao.read_refund, TAOBAO, {"status": "WAIT_SELLER_CONSIGN_GOOGDS"}),
        *((youzan.read_refund, YOUZAN, kind) for kind in YOUZAN_KINDS),
        (pinduoduo.read_listed_refund, PINDUODUO, {"after_sales_status": 16}),
        *((pinduoduo.read_listed_refund, PINDUODUO, {"after_sales_type": kind}) for kind in (4, 5)),
    ],
)
def test_an_exchange_is_over_as_a_refund(read: Read, refund: Mapping[str, Any], exchange: Mapping[str, Any]) -> None:
    assert read(refund).status == "requested"
    assert read({**refund, **exchange}).status == "closed"


def test_a_push_of_an_exchange_asks_nobody_for_money() -> None:
    data = {**DOUYIN, "p_id": "69", "aftersale_type": 3}
    payload = json.dumps([{"tag": "200", "msg_id": "1", "data": data}]).encode()
    record = Verified("200", payload, "key", datetime(2026, 11, 23, 2, 0, tzinfo=UTC))
    (event,) = connector("douyin").to_events(record, Account("douyin", "shop", {"shop_id": 1}))
    assert isinstance(event.data, dict)
    assert (event.type, event.data["status"]) == ("tandem.refund.closed", "closed")


def taobao_row(at: datetime, **change: Any) -> tuple[str, Any]:
    return "refund", {"refund": {**TAOBAO, "modified": f"{at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}", **change}}


def pinduoduo_row(at: datetime, **change: Any) -> tuple[str, Any]:
    return "refund", {**PINDUODUO, "updated_time": f"{at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}", **change}


def wechat_row(at: datetime, **change: Any) -> tuple[str, Any]:
    return wechat_store_events.REFUND, {**WECHAT, "update_time": int(at.timestamp()), **change}


def douyin_push(at: datetime, tag: str = "201", **change: Any) -> tuple[str, Any]:
    told = {"apply_time": int(at.timestamp()), "agree_time": int(at.timestamp()), "close_time": int(at.timestamp())}
    data = {**DOUYIN, "p_id": "69", **told, **change}
    return tag, [{"tag": tag, "msg_id": str(at), "data": data}]


@pytest.mark.parametrize(
    ("platform", "row", "steps"),
    [
        (
            "taobao",
            taobao_row,
            [
                {"status": "WAIT_SELLER_CONSIGN_GOODS"},
                {"status": "EXCHANGE_TRANSFORM_TO_REFUND"},
                {"status": "WAIT_SELLER_AGREE"},
                {"status": "CLOSED"},
            ],
        ),
        (
            "pinduoduo",
            pinduoduo_row,
            [{"after_sales_status": 14}, {"after_sales_type": 4}, {}, {"after_sales_status": 11}],
        ),
        (
            "wechat_store",
            wechat_row,
            [{"type": "EXCHANGE"}, {"type": "RESHIP"}, {}, {"status": "USER_CANCELED"}],
        ),
        (
            "douyin",
            douyin_push,
            [
                {"tag": "200", "aftersale_type": 3},
                {"aftersale_type": 3, "aftersale_status": 7},
                {"tag": "200"},
                {"tag": "207", "aftersale_status": 28},
            ],
        ),
    ],
)
def test_a_refund_that_was_an_exchange_is_told_to_be_withdrawn(
    platform: str, row: Callable[..., tuple[str, Any]], steps: list[dict[str, Any]]
) -> None:
    account, told = Account(platform, "shop", {"shop_id": 1}), []
    for minute, step in enumerate(steps):
        kind, body = row(NOON + timedelta(minutes=minute), **step)
        record = Verified(kind, json.dumps(body).encode(), "key", NOON + timedelta(hours=1))
        told += connector(platform).to_events(record, account)
    # That it becomes one, only Taobao says in a word of its own.
    second = "updated" if platform == "taobao" else "closed"
    assert [event.type.removeprefix("tandem.refund.") for event in told] == ["closed", second, "created", "closed"]
    # What has an id that was told before is told to nobody.
    assert len({event.id for event in told}) == 4


def test_an_exchange_that_is_withdrawn_is_told_once_pushed_or_listed() -> None:
    account = Account("douyin", "shop", {"shop_id": 1})
    kind, body = douyin_push(NOON, tag="207", aftersale_type=3, aftersale_status=28)
    pushed = Verified(kind, json.dumps(body).encode(), "key", NOON)
    item = {"aftersale_info": {**DOUYIN, "aftersale_type": 3, "aftersale_status": 28, "update_time": 1795399200}}
    listed = Verified("afterSale.List", json.dumps(item).encode(), "key", NOON)
    told = [event for record in (pushed, listed) for event in connector("douyin").to_events(record, account)]
    assert [event.type for event in told] == ["tandem.refund.closed"] * 2
    assert told[0].id == told[1].id


@pytest.mark.parametrize("exchange", YOUZAN_KINDS)
def test_an_exchange_at_youzan_is_no_refund_whatever_its_pushes_say(exchange: dict[str, Any]) -> None:
    told = {kind: youzan_push(kind, **exchange) for kind in REFUND_KINDS}
    assert set(told.values()) == {("closed", "closed")}
    assert youzan_push("trade_refund_RefundSuccess", refund_type="REFUND_ONLY") == ("succeeded", "refunded")


@pytest.mark.parametrize("exchange", YOUZAN_KINDS)
def test_an_exchange_in_youzans_list_is_no_refund(exchange: dict[str, Any]) -> None:
    listed = [youzan_row(state, **exchange) for state in youzan.REFUND_STATUSES if state != "CLOSED"]
    assert set(listed) == {("closed", "closed")}
    assert (youzan_row("CLOSED", **exchange), youzan_row("SUCCESS")) == (
        ("closed", "closed"),
        ("succeeded", "refunded"),
    )


async def test_a_row_of_youzans_list_that_tells_no_kind_is_asked_about(
    world: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchanged, paid, asked = [await world.sim.refund(stage="asked", returns_goods=False) for _ in range(3)]
    shops, whole, asked_about, elsewhere = world.sim.app.state.world, render.refund, list[str](), dict[str, int]()
    for each in (exchanged, paid):
        trade.pay_back(shops, shops.refunds.get(each["id"]), shops.refunds.get(each["id"]).version)

    def told(outside: Any, shop: Any, row: Any) -> dict[str, Any]:
        asked_about.append(row.id)
        if row.id in elsewhere:
            raise ApiError(elsewhere[row.id], "查不到")
        return {**whole(outside, shop, row), "demand": 3 if row.id == exchanged["id"] else 1}

    monkeypatch.setattr(render, "refund", told)
    client = await world.open("youzan")
    # The list goes by whole seconds: of this one it may not tell yet.
    soon = datetime.now(UTC) + timedelta(minutes=2)
    records, _ = await pull_all(client, "refunds", soon - timedelta(minutes=9), until=soon)
    events = events_of(records, await world.account("youzan"))
    states = {event.subject: (event.type, event.data["status"]) for event in events if isinstance(event.data, dict)}
    assert states[f"refund:{exchanged['id']}"] == ("tandem.refund.closed", "closed")
    assert states[f"refund:{paid['id']}"] == ("tandem.refund.succeeded", "refunded")
    assert states[f"refund:{asked['id']}"] == ("tandem.refund.created", "requested")
    assert {exchanged["id"], paid["id"], asked["id"]} <= set(asked_about)
    elsewhere[paid["id"]], elsewhere[exchanged["id"]] = 103010054, 103011024
    whole_again, _ = await pull_all(client, "refunds", soon - timedelta(minutes=9), until=soon)
    aside = {number: [each.kind for each in whole_again if number.encode() in each.payload] for number in elsewhere}
    assert aside == {number: [UNREAD_KIND] for number in elsewhere}, (
        "a branch's, and one it does not know: none by guess"
    )
    assert any(asked["id"].encode() in each.payload for each in whole_again if each.kind == PULLED_REFUND)
    elsewhere.clear()
    await world.break_things({"match": {"api": "youzan.trade.refund.get"}, "fault": "forbidden"})
    with pytest.raises(ProblemError, match="4301"):
        await pull_all(client, "refunds", soon - timedelta(minutes=9), until=soon)
    await world.break_things()


@pytest.mark.parametrize(
    ("row", "asks"),
    [
        ({}, True),
        ({"refund_type": "BUYER_APPLY_REFUND"}, True),
        ({"refund_type": "REFUND_ONLY"}, False),
        ({"demand": 1}, False),
        ({"type": 0}, False),
        ({"status": "CLOSED"}, False),
    ],
)
def test_a_row_that_tells_its_kind_is_not_asked_about(row: dict[str, Any], asks: bool) -> None:
    assert youzan.lacks_kind({"refund_id": "70", "status": "SUCCESS", **row}) == ("70" if asks else None)


def youzan_push(kind: str, **change: Any) -> tuple[str, str]:
    """What the push of a refund becomes: the event and the status."""
    about = {
        "refund_id": "70",
        "tid": "69",
        "refunded_fee": "79.90",
        "version": 1,
        "update_time": "2026-11-23 11:00:00",
    }
    return _read("youzan", kind, {"type": kind, "msg": {**about, **change}})


def youzan_row(status: str, **change: Any) -> tuple[str, str]:
    """What a row of the list of refunds becomes."""
    return _read("youzan", PULLED_REFUND, {**YOUZAN, "modified": "2026-11-23 11:00:00", "status": status, **change})


def _read(platform: str, kind: str, body: Any) -> tuple[str, str]:
    record = Verified(kind, json.dumps(body).encode(), "key", NOON)
    (event,) = connector(platform).to_events(record, Account(platform, "shop", {}))
    assert isinstance(event.data, dict)
    return event.type.removeprefix("tandem.refund."), event.data["status"]


@pytest.mark.parametrize(
    ("table", "listed"),
    [
        (taobao.REFUND_STATUSES, ["WAIT_SELLER_CONFIRM_RETURN_ADDRESS", "EXCHANGE_TRANSFORM_TO_REFUND"]),
        (taobao.REFUND_STATUSES, ["WAIT_BUYER_CONFIRM_REDO_SEND_GOODS", "POST_FEE_DISPUTE_WAIT_ACTIVATE"]),
        (wechat_store.REFUND_STATUSES, ["PLATFORM_PROCESSING", "USER_WAIT_RECEIPT", "WAIT_PACKAGE_INTERCEPT"]),
        (wechat_store.ORDER_STATUSES, ["10", "12", "13", "17", "20", "21", "30", "100", "200", "250"]),
        (youzan.REFUND_STATUSES, ["CUSTOMER_SERVICE_IN", "SELLER_RETURN_GOODS", "SELLER_REFUSE_BUYER_RETURN_GOODS"]),
        (youzan.ORDER_STATUSES, ["TRADE_CLOSED_BY_USER", "WAIT_GROUP", "WAIT_PAY_RETURN"]),
        (douyin.REFUND_STATUSES, ["3", "6", "7", "8", "11", "12", "13", "14", "27", "28", "29"]),
    ],
)
def test_the_states_that_a_platform_publishes_are_known(table: Mapping[str, str], listed: list[str]) -> None:
    assert set(listed) <= table.keys()


def test_a_state_of_orders_that_jd_s_lists_are_not_asked_for_is_read() -> None:
    order = {"orderId": "1", "orderState": "WAIT_SEND_CODE", "orderPayment": "79.90"}
    assert jd.read_order(order).status == "paid"
    assert "WAIT_SEND_CODE" not in jd.ALL_STATES


async def test_nothing_is_paid_while_the_platform_steps_in(world: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    made, client = await world.sim.refund(returns_goods=False), await world.open("youzan")
    whole = render.refund
    monkeypatch.setattr(render, "refund", lambda *asked: {**whole(*asked), "status": "CUSTOMER_SERVICE_IN"})
    with pytest.raises(ConflictProblem, match="unknown"):
        await perform(client, "youzan.agree_refund", refund_id=made["id"])
    assert await world.effects(kind="refund_agreed", refund_id=made["id"]) == 0
