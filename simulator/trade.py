"""What happens to orders and refunds in the world, whatever platform shows them.

A refund of goods goes: asked for → the shop agrees to the return → the buyer sends a parcel → the shop
confirms and pays back. `open_refund` can start at any of the first three.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

from simulator import seeding
from simulator.entities import Customer, Order, OrderStatus, Parcel, Refund, RefundStatus, Waybill
from simulator.world import World

REASONS_ONLY_MONEY = {15: "商家发错货", 16: "商品破损/少件", 12: "拍错/多拍/不喜欢", 17: "其他"}
REASONS_RETURN = {101: "商品破损/少件", 103: "商品描述不符", 104: "拍错/多拍/不喜欢", 105: "质量问题", 107: "其他"}
EXPRESS = {1: "申通快递", 2: "圆通速递", 4: "中通快递", 7: "顺丰速运", 138: "京东快递"}


class Stage(StrEnum):
    """How far a new refund already is."""

    ASKED = "asked"
    RETURNING = "returning"


class TradeRefusal(Exception):
    """The world refuses a step; `why` is one of the constants below."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


STALE_STATUS = "stale_status"
STALE_VERSION = "stale_version"


def open_refund(
    world: World,
    shop: str,
    *,
    amount_minor: int | None = None,
    reason: str | None = None,
    customer_id: str | None = None,
    returns_goods: bool = True,
    stage: Stage = Stage.RETURNING,
    parcel: Parcel = Parcel.NORMAL,
    transit_s: float | None = None,
) -> Refund:
    """A customer's paid order with a refund request for all of it. LookupError for an unknown shop or customer."""
    if world.shops.get(shop) is None:
        raise LookupError(f"no shop {shop!r}")
    number = world.next("refund")
    pick = Random(f"{world.settings.seed}:refund:{number}")
    customer = _buyer(world, pick, customer_id)
    now = world.clock.now()
    order = _paid_order(world, pick, shop, customer, number, amount_minor, now)
    reasons = REASONS_RETURN if returns_goods else REASONS_ONLY_MONEY
    code = pick.choice(sorted(reasons))
    refund = world.refunds.put(
        Refund(
            id=f"{now.astimezone(seeding.CHINA):%Y%m%d%H%M%S}{number:010d}",
            shop=shop,
            tid=order.id,
            oid=order.lines[0].oid,
            customer_id=customer.id,
            amount_minor=order.paid_minor,
            reason=code,
            reason_text=reason or reasons[code],
            returns_goods=returns_goods,
            status=RefundStatus.WAIT_SELLER,
            version=_next_version(now, 0),
            created_at=now,
            modified_at=now,
        )
    )
    if returns_goods and stage is Stage.RETURNING:
        refund = send_back(world, agree_return(world, refund, refund.version), pick, parcel, transit_s)
    return refund


def agree_return(world: World, refund: Refund, version: int) -> Refund:
    """The shop lets the buyer send the goods back. TradeRefusal when it is too late or the version is old."""
    _guard(refund, version, (RefundStatus.WAIT_SELLER,))
    return _turn(world, refund, RefundStatus.WAIT_RETURN)


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
    return _turn(world, refund, RefundStatus.WAIT_GOODS, waybill=waybill.id)


def pay_back(world: World, refund: Refund, version: int) -> Refund:
    """The shop agrees and the money goes back: once. TradeRefusal for a repeat or an old version."""
    _guard(refund, version, (RefundStatus.WAIT_SELLER, RefundStatus.WAIT_GOODS))
    now = world.clock.now()
    order = world.orders.get(refund.tid)
    if order is not None:
        refunded = order.refunded_minor + refund.amount_minor
        world.orders.change(
            order,
            refunded_minor=refunded,
            updated_at=now,
            status=OrderStatus.CLOSED if refunded >= order.paid_minor else order.status,
        )
    return _turn(world, refund, RefundStatus.SUCCESS, succeeded_at=now)


def refuse(world: World, refund: Refund, version: int, remark: str) -> Refund:
    """The shop says no. TradeRefusal when the refund is past that or the version is old."""
    _guard(refund, version, (RefundStatus.WAIT_SELLER, RefundStatus.WAIT_GOODS))
    goods = refund.status is RefundStatus.WAIT_GOODS
    return _turn(world, refund, RefundStatus.GOODS_REFUSED if goods else RefundStatus.REFUSED, remark=remark)


def withdraw(world: World, refund: Refund) -> Refund:
    """The buyer takes the request back. TradeRefusal once it is over."""
    _guard(refund, refund.version, (RefundStatus.WAIT_SELLER, RefundStatus.WAIT_RETURN, RefundStatus.WAIT_GOODS))
    return _turn(world, refund, RefundStatus.CLOSED)


def trace(world: World, waybill: Waybill) -> list[tuple[datetime, str]]:
    """The parcel's stations so far, oldest first; ends with the signature once it has arrived."""
    steps = (
        (0.0, f"【{waybill.express_name}】已揽收"),
        (0.3, "离开始发分拨中心"),
        (0.6, "到达目的地分拨中心"),
        (0.85, "正在派件"),
        (1.0, "已签收，签收人：仓库收货处"),
    )
    last = {Parcel.STUCK: 0.7, Parcel.LOST: 0.3}.get(waybill.fate, 1.0)
    now = world.clock.now()
    stations = []
    for share, text in steps:
        at = waybill.shipped_at + timedelta(seconds=share * waybill.transit_s)
        if waybill.fate is Parcel.SIGNED:
            stations.append((min(at, now), text))
        elif share <= last and at <= now:
            stations.append((at, text))
    return stations


def has_arrived(world: World, waybill: Waybill) -> bool:
    """Whether the parcel was signed for."""
    return len(trace(world, waybill)) == 5


def _guard(refund: Refund, version: int, allowed: tuple[RefundStatus, ...]) -> None:
    if refund.status not in allowed:
        raise TradeRefusal(STALE_STATUS)
    if version != refund.version:
        raise TradeRefusal(STALE_VERSION)


def _turn(world: World, refund: Refund, status: RefundStatus, **values: object) -> Refund:
    now = world.clock.now()
    return world.refunds.change(
        refund, status=status, modified_at=now, version=_next_version(now, refund.version), **values
    )


def _next_version(now: datetime, version: int) -> int:
    return max(int(now.timestamp() * 1000), version + 1)


def _buyer(world: World, pick: Random, customer_id: str | None) -> Customer:
    if customer_id is not None:
        customer = world.customers.get(customer_id)
        if customer is None:
            raise LookupError(f"no customer {customer_id!r}")
        return customer
    # Known in chat, so that telling the customer has somewhere to go; strangers are asked for by id.
    known = [customer for customer in world.customers if customer.external_userid is not None]
    return pick.choice(known)


def _paid_order(
    world: World, pick: Random, shop: str, customer: Customer, number: int, amount_minor: int | None, now: datetime
) -> Order:
    created = now - timedelta(days=pick.randint(3, 12), seconds=pick.randint(0, 3599))
    tid = seeding.order_number(created, 9 * 10**8 + number)
    return world.orders.put(
        Order(
            id=tid,
            shop=shop,
            customer_id=customer.id,
            lines=(seeding.pick_line(pick, shop, tid, amount_minor),),
            status=OrderStatus.SHIPPED,
            created_at=created,
            updated_at=now,
            paid_at=created + timedelta(minutes=1),
            shipped_at=created + timedelta(hours=20),
            waybill=f"78{number:011d}",
        )
    )
