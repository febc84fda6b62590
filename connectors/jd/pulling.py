"""What can be read again of a JD shop, which is all there is: JD pushes nothing dependable to POP shops."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.jd.gateway import PLATFORM, JdGateway
from connectors.jd.records import ALL_STATES, ORDER_FIELDS
from connectors.listed_rows import listed_record, listed_rows
from connectors.page_windows import Window, WindowedReader
from connectors.pulling import Cursor, PulledPage, Stream, stream_named
from connectors.reading import CHINA, mapping, text, whole_number
from connectors.webhooks import Verified

ORDER_KIND = "order"
REFUND_KIND = "refund"
AFTERSALE_KIND = "aftersale"
"""Goods that were shipped and come back; refund applications are of orders that were not shipped [S]."""
SERVICE_KIND = "service"
"""How a service order stands: only there is told that one was refused, or taken back."""
VENDER_INFO = "jingdong.seller.vender.info.get"
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
AFTERSALES_CHANGED = Stream("aftersales_changed", reaches_back=_HALF_YEAR, lag=_LAG)
STREAMS = (
    ORDERS,
    ORDERS_CREATED,
    REFUNDS_REQUESTED,
    REFUNDS_CHECKED,
    AFTERSALES_REQUESTED,
    AFTERSALES_APPROVED,
    AFTERSALES_CHANGED,
)

_DAY = timedelta(days=1)
# How wide windows may be; of the other lists nothing is told [U], and a day does.
_WIDEST = {
    ORDERS: timedelta(days=28),
    ORDERS_CREATED: timedelta(days=28),
    AFTERSALES_REQUESTED: timedelta(days=7),
    AFTERSALES_APPROVED: timedelta(days=10),
}


class JdReader:
    """The streams of one shop."""

    def __init__(self, gateway: JdGateway) -> None:
        self._gateway = gateway
        self._listings: Mapping[str, _Listing] = {
            ORDERS.name: _Orders(gateway, BY_CHANGE),
            ORDERS_CREATED.name: _Orders(gateway, BY_CREATION),
            REFUNDS_REQUESTED.name: _Refunds(gateway, "applyTime"),
            REFUNDS_CHECKED.name: _Refunds(gateway, "checkTime"),
            AFTERSALES_REQUESTED.name: _Aftersales(gateway, "applyTime"),
            AFTERSALES_APPROVED.name: _Aftersales(gateway, "approveTime"),
            AFTERSALES_CHANGED.name: _ServiceOrders(gateway, "updateTime"),
        }

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next page of a stream."""
        known = stream_named(STREAMS, stream)
        listing = self._listings[known.name]
        reader = WindowedReader(known, _WIDEST.get(known, _DAY), listing.page_size, narrow=_DAY)
        return await reader.pull(cursor, until, listing.first_page, listing.read)

    async def order(self, order_id: str) -> Mapping[str, Any]:
        """One order."""
        params = {"order_id": order_id, "optional_fields": ORDER_FIELDS}
        found = await self._gateway.call("jingdong.pop.order.get", params, "orderDetailInfo")
        return mapping(found.get("orderInfo"), "orderInfo")

    async def refunds(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """One page of refund applications: `result` and `totalCount`."""
        return await self._gateway.call(REFUND_LIST, params, "queryResult")


class _Listing(ABC):
    """One interface that lists what changed within a window. by: its name of the time that counts."""

    method: str
    answer: str
    total: str
    listed: str
    kind: str
    told_apart_by: tuple[str, ...]
    page_size = 50

    def __init__(self, gateway: JdGateway, by: str) -> None:
        self._gateway = gateway
        self.by = by

    @abstractmethod
    def params(self, window: Window, page: int) -> Mapping[str, Any]:
        """How the interface is asked for a page, counted from 1."""

    async def who_asks(self) -> Mapping[str, Any]:
        """What the interface wants to know of the shop, beside its token."""
        return {}

    async def first_page(self, window: Window) -> tuple[int, Sequence[Verified]]:
        found = await self._ask(window, 1)
        return whole_number(found, self.total), self._records(found)

    async def read(self, window: Window, page: int) -> Sequence[Verified]:
        return self._records(await self._ask(window, page))

    def _records(self, found: Mapping[str, Any]) -> Sequence[Verified]:
        now = self._gateway.now()
        rows = listed_rows(found, self.listed, PLATFORM)
        return [listed_record(self.kind, row, self.told_apart_by, now) for row in rows]

    async def _ask(self, window: Window, page: int) -> Mapping[str, Any]:
        params = {**await self.who_asks(), **self.params(window, page)}
        return await self._gateway.call(self.method, params, self.answer)


class _Orders(_Listing):
    method = "jingdong.pop.order.enSearch"
    answer = "searchorderinfo_result"
    total = "orderTotal"
    listed = "orderInfoList"
    kind = ORDER_KIND
    told_apart_by = ("orderId", "orderState", "modified")
    page_size = 100

    def params(self, window: Window, page: int) -> Mapping[str, Any]:
        return {
            "start_date": _local(window.start),
            "end_date": _local(window.end),
            "order_state": ALL_STATES,
            "optional_fields": ORDER_FIELDS,
            "page": str(page),
            "page_size": str(self.page_size),
            "dateType": self.by,
        }


class _Refunds(_Listing):
    method = REFUND_LIST
    answer = "queryResult"
    total = "totalCount"
    listed = "result"
    kind = REFUND_KIND
    told_apart_by = ("id", "status", "checkTime")

    def params(self, window: Window, page: int) -> Mapping[str, Any]:
        return {
            f"{self.by}Start": _local(window.start),
            f"{self.by}End": _local(window.end),
            "pageIndex": page,
            "pageSize": self.page_size,
        }


class _Services(_Listing):
    """What the two interfaces of after-sales services have in common."""

    answer = "pageResult"
    total = "totalCount"
    listed = "data"

    def params(self, window: Window, page: int) -> Mapping[str, Any]:
        return {
            f"{self.by}Begin": _local(window.start),
            f"{self.by}End": _local(window.end),
            "pageNumber": page,
            "pageSize": self.page_size,
        }


class _Aftersales(_Services):
    method = "jingdong.asc.serviceAndRefund.view"
    kind = AFTERSALE_KIND
    # Until money went back a row has no number of its own, and is told apart by all it says.
    told_apart_by = ("afsRefundId", "status")


class _ServiceOrders(_Services):
    """Source: names of parameters and fields from the platform's own SDKs [S]; how wide a window may be is [U]."""

    method = "jingdong.asc.sync.list"
    kind = SERVICE_KIND
    told_apart_by = ("serviceId", "serviceStatus", "updateDate")
    _vender = ""

    async def who_asks(self) -> Mapping[str, Any]:
        if not self._vender:
            self._vender = text(await self._gateway.call(VENDER_INFO, {}, "vender_info_result"), "vender_id")
        # Whose work it is stands in the shop's own records of it; nobody's here.
        return {"buId": self._vender, "operatePin": "tandem", "operateNick": "tandem"}


def _local(instant: datetime) -> str:
    return f"{instant.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
