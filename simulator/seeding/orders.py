"""What people bought, before the simulator started."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

from simulator.entities import Buyer, Goods, Order, OrderLine, OrderStatus
from simulator.seeding.numbers import order_number
from simulator.seeding.shops import SHOP_NUMBERS, SHOPS, ShopSeed

if TYPE_CHECKING:
    from simulator.world import World


def seed_orders(world: World) -> None:
    """A few orders of each buyer in each shop of the platform."""
    for shop in SHOPS:
        if shop.articles:
            for number, buyer in enumerate(world.buyers.having(platform=shop.platform)):
                _history(world, shop, buyer, number)


def pick_line(world: World, pick: Random, shop: str, tid: str, amount_minor: int | None = None) -> OrderLine:
    """One article of a shop; of exactly `amount_minor` when given."""
    return line_of(pick.choice(_on_sale(world, shop)), tid, 0, 1, amount_minor)


def line_of(goods: Goods, tid: str, place: int, count: int, price_minor: int | None = None) -> OrderLine:
    """A line of an order; its number follows from the order's and its place."""
    return OrderLine(
        oid=f"28{int(sha256(f'{tid}:{place}'.encode()).hexdigest()[:15], 16) % 10**17:017d}",
        item_id=goods.item_id,
        sku_id=goods.sku_id,
        title=goods.title,
        sku=goods.sku,
        category=goods.category,
        count=count,
        price_minor=goods.price_minor if price_minor is None else price_minor,
    )


def _on_sale(world: World, shop: str) -> list[Goods]:
    goods = world.goods.having(shop=shop)
    if not goods:
        raise LookupError(f"shop {shop!r} sells nothing")
    return goods


def _history(world: World, shop: ShopSeed, buyer: Buyer, number: int) -> None:
    pick = Random(f"{world.settings.seed}:history:{shop.slug}:{number}")
    for turn in range(pick.choice((0, 1, 1, 2, 3))):
        created = world.epoch - timedelta(days=pick.randint(1, 85), seconds=pick.randint(0, 86_399))
        tid = order_number(created, SHOP_NUMBERS[shop.slug] * 10**7 + number * 10 + turn, shop.platform)
        done = world.epoch - created > timedelta(days=10)
        world.orders.seed(
            Order(
                id=tid,
                shop=shop.slug,
                customer_id=buyer.customer_id,
                buyer=buyer.id,
                lines=(pick_line(world, pick, shop.slug, tid),),
                postage_minor=pick.choice((0, 0, 800)),
                status=OrderStatus.COMPLETED if done else OrderStatus.SHIPPED,
                created_at=created,
                updated_at=created + timedelta(days=8 if done else 1),
                paid_at=created + timedelta(minutes=2),
                shipped_at=created + timedelta(days=1),
                finished_at=created + timedelta(days=8) if done else None,
                waybill="7" + world.token("out", tid, turn)[:4].upper() + f"{number:08d}",
                phone=buyer.phone,
                dining="takeaway" if shop.platform in ("meituan", "eleme") else "",
            )
        )
