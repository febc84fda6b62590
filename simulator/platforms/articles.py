"""A shop's articles, for platforms that list them whole: the world keeps a row per variant."""

from __future__ import annotations

from simulator.entities import Goods, Shop
from simulator.world import World


def articles(world: World, shop: Shop) -> list[list[Goods]]:
    """The variants of each article of a shop, by the article's number."""
    found: dict[str, list[Goods]] = {}
    for row in world.goods.having(shop=shop.id):
        found.setdefault(row.item_id, []).append(row)
    return [found[number] for number in sorted(found)]


def code_of(world: World, shop: str, sku_id: str) -> str:
    """What the merchant's own systems call a variant; empty for one the world does not know."""
    row = world.goods.get(f"{shop}/{sku_id}")
    return row.code if row else ""
