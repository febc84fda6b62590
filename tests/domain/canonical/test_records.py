"""Records handed in: what is understood becomes an event, what is not is refused by the name of its field."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import OrderData, keys_of
from domain.canonical.announcing import announce
from domain.canonical.records import RECORD_TYPES, parse_record
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.problems import ValidationProblem

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
LINE = {"line_id": "1", "title": "猫粮", "quantity": 2, "price_minor": 4950, "total_minor": 9900}
ORDER = {
    "order_id": "S1",
    "status": "paid",
    "paid_minor": 9900,
    "lines": [LINE],
    "buyer": {"buyer_id": "b1", "phone": "13800138000"},
    "occurred_at": "2026-11-23T01:00:00Z",
}
LEAST: dict[str, dict[str, Any]] = {
    "order": ORDER,
    "refund": {"refund_id": "R1", "order_id": "S1", "status": "refunded"},
    "shipment": {"order_id": "S1", "waybill": "SF1"},
    "member": {"phone": "13800138000"},
    "contact": {"external_userid": "wm1"},
    "follower": {"openid": "o1"},
    "chat": {"message_id": "m1", "direction": "in", "text": "有优惠吗\n在吗"},
    "scan": {"scan_id": "s1", "code": "counter-3"},
    "visit": {"visit_id": "v1", "name": "page_view"},
    "cart": {"cart_id": "c1"},
    "coupon": {"coupon_id": "c1", "batch_id": "b1", "state": "taken"},
    "life_event": {"event_id": "l1", "name": "birth"},
    "consent": {"state": "given", "source": "表", "buyer": {"phone": "13800138000"}},
    "goods": {"item_id": "g1", "title": "猫粮"},
    "stock": {"item_id": "g1", "available": -3},
}


def parse(kind: str, data: Any) -> Any:
    return parse_record(kind, data, platform="generic", account="pos", received_at=NOW)


def wrong(kind: str, data: Any) -> list[str]:
    with pytest.raises(ValidationProblem) as error:
        parse(kind, data)
    return [one["path"] for one in error.value.problem.as_dict()["errors"]]


@pytest.mark.parametrize("kind", RECORD_TYPES)
def test_every_type_has_a_known_event_about_something_and_without_a_phone(kind: str) -> None:
    record = parse(kind, {"version": 7, **LEAST[kind]})
    event = announce(record, NOW)
    assert event.type in KNOWN_EVENT_TYPES
    assert (event.source, event.data["account"], event.data["version"]) == ("/generic/pos", "pos", 7)
    assert not any("13800138000" in subject for subject in event.subjects)
    assert event == announce(record, NOW)


def test_the_moment_is_the_version_when_none_is_given() -> None:
    record = parse("order", ORDER)
    assert isinstance(record, OrderData)
    assert record.version == 1795395600000
    assert [key.kind for key in keys_of(record)] == ["buyer", "phone"]
    assert wrong("order", {**ORDER, "occurred_at": None}) == ["data/version"]


def test_another_version_is_another_event_and_history_sets_nothing_in_motion() -> None:
    first, second = parse("order", ORDER), parse("order", {**ORDER, "version": 8})
    assert announce(first, NOW).id != announce(second, NOW).id
    assert announce(first, NOW).type == "tandem.order.paid"
    assert announce(first, NOW, past=True).type == "tandem.order.updated"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"paid_minor": -1}, "data/paid_minor"),
        ({"paid_minor": 99.5}, "data/paid_minor"),
        ({"paid_minor": 10**16}, "data/paid_minor"),
        ({"status": "sold"}, "data/status"),
        ({"paid_at": "2026-12-24T00:00:00Z"}, "data/paid_at"),
        ({"paid_at": "2026-11-23 02:00:00"}, "data/paid_at"),
        ({"payed_minor": 1}, "data/payed_minor"),
        ({"buyer": {"telephone": "1"}}, "data/buyer/telephone"),
        ({"lines": [{**LINE, "price": 1}]}, "data/lines/0/price"),
        ({"lines": [{**LINE, "quantity": 0}]}, "data/lines/0/quantity"),
        ({"lines": "none"}, "data/lines"),
        ({"order_id": "x" * 200}, "data/order_id"),
        ({"order_id": "a\x00b"}, "data/order_id"),
        ({"order_id": ""}, "data/order_id"),
        ({"platform": "taobao"}, "data/platform"),
        ({"version": -1}, "data/version"),
        ({"buyer": {"openid": "o1", "openid_scope": "the app"}}, "data/buyer/openid_scope"),
        ({"buyer": {"member_id": "7", "member_scope": "generic"}}, "data/buyer/member_scope"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], path: str) -> None:
    assert wrong("order", {**ORDER, **change}) == [path]


def test_a_key_of_another_account_names_one_that_there_is() -> None:
    chat = {**LEAST["chat"], "version": 1, "external_userid": "wm1"}
    member = {"openid": "o1", "version": 1}
    known = {"wecom/main", "official_account/main"}

    def keys(kind: str, data: dict[str, Any]) -> list[str]:
        told = parse_record(kind, data, platform="generic", account="pos", received_at=NOW, accounts=known)
        return [key.scope for key in keys_of(told)]

    assert keys("chat", {**chat, "corp": "wecom/main"}) == ["wecom/main"]
    assert keys("member", {**member, "openid_scope": "official_account/main"}) == ["official_account/main"]
    assert keys("chat", chat) == keys("chat", {**chat, "corp": "generic/pos"}) == ["generic/pos"]
    with pytest.raises(ValidationProblem, match=r"data/corp.*wecom/typo"):
        keys("chat", {**chat, "corp": "wecom/typo"})
    with pytest.raises(ValidationProblem, match="data/openid_scope"):
        keys("member", {**member, "openid_scope": "official_account/typo"})
    assert wrong("chat", {**chat, "corp": "ww0123456789"}) == ["data/corp"]
    parcel = {**LEAST["shipment"], "version": 1}
    assert keys("shipment", {**parcel, "order_account": "wecom/main"}) == []
    with pytest.raises(ValidationProblem, match="data/order_account"):
        keys("shipment", {**parcel, "order_account": "douyin/typo"})


def test_a_buyers_number_is_an_account_s_or_a_platform_s_that_there_is() -> None:
    known = {"bazaar/main", "generic/crm"}

    def scopes(kind: str, data: dict[str, Any]) -> list[str]:
        told = parse_record(kind, data, platform="generic", account="pos", received_at=NOW, accounts=known)
        return [key.scope for key in keys_of(told)]

    for scope in ("generic/crm", "generic/pos", "generic", "bazaar", "youzan"):
        buyer = {"buyer_id": "1001", "buyer_scope": scope}
        assert scopes("order", {**ORDER, "buyer": buyer}) == scopes("member", {**buyer, "version": 1}) == [scope]
    for scope in ("generic/typo", "yuozan", "the shop"):
        buyer = {"buyer_id": "1001", "buyer_scope": scope}
        with pytest.raises(ValidationProblem, match="data/buyer/buyer_scope"):
            scopes("order", {**ORDER, "buyer": buyer})
        with pytest.raises(ValidationProblem, match="data/buyer_scope"):
            scopes("member", {**buyer, "version": 1})


@pytest.mark.parametrize("kind", ["orders", None, 7, ["order"]])
def test_an_unknown_type_lists_those_there_are(kind: Any) -> None:
    with pytest.raises(ValidationProblem, match="life_event"):
        parse(kind, ORDER)


def test_a_member_without_any_key_is_nobody() -> None:
    assert wrong("member", {"name": "王芳", "version": 1}) == ["data"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(kind=st.sampled_from(sorted(RECORD_TYPES)), data=JSON, change=st.dictionaries(st.text(max_size=12), JSON))
def test_whatever_comes_is_a_record_or_a_refusal(kind: str, data: Any, change: dict[str, Any]) -> None:
    known = dict(zip(RECORD_TYPES[kind].model_fields, change.values(), strict=False))
    for given_data in (data, {**LEAST[kind], **change}, {**LEAST[kind], **known}):
        try:
            announce(parse(kind, given_data), NOW)
        except ValidationProblem as refused:
            errors = refused.problem.as_dict()["errors"]
        else:
            continue
        assert errors
