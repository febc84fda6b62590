"""What can be read again of a Pinduoduo shop: the increments of orders and of after-sale applications.

Windows of at most half an hour, ending three minutes before now; the interfaces run up to ten minutes behind the
messages. Source: open.pinduoduo.com, order synchronisation guide.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from connectors.listed_rows import listed_record, listed_rows
from connectors.page_windows import Window, WindowedReader
from connectors.pinduoduo.gateway import PLATFORM, PinduoduoGateway
from connectors.pinduoduo.messages import ORDER_KIND, REFUND_KIND
from connectors.pinduoduo.records import PARCEL_BACK, REFUNDED, lacks_parcel, lacks_refunded
from connectors.pinduoduo.refunds import refund_information, refunded_minor
from connectors.pulling import Cursor, PulledPage, Stream, stream_named
from connectors.reading import whole_number
from connectors.single_reads import completed_rows
from connectors.webhooks import Verified

_REACHES_BACK = timedelta(days=90) - timedelta(hours=1)
"""The platform counts its 90 days by its own clock, and refuses a window that begins a minute too early."""
_LAG = timedelta(minutes=10)
ORDERS = Stream("orders", reaches_back=_REACHES_BACK, lag=_LAG)
REFUNDS = Stream("refunds", reaches_back=_REACHES_BACK, lag=_LAG)

_WIDEST = timedelta(minutes=30)
_SETTLES = timedelta(minutes=3)
_PAGE_SIZE = 100
_AT_ONCE = 4


class _Increment(NamedTuple):
    """One interface that lists changes. number, status, changed: its names of what tells one version from another."""

    method: str
    response: str
    rows: str
    record: str
    number: str
    status: tuple[str, ...]
    changed: str
    filters: Mapping[str, str]


_INCREMENTS = {
    ORDERS.name: _Increment(
        "pdd.order.number.list.increment.get",
        "order_sn_increment_get_response",
        "order_sn_list",
        ORDER_KIND,
        "order_sn",
        ("order_status", "refund_status", "group_status", REFUNDED),
        "updated_at",
        # 5 and 0: all of them.
        {"order_status": "5", "refund_status": "5", "is_lucky_flag": "0"},
    ),
    REFUNDS.name: _Increment(
        "pdd.refund.list.increment.get",
        "refund_increment_get_response",
        "refund_list",
        REFUND_KIND,
        "id",
        ("after_sales_status", PARCEL_BACK),
        "updated_time",
        # 1: all of them.
        {"after_sales_status": "1", "after_sales_type": "1"},
    ),
}


class PinduoduoReader:
    """The streams of one shop."""

    def __init__(self, gateway: PinduoduoGateway) -> None:
        self._gateway = gateway

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next page of a stream."""
        known = stream_named((ORDERS, REFUNDS), stream)
        increment = _INCREMENTS[known.name]

        async def first_page(window: Window) -> tuple[int, Sequence[Verified]]:
            found = await self._ask(increment, window, page=1, use_has_next=False)
            total = whole_number(found, "total_count")
            return total, await records(found) if total <= _PAGE_SIZE else ()

        async def read(window: Window, page: int) -> Sequence[Verified]:
            return await records(await self._ask(increment, window, page=page, use_has_next=True))

        async def records(found: Mapping[str, Any]) -> Sequence[Verified]:
            now = self._gateway.now()
            told_apart_by = (increment.number, *increment.status, increment.changed)
            rows = listed_rows(found, increment.rows, PLATFORM)
            rows = await (self._with_parcels(rows) if known is REFUNDS else self._with_refunded(rows))
            return [listed_record(increment.record, row, told_apart_by, now) for row in rows]

        return await WindowedReader(known, _WIDEST, _PAGE_SIZE, _SETTLES).pull(cursor, until, first_page, read)

    async def _with_parcels(self, rows: Sequence[Any]) -> list[Any]:
        orders = {number: str(row["order_sn"]) for row in rows if (number := lacks_parcel(row))}

        async def read(number: str) -> Mapping[str, Any]:
            found = await refund_information(self._gateway, number, orders[number])
            return {PARCEL_BACK: found.get(PARCEL_BACK)}

        return await completed_rows(rows, lacks_parcel, read, at_once=_AT_ONCE, else_known=True)

    async def _with_refunded(self, rows: Sequence[Any]) -> list[Any]:
        async def read(number: str) -> Mapping[str, Any]:
            return {REFUNDED: await refunded_minor(self._gateway, number)}

        return await completed_rows(rows, lacks_refunded, read, at_once=_AT_ONCE, else_known=True)

    async def _ask(self, increment: _Increment, window: Window, *, page: int, use_has_next: bool) -> Mapping[str, Any]:
        params = {
            **increment.filters,
            "start_updated_at": str(int(window.start.timestamp())),
            "end_updated_at": str(int(window.end.timestamp())),
            "page": str(page),
            "page_size": str(_PAGE_SIZE),
            "use_has_next": "true" if use_has_next else "false",
        }
        return await self._gateway.call(increment.method, params, increment.response)
