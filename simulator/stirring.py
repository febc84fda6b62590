"""Life going on while somebody reads: what makes a page shift."""

from __future__ import annotations

from simulator import trade
from simulator.entities import OrderStatus
from simulator.world import World

MOVES = {OrderStatus.UNPAID: trade.pay, OrderStatus.PAID: trade.ship, OrderStatus.SHIPPED: trade.complete}


def sells(world: World, account: str) -> bool:
    """Whether an account has goods, so that orders can be placed there."""
    return bool(world.goods.having(shop=account))


def stir(world: World, shop: str, times: int = 1) -> None:
    """Places an order in a shop and moves another one on, so many times."""
    for _ in range(times):
        moving = [order for order in world.orders.having(shop=shop) if order.status in MOVES]
        if moving:
            oldest = min(moving, key=lambda order: (order.updated_at, order.id))
            MOVES[oldest.status](world, oldest)
        trade.pay(world, trade.place_order(world, shop))
