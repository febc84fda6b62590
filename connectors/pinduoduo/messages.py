"""From Pinduoduo's messages and pulled records to canonical events.

A message names an order or a refund and says little of it. The interfaces run up to ten minutes behind, so what it says
counts at once; the record that is read fills in the rest, in the same event.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.accounts import Account
from connectors.payloads import parse_json_object
from connectors.pinduoduo.channel import message_of
from connectors.pinduoduo.records import TOLD_EXCHANGES, is_exchange, read_listed_refund, read_order
from connectors.reading import anomaly, not_from_the_future, optional_fen, text, whole_number
from connectors.shop_records import Parcel, order_event, order_version, parcel_events, refund_event, refund_version
from connectors.telling import tell_order, tell_refund
from connectors.webhooks import Verified
from domain.canonical import OrderData, OrderStatus, RefundData, RefundStatus
from domain.events import Event
from domain.problems import Text

ORDER_KIND = "order"
REFUND_KIND = "refund"
ORDER_TOPICS: Mapping[str, OrderStatus] = {
    "pdd_trade_TradeConfirmed": "paid",
    "pdd_trade_TradeSellerShip": "shipped",
    "pdd_trade_TradeSuccess": "completed",
}
# What was agreed to, the money or the return of the goods, is said by `bill_type` alone.
AGREED = "pdd_refund_RefundAgreeAgreement"
_CLOSED = "pdd_refund_RefundClosed"
REFUND_TOPICS: Mapping[str, RefundStatus] = {
    "pdd_refund_RefundCreated": "requested",
    AGREED: "unknown",
    "pdd_refund_RefundBuyerReturnGoods": "returned",
    _CLOSED: "closed",
}
# `bill_type` of a refund message: 1 money only, 2 goods come back first; others as refund.information.get counts [U].
_RETURNS_GOODS: Mapping[int, bool] = {1: False, 2: True}
_LAST_SECOND = 4_102_444_800


def record_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of a kept frame or a pulled record; none for messages Tandem has no use for."""
    if record.kind == ORDER_KIND:
        order = read_order(parse_json_object(record.payload))
        parcels = parcel_events(map(Parcel, order.waybills), order, record, account, field="updated_at")
        return [order_event(order, record, account, field="updated_at"), *parcels]
    if record.kind == REFUND_KIND:
        row = parse_json_object(record.payload)
        refund = read_listed_refund(row)
        return [refund_event(refund, record, account, field="updated_time", is_exchange=is_exchange(row))]
    if record.kind not in ORDER_TOPICS and record.kind not in REFUND_TOPICS:
        return []
    content, sent_at = message_of(record.payload)
    happened = not_from_the_future(sent_at, record.received_at, "time")
    if record.kind in ORDER_TOPICS:
        return [tell_order(_short_order(record, content, account, happened), record, account)]
    short = _short_refund(record, content, account, happened)
    return [tell_refund(short, record, account, is_exchange=_is_exchange(record, content))]


def _is_exchange(record: Verified, content: Mapping[str, Any]) -> bool:
    """What was withdrawn is closed like any."""
    return record.kind != _CLOSED and whole_number(content, "bill_type", 0) in TOLD_EXCHANGES


def _short_order(
    record: Verified, content: Mapping[str, Any], account: Account, happened: datetime | None
) -> OrderData:
    status = ORDER_TOPICS[record.kind]
    return OrderData(
        platform=account.platform,
        account=account.slug,
        version=order_version(status, None),
        occurred_at=happened,
        order_id=text(content, "tid"),
        status=status,
        told_in_part=True,
    )


def _short_refund(
    record: Verified, content: Mapping[str, Any], account: Account, happened: datetime | None
) -> RefundData:
    status = REFUND_TOPICS[record.kind]
    returns = _RETURNS_GOODS.get(whole_number(content, "bill_type", 0))
    if _is_exchange(record, content):
        status = "closed"
    elif record.kind == AGREED and returns is not None:
        status = "awaiting_return" if returns else "refunded"
    modified = not_from_the_future(_modified(content), record.received_at, "modified")
    return RefundData(
        platform=account.platform,
        account=account.slug,
        version=refund_version(status, modified or happened, full=False),
        occurred_at=happened,
        refund_id=text(content, "refund_id"),
        order_id=text(content, "tid"),
        status=status,
        amount_minor=optional_fen(content, "refund_fee"),
        returns_goods=returns,
    )


def _modified(content: Mapping[str, Any]) -> datetime | None:
    seconds = whole_number(content, "modified", 0)
    if seconds == 0:
        return None
    if not 0 < seconds < _LAST_SECOND:
        raise anomaly("modified", Text("不是有效的时间", "is no valid time"))
    return datetime.fromtimestamp(seconds, UTC)
