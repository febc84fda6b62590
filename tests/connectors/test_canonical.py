"""From a platform's payload to the canonical event: amounts, times, states, and what is refused."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.accounts import Account
from connectors.payloads import MAX_DEPTH, parse_flat_xml, parse_json
from connectors.reading import fen
from connectors.webhooks import MAX_BODY_BYTES, Verified
from connectors.wecom.callbacks import CONTACT_EVENTS
from connectors.youzan.pushes import ORDER_KINDS, REFUND_KINDS
from domain.canonical import Buyer
from domain.catalog.events import EVENT_TYPES
from domain.events import Event
from domain.money import major_from_minor
from domain.problems import ValidationProblem
from tests.connectors.harness import connector

RECEIVED = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
SHOP = Account("youzan", "shop", {})
CORP = Account("wecom", "corp", {})
REFUND = {
    "update_time": "2026-11-23 09:59:30",
    "refund_type": "REFUND_AND_RETURN",
    "refund_reason_desc": "尺码不合适",
    "refunded_fee": "299.00",
    "refund_id": "202611230959300000000001",
    "version": 1795399170123,
    "oids": "2800001,2800002",
    "tid": "E20261115093000900000001",
}
ORDER: dict[str, Any] = {
    "full_order_info": {
        "order_info": {
            "tid": "E20261115093000900000001",
            "status": "WAIT_SELLER_SEND_GOODS",
            "created": "2026-11-15 09:30:00",
            "pay_time": "2026-11-15 09:31:00",
            "update_time": "2026-11-15 09:31:00",
        },
        "pay_info": {"payment": "307.00", "post_fee": "8.00"},
        "buyer_info": {"yz_open_id": "yz1", "outer_user_id": "o1", "buyer_phone": "$cipher$1$"},
        "address_info": {"delivery_city": "杭州市", "receiver_name": "$name$1$"},
        "orders": [
            {
                "oid": "2800001",
                "item_id": 2019000001,
                "title": "羊毛大衣",
                "sku_properties_name": '[{"k":"颜色","v":"驼色"},{"k":"尺码","v":"M"}]',
                "num": 1,
                "price": "299.00",
                "total_fee": "299.00",
            }
        ],
    }
}


def youzan(kind: str, message: Any, **envelope: Any) -> list[Event]:
    msg = quote_plus(json.dumps(message, ensure_ascii=False)) if isinstance(message, dict) else message
    body = {"type": kind, "msg": msg, "version": 1795399170, **envelope}
    record = Verified(kind, json.dumps(body).encode(), "key", RECEIVED)
    return connector("youzan").to_events(record, SHOP)


def wecom(kind: str, **fields: Any) -> list[Event]:
    fields = {"CreateTime": int(RECEIVED.timestamp()), **fields}
    xml = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return connector("wecom").to_events(Verified(kind, f"<xml>{xml}</xml>".encode(), "key", RECEIVED), CORP)


def test_a_refund_request_reads_in_fen_and_utc() -> None:
    (event,) = youzan("trade_refund_BuyerCreated", REFUND)
    assert event.type == "tandem.refund.created"
    assert event.subjects == ("refund:202611230959300000000001", "order:E20261115093000900000001")
    assert event.time == datetime(2026, 11, 23, 1, 59, 30, tzinfo=UTC)
    assert event.data | {"occurred_at": None} == {
        "platform": "youzan",
        "account": "shop",
        "version": 1795399170123,
        "occurred_at": None,
        "refund_id": "202611230959300000000001",
        "order_id": "E20261115093000900000001",
        "status": "requested",
        "amount_minor": 29900,
        "currency": None,
        "reason": "尺码不合适",
        "returns_goods": True,
        "line_ids": ["2800001", "2800002"],
        "buyer": Buyer().model_dump(mode="json"),
    }


def test_a_paid_order_reads_with_its_lines_and_its_buyer() -> None:
    (event,) = youzan("trade_TradePaid", ORDER)
    assert (event.type, event.subject) == ("tandem.order.paid", "order:E20261115093000900000001")
    assert event.tandemkeys == ("customer:youzan/yz1",)
    assert (event.data["paid_minor"], event.data["postage_minor"], event.data["status"]) == (30700, 800, "paid")
    assert event.data["lines"][0] | {"item_id": None} == {
        "line_id": "2800001",
        "item_id": None,
        "sku_id": None,
        "title": "羊毛大衣",
        "sku": "驼色 M",
        "merchant_code": None,
        "category": None,
        "quantity": 1,
        "price_minor": 29900,
        "total_minor": 29900,
    }
    assert event.data["buyer"]["phone_ciphertext"] == "$cipher$1$"


def test_a_short_order_push_says_what_it_knows() -> None:
    (event,) = youzan(
        "trade_TradeClose", {"tid": "E1", "close_reason": "买家取消", "update_time": "2026-11-23 09:00:00"}
    )
    assert (event.type, event.data["status"]) == ("tandem.order.closed", "closed")
    assert (event.data["paid_minor"], event.data["close_reason"]) == (None, "买家取消")


@pytest.mark.parametrize("message", [ORDER, {"tid": "E1", "update_time": "2026-11-23 09:00:00"}])
def test_no_order_is_newer_than_its_own_last_change(message: dict[str, Any]) -> None:
    (event,) = youzan("trade_TradePaid", message, version=999_999_999_999_999_999)
    assert event.data["version"] == int(datetime.fromisoformat(event.data["occurred_at"]).timestamp())


def test_an_order_that_names_no_change_is_not_from_the_future() -> None:
    (event,) = youzan("trade_TradePaid", {"tid": "E1"}, version=int(RECEIVED.timestamp()))
    assert event.data["version"] == int(RECEIVED.timestamp())
    with pytest.raises(ValidationProblem, match="version"):
        youzan("trade_TradePaid", {"tid": "E1"}, version=int(RECEIVED.timestamp()) + 7200)


def test_the_older_and_the_newer_push_of_one_refund_are_one_event() -> None:
    (older,) = youzan("trade_refund_BuyerCreated", REFUND)
    record = Verified(
        "youzan_trade_RefundCreated", json.dumps({"msg": REFUND, "version": 1}).encode(), "other", RECEIVED
    )
    (newer,) = connector("youzan").to_events(record, SHOP)
    assert (older.source, older.id) == (newer.source, newer.id)


def test_every_known_kind_gives_a_declared_event() -> None:
    known = {event_type.name for event_type in EVENT_TYPES}
    events = [youzan(kind, REFUND) for kind in REFUND_KINDS] + [youzan(kind, ORDER) for kind in ORDER_KINDS]
    assert {event.type for (event,) in events} <= known
    assert {f"tandem.{name}" for name in CONTACT_EVENTS.values()} <= known


def test_kinds_nobody_needs_are_no_error() -> None:
    assert youzan("ITEM_INFO", "whatever, even not JSON") == []
    assert wecom("batch_job_result") == []
    assert wecom("change_external_contact.something_new", ExternalUserID="wm1") == []


def test_a_test_push_of_the_console_starts_nothing() -> None:
    assert youzan("trade_refund_BuyerCreated", REFUND, test=True) == []


def test_a_new_contact_keeps_the_channel_and_the_welcome_code() -> None:
    event, scan = wecom(
        "change_external_contact.add_external_contact",
        ExternalUserID="wm1",
        UserID="LiMei",
        State="counter-3",
        WelcomeCode="CODE",
    )
    assert (event.type, event.subject) == ("tandem.contact.added", "customer:wecom/wm1")
    assert (event.data["state"], event.data["welcome_code"], event.data["userid"]) == ("counter-3", "CODE", "LiMei")
    assert (scan.type, scan.data["code"], scan.data["external_userid"]) == ("tandem.scan.made", "counter-3", "wm1")


@pytest.mark.parametrize(
    ("kind", "fields", "told", "subject"),
    [
        ("change_external_contact.add_external_contact", {"ExternalUserID": "wm1"}, "contact.added", ""),
        ("change_external_contact.add_half_external_contact", {"ExternalUserID": "wm1"}, "contact.half_added", ""),
        ("change_external_contact.edit_external_contact", {"ExternalUserID": "wm1"}, "contact.updated", ""),
        ("change_external_contact.del_external_contact", {"ExternalUserID": "wm1"}, "contact.removed", ""),
        ("change_external_contact.del_follow_user", {"ExternalUserID": "wm1"}, "contact.lost", ""),
        ("change_external_contact.transfer_fail", {"ExternalUserID": "wm1"}, "contact.transfer_failed", ""),
        ("change_external_contact.msg_audit_approved", {"ExternalUserID": "wm1"}, "contact.archive_agreed", ""),
        ("change_external_chat.create", {"ChatId": "wr1"}, "group.created", "group:wecom/wr1"),
        ("change_external_chat.update", {"ChatId": "wr1"}, "group.updated", "group:wecom/wr1"),
        ("change_external_chat.dismiss", {"ChatId": "wr1"}, "group.dismissed", "group:wecom/wr1"),
        ("change_external_tag.create", {"Id": "et1"}, "tag.created", "tag:wecom/et1"),
        ("change_external_tag.update", {"Id": "et1"}, "tag.updated", "tag:wecom/et1"),
        ("change_external_tag.delete", {"Id": "et1"}, "tag.removed", "tag:wecom/et1"),
        ("change_external_tag.shuffle", {"Id": "et1"}, "tag.updated", "tag:wecom/et1"),
    ],
)
def test_each_callback_of_a_corp_is_its_own_event(kind: str, fields: dict[str, Any], told: str, subject: str) -> None:
    (event,) = wecom(kind, **fields)
    assert (event.type, event.subject) == (f"tandem.{told}", subject or "customer:wecom/wm1")
    assert event.time == RECEIVED
    assert connector("wecom").uses(kind)


def test_why_a_contact_could_not_be_handed_over_is_kept() -> None:
    kind = "change_external_contact.transfer_fail"
    (event,) = wecom(kind, ExternalUserID="wm1", UserID="LiMei", FailReason="customer_refused")
    assert (event.data["fail_reason"], event.data["userid"]) == ("customer_refused", "LiMei")


def test_who_removed_whom_is_kept_apart() -> None:
    (removed,) = wecom("change_external_contact.del_external_contact", ExternalUserID="wm1", UserID="LiMei")
    (lost,) = wecom("change_external_contact.del_follow_user", ExternalUserID="wm1", UserID="LiMei")
    assert (removed.type, lost.type) == ("tandem.contact.removed", "tandem.contact.lost")


def test_people_leaving_a_group_count_downwards() -> None:
    (event,) = wecom("change_external_chat.update", ChatId="wr1", UpdateDetail="del_member", MemChangeCnt="2")
    assert (event.subject, event.data["member_count_delta"]) == ("group:wecom/wr1", -2)


def test_a_tag_group_is_not_a_tag() -> None:
    (event,) = wecom("change_external_tag.delete", Id="et1", TagType="tag_group")
    assert (event.type, event.data["kind"]) == ("tandem.tag.removed", "group")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"refund_id": None}, "refund_id"),
        ({"refund_id": {"a": 1}}, "refund_id"),
        ({"refund_id": "9" * 65}, "refund_id"),
        ({"refunded_fee": "-1.00"}, "refunded_fee"),
        ({"refunded_fee": "1.005"}, "refunded_fee"),
        ({"refunded_fee": "NaN"}, "refunded_fee"),
        ({"refunded_fee": "1e999999"}, "refunded_fee"),
        ({"refunded_fee": True}, "refunded_fee"),
        ({"version": "soon"}, "version"),
        ({"update_time": "2026-13-01 00:00:00"}, "update_time"),
        ({"update_time": "2026-11-23 23:00:00"}, "update_time"),
    ],
)
def test_an_anomalous_refund_names_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationProblem) as error:
        youzan("trade_refund_BuyerCreated", {**REFUND, **change})
    assert error.value.problem.as_dict()["field"] == field


def test_a_line_of_no_pieces_is_an_anomaly() -> None:
    whole = ORDER["full_order_info"]
    broken = {"full_order_info": {**whole, "orders": [{**whole["orders"][0], "num": 0}]}}
    with pytest.raises(ValidationProblem, match="num"):
        youzan("trade_TradePaid", broken)


@pytest.mark.parametrize("message", ["%7B", "[]", "%FF", None, 5, quote_plus('{"a":' * 60 + "1" + "}" * 60)])
def test_a_message_that_cannot_be_read_is_an_anomaly(message: Any) -> None:
    with pytest.raises(ValidationProblem):
        youzan("trade_refund_BuyerCreated", message)


@pytest.mark.parametrize("created", ["", "soon", "-1", "99999999999", str(int(RECEIVED.timestamp()) + 7200)])
def test_a_callback_from_nowhere_in_time_is_an_anomaly(created: str) -> None:
    with pytest.raises(ValidationProblem):
        wecom("change_external_contact.add_external_contact", ExternalUserID="wm1", CreateTime=created)


def test_a_contact_without_a_customer_is_an_anomaly() -> None:
    with pytest.raises(ValidationProblem, match="ExternalUserID"):
        wecom("change_external_contact.add_external_contact")


@given(amount_minor=st.integers(min_value=0, max_value=10**13))
def test_every_amount_survives_the_way_through_yuan(amount_minor: int) -> None:
    (event,) = youzan("trade_refund_BuyerCreated", {**REFUND, "refunded_fee": major_from_minor(amount_minor)})
    assert event.data["amount_minor"] == amount_minor


@given(yuan=st.decimals(min_value=0, max_value=10**9, places=2))
def test_an_amount_that_came_as_a_number_loses_nothing(yuan: Any) -> None:
    value = parse_json(f'{{"fee": {yuan}}}'.encode())
    assert fen(value, "fee") == int(yuan * 100)


@given(value=st.recursive(st.none() | st.text() | st.floats() | st.integers(), lambda inner: st.lists(inner)))
def test_no_amount_crashes(value: Any) -> None:
    with suppress(ValidationProblem):
        assert fen({"fee": value}, "fee") >= 0


def test_json_is_bounded_in_depth_and_size() -> None:
    within = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert parse_json(within) is not None
    for body in (b"[" + within + b"]", b"[" * 500_000, b" " * (MAX_BODY_BYTES + 1), b'{"a": NaN}', b'{"a": Infinity}'):
        with pytest.raises(ValidationProblem):
            parse_json(body)


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE xml [<!ENTITY a "b">]><xml><A>&a;</A></xml>',
        b'<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml/>',
        b'<?xml version="1.0"?><!DOCTYPE x><xml><A>1</A></xml>',
        b"<xml><A>1</xml>",
        b"<xml>" + b"<a>" * 3000 + b"</a>" * 3000 + b"</xml>",
        b"<xml>" + b"<a>" * 50 + b"</a>" * 50 + b"</xml>",
        b'<?xml version="1.0" encoding="no-such"?><xml/>',
        b"\x00",
    ],
    ids=["entity", "external", "doctype", "unclosed", "many", "deep", "encoding", "nul"],
)
def test_dangerous_xml_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationProblem):
        parse_flat_xml(body)


def test_xml_reads_flat_and_joins_what_lies_deeper() -> None:
    xml = "<xml><A><![CDATA[甲]]></A><B><C>1</C></B><D/></xml>".encode()
    assert parse_flat_xml(xml) == {"A": "甲", "B.C": "1", "D": ""}
