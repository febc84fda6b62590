"""Transfers to WeChat users: waiting for the payee, done, failed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime

from simulator.entities import Row
from simulator.platforms.base import Json
from simulator.platforms.wechat_pay.refusals import Refused
from simulator.seeding import CHINA

FundAccount = Literal["BASIC", "OPERATION"]
SCENES = {
    "1000": {"活动名称", "奖励说明"},
    "1002": {"补贴类型"},
    "1004": {"保险产品备案编号", "保险名称", "保险操作单号"},
    "1005": {"岗位类型", "报酬说明"},
    "1010": {"回收商品名称"},
    "1011": {"赔付原因"},
}
"""What of each scene has to be told, all of it, each once, in at most 32 characters [O]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Row):
    """One transfer; `id` is merchant/out_bill_no. state: WAIT_USER_CONFIRM, then SUCCESS, FAIL or CANCELLED. paid_from:
    the merchant's account that its money leaves."""

    account: str
    out_bill_no: str
    transfer_bill_no: str
    openid: str
    amount_minor: int
    remark: str
    payee_name: str
    state: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    fail_reason: str = ""
    paid_from: FundAccount = "BASIC"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayingAccount(Row):
    """Which of its accounts a merchant pays new transfers from; `id` is the merchant. Without such a row that is the
    basic account."""

    name: FundAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class DayLimit(Row):
    """What a merchant may transfer on one day; `id` is the merchant. Without such a row there is no limit."""

    amount_minor: int


def require_within(limit: DayLimit | None, made: Iterable[Transfer], amount_minor: int, now: datetime) -> None:
    """Refuses what is more than the limit of a day leaves. made: the merchant's transfers, of whatever days."""
    today = now.astimezone(CHINA).date()
    taken = sum(
        each.amount_minor
        for each in made
        if each.created_at.astimezone(CHINA).date() == today and each.state not in ("FAIL", "CANCELLED")
    )
    if limit is not None and taken + amount_minor > limit.amount_minor:
        raise Refused(429, "QUOTA_EXCEED", "超出商户单日转账额度", of_caller=True)


def require_reports(scene: Any, told: Any) -> None:
    """Refuses a transfer that does not tell what its scene wants."""
    if not isinstance(scene, str) or not scene:
        raise Refused(400, "PARAM_ERROR", "transfer_scene_id 必填")
    if not isinstance(told, list) or not told:
        raise Refused(400, "PARAM_ERROR", "需传入转账场景报备信息，请检查")
    infos = [
        (each.get("info_type"), each.get("info_content")) if isinstance(each, dict) else (None, None) for each in told
    ]
    types = [kind for kind, _ in infos]
    lengths = [len(content) if isinstance(content, str) else 0 for _, content in infos]
    if (scene in SCENES and (set(types) != SCENES[scene] or len(types) != len(SCENES[scene]))) or not all(
        1 <= length <= 32 for length in lengths
    ):
        raise Refused(400, "PARAM_ERROR", "未传入完整且对应的转账场景报备信息，请根据接口文档检查")


def shown(row: Transfer) -> Json:
    """A transfer as the platform tells of it."""
    return {
        "out_bill_no": row.out_bill_no,
        "transfer_bill_no": row.transfer_bill_no,
        "state": row.state,
        "transfer_amount": row.amount_minor,
        "transfer_remark": row.remark,
        "openid": row.openid,
        "create_time": instant(row.created_at),
        "update_time": instant(row.updated_at),
        **({"fail_reason": row.fail_reason} if row.fail_reason else {}),
    }


def instant(at: datetime) -> str:
    """A time as the platform writes it."""
    return at.astimezone(CHINA).isoformat(timespec="seconds")
