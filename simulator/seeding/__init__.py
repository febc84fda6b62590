"""The seeded world: its shops, who lives there and what they did. Same seed, same world."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.seeding.interactions import seed_interactions
from simulator.seeding.lines import line_of, pick_line
from simulator.seeding.numbers import CHINA, LIVE_NUMBERS, order_number, secret
from simulator.seeding.orders import seed_orders
from simulator.seeding.people import buyer_of, seed_people
from simulator.seeding.shops import CORP, OFFICIAL_ACCOUNT, SITE, seed_shops

if TYPE_CHECKING:
    from simulator.world import World

__all__ = [
    "CHINA",
    "CORP",
    "LIVE_NUMBERS",
    "OFFICIAL_ACCOUNT",
    "SITE",
    "buyer_of",
    "line_of",
    "order_number",
    "pick_line",
    "secret",
    "seed_world",
]


def seed_world(world: World) -> None:
    """Fills an empty world; nothing here is written to the journal."""
    seed_shops(world)
    seed_people(world)
    if world.settings.years:
        seed_orders(world)
        seed_interactions(world)
