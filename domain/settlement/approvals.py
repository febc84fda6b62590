"""How many people have to approve a settlement or a payout, and up to which sum each of them may."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

from domain.access import ROLE_PERMISSIONS, Actor, Permission, Role
from domain.money import HOME_CURRENCY
from domain.problems import AuthorizationProblem, ConflictProblem, Text


class ApprovalStep(BaseModel):
    """From which sum on, in minor units, so many people have to approve."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    above_minor: int = Field(default=0, ge=0)
    approvals: int = Field(default=1, ge=1, le=10)


class ApprovalPolicy(BaseModel):
    """The steps, each above the one before, the first from nothing on; and the most that a role may approve.

    limits_minor: roles that are not named have no limit. Whoever asked for something never counts. All sums are of
    yuan, and nothing in another currency is compared with them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Sequence[ApprovalStep] = (ApprovalStep(), ApprovalStep(above_minor=100_000_000, approvals=2))
    limits_minor: Mapping[Role, NonNegativeInt] = Field(default={})

    @model_validator(mode="after")
    def _rising(self) -> "ApprovalPolicy":
        marks = [each.above_minor for each in self.steps]
        if not marks or marks[0] != 0 or marks != sorted(set(marks)):
            raise ValueError("第一档从 0 起，各档金额递增 · the first step is from 0 on, and the sums rise")
        if [each.approvals for each in self.steps] != sorted(each.approvals for each in self.steps):
            raise ValueError("金额越大，复核人不能越少 · more money never needs fewer people")
        return self

    @model_validator(mode="after")
    def _somebody_may(self) -> "ApprovalPolicy":
        approving = {role for role in Role if Permission.PAYOUTS_APPROVE in ROLE_PERMISSIONS[role]}
        if strangers := sorted(set(self.limits_minor) - approving):
            raise ValueError(f"{strangers} 不复核付款 · do not approve payouts")
        if approving <= set(self.limits_minor):
            raise ValueError("至少一个复核角色不设限额 · one of the approving roles has to be without a limit")
        return self

    def needed(self, amount_minor: int, currency: str) -> int:
        """How many people have to approve a sum. Raises ConflictProblem for another currency than the steps'."""
        _require_home(currency)
        return next(each.approvals for each in reversed(self.steps) if amount_minor >= each.above_minor)

    def require_within_limit(self, actor: Actor, amount_minor: int, currency: str) -> None:
        """Raises AuthorizationProblem when none of the person's roles may approve so much, ConflictProblem for another
        currency than the limits'."""
        _require_home(currency)
        approving = [role for role in actor.roles if Permission.PAYOUTS_APPROVE in ROLE_PERMISSIONS[role]]
        limits = [self.limits_minor[role] for role in approving if role in self.limits_minor]
        if len(limits) == len(approving) and amount_minor > max(limits, default=0):
            raise AuthorizationProblem(
                Text(
                    f"金额 {amount_minor}（最小货币单位）超过 {actor.login} 的复核限额 {max(limits, default=0)}，"
                    "请由限额更高的人复核",
                    f"{amount_minor} minor units are more than {actor.login} may approve, "
                    f"{max(limits, default=0)}: somebody with a higher limit has to",
                ),
                rule="approval-limit",
                limit_minor=max(limits, default=0),
            )


def _require_home(currency: str) -> None:
    if currency != HOME_CURRENCY:
        raise ConflictProblem(
            Text(
                f"复核档位与限额以 {HOME_CURRENCY} 计，{currency} 的结算与付款无从比较，不能复核；请改用 "
                f"{HOME_CURRENCY} 的方案",
                f"Approval steps and limits are in {HOME_CURRENCY}: what is settled or paid in {currency} cannot be "
                f"weighed by them, nor approved. Use a scheme in {HOME_CURRENCY}",
            ),
            currency=currency,
        )
