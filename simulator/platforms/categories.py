"""The kinds of goods as platforms number them; their names are told by interfaces of their own."""

from __future__ import annotations

from hashlib import sha256

from simulator.entities import Shop
from simulator.world import World

TOP = "全部"
"""The kind that all others are kinds of."""


def number_of(category: str) -> int:
    """The number of a category, the same at every platform."""
    return 50_000_000 + int(sha256(category.encode()).hexdigest()[:6], 16)


def categories_of(world: World, shop: Shop) -> dict[int, str]:
    """The names of the categories that a shop's goods are of, by number."""
    return {number_of(row.category): row.category for row in world.goods.having(shop=shop.id)}
