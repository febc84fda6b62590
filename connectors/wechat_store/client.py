"""What Tandem does in one WeChat Store: the implementation of `domain.catalog.wechat_store`."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from connectors.accounts import Account
from connectors.http import Link
from connectors.pulling import Cursor, PulledPage, Stream
from connectors.reading import mapping
from connectors.settling import other_amount, wrong_state
from connectors.webhooks import Verified
from connectors.wechat.api import WechatApi
from connectors.wechat.settings import WechatSettings
from connectors.wechat_store.codes import STORE_CODES
from connectors.wechat_store.events import ORDER, REFUND
from connectors.wechat_store.records import products_of, read_order, read_refund
from connectors.windows import settled, window_of
from domain.canonical import RefundStatus
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
from domain.problems import ConflictProblem, NotFoundProblem, Text, ValidationProblem

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

    streams: tuple[Stream, ...] = (ORDERS, REFUNDS)

    def __init__(self, account: Account, link: Link) -> None:
        self.api = WechatApi(PLATFORM, account, account.parse_settings(WechatSettings), link, STORE_CODES)

    async def get_order(self, request: OrderArguments) -> OrderOutput:
        """The order as it is now."""
        return read_order(await self._order(request.order_id))

    async def get_refund(self, request: RefundOfShopArguments) -> RefundOutput:
        """The refund as it is now."""
        return read_refund(await self._refund(request.refund_id))

    async def ship_order(self, request: ShipOrderArguments, *, key: str, resumed: bool) -> ShipOrderOutput:
        """Tell the platform the one parcel of an order, once; the order read first settles an unknown outcome.

        Raises ConflictProblem when the order went out with another parcel or cannot go out.
        """
        raw = await self._order(request.order_id)
        order = read_order(raw)
        if request.waybill in order.waybills:
            return ShipOrderOutput(order_id=order.order_id, waybill=request.waybill, already=True)
        if order.status != "paid":
            raise wrong_state(PLATFORM, "order", order.order_id, order.status)
        parcel = {
            "delivery_id": request.company,
            "waybill_id": request.waybill,
            "deliver_type": _BY_COURIER,
            "product_infos": products_of(raw),
        }
        payload = {"order_id": order.order_id, "delivery_list": [parcel]}
        try:
            await self.api.change("channels/ec/order/delivery/send", payload)
        except ConflictProblem:
            present = await self.get_order(request)
            if request.waybill not in present.waybills:
                raise
            return ShipOrderOutput(order_id=order.order_id, waybill=request.waybill, already=True)
        return ShipOrderOutput(order_id=order.order_id, waybill=request.waybill)

    async def agree_return(self, request: RefundOfShopArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Let the buyer send the goods back; no money moves. Raises ConflictProblem when it is too late for that."""
        refund = await self.get_refund(request)
        if refund.status in ("awaiting_return", "returned", "refunded"):
            return _settled(refund, already=True)
        if refund.status != "requested" or refund.returns_goods is False:
            raise wrong_state(PLATFORM, "refund", refund.refund_id, refund.status)
        return await self._settle(ACCEPT, refund, request, {}, "awaiting_return")

    async def agree_refund(self, request: SettleRefundArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Pay a refund back, once; the state read first settles an attempt whose outcome is unknown.

        The platform has one interface for both steps, so a refund whose goods must come back first is refused here.
        Raises ConflictProblem when the refund is over, its goods are not back, or its amount is not the approved one.
        """
        refund = await self.get_refund(request)
        if refund.status == "refunded":
            return _settled(refund, already=True)
        payable = refund.status == "returned" or (refund.status == "requested" and refund.returns_goods is False)
        if not payable:
            raise wrong_state(PLATFORM, "refund", refund.refund_id, refund.status)
        if request.amount_minor is not None and refund.amount_minor != request.amount_minor:
            raise other_amount(PLATFORM, refund.refund_id, refund.amount_minor, request.amount_minor)
        return await self._settle(ACCEPT, refund, request, {}, "refunded")

    async def refuse_refund(self, request: TurnDownRefundArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Refuse a refund, once; as in `agree_refund`. Raises ConflictProblem when it was paid or withdrawn."""
        refund = await self.get_refund(request)
        if refund.status == "refused":
            return _settled(refund, already=True)
        if refund.status not in ("requested", "returned"):
            raise wrong_state(PLATFORM, "refund", refund.refund_id, refund.status)
        more = {"reject_reason": request.reason}
        return await self._settle(REJECT, refund, request, more, "refused")

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
        asked = settled(until, chosen, self.api.now())
        window = window_of(cursor, asked, chosen, longest=_LONGEST[stream], now=self.api.now())
        if window.until <= window.since:
            return PulledPage((), cursor, more=False)
        since, end = window.seconds
        place = {"next_key": str(window.place)} if window.place else {}
        if stream == "orders":
            span = {"update_time_range": {"start_time": since, "end_time": end}, "page_size": PAGE_SIZE}
            answer = await self.api.read("channels/ec/order/list/get", {**span, **place})
            records = await self._each(answer.get("order_id_list"), self._order, ORDER, "order_id")
        else:
            span = {"begin_update_time": since, "end_update_time": end}
            answer = await self.api.read("channels/ec/aftersale/getaftersalelist", {**span, **place})
            numbers = answer.get("after_sale_order_id_list")
            records = await self._each(numbers, self._refund, REFUND, "after_sale_order_id")
        if answer.get("has_more") is True and answer.get("next_key") not in (None, "", window.place):
            return PulledPage(records, window.at(str(answer["next_key"])), more=True)
        behind, more = window.behind(asked)
        return PulledPage(records, behind, more=more)

    async def _each(
        self, numbers: Any, read: Callable[[str], Awaitable[Mapping[str, Any]]], kind: str, name: str
    ) -> list[Verified]:
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(number: str) -> Verified | None:
            async with turn:
                try:
                    row = await read(number)
                except NotFoundProblem:
                    return None
            payload = json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=str).encode()
            key = f"{kind}:{number}:{row.get('update_time')}:{row.get('status')}"
            return Verified(kind, payload, key[:256], self.api.now())

        wanted = [str(number) for number in numbers] if isinstance(numbers, list) else []
        found = await asyncio.gather(*(one(number) for number in wanted))
        return [record for record in found if record is not None]

    async def _order(self, order_id: str) -> Mapping[str, Any]:
        # Tandem needs neither the receiver's name nor the number in clear.
        request = {"order_id": order_id, "encode_sensitive_info": True}
        answer = await self.api.read("channels/ec/order/get", request)
        return mapping(answer.get("order"), "order")

    async def _refund(self, refund_id: str) -> Mapping[str, Any]:
        answer = await self.api.read("channels/ec/aftersale/getaftersaleorder", {"after_sale_order_id": refund_id})
        return mapping(answer.get("after_sale_order"), "after_sale_order")

    async def _settle(
        self,
        path: str,
        refund: RefundOutput,
        request: RefundOfShopArguments,
        more: Mapping[str, Any],
        after: RefundStatus,
    ) -> SettledRefundOutput:
        already = False
        try:
            await self.api.change(path, {"after_sale_order_id": refund.refund_id, **more})
        except ConflictProblem:
            already = True
        present = await self.get_refund(request)
        if already and present.status != after:
            raise wrong_state(PLATFORM, "refund", present.refund_id, present.status)
        return _settled(present, already=already)


def _settled(refund: RefundOutput, *, already: bool) -> SettledRefundOutput:
    return SettledRefundOutput(
        refund_id=refund.refund_id, status=refund.status, amount_minor=refund.amount_minor, already=already
    )
