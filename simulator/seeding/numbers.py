"""Numbers and names as the platforms write them, following from the seed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.world import World

CHINA = timezone(timedelta(hours=8))
LIVE_NUMBERS = 9 * 10**8
"""Orders made while the simulator runs are numbered from here; seeded ones stay below."""


def secret(world: World, *parts: object) -> str:
    """A credential of a demo account, 32 hex characters, following from the seed."""
    return world.token("secret", *parts)[:32]


def order_number(created: datetime, number: int, platform: str = "youzan") -> str:
    """An order number in a platform's form; `number` has up to 9 digits and is unique on the platform."""
    at = created.astimezone(CHINA)
    match platform:
        case "youzan":
            return f"E{at:%Y%m%d%H%M%S}{number:09d}"
        case "taobao":
            return f"2{at:%y%m%d}{number:012d}"
        case "jd":
            return f"{280_000_000_000 + number}"
        case "pinduoduo":
            return f"{at:%y%m%d}-{number:015d}"
        case "douyin":
            return f"69{at:%y%m%d}{number:011d}"
        case "wechat_store":
            return f"37{at:%y%m%d}{number:011d}"
        case "meituan":
            return f"30{at:%y%m%d}{number:010d}"
        case "eleme":
            return f"50{at:%y%m%d}{number:011d}"
        case _:
            return f"{platform[:3].upper()}{at:%Y%m%d}{number:09d}"


def buyer_number(world: World, platform: str, customer: int, turn: int) -> str:
    """What a platform calls a buyer: open uid, pin, open id … `turn` tells a person's accounts apart."""
    digest = world.token("buyer", platform, customer, turn)
    match platform:
        case "youzan":
            return digest[:8] + f"{700000000000000000 + customer * 10 + turn}"
        case "taobao":
            return "AAH" + digest[:25]
        case "jd":
            return "jd_" + digest[:12]
        case "pinduoduo":
            return "pdd" + digest[:20]
        case "douyin":
            return "1@#" + digest[:30]
        case "wechat_store":
            return "o" + world.token("open", "demo-wechat-store", f"c{customer:06d}")[:27]
        case "meituan" | "eleme":
            return f"{2_000_000_000 + customer * 10 + turn}"
        case _:
            return digest[:24]
