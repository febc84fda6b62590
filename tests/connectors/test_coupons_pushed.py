"""Coupons as Youzan and WeChat Stores push them: what each step says, in which order they count, what is refused."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.accounts import Account
from connectors.webhooks import Verified
from domain.events import Event
from domain.problems import ValidationProblem
from tests.connectors.harness import connector

RECEIVED = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
AT = 1795399200
YOUZAN = Account(
    "youzan", "shop", {"client_id": "c", "client_secret": "s", "kdt_id": 1, "live_coupons": ["group-live"]}
)
STORE = Account("wechat_store", "shop", {"app_id": "wx1", "app_secret": "s", "token": "t", "live_coupons": ["19126"]})


def youzan(status: str = "CARD_TAKE", version: int = AT, **more: Any) -> list[Event]:
    message = {
        "id": "10887216",
        "type": "COUPON_CUSTOMER_PROMOTION",
        "status": status,
        "coupon_group_id": "group-live",
        "event_time": "2026-11-23 09:59:00",
        **more,
    }
    said = {name: value for name, value in message.items() if value is not None}
    body = {"type": "COUPON_CUSTOMER_PROMOTION", "version": version, "yz_open_id": "yz1", "msg": json.dumps(said)}
    return connector("youzan").to_events(
        Verified("COUPON_CUSTOMER_PROMOTION", json.dumps(body).encode(), "k", RECEIVED), YOUZAN
    )


def store(event: str, within: str, moment: str, at: int = AT - 60, **more: Any) -> Event:
    info = {"coupon_id": "19126", "user_coupon_id": "29730", moment: str(at), **more}
    callback = {"FromUserName": "o1", "CreateTime": AT - 30, "MsgType": "event", "Event": event, within: info}
    (told,) = connector("wechat_store").to_events(Verified(event, json.dumps(callback).encode(), "k", RECEIVED), STORE)
    return told


TAKEN = ("channels_ec_coupon_receive", "receive_info", "receive_time")
USED = ("channels_ec_user_coupon_use", "use_info", "use_time")
BACK = ("channels_ec_user_coupon_unuse", "use_info", "unuse_time")
OVER = ("channels_ec_user_coupon_expire", "user_coupon_info", "expire_time")


@pytest.mark.parametrize(
    ("status", "state"),
    [("CARD_TAKE", "taken"), ("CODE_TAKE", "taken"), ("CARD_CONSUME", "used"), ("CARD_REVERT", "returned")],
)
def test_each_step_of_a_youzan_coupon_is_an_event_of_its_buyer(status: str, state: str) -> None:
    (event,) = youzan(status, order_no="E1")
    assert (event.type, event.data["state"], event.data["order_id"]) == (f"tandem.coupon.{state}", state, "E1")
    assert (event.data["buyer"]["buyer_id"], event.data["source"]) == ("yz1", "live")
    assert event.tandemkeys == ("customer:youzan/yz1",)


def test_steps_within_one_second_count_in_their_order() -> None:
    versions = [youzan(status)[0].data["version"] for status in ("CARD_TAKE", "CARD_CONSUME", "CARD_BACK")]
    assert versions == sorted(set(versions))
    versions = [store(*step).data["version"] for step in (TAKEN, USED, BACK, OVER)]
    assert versions == sorted(set(versions))


def test_what_a_shop_does_to_its_coupons_is_nobodys_event() -> None:
    assert youzan("CARD_CREATED", type="COUPON_PROMOTION") == []


def test_where_a_coupon_was_taken_is_said_by_the_settings_alone() -> None:
    assert youzan(coupon_group_id="group-shop")[0].data["source"] is None
    assert youzan(coupon_group_id=None)[0].data["source"] is None
    assert store(*TAKEN).data["source"] == "live"
    assert store(*TAKEN, coupon_id="7").data["source"] is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"status": "CARD_EATEN"}, "status"),
        ({"status": "TAKE"}, "status"),
        ({"id": ""}, "id"),
        ({"event_time": "2027-11-23 09:59:00"}, "event_time"),
    ],
)
def test_an_anomalous_youzan_coupon_names_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationProblem) as error:
        youzan(**change)
    assert error.value.problem.as_dict()["field"] == field


def test_each_step_of_a_stores_coupon_is_an_event_of_its_taker() -> None:
    told = [store(*TAKEN), store(*USED, order_id="3700"), store(*BACK, order_id="3700"), store(*OVER)]
    assert [event.type.rpartition(".")[2] for event in told] == ["taken", "used", "returned", "expired"]
    assert {event.subject for event in told} == {"coupon:wechat_store/shop/29730"}
    assert [event.data["order_id"] for event in told] == [None, "3700", "3700", None]
    assert {event.data["buyer"]["openid"] for event in told} == {"o1"}
    assert told[0].data["occurred_at"] == "2026-11-23T01:59:00Z"


def test_a_stores_coupon_from_the_future_is_refused() -> None:
    with pytest.raises(ValidationProblem):
        store(*TAKEN, at=AT + 86_400)
