"""Reading a Youzan shop's orders and refunds again, for what its pushes missed.

Source: youzan.trades.sold.get 4.0.4 (page ≤ 100, size ≤ 100, windows ≤ 3 months), youzan.trade.refund.search 3.0.1
(page × size ≤ 3000) [S].
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.pulling import Cursor, PulledPage, Stream, stream_named
from connectors.reading import CHINA, china_time, mapping, text, whole_number
from connectors.webhooks import Verified
from connectors.windows import Listing, read_backwards
from connectors.youzan.gateway import YouzanGateway
from domain.events import rfc3339
from domain.ids import canonical_json

# The platform asks readers to wait 30 s after a push.
_LAG = timedelta(seconds=60)
STREAMS = (
    Stream("orders", timedelta(days=90), _LAG),
    Stream("refunds", timedelta(days=90), _LAG),
)
PULLED_ORDER = "pulled.order"
PULLED_REFUND = "pulled.refund"
_ORDERS = Listing(timedelta(days=7), 100, 10_000)
_REFUNDS = Listing(timedelta(days=7), 50, 3_000)


async def pull(gateway: YouzanGateway, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
    """See `connectors.pulling.Pullable.pull`."""

    async def orders(since: datetime, end: datetime, page: int) -> tuple[int, Sequence[Mapping[str, Any]]]:
        data = await gateway.call(
            "youzan.trades.sold.get",
            "4.0.4",
            {
                "page_no": page,
                "page_size": _ORDERS.page_size,
                "start_update": _local(since),
                "end_update": _local(end),
            },
        )
        return whole_number(data, "total_results"), _rows(data.get("full_order_info_list"))

    async def refunds(since: datetime, end: datetime, page: int) -> tuple[int, Sequence[Mapping[str, Any]]]:
        data = await gateway.call(
            "youzan.trade.refund.search",
            "3.0.1",
            {
                "page_no": page,
                "page_size": _REFUNDS.page_size,
                "update_time_start": int(since.timestamp()),
                "update_time_end": int(end.timestamp()),
            },
        )
        return whole_number(data, "total"), _rows(data.get("refunds"))

    kind = stream_named(STREAMS, stream)
    cursor = cursor or {"since": rfc3339(until - kind.reaches_back)}
    if stream == "orders":
        return await read_backwards(_ORDERS, cursor, until, orders, lambda row: _order_record(row, gateway.now()))
    return await read_backwards(_REFUNDS, cursor, until, refunds, lambda row: _refund_record(row, gateway.now()))


def order_version(info: Mapping[str, Any]) -> int:
    """How new an order is: pushes carry the second of its last change."""
    changed = china_time(info, "update_time") or china_time(info, "created")
    return int(changed.timestamp()) if changed else 0


def _order_record(row: Mapping[str, Any], now: datetime) -> Verified:
    info = mapping(mapping(row.get("full_order_info"), "full_order_info").get("order_info"), "order_info")
    key = f"{PULLED_ORDER}/{text(info, 'tid')}/{order_version(info)}"
    return Verified(PULLED_ORDER, canonical_json(_plain(row)), key, now)


def _refund_record(row: Mapping[str, Any], now: datetime) -> Verified:
    key = f"{PULLED_REFUND}/{text(row, 'refund_id')}/{whole_number(row, 'version')}"
    return Verified(PULLED_REFUND, canonical_json(_plain(row)), key, now)


def _plain(row: Mapping[str, Any]) -> Any:
    """The row without Decimals, which the reader made of fractions."""
    return json.loads(json.dumps(row, default=str, ensure_ascii=False))


def _rows(value: Any) -> Sequence[Mapping[str, Any]]:
    return [mapping(row, "row") for row in value] if isinstance(value, list) else []


def _local(instant: datetime) -> str:
    return f"{instant.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
