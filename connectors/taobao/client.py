"""What Tandem does in one Taobao or Tmall shop: the implementation of `domain.catalog.taobao`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.errors import CodeMeaning, raise_for_code
from connectors.goods_lists import GOODS
from connectors.http import Link
from connectors.pulling import Cursor, PulledPage, stream_named
from connectors.reading import optional_mapping, optional_text, whole_number
from connectors.shop_effects import pay_back_once, refuse_once, ship_once
from connectors.taobao import goods
from connectors.taobao.codes import SUB_CODES
from connectors.taobao.gateway import PLATFORM, TaobaoGateway
from connectors.taobao.pulling import MESSAGES, REFUNDS, TRADES, TaobaoReader
from connectors.taobao.records import read_refund, read_trade
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
from domain.problems import Text, ValidationProblem

_DEFAULT_PHASE = "onsale"


class TaobaoShop:
    """One shop. Methods raise problems as `connectors.errors` describes them."""

    streams = (MESSAGES, TRADES, REFUNDS, GOODS)

    def __init__(self, account: Account, link: Link) -> None:
        self.gateway = TaobaoGateway(account, link)
        self._reader = TaobaoReader(self.gateway)

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """The next page of `messages`, `orders`, `refunds` or `goods`; see `connectors.pulling.Pullable`."""
        known = stream_named(self.streams, stream)
        if known is MESSAGES:
            return await self._reader.pull_messages(cursor)
        if known is GOODS:
            return await goods.pull(self.gateway, cursor, until)
        return await self._reader.pull_changes(known, cursor, until)

    async def get_order(self, request: OrderArguments) -> OrderOutput:
        """The trade as it is now."""
        return read_trade(await self._reader.trade(request.order_id))

    async def get_refund(self, request: RefundOfShopArguments) -> RefundOutput:
        """The refund as it is now."""
        return read_refund(await self._reader.refund(request.refund_id))

    async def ship_order(self, request: ShipOrderArguments, *, key: str, resumed: bool) -> ShipOrderOutput:
        """Tell that an order was given to a carrier, once."""

        async def send() -> None:
            params = {"tid": request.order_id, "out_sid": request.waybill, "company_code": request.company}
            await self.gateway.call("taobao.logistics.offline.send", params, effect=True)

        return await ship_once(PLATFORM, request, lambda: self.get_order(request), send)

    async def agree_refund(self, request: SettleRefundArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Pay a refund back, once: in the amount, version and phase that were just read."""

        async def agree(refund: RefundOutput) -> None:
            stored = await self._reader.refund(refund.refund_id)
            amount = read_refund(stored).amount_minor
            if amount != refund.amount_minor:
                raise_for_code(PLATFORM, "15", "", {15: SUB_CODES["isv.refund-version-error"]}, effect=True)
            info = "|".join((refund.refund_id, str(amount), str(_version(stored)), _phase(stored)))
            answer = await self.gateway.call("taobao.rp.refunds.agree", {"refund_infos": info}, effect=True)
            if answer.get("succ") is not True:
                raise_for_code(PLATFORM, "15", _said(answer), {15: _meaning(answer)}, effect=True)

        return await pay_back_once(PLATFORM, lambda: self.get_refund(request), agree, request.amount_minor)

    async def refuse_refund(self, request: TurnDownRefundArguments, *, key: str, resumed: bool) -> SettledRefundOutput:
        """Refuse a refund, once; the buyer reads the reason."""

        async def refuse(refund: RefundOutput) -> None:
            stored = await self._reader.refund(refund.refund_id)
            params = {
                "refund_id": refund.refund_id,
                "refuse_message": request.reason,
                "refund_version": str(_version(stored)),
                "refund_phase": _phase(stored),
            }
            await self.gateway.call("taobao.refund.refuse", params, effect=True)

        return await refuse_once(PLATFORM, lambda: self.get_refund(request), refuse)


def _version(refund: Mapping[str, Any]) -> int:
    return whole_number(refund, "refund_version", 0)


def _phase(refund: Mapping[str, Any]) -> str:
    return optional_text(refund, "refund_phase", limit=32) or _DEFAULT_PHASE


def _meaning(answer: Mapping[str, Any]) -> CodeMeaning:
    """What the refusal within a successful answer means, by its `msg_code`."""
    unnamed = CodeMeaning("conflict", Text("平台没有退款", "The platform did not pay it back"))
    return SUB_CODES.get(str(answer.get("msg_code")), unnamed)


def _said(answer: Mapping[str, Any]) -> str:
    results = optional_mapping(answer.get("results")).get("refund_mapping_result")
    first = optional_mapping(results[0]) if isinstance(results, list) and results else {}
    try:
        return optional_text(first, "message") or optional_text(answer, "message") or ""
    except ValidationProblem:
        return ""
