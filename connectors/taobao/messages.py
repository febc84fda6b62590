"""Taobao's messages (TMC): what happened, in a few words.

A message names a trade or a refund and says little of it, so what is pulled carries the thing itself beside the
message. One that came alone still tells its stage.
Source: open.taobao.com, message service and topic documents, second-hand [S].
"""

from collections.abc import Mapping
from typing import Any

from connectors.accounts import Account
from connectors.listed_rows import row_payload
from connectors.payloads import parse_json_object
from connectors.reading import (
    china_time,
    mapping,
    not_from_the_future,
    optional_fen,
    optional_text,
    parcel_state,
    text,
    whole_number,
)
from connectors.shop_records import (
    moment_version,
    order_event,
    order_version,
    parcel_events,
    refund_event,
    refund_version,
)
from connectors.taobao.records import is_exchange, read_buyer, read_parcels, read_refund, read_trade
from connectors.telling import tell, tell_order, tell_parcel, tell_refund
from connectors.webhooks import Verified
from domain.canonical import (
    LONGEST_ORDER_ID,
    OrderData,
    OrderStatus,
    ParcelState,
    RefundData,
    RefundStatus,
    ShipmentData,
    StockData,
)
from domain.events import Event

TRADE_KIND = "trade"
REFUND_KIND = "refund"
ORDER_TOPICS: Mapping[str, OrderStatus] = {
    "taobao_trade_TradeCreate": "unpaid",
    "taobao_trade_TradeBuyerPay": "paid",
    "taobao_trade_TradePartlySellerShip": "paid",
    "taobao_trade_TradeSellerShip": "shipped",
    "taobao_trade_TradeSuccess": "completed",
    "taobao_trade_TradeClose": "closed",
}
REFUND_TOPICS: Mapping[str, RefundStatus] = {
    "taobao_refund_RefundCreated": "requested",
    "taobao_refund_RefundSellerAgreeAgreement": "awaiting_return",
    "taobao_refund_RefundBuyerReturnGoods": "returned",
    "taobao_refund_RefundSellerRefuseAgreement": "refused",
    "taobao_refund_RefundSuccess": "refunded",
    "taobao_refund_RefundClosed": "closed",
}
PARCEL_TOPIC = "taobao_logistics_LogsticDetailTrace"
STOCK_TOPIC = "taobao_item_ItemStockChanged"
# The actions are in no document at hand [U].
PARCEL_STATES: Mapping[str, ParcelState] = {
    "CONSIGN": "shipped",
    "CREATE": "unknown",
    "GOT": "in_transit",
    "DEPARTURE": "in_transit",
    "ARRIVAL": "in_transit",
    "SENT_CITY": "in_transit",
    "SENT_SCAN": "delivering",
    "INBOUND": "delivering",
    "OUTBOUND": "delivering",
    "FAILED": "delivering",
    "SIGNED": "signed",
    "RETURN_SIGN": "returned",
}


def message_subject(topic: str, content: Mapping[str, Any]) -> tuple[str, str] | None:
    """What must be read to understand a message: `trade` or `refund`, and its number; None when it says all."""
    if topic in ORDER_TOPICS:
        return TRADE_KIND, text(content, "tid", limit=LONGEST_ORDER_ID)
    if topic in REFUND_TOPICS:
        return REFUND_KIND, text(content, "refund_id")
    return None


def record_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of a pulled record or a message; none for topics Tandem has no use for."""
    body = parse_json_object(record.payload)
    if record.kind == TRADE_KIND or TRADE_KIND in body:
        trade = mapping(body.get(TRADE_KIND), TRADE_KIND)
        order = read_trade(trade)
        parcels = parcel_events(read_parcels(trade), order, record, account, field="modified")
        return [order_event(order, record, account, field="modified"), *parcels]
    if record.kind == REFUND_KIND or REFUND_KIND in body:
        refund = mapping(body.get(REFUND_KIND), REFUND_KIND)
        whole = read_refund(refund)
        return [refund_event(whole, record, account, field="modified", is_exchange=is_exchange(refund))]
    content = mapping(body.get("content"), "content")
    happened = not_from_the_future(china_time(body, "pub_time"), record.received_at, "pub_time")
    origin = {"platform": account.platform, "account": account.slug, "occurred_at": happened}
    if record.kind in ORDER_TOPICS:
        return [tell_order(_short_order(ORDER_TOPICS[record.kind], content, origin), record, account)]
    if record.kind in REFUND_TOPICS:
        return [tell_refund(_short_refund(REFUND_TOPICS[record.kind], content, origin, record), record, account)]
    if record.kind == PARCEL_TOPIC:
        return [tell_parcel(_parcel(content, origin), record, account)]
    if record.kind == STOCK_TOPIC:
        return [_stock_event(content, origin, record, account)]
    return []


def as_payload(**parts: Any) -> bytes:
    """What the inbox keeps of a record: fractions as the texts they came as."""
    return row_payload(parts)


def _short_order(status: OrderStatus, content: Mapping[str, Any], origin: Mapping[str, Any]) -> OrderData:
    return OrderData(
        **origin,
        version=order_version(status, None),
        order_id=text(content, "tid", limit=LONGEST_ORDER_ID),
        status=status,
        paid_minor=optional_fen(content, "payment"),
        buyer=read_buyer(content),
    )


def _short_refund(
    status: RefundStatus, content: Mapping[str, Any], origin: Mapping[str, Any], record: Verified
) -> RefundData:
    line = optional_text(content, "oid", limit=LONGEST_ORDER_ID)
    modified = not_from_the_future(china_time(content, "modified"), record.received_at, "modified")
    return RefundData(
        **origin,
        version=refund_version(status, modified or origin["occurred_at"], full=False),
        refund_id=text(content, "refund_id"),
        order_id=text(content, "tid", limit=LONGEST_ORDER_ID),
        status=status,
        amount_minor=optional_fen(content, "refund_fee"),
        line_ids=(line,) if line else (),
        buyer=read_buyer(content),
    )


def _parcel(content: Mapping[str, Any], origin: Mapping[str, Any]) -> ShipmentData:
    happened = china_time(content, "time") or origin["occurred_at"]
    return ShipmentData(
        **{**origin, "occurred_at": happened},
        version=moment_version(happened),
        order_id=text(content, "tid", limit=LONGEST_ORDER_ID),
        waybill=text(content, "out_sid"),
        company=optional_text(content, "company_name", limit=64),
        state=parcel_state(PARCEL_STATES, content, "action"),
    )


def _stock_event(content: Mapping[str, Any], origin: Mapping[str, Any], record: Verified, account: Account) -> Event:
    data = StockData(
        **origin,
        version=moment_version(origin["occurred_at"]),
        item_id=text(content, "num_iid"),
        sku_id=optional_text(content, "sku_id", limit=64),
        available=whole_number(content, "quantity"),
    )
    keys = (f"sku:{account.platform}/{data.sku_id}",) if data.sku_id else ()
    parts = (data.sku_id or "", str(data.version))
    return tell(
        "stock.changed", f"goods:{account.platform}/{data.item_id}", data, record, account, keys=keys, parts=parts
    )
