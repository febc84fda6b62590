"""What happened before now, one happening after the other, with every row as it was at that moment."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import NamedTuple

from simulator.entities import Coupon, Order, OrderStatus, Refund, RefundStatus, Row
from simulator.happenings import Happening, What
from simulator.world import World

_RANK = {what: place for place, what in enumerate(What)}


class Past(NamedTuple):
    """A happening that has not been told yet: small, because there are hundreds of thousands."""

    at: datetime
    rank: int
    row_id: str
    what: What


def past(world: World, since: datetime, until: datetime, accounts: Collection[str]) -> list[Past]:
    """All happenings of those accounts in [since, until), oldest first."""
    found = [
        Past(at, _RANK[what], row_id, what)
        for account, at, what, row_id in _everything(world)
        if at is not None and since <= at < until and account in accounts
    ]
    found.sort()
    return found


def happening(world: World, told: Past) -> Happening | None:
    """The happening with its row as it was; None when the world has forgotten the row."""
    if told.what.startswith("order."):
        order = world.orders.get(told.row_id)
        return Happening(told.what, order.shop, order_at(world, order, told.at), told.at) if order else None
    if told.what.startswith("refund."):
        refund = world.refunds.get(told.row_id)
        return Happening(told.what, refund.shop, refund_at(refund, told.at), told.at) if refund else None
    row, account = _other(world, told)
    return Happening(told.what, account, row, told.at) if row is not None else None


def order_at(world: World, order: Order, at: datetime) -> Order:
    """An order as it was at a moment not before it was placed."""
    paid, shipped, finished = (
        moment if moment is not None and moment <= at else None
        for moment in (order.paid_at, order.shipped_at, order.finished_at)
    )
    back = [
        row for row in world.refunds.having(tid=order.id) if row.succeeded_at is not None and row.succeeded_at <= at
    ]
    refunded = sum(row.amount_minor for row in back)
    if (finished and order.paid_at is None) or (refunded and refunded >= order.paid_minor):
        status = OrderStatus.CLOSED
    elif finished:
        status = OrderStatus.COMPLETED
    elif shipped:
        status = OrderStatus.SHIPPED
    else:
        status = OrderStatus.PAID if paid else OrderStatus.UNPAID
    moments = (paid, shipped, finished, *(row.succeeded_at for row in back))
    return order.replaced(
        status=status,
        paid_at=paid,
        shipped_at=shipped,
        finished_at=finished,
        waybill=order.waybill if shipped else None,
        refunded_minor=refunded,
        updated_at=max((moment for moment in moments if moment), default=order.created_at),
    )


def refund_at(refund: Refund, at: datetime) -> Refund:
    """A refund as it was at a moment not before it was asked for."""
    if refund.modified_at <= at:
        return refund
    agreed, returned = (
        moment if moment is not None and moment <= at else None for moment in (refund.agreed_at, refund.returned_at)
    )
    waiting = RefundStatus.AWAITING_RETURN if agreed else RefundStatus.REQUESTED
    modified = returned or agreed or refund.created_at
    return refund.replaced(
        status=RefundStatus.RETURNED if returned else waiting,
        agreed_at=agreed,
        returned_at=returned,
        succeeded_at=None,
        modified_at=modified,
        version=int(modified.timestamp() * 1000),
        waybill=refund.waybill if returned else None,
    )


_OVER = {
    RefundStatus.REFUNDED: What.REFUND_REFUNDED,
    RefundStatus.REFUSED: What.REFUND_REFUSED,
    RefundStatus.RETURN_REFUSED: What.REFUND_REFUSED,
    RefundStatus.CLOSED: What.REFUND_CLOSED,
}
_SPENT = {"used": What.COUPON_USED, "expired": What.COUPON_EXPIRED}


def _everything(world: World) -> Iterator[tuple[str, datetime | None, What, str]]:
    for order in world.orders:
        yield order.shop, order.created_at, What.ORDER_CREATED, order.id
        yield order.shop, order.paid_at, What.ORDER_PAID, order.id
        yield order.shop, order.shipped_at, What.ORDER_SHIPPED, order.id
        ended = What.ORDER_COMPLETED if order.paid_at else What.ORDER_CLOSED
        yield order.shop, order.finished_at, ended, order.id
        if order.status is OrderStatus.CLOSED and order.paid_at:
            yield order.shop, order.updated_at, What.ORDER_CLOSED, order.id
    for refund in world.refunds:
        yield refund.shop, refund.created_at, What.REFUND_REQUESTED, refund.id
        yield refund.shop, refund.agreed_at, What.REFUND_RETURN_AGREED, refund.id
        yield refund.shop, refund.returned_at, What.REFUND_RETURNED, refund.id
        if refund.status in _OVER:
            yield refund.shop, refund.modified_at, _OVER[refund.status], refund.id
    for coupon in world.coupons:
        yield coupon.shop, coupon.taken_at, What.COUPON_TAKEN, coupon.id
        if coupon.state in _SPENT:
            yield coupon.shop, coupon.updated_at, _SPENT[coupon.state], coupon.id
    for contact in world.contacts:
        yield contact.corp, contact.created_at, What.CONTACT_ADDED, contact.id
    for follower in world.followers:
        yield follower.account, follower.followed_at, What.FOLLOWED, follower.id
    for scan in world.scans:
        yield scan.account, scan.scanned_at, What.SCANNED, scan.id
    for chat in world.chats:
        yield chat.account, chat.sent_at, What.CHATTED, chat.id
    for cart in world.carts:
        yield cart.shop, cart.created_at, What.CART_FILLED, cart.id
    for visit in world.visits:
        yield visit.account, visit.at, What.VISITED, visit.id


def _other(world: World, told: Past) -> tuple[Row | None, str]:
    match told.what:
        case What.COUPON_TAKEN | What.COUPON_USED | What.COUPON_EXPIRED:
            coupon = world.coupons.get(told.row_id)
            return (_coupon_at(coupon, told.at), coupon.shop) if coupon else (None, "")
        case What.CONTACT_ADDED:
            contact = world.contacts.get(told.row_id)
            return contact, contact.corp if contact else ""
        case What.CART_FILLED:
            cart = world.carts.get(told.row_id)
            return (cart.replaced(state="open", updated_at=told.at), cart.shop) if cart else (None, "")
        case What.FOLLOWED:
            follower = world.followers.get(told.row_id)
            return follower, follower.account if follower else ""
        case What.SCANNED:
            scan = world.scans.get(told.row_id)
            return scan, scan.account if scan else ""
        case What.CHATTED:
            chat = world.chats.get(told.row_id)
            return chat, chat.account if chat else ""
        case _:
            visit = world.visits.get(told.row_id)
            return visit, visit.account if visit else ""


def _coupon_at(coupon: Coupon, at: datetime) -> Coupon:
    if coupon.state == "taken" or at >= coupon.updated_at:
        return coupon
    return coupon.replaced(state="taken", updated_at=coupon.taken_at, order_id="")
