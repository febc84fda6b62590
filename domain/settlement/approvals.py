"""How many people have to approve a settlement, by what it comes to."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ApprovalStep(BaseModel):
    """From which sum on, in minor units, so many people have to approve."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    above_minor: int = Field(default=0, ge=0)
    approvals: int = Field(default=1, ge=1, le=10)


class ApprovalPolicy(BaseModel):
    """The steps, each above the one before; the first from nothing on. Whoever asked for a settlement never counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Sequence[ApprovalStep] = (ApprovalStep(), ApprovalStep(above_minor=100_000_000, approvals=2))

    @model_validator(mode="after")
    def _rising(self) -> "ApprovalPolicy":
        marks = [each.above_minor for each in self.steps]
        if not marks or marks[0] != 0 or marks != sorted(set(marks)):
            raise ValueError("第一档从 0 起，各档金额递增 · the first step is from 0 on, and the sums rise")
        if [each.approvals for each in self.steps] != sorted(each.approvals for each in self.steps):
            raise ValueError("金额越大，复核人不能越少 · more money never needs fewer people")
        return self

    def needed(self, amount_minor: int) -> int:
        """How many people have to approve a sum; what is taken back counts as what is paid."""
        return next(each.approvals for each in reversed(self.steps) if abs(amount_minor) >= each.above_minor)
