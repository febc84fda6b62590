"""Parcels and how far they are."""

from __future__ import annotations

from datetime import datetime, timedelta

from simulator.entities import Parcel, Waybill
from simulator.world import World

EXPRESS = {1: "申通快递", 2: "圆通速递", 4: "中通快递", 7: "顺丰速运", 138: "京东快递"}


def trace(world: World, waybill: Waybill) -> list[tuple[datetime, str]]:
    """The parcel's stations so far, oldest first; ends with the signature once it has arrived."""
    receiver = "仓库收货处" if waybill.refund_id else "本人"
    steps = (
        (0.0, f"【{waybill.express_name}】已揽收"),
        (0.3, "离开始发分拨中心"),
        (0.6, "到达目的地分拨中心"),
        (0.85, "正在派件"),
        (1.0, f"已签收，签收人：{receiver}"),
    )
    last = {Parcel.STUCK: 0.7, Parcel.LOST: 0.3}.get(waybill.fate, 1.0)
    now = world.clock.now()
    stations = []
    for share, text in steps:
        at = waybill.shipped_at + timedelta(seconds=share * waybill.transit_s)
        if waybill.fate is Parcel.SIGNED:
            stations.append((min(at, now), text))
        elif share <= last and at <= now:
            stations.append((at, text))
    return stations


def has_arrived(world: World, waybill: Waybill) -> bool:
    """Whether the parcel was signed for."""
    return len(trace(world, waybill)) == 5
