"""Douyin's pushes: are they from the platform, for this shop, and what do they say?

A push is a list of messages, each with a tag; each is kept by itself. Source: op.jinritemai.com, message service [S].
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from connectors.accounts import Account
from connectors.douyin.records import ORDER_STATUSES, asks_no_money, is_exchange, refund_status, returns_goods
from connectors.douyin.settings import DouyinSettings
from connectors.listed_rows import row_payload
from connectors.payloads import parse_json, parse_json_object
from connectors.reading import (
    anomaly,
    mapping,
    not_from_the_future,
    optional_mapping,
    optional_minor,
    optional_text,
    state_of,
    text,
    unix_time,
    whole_number,
)
from connectors.telling import tell_order, tell_parcel, tell_refund, version_of
from connectors.webhooks import Refusal, Verified, WebhookRequest, read_or_keep
from domain.canonical import OrderData, OrderStatus, RefundData, RefundStatus, ShipmentData
from domain.events import Event
from domain.ids import canonical_json, content_digest
from domain.problems import AuthenticationProblem, Text, ValidationProblem

PROBE_TAG = "0"
MOST_MESSAGES = 100
_UNREADABLE = "unreadable"


class _OrderTag(NamedTuple):
    event: str
    status: OrderStatus
    moment: str


class _RefundTag(NamedTuple):
    event: str
    status: RefundStatus
    moment: str


# moment: the field with the time of that step. 105 (address changed) and 108 (partly shipped) are steps of no order.
ORDER_TAGS: Mapping[str, _OrderTag] = {
    "100": _OrderTag("created", "unpaid", "create_time"),
    "101": _OrderTag("paid", "paid", "pay_time"),
    "102": _OrderTag("shipped", "shipped", "update_time"),
    "103": _OrderTag("completed", "completed", "complete_time"),
    "106": _OrderTag("closed", "closed", "cancel_time"),
}
# 202 to 205 are unverified [U].
REFUND_TAGS: Mapping[str, _RefundTag] = {
    "200": _RefundTag("created", "requested", "apply_time"),
    "201": _RefundTag("updated", "unknown", "agree_time"),
    "202": _RefundTag("return_agreed", "awaiting_return", "agree_time"),
    "203": _RefundTag("returned", "returned", "return_time"),
    "204": _RefundTag("refused", "refused", "refuse_time"),
    "205": _RefundTag("refused", "refused", "refuse_time"),
    "206": _RefundTag("succeeded", "refunded", "success_time"),
    "207": _RefundTag("closed", "closed", "close_time"),
}
# Steps that tell of a parcel: shipped, its number changed, partly shipped [U].
PARCEL_TAGS = frozenset({"102", "104", "108"})


def event_sign(app_key: str, body: bytes, app_secret: str) -> str:
    """The `event-sign` header of a push."""
    return hashlib.md5(app_key.encode() + body + app_secret.encode(), usedforsecurity=False).hexdigest()


def verify_push(request: WebhookRequest, account: Account) -> Verified:
    """The push, once it is known to be the platform's and this shop's. No time is signed, so none is judged."""
    settings = account.parse_settings(DouyinSettings)
    given = request.headers.get("event-sign", "")
    expected = event_sign(settings.app_key, request.body, settings.app_secret.get_secret_value())
    if not hmac.compare_digest(given.strip().lower().encode(), expected.encode()):
        raise AuthenticationProblem(
            Text(
                "推送签名不正确，请核对账号设置中的 app_secret",
                "Wrong push signature; check app_secret in the account's settings",
            ),
            retryable=False,
            reason=Refusal.SIGNATURE,
        )
    found = read_or_keep(request, request.body, lambda kept: read_push(kept, account))
    if found.echo is None and request.headers.get("app-id", settings.app_key) != settings.app_key:
        raise _of_another()
    return found


def read_push(kept: Verified, account: Account) -> Verified:
    """What a push says whose signature holds."""
    settings, at = account.parse_settings(DouyinSettings), kept.received_at
    messages = _messages(kept.payload)
    read = [_addressed(message, settings.shop_id) for message in messages]
    known = [each for each in read if not isinstance(each, ValidationProblem)]
    if not known:
        raise next(each for each in read if isinstance(each, ValidationProblem))
    tags, shops = sorted({each.tag for each in known}), {each.shop_id for each in known}
    if tags == [PROBE_TAG] and len(known) == len(messages):
        return Verified("probe", kept.payload, "", at, echo=b"")
    if shops - {settings.shop_id}:
        raise _of_another()
    kind = ",".join(tags)[:128]
    if len(messages) == 1:
        return Verified(kind, kept.payload, _known_by(messages[0]), at)
    parts = tuple(
        Verified(_UNREADABLE if isinstance(each, ValidationProblem) else each.tag, row_payload([message]), key, at)
        for message, each, key in zip(messages, read, map(_known_by, messages), strict=True)
    )
    return Verified(kind, kept.payload, content_digest("\n".join(part.dedupe_key for part in parts)), at, parts=parts)


def _of_another() -> AuthenticationProblem:
    return AuthenticationProblem(
        Text("推送属于其他店铺或应用", "The push belongs to another shop or application"),
        retryable=False,
        reason=Refusal.RECEIVER,
    )


def uses_push(kind: str) -> bool:
    """Whether a push of these tags becomes an event."""
    return not PARCEL_TAGS.union(ORDER_TAGS, REFUND_TAGS).isdisjoint(kind.split(","))


def push_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of a push; none for tags that Tandem has no use for."""
    events: list[Event] = []
    for each in _messages(record.payload):
        message = mapping(each, "message")
        tag = _tag(message)
        if tag in ORDER_TAGS:
            events.append(_order_event(ORDER_TAGS[tag], _data(message), record, account))
        if tag in REFUND_TAGS:
            events.append(_refund_event(REFUND_TAGS[tag], _data(message), record, account))
        if tag in PARCEL_TAGS:
            events += _parcel_events(_data(message), record, account)
    return events


def _order_event(step: _OrderTag, data: Mapping[str, Any], record: Verified, account: Account) -> Event:
    happened = _moment(data, step.moment, record)
    status = state_of(ORDER_STATUSES, data, "order_status", step.status)
    paid = optional_minor(data, "pay_amount")
    order = OrderData(
        platform=account.platform,
        account=account.slug,
        version=version_of(happened, status, full=False),
        occurred_at=happened,
        order_id=text(data, "p_id"),
        status=status,
        paid_minor=paid,
        created_at=unix_time(data, "create_time"),
        paid_at=unix_time(data, "pay_time"),
        shipped_at=happened if step.status == "shipped" else None,
        completed_at=unix_time(data, "complete_time"),
        close_reason=optional_text(data, "cancel_reason"),
        told_in_part=True,
    )
    return tell_order(order, record, account, step=step.event)


def _refund_event(step: _RefundTag, data: Mapping[str, Any], record: Verified, account: Account) -> Event:
    happened = _moment(data, step.moment, record)
    status = refund_status(data, step.status)
    line = optional_text(data, "s_id", limit=64)
    refund = RefundData(
        platform=account.platform,
        account=account.slug,
        version=version_of(happened, status, full=False),
        occurred_at=happened,
        refund_id=text(data, "aftersale_id"),
        order_id=text(data, "p_id"),
        status=status,
        amount_minor=optional_minor(data, "refund_amount"),
        returns_goods=returns_goods(data.get("aftersale_type")),
        line_ids=(line,) if line else (),
    )
    named = None if asks_no_money(data) else step.event
    return tell_refund(refund, record, account, step=named, is_exchange=is_exchange(data, step.status))


def _parcel_events(data: Mapping[str, Any], record: Verified, account: Account) -> Iterator[Event]:
    order_id, happened = text(data, "p_id"), _moment(data, "update_time", record)
    parcels = data.get("logistics_msg")
    for parcel in parcels if isinstance(parcels, list) else [parcels]:
        waybill = optional_text(optional_mapping(parcel), "logistics_code", limit=64)
        if waybill is None:
            continue
        yield tell_parcel(
            ShipmentData(
                platform=account.platform,
                account=account.slug,
                version=version_of(happened, "shipped", full=False),
                occurred_at=happened,
                order_id=order_id,
                waybill=waybill,
                company=optional_text(optional_mapping(parcel), "express_company_id", limit=64),
                state="shipped",
            ),
            record,
            account,
        )


def _moment(data: Mapping[str, Any], field: str, record: Verified) -> datetime:
    """When the step was made; when the push came, where it does not say."""
    happened = unix_time(data, field) or unix_time(data, "update_time")
    return not_from_the_future(happened, record.received_at, field) or record.received_at


class _Address(NamedTuple):
    tag: str
    shop_id: int


def _addressed(message: Any, own: int) -> _Address | ValidationProblem:
    """What a message is and whose; `own` where it does not say. Else why that cannot be read."""
    try:
        told = mapping(message, "message")
        tag, data = _tag(told), _data(told)
        return _Address(tag, whole_number(data, "shop_id", own) if data else own)
    except ValidationProblem as problem:
        return problem


def _messages(body: bytes) -> list[Any]:
    value = parse_json(body)
    messages = value if isinstance(value, list) else [value]
    if not 0 < len(messages) <= MOST_MESSAGES:
        raise anomaly("(root)", Text(f"应为 1–{MOST_MESSAGES} 条消息", f"must be 1 to {MOST_MESSAGES} messages"))
    return messages


def _tag(message: Mapping[str, Any]) -> str:
    return text(message, "tag", limit=16)


def _data(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """A message's data: an object, also when it travels as JSON within JSON; empty for the probe's date."""
    data = message.get("data")
    if isinstance(data, str) and _tag(message) != PROBE_TAG:
        return parse_json_object(data.encode(errors="replace"))
    return optional_mapping(data)


def _known_by(message: Any) -> str:
    """The message's number; without one, what it says."""
    told = optional_mapping(message)
    with suppress(ValidationProblem):
        number = optional_text(told, "msg_id", limit=128) or optional_text(told, "msgId", limit=128)
        if number is not None:
            return number
    return content_digest(canonical_json(_hashable(message)))


def _hashable(value: Any) -> Any:
    """JSON whose fractions are Decimal, as text."""
    if isinstance(value, Mapping):
        return {str(key): _hashable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_hashable(item) for item in value]
    return value if isinstance(value, str | int | bool) or value is None else str(value)
