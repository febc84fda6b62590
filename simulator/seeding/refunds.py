"""Money that went back before the simulator started, or is about to."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from simulator.entities import Order, OrderStatus, Refund, RefundStatus, Waybill
from simulator.seeding.numbers import CHINA

if TYPE_CHECKING:
    from simulator.world import World

REFUNDED = 0.06
PARTLY, REFUSED, WITHDRAWN = 0.2, 0.08, 0.07
REASONS_ONLY_MONEY = {15: "商家发错货", 16: "商品破损/少件", 12: "拍错/多拍/不喜欢", 17: "其他"}
REASONS_RETURN = {101: "商品破损/少件", 103: "商品描述不符", 104: "拍错/多拍/不喜欢", 105: "质量问题", 107: "其他"}


def seed_refund(world: World, pick: Random, order: Order, number: int) -> Order:
    """Perhaps a refund of the order, as far as it is by now; the order as it is after that."""
    if order.paid_at is None or pick.random() >= REFUNDED:
        return order
    back = order.shipped_at is not None and pick.random() < 0.7 and not order.dining
    asked = _later(pick, order.finished_at or order.shipped_at or order.paid_at, 0.2, 72)
    agreed, returned = _later(pick, asked, 0.5, 24), None
    done = _later(pick, agreed, 0.5, 12)
    if back:
        returned = _later(pick, agreed, 4, 72)
        done = _later(pick, returned, 24, 96)
    if asked > world.epoch:
        return order
    status, at = _stage(pick, world.epoch, asked, agreed if back else None, returned, done)
    whole = len(order.lines) == 1 or pick.random() >= PARTLY
    amount = order.paid_minor if whole else min(order.lines[0].amount_minor, order.paid_minor)
    reasons = REASONS_RETURN if back else REASONS_ONLY_MONEY
    code = pick.choice(sorted(reasons))
    refund_id = f"{asked.astimezone(CHINA):%Y%m%d%H%M%S}{5 * 10**9 + number:010d}"
    sent = returned if status in (RefundStatus.RETURNED, RefundStatus.RETURN_REFUSED) else None
    world.refunds.seed(
        Refund(
            id=refund_id,
            shop=order.shop,
            tid=order.id,
            oid=order.lines[0].oid,
            customer_id=order.customer_id,
            amount_minor=amount,
            reason=code,
            reason_text=reasons[code],
            returns_goods=back,
            status=status,
            version=int(at.timestamp() * 1000),
            created_at=asked,
            modified_at=at,
            waybill=_parcel(world, order, refund_id, number, sent) if sent is not None else None,
            agreed_at=agreed if back and agreed <= at else None,
            returned_at=returned if returned and returned <= at else None,
            succeeded_at=at if status is RefundStatus.REFUNDED else None,
        )
    )
    if status is not RefundStatus.REFUNDED:
        return order
    over = OrderStatus.CLOSED if amount >= order.paid_minor else order.status
    return world.orders.seed(order.replaced(refunded_minor=amount, updated_at=at, status=over))


def _parcel(world: World, order: Order, refund_id: str, number: int, sent: datetime) -> str:
    """The waybill of goods that are on their way back or lie at the warehouse."""
    waybill = world.waybills.seed(
        Waybill(
            id=f"SF{2 * 10**12 + number:013d}",
            shop=order.shop,
            refund_id=refund_id,
            express_id=7,
            express_name="顺丰速运",
            shipped_at=sent,
            transit_s=3 * 86_400,
        )
    )
    return waybill.id


def _stage(
    pick: Random, epoch: datetime, asked: datetime, agreed: datetime | None, returned: datetime | None, done: datetime
) -> tuple[RefundStatus, datetime]:
    draw = pick.random()
    if draw < REFUSED + WITHDRAWN:
        refused = RefundStatus.RETURN_REFUSED if returned else RefundStatus.REFUSED
        done = done if draw < REFUSED else max(returned or asked, asked) + timedelta(hours=1)
        status = refused if draw < REFUSED else RefundStatus.CLOSED
    else:
        status = RefundStatus.REFUNDED
    if done <= epoch:
        return status, done
    if returned and returned <= epoch:
        return RefundStatus.RETURNED, returned
    if agreed and agreed <= epoch:
        return RefundStatus.AWAITING_RETURN, agreed
    return RefundStatus.REQUESTED, asked


def _later(pick: Random, at: datetime, least_h: float, most_h: float) -> datetime:
    return at + timedelta(seconds=int(pick.uniform(least_h, most_h) * 3600))
