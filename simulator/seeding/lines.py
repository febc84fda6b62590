"""The articles of an order."""

from __future__ import annotations

from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

from simulator.entities import Goods, OrderLine

if TYPE_CHECKING:
    from simulator.world import World


def pick_line(world: World, pick: Random, shop: str, tid: str, amount_minor: int | None = None) -> OrderLine:
    """One article of a shop; of exactly `amount_minor` when given. LookupError for a shop that sells nothing."""
    goods = world.goods.having(shop=shop)
    if not goods:
        raise LookupError(f"shop {shop!r} sells nothing")
    return line_of(pick.choice(goods), tid, 0, 1, amount_minor)


def line_of(goods: Goods, tid: str, place: int, count: int, price_minor: int | None = None) -> OrderLine:
    """A line of an order; its number follows from the order's and its place."""
    return OrderLine(
        oid=f"28{int.from_bytes(sha256(f'{tid}:{place}'.encode()).digest()[:7], 'big') % 10**17:017d}",
        item_id=goods.item_id,
        sku_id=goods.sku_id,
        title=goods.title,
        sku=goods.sku,
        category=goods.category,
        count=count,
        price_minor=goods.price_minor if price_minor is None else price_minor,
    )
