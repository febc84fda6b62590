"""What Tandem does in a caterer's shop: implements `domain.catalog.catering`, and reads what the pushes missed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Protocol

from connectors.accounts import Account
from connectors.catering.goods import GOODS_KIND
from connectors.catering.pushes import pulled
from connectors.catering.records import order_output, read_order, read_refund, refund_output
from connectors.catering.wire import CateringWire, Kind
from connectors.errors import missing_in_answer
from connectors.goods_lists import GOODS, goods_record, pull_lists
from connectors.http import Link
from connectors.listed_rows import listed_rows
from connectors.page_windows import Window, WindowedReader
from connectors.pulling import Cursor, PulledPage, Stream
from connectors.readable_streams import reading
from connectors.reading import whole_number
from connectors.shop_effects import pay_back_once, refuse_once
from connectors.webhooks import Verified
from domain.catalog.shop_calls import (
    OrderArguments,
    OrderOutput,
    RefundOfShopArguments,
    RefundOutput,
    SettledRefundOutput,
    SettleRefundArguments,
    TurnDownRefundArguments,
)
from domain.problems import ConfigurationProblem, Text

DISHES = Text("菜品与库存", "Dishes and their stock")


class Gateway(Protocol):
    """Signed calls of one platform for one shop."""

    async def call(self, api: str, params: Mapping[str, Any], *, effect: bool = False) -> Any:
        """What the platform answered. Raises problems as `connectors.errors` describes them."""


def streams_of(wire: CateringWire) -> tuple[Stream, ...]:
    """What can be read again of a platform."""
    return *_changes_of(wire), GOODS


def _changes_of(wire: CateringWire) -> tuple[Stream, Stream]:
    return Stream("orders", wire.reaches_back, wire.lag), Stream("refunds", wire.reaches_back, wire.lag)


class CateringShop:
    """One shop. Methods raise problems as `connectors.errors` describes them."""

    streams: ClassVar[tuple[Stream, ...]]

    def __init__(self, account: Account, link: Link, wire: CateringWire, gateway: Gateway) -> None:
        self.gateway = gateway
        self._account = account
        self._link = link
        self._wire = wire
        self._readers = {
            stream.name: WindowedReader(stream, wire.widest, wire.page_size) for stream in _changes_of(wire)
        }

    async def get_order(self, request: OrderArguments) -> OrderOutput:
        """The order as it is now."""
        data = await self._record(self._wire.apis.get_order, {self._wire.order["order_id"]: request.order_id})
        return order_output(read_order(data, self._wire, self._account, self._link.now()))

    async def get_refund(self, request: RefundOfShopArguments) -> RefundOutput:
        """The refund as it is now."""
        data = await self._record(self._wire.apis.get_refund, self._refund(request.refund_id))
        return refund_output(read_refund(data, self._wire, self._account, self._link.now()))

    async def agree_refund(self, request: SettleRefundArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Pay a refund back, once: the state read first settles an attempt whose outcome is unknown."""

        async def act(refund: RefundOutput) -> None:
            await self.gateway.call(self._wire.apis.agree_refund, self._refund(refund.refund_id), effect=True)

        return await pay_back_once(self._wire.platform, lambda: self.get_refund(request), act, request.amount_minor)

    async def refuse_refund(self, request: TurnDownRefundArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Refuse a refund, once."""

        async def act(refund: RefundOutput) -> None:
            params = {**self._refund(refund.refund_id), self._wire.refund["reason"]: request.reason}
            await self.gateway.call(self._wire.apis.refuse_refund, params, effect=True)

        return await refuse_once(self._wire.platform, lambda: self.get_refund(request), act)

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next page, each window from its last page to its first; see `connectors.page_windows`."""
        if stream == GOODS.name:
            return await pull_lists(cursor, until, self._link.now(), self._wire.page_size, self._dishes)
        reader = self._readers.get(stream)
        if reader is None:
            raise ConfigurationProblem(Text(f"没有数据流 {stream}", f"There is no stream {stream}"), retryable=False)
        kind: Kind = "order" if stream == "orders" else "refund"
        api = self._wire.apis.list_orders if kind == "order" else self._wire.apis.list_refunds

        async def first_page(window: Window) -> tuple[int, Sequence[Verified]]:
            found = await self._page(api, window, 1, size=self._wire.page_size)
            total = whole_number(found, self._wire.total)
            return total, records(found) if total else ()

        async def read_page(window: Window, page: int) -> Sequence[Verified]:
            return records(await self._page(api, window, page, size=self._wire.page_size))

        def records(found: Mapping[str, Any]) -> Sequence[Verified]:
            rows = found.get(self._wire.items)
            if not isinstance(rows, list):
                raise missing_in_answer(self._wire.platform, self._wire.items)
            return [pulled(kind, row, self._link.now()) for row in rows]

        return await reader.pull(cursor, until, first_page, read_page)

    async def try_goods(self) -> None:
        """Ask for one dish, for a connection test. Raises as `connectors.readable_streams.reading`."""
        with reading(DISHES):
            await self._record(self._wire.apis.list_goods, {"page": 1, "page_size": 1})

    async def _dishes(self, page: int, asked_at: datetime) -> tuple[list[Verified], int]:
        found = await self._record(self._wire.apis.list_goods, {"page": page, "page_size": self._wire.page_size})
        rows = listed_rows(found, self._wire.items, self._wire.platform)
        return [goods_record(GOODS_KIND, row, asked_at) for row in rows], whole_number(found, self._wire.total)

    async def _page(self, api: str, window: Window, page: int, *, size: int) -> Mapping[str, Any]:
        params = {
            "start_time": int(window.start.timestamp()),
            "end_time": int(window.end.timestamp()),
            "page": page,
            "page_size": size,
        }
        return await self._record(api, params)

    async def _record(self, api: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        data = await self.gateway.call(api, params)
        if not isinstance(data, Mapping):
            raise missing_in_answer(self._wire.platform, "data")
        return data

    def _refund(self, refund_id: str) -> dict[str, str]:
        return {self._wire.refund["refund_id"]: refund_id}
