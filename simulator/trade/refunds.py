"""The life of a refund. Every step is told to who pushes it.

A refund of goods goes: asked for → the shop agrees to the return → the buyer sends a parcel → the shop
confirms and pays back. `open_refund` can start at any of the first three.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from random import Random

from simulator import seeding
from simulator.entities import Order, OrderStatus, Parcel, Refund, RefundStatus, Waybill
from simulator.happenings import What
from simulator.seeding.refunds import REASONS_ONLY_MONEY, REASONS_RETURN
from simulator.trade.orders import shipped_order
from simulator.trade.parcels import EXPRESS
from simulator.trade.refusal import STALE_STATUS, STALE_VERSION, TradeRefusal
from simulator.world import World


class Stage(StrEnum):
    """How far a new refund already is."""

    ASKED = "asked"
    RETURNING = "returning"


def open_refund(
    world: World,
    shop: str,
    *,
    amount_minor: int | None = None,
    customer_id: str | None = None,
    reason: str | None = None,
    returns_goods: bool = True,
    stage: Stage = Stage.RETURNING,
    parcel: Parcel = Parcel.NORMAL,
    transit_s: float | None = None,
) -> Refund:
    """A customer's shipped order with a refund request for all of it. LookupError for an unknown shop or customer."""
    number = world.next("refund")
    pick = Random(f"{world.settings.seed}:refund:{number}")
    order = shipped_order(world, pick, shop, customer_id, number, amount_minor)
    refund = _request(world, order, number, pick, order.paid_minor, reason, returns_goods)
    with world.bulletin.quiet():
        if returns_goods and stage is Stage.RETURNING:
            refund = send_back(world, agree_return(world, refund, refund.version), pick, parcel, transit_s)
    world.tell(What.REFUND_REQUESTED, shop, refund)
    return refund


def request_refund(
    world: World,
    order: Order,
    *,
    amount_minor: int | None = None,
    reason: str | None = None,
    returns_goods: bool = True,
) -> Refund:
    """A refund request for an order, for all of it unless an amount is said. TradeRefusal unless it was paid."""
    if order.paid_at is None or order.refunded_minor >= order.paid_minor:
        raise TradeRefusal(STALE_STATUS)
    number = world.next("refund")
    pick = Random(f"{world.settings.seed}:refund:{number}")
    amount = order.paid_minor - order.refunded_minor if amount_minor is None else amount_minor
    refund = _request(world, order, number, pick, amount, reason, returns_goods)
    world.tell(What.REFUND_REQUESTED, order.shop, refund)
    return refund


def agree_return(world: World, refund: Refund, version: int) -> Refund:
    """The shop lets the buyer send the goods back. TradeRefusal when it is too late or the version is old."""
    _guard(refund, version, (RefundStatus.REQUESTED,))
    return _turn(world, refund, What.REFUND_RETURN_AGREED, RefundStatus.AWAITING_RETURN, agreed_at=world.clock.now())


def send_back(
    world: World,
    refund: Refund,
    pick: Random | None = None,
    parcel: Parcel = Parcel.NORMAL,
    transit_s: float | None = None,
) -> Refund:
    """The buyer gives the parcel to a carrier and tells the shop its number."""
    pick = pick or Random(f"{world.settings.seed}:parcel:{refund.id}")
    if parcel is Parcel.NONE:
        return refund
    express_id = pick.choice(sorted(EXPRESS))
    waybill = world.waybills.put(
        Waybill(
            id=f"{'SF' if express_id == 7 else 'R'}{int(world.token('waybill', refund.id)[:14], 16) % 10**13:013d}",
            shop=refund.shop,
            refund_id=refund.id,
            express_id=express_id,
            express_name=EXPRESS[express_id],
            shipped_at=world.clock.now(),
            transit_s=world.settings.transit_s if transit_s is None else transit_s,
            fate=parcel,
        )
    )
    return _turn(
        world, refund, What.REFUND_RETURNED, RefundStatus.RETURNED, waybill=waybill.id, returned_at=world.clock.now()
    )


def pay_back(world: World, refund: Refund, version: int) -> Refund:
    """The shop agrees and the money goes back: once. TradeRefusal for a repeat or an old version."""
    _guard(refund, version, (RefundStatus.REQUESTED, RefundStatus.RETURNED))
    now = world.clock.now()
    order = world.orders.get(refund.tid)
    if order is not None:
        refunded = order.refunded_minor + refund.amount_minor
        whole = refunded >= order.paid_minor
        status = OrderStatus.CLOSED if whole else order.status
        order = world.orders.change(order, refunded_minor=refunded, updated_at=now, status=status)
    refund = _turn(world, refund, What.REFUND_REFUNDED, RefundStatus.REFUNDED, succeeded_at=now)
    if order is not None and order.status is OrderStatus.CLOSED:
        world.tell(What.ORDER_CLOSED, order.shop, order)
    return refund


def refuse(world: World, refund: Refund, version: int, remark: str) -> Refund:
    """The shop says no. TradeRefusal when the refund is past that or the version is old."""
    _guard(refund, version, (RefundStatus.REQUESTED, RefundStatus.RETURNED))
    goods = refund.status is RefundStatus.RETURNED
    return _turn(
        world,
        refund,
        What.REFUND_REFUSED,
        RefundStatus.RETURN_REFUSED if goods else RefundStatus.REFUSED,
        remark=remark,
    )


def withdraw(world: World, refund: Refund) -> Refund:
    """The buyer takes the request back. TradeRefusal once it is over."""
    _guard(refund, refund.version, (RefundStatus.REQUESTED, RefundStatus.AWAITING_RETURN, RefundStatus.RETURNED))
    return _turn(world, refund, What.REFUND_CLOSED, RefundStatus.CLOSED)


def _request(
    world: World, order: Order, number: int, pick: Random, amount_minor: int, reason: str | None, returns_goods: bool
) -> Refund:
    reasons = REASONS_RETURN if returns_goods else REASONS_ONLY_MONEY
    code = pick.choice(sorted(reasons))
    now = world.clock.now()
    return world.refunds.put(
        Refund(
            id=f"{now.astimezone(seeding.CHINA):%Y%m%d%H%M%S}{number:010d}",
            shop=order.shop,
            tid=order.id,
            oid=order.lines[0].oid,
            customer_id=order.customer_id,
            amount_minor=amount_minor,
            reason=code,
            reason_text=reason or reasons[code],
            returns_goods=returns_goods,
            status=RefundStatus.REQUESTED,
            version=_next_version(now, 0),
            created_at=now,
            modified_at=now,
        )
    )


def _guard(refund: Refund, version: int, allowed: tuple[RefundStatus, ...]) -> None:
    if refund.status not in allowed:
        raise TradeRefusal(STALE_STATUS)
    if version != refund.version:
        raise TradeRefusal(STALE_VERSION)


def _turn(world: World, refund: Refund, what: What, status: RefundStatus, **values: object) -> Refund:
    now = world.clock.now()
    refund = world.refunds.change(
        refund, status=status, modified_at=now, version=_next_version(now, refund.version), **values
    )
    world.tell(what, refund.shop, refund)
    return refund


def _next_version(now: datetime, version: int) -> int:
    return max(int(now.timestamp() * 1000), version + 1)
