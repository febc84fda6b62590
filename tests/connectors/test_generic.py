"""The generic webhook: signed by Standard Webhooks, understood or refused field by field."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.accounts import Account
from connectors.http import Link
from connectors.standard_webhooks import sign_message
from connectors.webhooks import WebhookRequest
from domain.problems import AuthenticationProblem, ConfigurationProblem, ValidationProblem
from tests.connectors.harness import Outside, connector
from tests.connectors.test_signatures import VECTORS

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
SECRET, OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
ACCOUNT = Account("generic", "pos", {"secret": SECRET})
ORDER_DATA = {"order_id": "S1", "status": "paid", "paid_minor": 9900, "version": 3}
ORDER = {"type": "order", "data": ORDER_DATA}


def signed(body: Any, secret: str = SECRET, *, at: datetime = NOW, message_id: str = "msg-1") -> WebhookRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    headers = sign_message(SecretStr(secret), message_id, at, raw)
    return WebhookRequest("POST", {}, headers, raw, NOW)


def test_signatures_are_the_published_ones() -> None:
    vector = VECTORS["standard_webhooks"]
    sent_at = datetime.fromtimestamp(vector["timestamp"], UTC)
    headers = sign_message(SecretStr(vector["secret"]), vector["id"], sent_at, vector["body"].encode())
    assert headers["webhook-signature"] == vector["signature"]


@pytest.mark.parametrize("body", [ORDER, [ORDER], {"records": [ORDER]}], ids=["one", "list", "records"])
def test_a_record_becomes_its_event(body: Any) -> None:
    verified = connector("generic").verify(signed(body), ACCOUNT)
    events = connector("generic").to_events(verified, ACCOUNT)
    assert [(event.type, event.subject, event.source) for event in events] == [
        ("tandem.order.paid", "order:S1", "/generic/pos")
    ]
    assert verified.dedupe_key == "msg-1"
    assert b"success" in connector("generic").acknowledge(verified, ACCOUNT).body


def test_the_secret_before_is_taken_while_the_sender_changes_over() -> None:
    changing = Account("generic", "pos", {"secret": SECRET, "previous_secret": OLD})
    assert connector("generic").verify(signed(ORDER, OLD), changing)
    with pytest.raises(AuthenticationProblem):
        connector("generic").verify(signed(ORDER, OLD), ACCOUNT)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_stale_or_early_push_is_refused(minutes: int) -> None:
    with pytest.raises(AuthenticationProblem, match="5 minutes"):
        connector("generic").verify(signed(ORDER, at=NOW + timedelta(minutes=minutes)), ACCOUNT)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1a,AAAA v1,é"},
        {"webhook-id": ""},
        {"webhook-id": "a\nb"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "²"},
    ],
)
def test_headers_that_are_wrong_are_refused_and_nothing_worse(headers: dict[str, str]) -> None:
    request = signed(ORDER)
    given = {**request.headers, **headers} if headers else {}
    with pytest.raises(AuthenticationProblem):
        connector("generic").verify(replace(request, headers=given), ACCOUNT)


def test_a_changed_byte_or_number_breaks_the_signature() -> None:
    request = signed(ORDER)
    for changed in (
        replace(request, body=request.body.replace(b"9900", b"9901")),
        replace(request, headers={**request.headers, "webhook-id": "msg-2"}),
    ):
        with pytest.raises(AuthenticationProblem):
            connector("generic").verify(changed, ACCOUNT)


def test_every_wrong_field_of_every_record_is_named_and_nothing_is_taken() -> None:
    body = [ORDER, {"type": "order", "data": {**ORDER_DATA, "status": "sold"}}, {"type": "cat"}, "?"]
    with pytest.raises(ValidationProblem) as error:
        connector("generic").verify(signed(body), ACCOUNT)
    errors = error.value.problem.as_dict()["errors"]
    assert [one["path"] for one in errors] == ["records/1/data/status", "records/2/type", "records/3"]
    assert "可选值" in errors[0]["zh"]


@pytest.mark.parametrize(
    ("kind", "change", "path"),
    [
        ("member", {"unionid": "联" * 200}, "unionid"),
        ("order", {"version": 1e19}, "version"),
        ("order", {"lines": [{"line_id": "1", "item_id": "2", "quantity": 3_000_000_000}]}, "lines/0/quantity"),
        ("order", {"lines": [{"line_id": "1", "item_id": "2", "category": "类" * 200}]}, "lines/0/category"),
        ("shipment", {"waybill": "9" * 300}, "waybill"),
        ("stock", {"available": 1e30}, "available"),
    ],
)
def test_what_no_row_can_hold_is_refused_by_name_before_it_is_taken(
    kind: str, change: dict[str, Any], path: str
) -> None:
    with pytest.raises(ValidationProblem) as error:
        connector("generic").verify(signed([{"type": kind, "data": ORDER_DATA | change}]), ACCOUNT)
    paths = [each["path"] for each in error.value.problem.as_dict()["errors"]]
    assert f"records/0/data/{path}" in paths


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * 5000, b"[]", b'{"records":1,"x":2}', b"null"], ids=repr)
def test_a_signed_body_that_is_no_record_is_refused(body: bytes) -> None:
    request = signed(b"{}")
    try:
        request = signed(body)
    except UnicodeDecodeError:
        request = replace(request, body=body)
    with pytest.raises(ValidationProblem):
        connector("generic").verify(request, ACCOUNT)


@pytest.mark.parametrize("secret", ["", "plain", "whsec_", "whsec_AAAA", "whsec_!!!!", None])
async def test_a_secret_that_is_none_is_a_setting_to_correct(world: Outside, secret: str | None) -> None:
    with pytest.raises(ConfigurationProblem, match="secret"):
        connector("generic").open(Account("generic", "pos", {"secret": secret}), world.link)


async def test_the_connection_test_says_where_to_send(world: Outside) -> None:
    link: Link = world.link
    good = await connector("generic").test_connection(ACCOUNT, link)
    bad = await connector("generic").test_connection(Account("generic", "pos", {}), link)
    assert good.ok
    assert "/hooks/generic/pos" in good.message.en
    assert not bad.ok
