"""What Tandem does in one WeChat Store: the implementation of `domain.catalog.wechat_store`."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from connectors.accounts import Account
from connectors.goods_lists import GOODS
from connectors.http import Link
from connectors.keyed_windows import settled, window_of
from connectors.listed_rows import row_payload
from connectors.lookups import asked_for
from connectors.pulling import Cursor, PulledPage, Stream
from connectors.reading import mapping
from connectors.shop_effects import let_return_once, pay_back_once, refuse_once, ship_once
from connectors.single_reads import read_each, unread_record
from connectors.webhooks import Verified
from connectors.wechat.api import WechatApi
from connectors.wechat_store import goods
from connectors.wechat_store.codes import STORE_CODES
from connectors.wechat_store.events import ORDER, REFUND
from connectors.wechat_store.records import products_of, read_order, read_refund
from connectors.wechat_store.settings import WechatStoreSettings
from domain.catalog.shop_calls import (
    OrderArguments,
    OrderOutput,
    RefundOfShopArguments,
    RefundOutput,
    SettledRefundOutput,
    SettleRefundArguments,
    ShipOrderArguments,
    ShipOrderOutput,
    TurnDownRefundArguments,
)
from domain.problems import ProblemError, Text, ValidationProblem

PLATFORM = "wechat_store"
PAGE_SIZE = 50
ACCEPT = "channels/ec/aftersale/acceptapply"
REJECT = "channels/ec/aftersale/rejectapply"
# How far the lists may lag behind the callbacks [U].
LAG = timedelta(minutes=1)
_AT_ONCE = 5
_BY_COURIER = 1

ORDERS = Stream("orders", timedelta(days=365), LAG)
REFUNDS = Stream("refunds", timedelta(days=365), LAG)
# The platform's longest windows: of orders [S], of refunds [U].
_LONGEST = {"orders": timedelta(days=7), "refunds": timedelta(hours=24)}


class WechatStore:
    """One store. Methods raise problems as `connectors.errors` describes them."""

    streams: tuple[Stream, ...] = (ORDERS, REFUNDS, GOODS)

    def __init__(self, account: Account, link: Link, *, most: int | None = None) -> None:
        """most: of how many orders or refunds of a page the details are read, where pulling is only tried."""
        self.api = WechatApi(PLATFORM, account, account.parse_settings(WechatStoreSettings), link, STORE_CODES)
        self._most = most

    async def get_order(self, request: OrderArguments) -> OrderOutput:
        """The order as it is now."""
        return read_order(await self._order(request.order_id))

    async def whole_order(self, order_id: str) -> Verified:
        """See `connectors.lookups.TellsWholeOrders`."""
        return asked_for(ORDER, order_id, await self._order(order_id), self.api.now())

    async def get_refund(self, request: RefundOfShopArguments) -> RefundOutput:
        """The refund as it is now."""
        return read_refund(await self._refund(request.refund_id))

    async def ship_order(self, request: ShipOrderArguments, *, key: str, resumed: bool) -> ShipOrderOutput:
        """Tell the platform the one parcel of an order, once. Raises ConflictProblem when it cannot go out with it."""
        products: list[dict[str, Any]] = []

        async def read() -> OrderOutput:
            raw = await self._order(request.order_id)
            products[:] = products_of(raw)
            return read_order(raw)

        async def act() -> None:
            parcel = {"delivery_id": request.company, "waybill_id": request.waybill, "deliver_type": _BY_COURIER}
            payload = {"order_id": request.order_id, "delivery_list": [{**parcel, "product_infos": products}]}
            await self.api.change("channels/ec/order/delivery/send", payload)

        return await ship_once(PLATFORM, request, read, act)

    async def agree_return(self, request: RefundOfShopArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Let the buyer send the goods back; no money moves. Raises ConflictProblem when it is too late for that."""

        async def act(refund: RefundOutput) -> None:
            await self._settle(ACCEPT, refund)

        return await let_return_once(PLATFORM, lambda: self.get_refund(request), act)

    async def agree_refund(self, request: SettleRefundArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Pay a refund back, once.

        The platform has one interface for this and for the return of goods. Raises ConflictProblem when the refund is
        over, its goods are not back yet, or its amount is not the approved one.
        """

        async def act(refund: RefundOutput) -> None:
            await self._settle(ACCEPT, refund)

        return await pay_back_once(
            PLATFORM, lambda: self.get_refund(request), act, request.amount_minor, also_agrees_to_returns=True
        )

    async def refuse_refund(self, request: TurnDownRefundArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Refuse a refund, once. Raises ConflictProblem when it was paid or withdrawn."""

        async def act(refund: RefundOutput) -> None:
            await self._settle(REJECT, refund, reject_reason=request.reason)

        return await refuse_once(PLATFORM, lambda: self.get_refund(request), act)

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """What changed within windows as long as the platform allows, by its `next_key`.

        The lists give numbers only, so each thing is read by itself; what changes while it is read has a later time of
        change than its window and comes with a later one. See `connectors.pulling.Pullable`.
        """
        chosen = next((each for each in self.streams if each.name == stream), None)
        if chosen is None:
            raise ValidationProblem(
                Text(f"微信小店没有数据流 {stream}", f"A WeChat Store has no stream {stream}"), retryable=False
            )
        if chosen is GOODS:
            return await goods.pull(self.api, PLATFORM, cursor, until)
        asked = settled(until, chosen, self.api.now())
        window = window_of(cursor, asked, chosen, longest=_LONGEST[stream], now=self.api.now())
        if window.until <= window.since:
            return PulledPage((), cursor, more=False)
        since, end = window.seconds
        place = {"next_key": str(window.place)} if window.place else {}
        if stream == "orders":
            span = {"update_time_range": {"start_time": since, "end_time": end}, "page_size": self._most or PAGE_SIZE}
            answer = await self.api.read("channels/ec/order/list/get", {**span, **place})
            records = await self._each(answer.get("order_id_list"), self._order, ORDER)
        else:
            span = {"begin_update_time": since, "end_update_time": end}
            answer = await self.api.read("channels/ec/aftersale/getaftersalelist", {**span, **place})
            numbers = answer.get("after_sale_order_id_list")
            records = await self._each(numbers, self._refund, REFUND)
        if answer.get("has_more") is True and answer.get("next_key") not in (None, "", window.place):
            return PulledPage(records, window.at(str(answer["next_key"])), more=True)
        behind, more = window.behind(asked)
        return PulledPage(records, behind, more=more)

    async def _each(
        self, numbers: Any, read: Callable[[str], Awaitable[Mapping[str, Any]]], kind: str
    ) -> list[Verified]:
        wanted = [str(number) for number in numbers] if isinstance(numbers, list) else []
        found = await read_each(wanted[: self._most], read, at_once=_AT_ONCE)
        now = self.api.now()
        records: list[Verified] = []
        for number, row in found.items():
            if isinstance(row, ProblemError):
                records.append(unread_record(kind, number, row, now))
            elif row is not None:
                key = f"{kind}:{number}:{row.get('update_time')}:{row.get('status')}"
                records.append(Verified(kind, row_payload(row), key[:256], now))
        return records

    async def _order(self, order_id: str) -> Mapping[str, Any]:
        # Tandem needs neither the receiver's name nor the number in clear.
        request = {"order_id": order_id, "encode_sensitive_info": True}
        answer = await self.api.read("channels/ec/order/get", request)
        return mapping(answer.get("order"), "order")

    async def _refund(self, refund_id: str) -> Mapping[str, Any]:
        answer = await self.api.read("channels/ec/aftersale/getaftersaleorder", {"after_sale_order_id": refund_id})
        return mapping(answer.get("after_sale_order"), "after_sale_order")

    async def _settle(self, path: str, refund: RefundOutput, **more: str) -> None:
        await self.api.change(path, {"after_sale_order_id": refund.refund_id, **more})
