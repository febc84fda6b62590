"""Why a payee is given another sum than was booked for the same days before, and as what the difference is booked."""

from collections.abc import Mapping
from typing import Literal

from domain.problems import Text

Books = Literal["commission", "adjustment", "clawback"]
BOOKS: Mapping[Books, Text] = {
    "commission": Text("收入", "commission"),
    "adjustment": Text("往期调整", "adjustment"),
    "clawback": Text("扣回", "clawback"),
}
"""As what a difference is booked."""
Reason = Literal["first", "counted", "standing", "version", "rates", "scores"]
REASONS: Mapping[Reason, Text] = {
    "first": Text("该账期首次记账", "nothing was booked for the period before"),
    "counted": Text("计入的订单、退款、次数或下级收入不同", "other orders, refunds, deeds or earnings below count"),
    "standing": Text("角色、上级或是否在册不同", "another role, other uplines, or present and not so before"),
    "version": Text("方案版本不同", "another version of the scheme"),
    "rates": Text("期末汇率不同", "other rates of the last day"),
    "scores": Text("考核分不同", "other scores"),
}
"""What may be why a sum is another one; `scores` where it is nothing of the rest."""


def reasons_of(*, is_first: bool, counted: bool, standing: bool, version: bool, rates: bool) -> tuple[Reason, ...]:
    """Of a sum that is another one: what else is not as it was before. is_first: there was nothing before."""
    if is_first:
        return ("first",)
    told: Mapping[Reason, bool] = {"counted": counted, "standing": standing, "version": version, "rates": rates}
    return tuple(reason for reason, holds in told.items() if holds) or ("scores",)
