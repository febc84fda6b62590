"""A refund now and then, so that there is something to see."""

from __future__ import annotations

import asyncio

from simulator.trade import open_refund
from simulator.world import World

SHOP = "demo-apparel"


async def trickle(world: World) -> None:
    """Opens a refund every `trickle_s` seconds until cancelled; its platform pushes it."""
    while world.settings.trickle_s:
        await asyncio.sleep(world.settings.trickle_s)
        open_refund(world, SHOP)
