"""What Tandem does in one JD shop: the implementation of `domain.catalog.jd`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.errors import raise_for_code
from connectors.goods_lists import GOODS
from connectors.http import Link
from connectors.jd import goods
from connectors.jd.codes import BUSINESS_CODES
from connectors.jd.gateway import PLATFORM, JdGateway
from connectors.jd.pulling import STREAMS, JdReader
from connectors.jd.records import AFTERSALE_PREFIX, read_order, read_refund
from connectors.pulling import Cursor, PulledPage, stream_named
from connectors.reading import mapping, text
from connectors.shop_effects import pay_back_once, refuse_once, ship_once
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

REPLY = "jingdong.pop.afs.refundapply.replyRefund"
AGREED, REFUSED = 1, 2
_NO_SUCH_REFUND = 10500001


class JdShop:
    """One shop. Methods raise problems as `connectors.errors` describes them."""

    streams = (*STREAMS, GOODS)

    def __init__(self, account: Account, link: Link) -> None:
        self.gateway = JdGateway(account, link)
        self._reader = JdReader(self.gateway)

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next page of a stream; see `connectors.pulling.Pullable`."""
        if stream_named(self.streams, stream) is GOODS:
            return await goods.pull(self.gateway, cursor, until)
        return await self._reader.pull(stream, cursor, until)

    async def get_order(self, request: OrderArguments) -> OrderOutput:
        """The order as it is now."""
        return read_order(await self._reader.order(request.order_id))

    async def get_refund(self, request: RefundOfShopArguments) -> RefundOutput:
        """The refund application as it is now; of goods that were not shipped yet."""
        if request.refund_id.startswith(AFTERSALE_PREFIX):
            raise _no_application(request.refund_id)
        found = await self._reader.refunds({"ids": request.refund_id, "pageIndex": 1, "pageSize": 1})
        rows = found.get("result")
        row: Mapping[str, Any] = mapping(rows[0], "result") if isinstance(rows, list) and rows else {}
        if not row or text(row, "id") != request.refund_id:
            raise_for_code(PLATFORM, _NO_SUCH_REFUND, request.refund_id, BUSINESS_CODES, effect=False)
        return read_refund(row)

    async def ship_order(self, request: ShipOrderArguments, *, key: str, resumed: bool) -> ShipOrderOutput:
        """Tell that an order was given to a carrier, once."""

        async def send() -> None:
            params = {"orderId": request.order_id, "logiCoprId": request.company, "logiNo": request.waybill}
            await self.gateway.call("jingdong.pop.order.shipment", params, "sopjosshipment_result", effect=True)

        return await ship_once(PLATFORM, request, lambda: self.get_order(request), send)

    async def agree_refund(self, request: SettleRefundArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Agree that the money of an order that was not shipped goes back, once; JD pays it."""

        async def agree(refund: RefundOutput) -> None:
            await self._reply(refund, AGREED, "同意退款")

        return await pay_back_once(PLATFORM, lambda: self.get_refund(request), agree, request.amount_minor)

    async def refuse_refund(self, request: TurnDownRefundArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Refuse a refund, once; the buyer reads the reason."""

        async def refuse(refund: RefundOutput) -> None:
            await self._reply(refund, REFUSED, request.reason)

        return await refuse_once(PLATFORM, lambda: self.get_refund(request), refuse)

    async def _reply(self, refund: RefundOutput, status: int, remark: str) -> None:
        params = {"id": refund.refund_id, "orderId": refund.order_id, "status": status, "remark": remark}
        await self.gateway.call(REPLY, params, "replyResult", effect=True)


def _no_application(refund_id: str) -> ProblemError:
    return ValidationProblem(
        Text(
            f"{refund_id} 是京东的售后服务单，请在商家后台处理；这里只能处理未发货订单的退款申请",
            f"{refund_id} is a service order at JD: settle it in JD's console; only refund applications of orders that "
            "were not shipped can be settled from here",
        ),
        platform=PLATFORM,
        retryable=False,
        outcome="not_done",
    )
