"""What Tandem does in one Youzan shop: the implementation of `domain.catalog.youzan`."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from connectors.accounts import Account
from connectors.errors import asked_first, leaving_unknown
from connectors.goods_lists import GOODS
from connectors.http import Link
from connectors.lookups import KnownContact, LookedUp
from connectors.payloads import parse_json
from connectors.pulling import Cursor, PulledPage, stream_named
from connectors.readable_streams import Try
from connectors.reading import CHINA, china_time, optional_mapping, optional_text, whole_number
from connectors.shop_effects import PAYABLE, are_goods_out, goods_not_back
from connectors.youzan import coupon_lists, goods
from connectors.youzan.buyers import buyer_record
from connectors.youzan.codes import ITEM_CODES, TRADE_CODES
from connectors.youzan.gateway import PLATFORM, YouzanGateway
from connectors.youzan.pulling import STREAMS, pull
from connectors.youzan.records import read_order, read_parcel, read_refund
from connectors.youzan.return_rules import WEB_SHOP, read_return_rule
from domain.canonical import KeyKind, RefundStatus
from domain.catalog.youzan import (
    AgreeRefundArguments,
    AgreeRefundOutput,
    GetRefundOutput,
    GetTradeOutput,
    RefundArguments,
    RefuseRefundArguments,
    RefuseRefundOutput,
    ReturnRuleArguments,
    ReturnRuleOutput,
    TrackWaybillOutput,
    TradeArguments,
)
from domain.money import major_from_minor
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, Text, ValidationProblem

# The platform asks readers to wait 30 s after a push; numbers begin with the local time they were given out at [S].
READ_LAG_S = 30.0
_FRESH = timedelta(minutes=2)
_OVER: frozenset[RefundStatus] = frozenset({"refused", "return_refused", "closed"})


class YouzanShop:
    """One shop. Methods raise problems as `connectors.errors` describes them."""

    streams = (*STREAMS, GOODS, coupon_lists.COUPONS)
    looks_up: KeyKind = "buyer"

    def __init__(self, account: Account, link: Link) -> None:
        self.gateway = YouzanGateway(account, link)
        self._coupons = coupon_lists.CouponBook(self.gateway)

    async def pull(self, stream: str, cursor: Cursor, until: datetime) -> PulledPage:
        """A page of orders, refunds, goods or coupons; see `connectors.pulling`."""
        known = stream_named(self.streams, stream)
        if known is GOODS:
            return await goods.pull(self.gateway, cursor, until)
        if known is coupon_lists.COUPONS:
            return await self._coupons.pull(cursor, until)
        return await pull(self.gateway, stream, cursor, until)

    def tries(self) -> tuple[Try, ...]:
        """What a connection test reads beside orders and refunds: goods and coupons."""
        return *goods.tries(self.gateway), self._coupons.try_reading

    async def look_up(self, value: str, known: KnownContact) -> LookedUp:
        """A buyer's WeChat identities, which orders do not tell; see `connectors.lookups`."""
        began = self.gateway.now()
        wechat = await self._wechat_identity(value)
        return LookedUp(buyer_record(value, wechat, began) if wechat else None)

    async def get_refund(self, request: RefundArguments) -> GetRefundOutput:
        """The refund as it is now; retryable while a new one is not readable yet."""
        return read_refund(await self._refund(request.refund_id))

    async def get_trade(self, request: TradeArguments) -> GetTradeOutput:
        """The order as it is now, with the buyer's unionid where the platform gives it out."""
        try:
            data = await self.gateway.call("youzan.trade.get", "4.0.2", {"tid": request.order_id}, codes=TRADE_CODES)
        except NotFoundProblem as error:
            raise self._maybe_later(error, request.order_id.removeprefix("E")) from None
        order = read_order(data)
        wechat = await self._wechat_identity(order.buyer.buyer_id)
        buyer = order.buyer.model_copy(
            update={
                "unionid": optional_text(wechat, "union_id", limit=64),
                "openid": optional_text(wechat, "open_id", limit=64) or order.buyer.openid,
            }
        )
        return order.model_copy(update={"buyer": buyer})

    async def track_waybill(self, request: RefundArguments) -> TrackWaybillOutput:
        """Where the refund's parcel is; `none` while the buyer has sent nothing or no carrier knows it."""
        # Alone: in whatever state the refund is, its parcel is where it is.
        parcel = read_parcel(await self._refund(request.refund_id))
        if parcel is None:
            return TrackWaybillOutput(state="none")
        company = int(parcel.company_code) if parcel.company_code and parcel.company_code.isdigit() else 0
        data = await self.gateway.call(
            "youzan.logistics.goodsexpress.get", "3.0.0", {"express_no": parcel.waybill, "express_id": company}
        )
        latest = _latest_station(data)
        state: Literal["none", "in_transit", "signed"] = "in_transit" if latest else "none"
        if data.get("is_signed") is True or whole_number(data, "state", 0) == _SIGNED_STATE:
            state = "signed"
        return TrackWaybillOutput(
            state=state,
            waybill=parcel.waybill,
            company=optional_text(data, "name", limit=64),
            last_trace=optional_text(latest, "context"),
            last_trace_at=china_time(latest, "time"),
        )

    async def get_return_rule(self, request: ReturnRuleArguments) -> ReturnRuleOutput:
        """Whether an article may come back without a reason, as the shop has it now."""
        wanted = {"kdt_id": self.gateway.settings.kdt_id, "item_id": request.item_id, "channel": WEB_SHOP}
        data = await self.gateway.call("youzan.item.itemdetail.get", "1.0.0", {"request": wanted}, codes=ITEM_CODES)
        return read_return_rule(request.item_id, data)

    async def agree_refund(self, request: AgreeRefundArguments, *, key: str, resumed: bool) -> AgreeRefundOutput:
        """Pay a refund back, once.

        The platform knows no idempotency key, but pays a refund only in the state and version that was just read;
        reading first settles an attempt whose outcome is unknown, so `resumed` needs no path of its own, as in
        `connectors.shop_effects`.
        Raises ConflictProblem when the refund is over, its goods are not back yet, or its amount is not the approved.
        """
        refund = await self.get_refund(request)
        with asked_first():
            if refund.status == "refunded":
                return _agreed(refund, already=True)
            if refund.status in _OVER:
                raise _wrong_state(refund)
            if are_goods_out(refund.status, refund.returns_goods):
                raise goods_not_back(PLATFORM, refund.refund_id, refund.status)
            if refund.status not in PAYABLE:
                raise _wrong_state(refund)
            if request.amount_minor is not None and refund.amount_minor != request.amount_minor:
                raise _other_amount(refund, request.amount_minor)
            try:
                await self._settle("youzan.trade.refund.agree", refund, {})
            except ConflictProblem as conflict:
                with leaving_unknown():
                    present = await self.get_refund(request)
                if present.status == "refunded":
                    return _agreed(present, already=True)
                raise self._stale(present, refund, conflict) from None
        paid = {"status": "refunded", "updated_at": self.gateway.now()}
        return _agreed(refund.model_copy(update=paid), already=False)

    async def refuse_refund(self, request: RefuseRefundArguments, *, key: str, resumed: bool) -> RefuseRefundOutput:
        """Refuse a refund, once; as in `agree_refund`, the state read first settles an unknown outcome.

        Raises ConflictProblem when the refund was paid or withdrawn.
        """
        refund = await self.get_refund(request)
        with asked_first():
            if refund.status in ("refused", "return_refused"):
                return RefuseRefundOutput(refund_id=refund.refund_id, status=refund.status, already=True)
            if refund.status in ("refunded", "closed"):
                raise _wrong_state(refund)
            try:
                await self._settle("youzan.trade.refund.refuse", refund, {"remark": request.reason})
            except ConflictProblem as conflict:
                with leaving_unknown():
                    present = await self.get_refund(request)
                if present.status in ("refused", "return_refused"):
                    return RefuseRefundOutput(refund_id=present.refund_id, status=present.status, already=True)
                raise self._stale(present, refund, conflict) from None
        status: RefundStatus = "return_refused" if refund.status == "returned" else "refused"
        return RefuseRefundOutput(refund_id=refund.refund_id, status=status)

    async def _refund(self, refund_id: str) -> Mapping[str, Any]:
        try:
            return await self.gateway.call("youzan.trade.refund.get", "3.0.1", {"refund_id": refund_id})
        except NotFoundProblem as error:
            raise self._maybe_later(error, refund_id) from None

    async def _settle(self, api: str, refund: GetRefundOutput, more: Mapping[str, Any]) -> None:
        params = {"refund_id": refund.refund_id, "version": refund.version, **more}
        await self.gateway.call(api, "3.0.1", params, effect=True)

    async def _wechat_identity(self, buyer_id: str | None) -> Mapping[str, Any]:
        """The buyer's `wechat_info`; empty when the shop may not read it or the buyer came another way."""
        if buyer_id is None:
            return {}
        try:
            data = await self.gateway.call("youzan.users.info.query", "1.0.1", {"yz_open_id": buyer_id})
        except (AuthorizationProblem, NotFoundProblem, ValidationProblem):
            return {}
        users = data.get("user_list")
        first = users[0] if isinstance(users, list) and users else None
        return optional_mapping(optional_mapping(first).get("wechat_info"))

    def _maybe_later(self, error: NotFoundProblem, number: str) -> NotFoundProblem:
        """The same refusal, retryable when the number was given out a moment ago."""
        try:
            born = datetime.strptime(number[:14], "%Y%m%d%H%M%S").replace(tzinfo=CHINA)
        except ValueError:
            return error
        if abs(self.gateway.now() - born) > _FRESH:
            return error
        again = {"retryable": True, "retry_after_s": READ_LAG_S}
        return NotFoundProblem.of(error.problem.model_copy(update=again))

    @staticmethod
    def _stale(present: GetRefundOutput, before: GetRefundOutput, conflict: ConflictProblem) -> ConflictProblem:
        """A refund that changed between reading and settling is read again; one that did not is refused for good."""
        changed = present.version != before.version and present.status not in _OVER
        again = {"retryable": changed, "retry_after_s": 1.0 if changed else None}
        return ConflictProblem.of(conflict.problem.model_copy(update=again))


_SIGNED_STATE = 3


def _latest_station(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The newest of the stations, which travel as JSON within JSON, newest first [U]."""
    stations = parse_json((optional_text(data, "data", limit=100_000) or "[]").encode())
    return optional_mapping(stations[0]) if isinstance(stations, list) and stations else {}


def _agreed(refund: GetRefundOutput, *, already: bool) -> AgreeRefundOutput:
    return AgreeRefundOutput(
        refund_id=refund.refund_id,
        status=refund.status,
        amount_minor=refund.amount_minor,
        refunded_at=refund.updated_at,
        already=already,
    )


def _wrong_state(refund: GetRefundOutput) -> ConflictProblem:
    return ConflictProblem(
        Text(
            f"退款单 {refund.refund_id} 的状态是 {refund.status}，不能再处理",
            f"Refund {refund.refund_id} is {refund.status} and can no longer be settled",
        ),
        platform=PLATFORM,
        retryable=False,
        outcome="not_done",
        refund_status=refund.status,
    )


def _other_amount(refund: GetRefundOutput, approved_minor: int) -> ConflictProblem:
    present, approved = major_from_minor(refund.amount_minor), major_from_minor(approved_minor)
    return ConflictProblem(
        Text(
            f"退款单 {refund.refund_id} 的金额已变为 ¥{present}，批准的是 ¥{approved}，请重新审批",
            f"Refund {refund.refund_id} is now ¥{present}, approved was ¥{approved}; have it approved again",
        ),
        platform=PLATFORM,
        retryable=False,
        outcome="not_done",
        amount_minor=refund.amount_minor,
    )
