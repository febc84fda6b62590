"""A refund now and then, so that there is something to see."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from simulator.platforms.base import Platform
from simulator.pushing import Pusher, QueueFull
from simulator.trade import open_refund
from simulator.world import World

log = logging.getLogger(__name__)

SHOP = "demo-apparel"
CREATED = "trade_refund_BuyerCreated"


async def trickle(world: World, platforms: Mapping[str, Platform], pusher: Pusher) -> None:
    """Opens and pushes a refund every `trickle_s` seconds until cancelled."""
    while world.settings.trickle_s:
        await asyncio.sleep(world.settings.trickle_s)
        refund = open_refund(world, SHOP)
        try:
            pusher.submit(platforms["youzan"].event(SHOP, CREATED, {"refund_id": refund.id}))
        except QueueFull:
            log.warning("refund %s made but not pushed: the push queue is full", refund.id)
