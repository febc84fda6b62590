"""Douyin's lists by time of change, and the events of what they hold.

A list shows no more than 10,000 things of a window; page × size beyond that is refused.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from connectors.accounts import Account
from connectors.douyin.gateway import DouyinGateway
from connectors.douyin.records import is_exchange, read_order, read_refund
from connectors.listed_rows import row_payload
from connectors.page_windows import Window, WindowedReader
from connectors.payloads import parse_json_object
from connectors.pulling import Cursor, PulledPage, Stream, stream_named
from connectors.reading import (
    mapping,
    optional_mapping,
    optional_text,
    text,
    unix_time,
    whole_number,
)
from connectors.shop_records import changed_at, dated_order_event, dated_refund_event
from connectors.telling import tell_parcel, version_of
from connectors.webhooks import Verified
from domain.canonical import ShipmentData
from domain.catalog.shop_calls import OrderOutput
from domain.events import Event
from domain.ids import content_digest
from domain.problems import ValidationProblem

PAGE_SIZE = 100
MOST_ROWS = 10_000
# How far a list may lag behind the push [U].
LAG = timedelta(minutes=2)
LONGEST_WINDOW = timedelta(days=7)
ORDER_KIND = "order.searchList"
"""An order as the list tells it."""

ORDERS = Stream("orders", timedelta(days=90), LAG)
REFUNDS = Stream("refunds", timedelta(days=90), LAG)
STREAMS = (ORDERS, REFUNDS)


class _Events(Protocol):
    def __call__(self, item: Mapping[str, Any], record: Verified, account: Account) -> Iterator[Event]: ...


@dataclass(frozen=True, slots=True)
class _List:
    """One list of the platform. first_page: what it calls the first page. key: the number of a row, in its text form.

    rows: where the answer holds them. changed: when a row changed last.
    """

    method: str
    since: str
    until: str
    rows: str
    first_page: int
    key: Callable[[Mapping[str, Any]], str]
    changed: Callable[[Mapping[str, Any]], datetime | None]
    events: _Events


async def pull(gateway: DouyinGateway, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
    """See `connectors.pulling.Pullable`."""
    chosen = stream_named(STREAMS, stream)
    listing = _LISTS[chosen.name]

    async def first_page(window: Window) -> tuple[int, list[Verified]]:
        found = await _read(gateway, listing, window, 1)
        return whole_number(found, "total", 0), records(found)

    async def read_page(window: Window, page: int) -> list[Verified]:
        return records(await _read(gateway, listing, window, page))

    def records(found: Mapping[str, Any]) -> list[Verified]:
        rows = found.get(listing.rows)
        return [_record(listing, row, gateway.now()) for row in (rows if isinstance(rows, list) else ())]

    reader = WindowedReader(chosen, LONGEST_WINDOW, PAGE_SIZE, most=MOST_ROWS)
    return await reader.pull(cursor, until, first_page, read_page)


async def _read(gateway: DouyinGateway, listing: _List, window: Window, page: int) -> Mapping[str, Any]:
    """One page, counted from 1 whatever the platform calls it."""
    span = {listing.since: int(window.start.timestamp()), listing.until: int(window.end.timestamp())}
    return await gateway.call(listing.method, {**span, "page": page - 1 + listing.first_page, "size": PAGE_SIZE})


def _record(listing: _List, row: Any, now: datetime) -> Verified:
    """A row as a push. One that is no object is kept as well: it goes to quarantine, not lost."""
    payload = row_payload(row)
    source = row if isinstance(row, Mapping) else {}
    try:
        changed = listing.changed(source)
        key = f"{listing.key(source)}:{int(changed.timestamp()) if changed else 0}"
    except ValidationProblem:
        key = content_digest(payload)
    return Verified(listing.method, payload, f"{listing.method}:{key}", now, sent_at=None)


def page_events(record: Verified, account: Account) -> list[Event]:
    """The canonical events of one row of a list; none for other kinds of records."""
    listing = next((each for each in _LISTS.values() if each.method == record.kind), None)
    if listing is None:
        return []
    return list(listing.events(parse_json_object(record.payload), record, account))


def _order_events(item: Mapping[str, Any], record: Verified, account: Account) -> Iterator[Event]:
    order = read_order(item)
    yield dated_order_event(order, record, account, field="update_time", says_who_sold=True)
    happened = changed_at(order.updated_at, record, "update_time")
    for parcel in _parcels(item, order, happened, account):
        yield tell_parcel(parcel, record, account)


def _parcels(
    item: Mapping[str, Any], order: OrderOutput, happened: datetime, account: Account
) -> Iterator[ShipmentData]:
    for row in item.get("logistics_info") or ():
        parcel = mapping(row, "logistics_info")
        waybill = optional_text(parcel, "tracking_no", limit=64)
        if waybill is None:
            continue
        articles = parcel.get("product_info")
        lines = [optional_text(optional_mapping(each), "sku_order_id", limit=64) for each in articles or ()]
        sent = unix_time(parcel, "ship_time") or happened
        yield ShipmentData(
            platform=account.platform,
            account=account.slug,
            version=version_of(sent, "shipped", full=True),
            occurred_at=sent,
            order_id=order.order_id,
            waybill=waybill,
            company=optional_text(parcel, "company_name", limit=64) or optional_text(parcel, "company", limit=64),
            state="shipped",
            line_ids=tuple(line for line in lines if line),
        )


def _refund_events(item: Mapping[str, Any], record: Verified, account: Account) -> Iterator[Event]:
    refund = read_refund(item)
    exchange = is_exchange(mapping(item.get("aftersale_info"), "aftersale_info"))
    yield dated_refund_event(refund, record, account, field="update_time", is_exchange=exchange)


_LISTS: Mapping[str, _List] = {
    "orders": _List(
        method=ORDER_KIND,
        since="update_time_start",
        until="update_time_end",
        rows="shop_order_list",
        first_page=0,
        key=lambda row: text(row, "order_id"),
        changed=lambda row: unix_time(row, "update_time"),
        events=_order_events,
    ),
    # That refunds can be asked for by their last change is unverified [U].
    "refunds": _List(
        method="afterSale.List",
        since="update_start_time",
        until="update_end_time",
        rows="items",
        first_page=0,
        key=lambda row: text(mapping(row.get("aftersale_info"), "aftersale_info"), "aftersale_id"),
        changed=lambda row: unix_time(mapping(row.get("aftersale_info"), "aftersale_info"), "update_time"),
        events=_refund_events,
    ),
}
