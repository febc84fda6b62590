"""The life of an order: placed, paid, shipped, received; or closed. Every step is told to who pushes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from simulator import seeding
from simulator.entities import Buyer, Customer, Goods, Order, OrderLine, OrderStatus, Waybill
from simulator.happenings import What
from simulator.trade.parcels import EXPRESS
from simulator.trade.refusal import STALE_STATUS, TradeRefusal
from simulator.world import World

TRIES = 1_000
"""How many people are drawn until one is known in chat; nine of ten are."""


def any_buyer(world: World, pick: Random, platform: str, customer_id: str | None) -> tuple[Customer, Buyer]:
    """The person asked for, or one who is known in chat, with their account on the platform. LookupError for no one."""
    if customer_id is not None:
        customer = world.customers.get(customer_id)
        if customer is None:
            raise LookupError(f"no customer {customer_id!r}")
        return customer, world.buyer(customer, platform)
    # Known in chat, so that telling the customer has somewhere to go; strangers are asked for by id.
    for _ in range(TRIES):
        chosen = world.customers.get(f"c{pick.randrange(world.settings.customers):06d}")
        if chosen is not None and chosen.external_userid is not None:
            return chosen, world.buyer(chosen, platform)
    raise LookupError("nobody is known in chat")


def place_order(
    world: World,
    shop: str,
    *,
    customer_id: str | None = None,
    sku_id: str | None = None,
    count: int = 1,
    beside: Sequence[str] = (),
    **more: Any,
) -> Order:
    """An unpaid order of now, its goods taken from stock. LookupError for an unknown shop, customer or sku.

    beside: further variants, one piece of each in a line of its own.
    more: further values of the order (`channel`, `video_id`, `parent_id`, `group_id`, `dining` …).
    """
    platform = world.platform_of(shop)
    number = world.next("order")
    pick = Random(f"{world.settings.seed}:order:{number}")
    customer, buyer = any_buyer(world, pick, platform, customer_id)
    now = world.clock.now()
    tid = seeding.order_number(now, seeding.LIVE_NUMBERS + 5 * 10**7 + number, platform)
    order = world.orders.put(
        Order(
            id=tid,
            shop=shop,
            customer_id=customer.id,
            buyer=buyer.id,
            lines=(
                _line(world, pick, shop, tid, sku_id, count),
                *(seeding.line_of(_goods(world, shop, each), tid, place, 1) for place, each in enumerate(beside, 1)),
            ),
            status=OrderStatus.UNPAID,
            created_at=now,
            updated_at=now,
            phone=buyer.phone,
            **more,
        )
    )
    for line in order.lines:
        change_stock(world, shop, line.sku_id, -line.count)
    world.tell(What.ORDER_CREATED, shop, order)
    return order


def pay(world: World, order: Order) -> Order:
    """The buyer pays. TradeRefusal when the order is past that."""
    now = _step(world, order, OrderStatus.UNPAID)
    return _turn(world, order, What.ORDER_PAID, status=OrderStatus.PAID, paid_at=now, updated_at=now)


def ship(world: World, order: Order, waybill: str = "", express_id: int = 7, transit_s: float | None = None) -> Order:
    """The shop hands the goods to a carrier, or to a messenger without a waybill. TradeRefusal unless it was paid."""
    now = _step(world, order, OrderStatus.PAID)
    if waybill:
        world.waybills.put(
            Waybill(
                id=waybill,
                shop=order.shop,
                tid=order.id,
                express_id=express_id,
                express_name=EXPRESS.get(express_id, "其他快递"),
                shipped_at=now,
                transit_s=world.settings.transit_s if transit_s is None else transit_s,
            )
        )
    return _turn(
        world, order, What.ORDER_SHIPPED, status=OrderStatus.SHIPPED, shipped_at=now, updated_at=now, waybill=waybill
    )


def complete(world: World, order: Order) -> Order:
    """The buyer has the goods. TradeRefusal unless they were shipped."""
    now = _step(world, order, OrderStatus.SHIPPED)
    return _turn(world, order, What.ORDER_COMPLETED, status=OrderStatus.COMPLETED, finished_at=now, updated_at=now)


def close(world: World, order: Order) -> Order:
    """Nobody paid: the order ends and its goods go back to stock. TradeRefusal when it was paid."""
    now = _step(world, order, OrderStatus.UNPAID)
    for line in order.lines:
        change_stock(world, order.shop, line.sku_id, line.count)
    return _turn(world, order, What.ORDER_CLOSED, status=OrderStatus.CLOSED, finished_at=now, updated_at=now)


def change_stock(world: World, shop: str, sku_id: str, by: int) -> Goods | None:
    """More or fewer pieces of a variant, never below none; None for a variant that is unknown."""
    goods = world.goods.get(f"{shop}/{sku_id}")
    if goods is None:
        return None
    return set_stock(world, goods, max(goods.stock + by, 0))


def set_stock(world: World, goods: Goods, stock: int) -> Goods:
    """So many pieces can be sold now."""
    goods = world.goods.change(goods, stock=stock, updated_at=world.clock.now())
    world.tell(What.STOCK_CHANGED, goods.shop, goods)
    return goods


def shipped_order(
    world: World, pick: Random, shop: str, customer_id: str | None, number: int, amount_minor: int | None
) -> Order:
    """An order of some days ago that has been paid and shipped; nobody is told. LookupError as `place_order`."""
    platform = world.platform_of(shop)
    customer, buyer = any_buyer(world, pick, platform, customer_id)
    now = world.clock.now()
    created = now - timedelta(days=pick.randint(3, 12), seconds=pick.randint(0, 3599))
    tid = seeding.order_number(created, seeding.LIVE_NUMBERS + number, platform)
    return world.orders.put(
        Order(
            id=tid,
            shop=shop,
            customer_id=customer.id,
            buyer=buyer.id,
            lines=(seeding.pick_line(world, pick, shop, tid, amount_minor),),
            status=OrderStatus.SHIPPED,
            created_at=created,
            updated_at=now,
            paid_at=created + timedelta(minutes=1),
            shipped_at=created + timedelta(hours=20),
            waybill=f"78{number:011d}",
            phone=buyer.phone,
        )
    )


def _line(world: World, pick: Random, shop: str, tid: str, sku_id: str | None, count: int) -> OrderLine:
    if sku_id is None:
        return seeding.pick_line(world, pick, shop, tid)
    return seeding.line_of(_goods(world, shop, sku_id), tid, 0, count)


def _goods(world: World, shop: str, sku_id: str) -> Goods:
    goods = world.goods.get(f"{shop}/{sku_id}")
    if goods is None:
        raise LookupError(f"no goods {sku_id!r} in {shop}")
    return goods


def _step(world: World, order: Order, wanted: OrderStatus) -> datetime:
    if order.status is not wanted:
        raise TradeRefusal(STALE_STATUS)
    # Later than the last change even when the clock stood still: platforms' versions are whole milliseconds.
    return max(world.clock.now(), order.updated_at + timedelta(milliseconds=1))


def _turn(world: World, order: Order, what: What, **values: object) -> Order:
    order = world.orders.change(order, **values)
    world.tell(what, order.shop, order)
    return order
