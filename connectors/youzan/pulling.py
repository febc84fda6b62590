"""Reading a Youzan shop's orders and refunds again, for what its pushes missed.

Source: youzan.trades.sold.get 4.0.4 (page ≤ 100, size ≤ 100, windows ≤ 3 months), youzan.trade.refund.search 3.0.1
(page × size ≤ 3000) [S].
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.errors import CodeMeaning
from connectors.listed_rows import listed_rows, row_payload
from connectors.page_windows import FirstPage, ReadPage, Window, WindowedReader
from connectors.pulling import Cursor, PulledPage, Stream, stream_named
from connectors.reading import CHINA, china_time, whole_number
from connectors.single_reads import completed_rows, unread_record
from connectors.webhooks import Verified
from connectors.youzan.codes import BUSINESS_CODES
from connectors.youzan.gateway import PLATFORM, YouzanGateway
from connectors.youzan.records import EXCHANGES, lacks_kind
from domain.ids import content_digest
from domain.problems import ProblemError, Text

# The platform asks readers to wait 30 s after a push.
_LAG = timedelta(seconds=60)
# No limit is told of; windows are what is limited [U].
_REACHES_BACK = timedelta(days=3 * 365)
STREAMS = (
    Stream("orders", _REACHES_BACK, _LAG),
    Stream("refunds", _REACHES_BACK, _LAG),
)
_AT_ONCE = 4
# A chain's list may name a refund of a branch: that says nothing about what the account may ask for.
_OF_ONE_REFUND = {**BUSINESS_CODES, 103010054: CodeMeaning("not_found", Text("退款单不属于本店铺", "Of another shop"))}
PULLED_ORDER = "pulled.order"
PULLED_REFUND = "pulled.refund"
_ORDERS = WindowedReader(STREAMS[0], timedelta(days=30), 100, most=10_000)
_REFUNDS = WindowedReader(STREAMS[1], timedelta(days=30), 50, most=3_000)


async def pull(gateway: YouzanGateway, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
    """See `connectors.pulling.Pullable.pull`."""
    if stream_named(STREAMS, stream) is STREAMS[0]:
        return await _ORDERS.pull(cursor, until, *_orders(gateway))
    return await _REFUNDS.pull(cursor, until, *_refunds(gateway))


def _orders(gateway: YouzanGateway) -> tuple[FirstPage, ReadPage]:
    async def ask(window: Window, page: int) -> Mapping[str, Any]:
        params = {"start_update": _local(window.start), "end_update": _local(window.end)}
        pages = {"page_no": page, "page_size": _ORDERS.page_size}
        return await gateway.call("youzan.trades.sold.get", "4.0.4", {**pages, **params})

    def records(found: Mapping[str, Any]) -> Sequence[Verified]:
        rows = listed_rows(found, "full_order_info_list", PLATFORM)
        return [_record(PULLED_ORDER, row, gateway.now()) for row in rows]

    async def first_page(window: Window) -> tuple[int, Sequence[Verified]]:
        found = await ask(window, 1)
        return whole_number(found, "total_results"), records(found)

    async def read_page(window: Window, page: int) -> Sequence[Verified]:
        return records(await ask(window, page))

    return first_page, read_page


def _refunds(gateway: YouzanGateway) -> tuple[FirstPage, ReadPage]:
    async def ask(window: Window, page: int) -> Mapping[str, Any]:
        start, end = int(window.start.timestamp()), int(window.end.timestamp())
        params = {"update_time_start": start, "update_time_end": end}
        pages = {"page_no": page, "page_size": _REFUNDS.page_size}
        return await gateway.call("youzan.trade.refund.search", "3.0.1", {**pages, **params})

    async def kind(number: str) -> Mapping[str, Any]:
        found = await gateway.call("youzan.trade.refund.get", "3.0.1", {"refund_id": number}, codes=_OF_ONE_REFUND)
        return {field: found[field] for field in EXCHANGES if field in found}

    async def records(found: Mapping[str, Any]) -> Sequence[Verified]:
        rows = listed_rows(found, "refunds", PLATFORM)
        whole, now = await completed_rows(rows, lacks_kind, kind, at_once=_AT_ONCE), gateway.now()
        return [
            unread_record(PULLED_REFUND, str(row["refund_id"]), each, now)
            if isinstance(each, ProblemError)
            else _record(PULLED_REFUND, each, now)
            for row, each in zip(rows, whole, strict=True)
        ]

    async def first_page(window: Window) -> tuple[int, Sequence[Verified]]:
        found = await ask(window, 1)
        total = whole_number(found, "total")
        return total, await records(found) if total <= _REFUNDS.page_size else ()

    async def read_page(window: Window, page: int) -> Sequence[Verified]:
        return await records(await ask(window, page))

    return first_page, read_page


def order_version(info: Mapping[str, Any]) -> int:
    """How new an order is: pushes carry the second of its last change."""
    changed = china_time(info, "update_time") or china_time(info, "created")
    return int(changed.timestamp()) if changed else 0


def _record(kind: str, row: Any, now: datetime) -> Verified:
    """A row as it came, known by what it says: whether it can be understood is seen when it is read."""
    payload = row_payload(row, sort_keys=True)
    return Verified(kind, payload, f"{kind}/{content_digest(payload)}", now)


def _local(instant: datetime) -> str:
    return f"{instant.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
