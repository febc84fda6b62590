"""Which platforms there are: the one place to add a module to."""

from __future__ import annotations

from simulator.platforms.base import Platform
from simulator.platforms.wecom import WeCom
from simulator.platforms.youzan import Youzan
from simulator.world import World


def all_platforms(world: World) -> dict[str, Platform]:
    """One of each, by name."""
    platforms: tuple[Platform, ...] = (Youzan(world), WeCom(world))
    return {platform.name: platform for platform in platforms}
