"""What Tandem does in one Douyin shop: the implementation of `domain.catalog.douyin`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.douyin import goods, pages
from connectors.douyin.carriers import carrier_code
from connectors.douyin.gateway import PLATFORM, DouyinGateway
from connectors.douyin.records import read_order, read_refund
from connectors.douyin.settlement import settled_lines
from connectors.goods_lists import GOODS
from connectors.http import Link
from connectors.lookups import asked_for
from connectors.pulling import Cursor, PulledPage, Stream, stream_named
from connectors.reading import mapping, optional_mapping, text
from connectors.shop_effects import let_return_once, pay_back_once, refuse_once, ship_once
from connectors.webhooks import Verified
from domain.catalog.douyin import SettlementArguments, SettlementOutput
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
from domain.problems import ConflictProblem, NotFoundProblem, ProblemError, Text

# What the shop answers to a refund, by afterSale.Operate's numbers [U].
AGREE_RETURN, REFUSE_RETURN = 101, 102
AGREE_RETURNED, REFUSE_RETURNED = 111, 112
AGREE_MONEY, REFUSE_MONEY = 201, 202
_DONE = 0


class DouyinShop:
    """One shop. Methods raise problems as `connectors.errors` describes them."""

    streams: tuple[Stream, ...] = (*pages.STREAMS, GOODS)

    def __init__(self, account: Account, link: Link) -> None:
        self.gateway = DouyinGateway(account, link)

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """See `connectors.pulling.Pullable`."""
        if stream_named(self.streams, stream) is GOODS:
            return await goods.pull(self.gateway, cursor, until)
        return await pages.pull(self.gateway, stream, cursor, until)

    async def get_order(self, request: OrderArguments) -> OrderOutput:
        """The order as it is now."""
        return read_order(await self._order(request.order_id))

    async def whole_order(self, order_id: str) -> Verified:
        """See `connectors.lookups.TellsWholeOrders`."""
        return asked_for(pages.ORDER_KIND, order_id, await self._order(order_id), self.gateway.now())

    async def get_refund(self, request: RefundOfShopArguments) -> RefundOutput:
        """The refund as it is now."""
        found = await self.gateway.call("afterSale.List", {"aftersale_id": request.refund_id, "page": 0, "size": 1})
        rows = found.get("items")
        for row in rows if isinstance(rows, list) else ():
            refund = read_refund(mapping(row, "items"))
            if refund.refund_id == request.refund_id:
                return refund
        raise NotFoundProblem(
            Text(f"没有售后单 {request.refund_id}", f"There is no refund {request.refund_id}"),
            platform=PLATFORM,
            retryable=False,
            outcome="not_done",
        )

    async def read_settlement(self, request: SettlementArguments) -> SettlementOutput:
        """What was settled on a day, in figures; `connectors.douyin.settlement` has the lines."""
        orders: set[str] = set()
        lines = settled = commission = fee = 0
        async for line in settled_lines(self.gateway, request.day):
            orders.add(line.order_id)
            lines += 1
            settled += line.settled_minor
            commission += line.commission_minor
            fee += line.fee_minor
        return SettlementOutput(
            day=request.day,
            lines=lines,
            orders=len(orders),
            settled_minor=settled,
            commission_minor=commission,
            fee_minor=fee,
        )

    async def ship_order(self, request: ShipOrderArguments, *, key: str, resumed: bool) -> ShipOrderOutput:
        """Tell the platform the parcel of an order, once.

        Raises ConflictProblem when it cannot go out with it, ValidationProblem for a carrier that nobody knows.
        """

        company = carrier_code(request.company)

        async def act() -> None:
            parcel = {"logistics_code": request.waybill, "company_code": company}
            await self.gateway.call("order.logisticsAdd", {"order_id": request.order_id, **parcel}, effect=True)

        return await ship_once(PLATFORM, request, lambda: self.get_order(request), act)

    async def agree_return(self, request: RefundOfShopArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Let the buyer send the goods back; no money moves. Raises ConflictProblem when it is too late for that."""

        async def act(refund: RefundOutput) -> None:
            await self._operate(AGREE_RETURN, refund)

        return await let_return_once(PLATFORM, lambda: self.get_refund(request), act)

    async def agree_refund(self, request: SettleRefundArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Pay a refund back, once.

        Raises ConflictProblem when the refund is over, its goods are not back yet, or its amount is not the approved.
        """

        async def act(refund: RefundOutput) -> None:
            await self._operate(AGREE_RETURNED if refund.status == "returned" else AGREE_MONEY, refund)

        return await pay_back_once(PLATFORM, lambda: self.get_refund(request), act, request.amount_minor)

    async def refuse_refund(self, request: TurnDownRefundArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Refuse a refund, once. Raises ConflictProblem when it was paid or withdrawn."""

        async def act(refund: RefundOutput) -> None:
            operation = REFUSE_RETURNED if refund.status == "returned" else REFUSE_MONEY
            if refund.status == "requested" and refund.returns_goods:
                operation = REFUSE_RETURN
            await self._operate(operation, refund, reason=request.reason)

        return await refuse_once(PLATFORM, lambda: self.get_refund(request), act)

    async def _order(self, order_id: str) -> Mapping[str, Any]:
        data = await self.gateway.call("order.orderDetail", {"shop_order_id": order_id})
        return mapping(data.get("shop_order_detail"), "shop_order_detail")

    async def _operate(self, operation: int, refund: RefundOutput, **more: str) -> None:
        """Do one step of a refund, in the state that was read. Raises ConflictProblem when it has changed since."""
        updated = {} if refund.updated_at is None else {"update_time": int(refund.updated_at.timestamp())}
        item = {"aftersale_id": refund.refund_id, **updated, **more}
        _check(await self.gateway.call("afterSale.Operate", {"type": operation, "items": [item]}, effect=True))


def _check(data: Mapping[str, Any]) -> None:
    """The answer tells of each refund whether its step was done."""
    rows = data.get("items")
    for row in rows if isinstance(rows, list) else ():
        result = optional_mapping(row)
        if result.get("status_code", _DONE) != _DONE:
            said = str(result.get("status_msg") or "")[:200]
            raise _refused(said, text(result, "aftersale_id"))


def _refused(said: str, refund_id: str) -> ProblemError:
    return ConflictProblem(
        Text(f"抖店没有处理售后单 {refund_id}：{said}", f"Douyin did not settle refund {refund_id}: {said}"),
        platform=PLATFORM,
        retryable=False,
        outcome="not_done",
    )
