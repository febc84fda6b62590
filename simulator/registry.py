"""Which platforms there are: the one place to add a module to."""

from __future__ import annotations

from simulator.platforms.base import PlatformBase
from simulator.platforms.douyin import Douyin
from simulator.platforms.eleme import Eleme
from simulator.platforms.erp import Erp
from simulator.platforms.jd import Jd
from simulator.platforms.meituan import Meituan
from simulator.platforms.official_account import OfficialAccount
from simulator.platforms.pinduoduo import Pinduoduo
from simulator.platforms.site import Site
from simulator.platforms.taobao import Taobao
from simulator.platforms.wechat_pay import WechatPay
from simulator.platforms.wechat_store import WechatStore
from simulator.platforms.wecom import WeCom
from simulator.platforms.youzan import Youzan
from simulator.world import World

PLATFORMS: tuple[type[PlatformBase], ...] = (
    Youzan,
    WeCom,
    Taobao,
    Jd,
    Pinduoduo,
    Douyin,
    OfficialAccount,
    WechatStore,
    WechatPay,
    Meituan,
    Eleme,
    Erp,
    Site,
)


def all_platforms(world: World) -> dict[str, PlatformBase]:
    """One of each, by name."""
    return {platform.name: platform(world) for platform in PLATFORMS}
