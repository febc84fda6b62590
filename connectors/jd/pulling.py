"""What can be read again of a JD shop, which is all there is: JD pushes nothing dependable to POP shops."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.jd.gateway import PLATFORM, JdGateway
from connectors.jd.records import ALL_STATES, ORDER_FIELDS
from connectors.listed_rows import listed_record, listed_rows
from connectors.page_windows import Window, WindowedReader
from connectors.pulling import Cursor, PulledPage, Stream, stream_named
from connectors.reading import CHINA, mapping, whole_number
from connectors.webhooks import Verified

ORDER_KIND = "order"
REFUND_KIND = "refund"
SEARCH = "jingdong.pop.order.enSearch"
AFTERSALE_KIND = "aftersale"
AFTERSALE_LIST = "jingdong.asc.serviceAndRefund.view"
"""Goods that were shipped and come back; refund applications are of orders that were not shipped [S]."""
REFUND_LIST = "jingdong.pop.afs.soa.refundapply.queryPageList"
BY_CREATION = "1"
BY_CHANGE = "0"
"""`dateType`: 1 is the time of the order, 0 that of its last change [U]."""

_LAG = timedelta(minutes=2)
_HALF_YEAR = timedelta(days=180)
ORDERS = Stream("orders", reaches_back=_HALF_YEAR, lag=_LAG)
ORDERS_CREATED = Stream("orders_created", reaches_back=_HALF_YEAR, lag=_LAG)
REFUNDS_REQUESTED = Stream("refunds_requested", reaches_back=_HALF_YEAR, lag=_LAG)
REFUNDS_CHECKED = Stream("refunds_checked", reaches_back=_HALF_YEAR, lag=_LAG)
AFTERSALES_REQUESTED = Stream("aftersales_requested", reaches_back=_HALF_YEAR, lag=_LAG)
# They are listed by when the shop approved them, never by when the money went back, so the newest nine days are read
# again each time: a return that takes longer is settled here by hand, or stays open.
AFTERSALES_APPROVED = Stream("aftersales_approved", reaches_back=_HALF_YEAR, lag=timedelta(days=9))
STREAMS = (ORDERS, ORDERS_CREATED, REFUNDS_REQUESTED, REFUNDS_CHECKED, AFTERSALES_REQUESTED, AFTERSALES_APPROVED)

# A month is allowed; a day keeps the number of pages, and with it the time in which they can shift, small.
_WIDEST = timedelta(days=1)
_PAGE_SIZE = 100
_REFUND_PAGE_SIZE = 50
_AFTERSALE_PAGE_SIZE = 50
_WIDEST_APPROVED = timedelta(days=10)


class JdReader:
    """The streams of one shop."""

    def __init__(self, gateway: JdGateway) -> None:
        self._gateway = gateway

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next page of a stream."""
        known = stream_named(STREAMS, stream)
        if known in (ORDERS, ORDERS_CREATED):
            by = BY_CHANGE if known is ORDERS else BY_CREATION
            orders = _Orders(self._gateway, by)
            return await WindowedReader(known, _WIDEST, _PAGE_SIZE).pull(cursor, until, orders.count, orders.read)
        if known in (AFTERSALES_REQUESTED, AFTERSALES_APPROVED):
            is_asked = known is AFTERSALES_REQUESTED
            aftersales = _Aftersales(self._gateway, "applyTime" if is_asked else "approveTime")
            widest = _WIDEST if is_asked else _WIDEST_APPROVED
            reader = WindowedReader(known, widest, _AFTERSALE_PAGE_SIZE)
            return await reader.pull(cursor, until, aftersales.count, aftersales.read)
        refunds = _Refunds(self._gateway, "applyTime" if known is REFUNDS_REQUESTED else "checkTime")
        reader = WindowedReader(known, _WIDEST, _REFUND_PAGE_SIZE)
        return await reader.pull(cursor, until, refunds.count, refunds.read)

    async def order(self, order_id: str) -> Mapping[str, Any]:
        """One order."""
        params = {"order_id": order_id, "optional_fields": ORDER_FIELDS}
        found = await self._gateway.call("jingdong.pop.order.get", params, "orderDetailInfo")
        return mapping(found.get("orderInfo"), "orderInfo")

    async def refunds(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """One page of refund applications: `result` and `totalCount`."""
        return await self._gateway.call(REFUND_LIST, params, "queryResult")


class _Orders:
    def __init__(self, gateway: JdGateway, by: str) -> None:
        self._gateway = gateway
        self._by = by

    async def count(self, window: Window) -> int:
        return whole_number(await self._ask(window, 1, 1), "orderTotal")

    async def read(self, window: Window, page: int) -> Sequence[Verified]:
        found = await self._ask(window, page, _PAGE_SIZE)
        now = self._gateway.now()
        rows = listed_rows(found, "orderInfoList", PLATFORM)
        return [listed_record(ORDER_KIND, row, ("orderId", "orderState", "modified"), now) for row in rows]

    async def _ask(self, window: Window, page: int, size: int) -> Mapping[str, Any]:
        params = {
            "start_date": _local(window.start),
            "end_date": _local(window.end),
            "order_state": ALL_STATES,
            "optional_fields": ORDER_FIELDS,
            "page": str(page),
            "page_size": str(size),
            "dateType": self._by,
        }
        return await self._gateway.call(SEARCH, params, "searchorderinfo_result")


class _Refunds:
    def __init__(self, gateway: JdGateway, by: str) -> None:
        self._gateway = gateway
        self._by = by

    async def count(self, window: Window) -> int:
        return whole_number(await self._ask(window, 1, 1), "totalCount")

    async def read(self, window: Window, page: int) -> Sequence[Verified]:
        found = await self._ask(window, page, _REFUND_PAGE_SIZE)
        now = self._gateway.now()
        rows = listed_rows(found, "result", PLATFORM)
        return [listed_record(REFUND_KIND, row, ("id", "status", "checkTime"), now) for row in rows]

    async def _ask(self, window: Window, page: int, size: int) -> Mapping[str, Any]:
        params = {
            f"{self._by}Start": _local(window.start),
            f"{self._by}End": _local(window.end),
            "pageIndex": page,
            "pageSize": size,
        }
        return await self._gateway.call(REFUND_LIST, params, "queryResult")


class _Aftersales:
    def __init__(self, gateway: JdGateway, by: str) -> None:
        self._gateway = gateway
        self._by = by

    async def count(self, window: Window) -> int:
        return whole_number(await self._ask(window, 1, 1), "totalCount")

    async def read(self, window: Window, page: int) -> Sequence[Verified]:
        found = await self._ask(window, page, _AFTERSALE_PAGE_SIZE)
        now = self._gateway.now()
        # Until money went back a row has no number of its own, and is told apart by all it says.
        rows = listed_rows(found, "data", PLATFORM)
        return [listed_record(AFTERSALE_KIND, row, ("afsRefundId", "status"), now) for row in rows]

    async def _ask(self, window: Window, page: int, size: int) -> Mapping[str, Any]:
        params = {
            f"{self._by}Begin": _local(window.start),
            f"{self._by}End": _local(window.end),
            "pageNumber": page,
            "pageSize": size,
        }
        return await self._gateway.call(AFTERSALE_LIST, params, "pageResult")


def _local(instant: datetime) -> str:
    return f"{instant.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
