"""Effects on orders and refunds where the platform knows no idempotency key: the state read first says what is left.

Reading first settles an attempt whose outcome is unknown, so a resumed attempt needs no path of its own: what is
refused after it is certain, and a reading that fails settles nothing. What changes between reading and acting, the
platform refuses as a conflict; then it is read again.
"""

from collections.abc import Awaitable, Callable

from connectors.errors import asked_first, leaving_unknown
from domain.canonical import RefundStatus
from domain.catalog.shop_calls import (
    OrderOutput,
    RefundOutput,
    SettledRefundOutput,
    ShipOrderArguments,
    ShipOrderOutput,
)
from domain.money import major_from_minor
from domain.problems import ConflictProblem, Text

_OVER: frozenset[RefundStatus] = frozenset({"refused", "return_refused", "closed", "refunded"})
PAYABLE: frozenset[RefundStatus] = frozenset({"requested", "returned"})
_RETURNING: frozenset[RefundStatus] = frozenset({"awaiting_return", "returned", "refunded"})
_REFUSED: frozenset[RefundStatus] = frozenset({"refused", "return_refused"})

ReadRefund = Callable[[], Awaitable[RefundOutput]]
ActOnRefund = Callable[[RefundOutput], Awaitable[None]]


async def pay_back_once(
    platform: str,
    read: ReadRefund,
    act: ActOnRefund,
    approved_minor: int | None,
    *,
    also_agrees_to_returns: bool = False,
) -> SettledRefundOutput:
    """The refund after it was paid back.

    also_agrees_to_returns: what `act` asks of the platform either pays or lets the goods come back, so that a refund
    that is not known to be of money only is not paid before they are.
    Raises ConflictProblem when it is over, its goods are not back yet, or its amount is not the approved one; retryable
    when it changed meanwhile.
    """
    refund = await read()
    with asked_first():
        if refund.status == "refunded":
            return _settled(refund, already=True)
        if refund.status in _OVER:
            raise _wrong_state(platform, refund)
        returns_goods = also_agrees_to_returns if refund.returns_goods is None else refund.returns_goods
        if are_goods_out(refund.status, returns_goods):
            raise goods_not_back(platform, refund.refund_id, refund.status)
        if refund.status not in PAYABLE:
            raise _wrong_state(platform, refund)
        if approved_minor is not None and refund.amount_minor != approved_minor:
            raise _other_amount(platform, refund, approved_minor)
        return await _act(read, act, refund, frozenset({"refunded"}), "refunded")


async def let_return_once(platform: str, read: ReadRefund, act: ActOnRefund) -> SettledRefundOutput:
    """The refund after the buyer was let send the goods back; no money moves.

    Raises ConflictProblem when it is too late for that, or nothing has to come back.
    """
    refund = await read()
    with asked_first():
        if refund.status in _RETURNING:
            return _settled(refund, already=True)
        if refund.status != "requested" or refund.returns_goods is False:
            raise _wrong_state(platform, refund)
        return await _act(read, act, refund, _RETURNING, "awaiting_return")


async def refuse_once(platform: str, read: ReadRefund, act: ActOnRefund) -> SettledRefundOutput:
    """The refund after it was refused. Raises ConflictProblem when it was paid or withdrawn."""
    refund = await read()
    with asked_first():
        if refund.status in _REFUSED:
            return _settled(refund, already=True)
        if refund.status in _OVER:
            raise _wrong_state(platform, refund)
        return await _act(read, act, refund, _REFUSED, "return_refused" if refund.status == "returned" else "refused")


async def ship_once(
    platform: str,
    request: ShipOrderArguments,
    read: Callable[[], Awaitable[OrderOutput]],
    act: Callable[[], Awaitable[None]],
) -> ShipOrderOutput:
    """The order after it was shipped with this parcel.

    Raises ConflictProblem when nothing can be shipped any more, or it went out in another parcel.
    """
    order = await read()
    with asked_first():
        if request.waybill in order.waybills:
            return ShipOrderOutput(order_id=order.order_id, waybill=request.waybill, already=True)
        if order.status not in ("paid", "unknown"):
            return _shipped(platform, request, order)
        try:
            await act()
        except ConflictProblem as conflict:
            with leaving_unknown():
                present = await read()
            if present.status == order.status:
                raise conflict from None
            return _shipped(platform, request, present)
        return ShipOrderOutput(order_id=order.order_id, waybill=request.waybill)


async def _act(
    read: ReadRefund, act: ActOnRefund, refund: RefundOutput, wanted: frozenset[RefundStatus], becomes: RefundStatus
) -> SettledRefundOutput:
    try:
        await act(refund)
    except ConflictProblem as conflict:
        with leaving_unknown():
            present = await read()
        if present.status in wanted:
            return _settled(present, already=True)
        changed = present != refund and present.status not in _OVER
        again = {"retryable": changed, "retry_after_s": 1.0 if changed else None}
        raise ConflictProblem.of(conflict.problem.model_copy(update=again)) from None
    return _settled(refund.model_copy(update={"status": becomes}), already=False)


def _settled(refund: RefundOutput, *, already: bool) -> SettledRefundOutput:
    return SettledRefundOutput(
        refund_id=refund.refund_id, status=refund.status, amount_minor=refund.amount_minor, already=already
    )


def _shipped(platform: str, request: ShipOrderArguments, order: OrderOutput) -> ShipOrderOutput:
    if order.status in ("shipped", "completed") and (not order.waybills or request.waybill in order.waybills):
        return ShipOrderOutput(order_id=order.order_id, waybill=request.waybill, already=True)
    known = ", ".join(order.waybills) or "–"
    raise ConflictProblem(
        Text(
            f"订单 {order.order_id} 的状态是 {order.status}，运单号 {known}，不能再以 {request.waybill} 发货",
            f"Order {order.order_id} is {order.status} with parcels {known}; it cannot be shipped as {request.waybill}",
        ),
        platform=platform,
        retryable=False,
        outcome="not_done",
        order_status=order.status,
    )


def _wrong_state(platform: str, refund: RefundOutput) -> ConflictProblem:
    """The refusal of a step that a refund's state does not allow."""
    return ConflictProblem(
        Text(
            f"退款单 {refund.refund_id} 的状态是 {refund.status}，不能这样处理",
            f"Refund {refund.refund_id} is {refund.status}, so it cannot be settled this way",
        ),
        platform=platform,
        retryable=False,
        outcome="not_done",
        refund_status=refund.status,
    )


def are_goods_out(status: RefundStatus, returns_goods: bool) -> bool:
    """Whether the buyer still has goods that have to come back before the money goes."""
    return status == "awaiting_return" or (returns_goods and status != "returned")


def goods_not_back(platform: str, refund_id: str, status: RefundStatus) -> ConflictProblem:
    """The refusal to pay before the goods are back."""
    return ConflictProblem(
        Text(
            f"退款单 {refund_id} 的状态是 {status}，不是仅退款，货也没有退回，不能退款；请先同意退货并收货，再退款",
            f"Refund {refund_id} is {status}: it is not of money only and its goods are not back, so it is not paid; "
            "let them come back first",
        ),
        platform=platform,
        retryable=False,
        outcome="not_done",
        refund_status=status,
    )


def _other_amount(platform: str, refund: RefundOutput, approved_minor: int) -> ConflictProblem:
    approved = major_from_minor(approved_minor)
    present = "–" if refund.amount_minor is None else major_from_minor(refund.amount_minor)
    return ConflictProblem(
        Text(
            f"退款单 {refund.refund_id} 的金额现为 ¥{present}，批准的是 ¥{approved}，请重新审批",
            f"Refund {refund.refund_id} is now ¥{present}, approved was ¥{approved}; have it approved again",
        ),
        platform=platform,
        retryable=False,
        outcome="not_done",
        amount_minor=refund.amount_minor,
    )
