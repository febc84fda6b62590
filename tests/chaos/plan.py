"""What shall become of each refund: who buys, what comes back, what people will decide."""

from dataclasses import dataclass
from random import Random
from typing import Any, Literal

Result = Literal["refunded", "refused", "withdrawn", "settled-elsewhere"]
Grade = Literal["A", "B", "C"]

APPROVAL_OVER_MINOR = 50_000
_GRADES: tuple[Grade, ...] = ("A", "A", "A", "A", "A", "B", "B", "B", "C")
_REJECTED = {"approved": False, "reason": "金额与订单不符"}


@dataclass(frozen=True)
class Plan:
    """One refund's story, unless the buyer changes their mind after `withdrawn_after_s`.

    travels_s: how long the parcel is under way; None when it was signed for already.
    """

    amount_minor: int
    returns_goods: bool
    known_in_chat: bool
    grade: Grade
    customer_agrees: bool
    finance_approves: bool
    travels_s: float | None
    withdrawn_after_s: float | None

    @property
    def result(self) -> Result:
        """How it ends when nobody withdraws."""
        if self.returns_goods and (self.grade == "C" or (self.grade == "B" and not self.customer_agrees)):
            return "refused"
        if self.amount_minor > APPROVAL_OVER_MINOR and not self.finance_approves:
            return "refused"
        return "refunded"

    def form(self, task: str) -> dict[str, Any]:
        """What a person fills in. Raises KeyError for a step that nobody planned."""
        negotiated: dict[str, Any] = {"decision": "refund" if self.customer_agrees else "refuse"}
        approved: dict[str, Any] = {"approved": True} if self.finance_approves else _REJECTED
        inspected: dict[str, Any] = {"grade": self.grade, "note": "吊牌完好" if self.grade == "A" else "有穿着痕迹"}
        return {
            "inspect": inspected,
            "inspectByLead": inspected,
            "settleWithCustomer": negotiated,
            "approve": approved,
            "approveByLead": approved,
        }[task]

    def mistaken_form(self, task: str) -> dict[str, Any] | None:
        """A form that must be refused, for the steps that have one."""
        mistakes: dict[str, dict[str, Any]] = {"inspect": {"grade": "D"}, "approve": {"approved": False}}
        return mistakes.get(task)


def plans(count: int, seed: int) -> list[Plan]:
    """As many stories, the same for the same seed; every kind occurs from thirty on."""
    return [_plan(Random(f"{seed}:{number}"), number) for number in range(count)]


def _plan(pick: Random, number: int) -> Plan:
    returns_goods = number % 5 != 0
    return Plan(
        amount_minor=pick.randrange(51_000, 250_000) if pick.random() < 0.45 else pick.randrange(900, 50_001),
        returns_goods=returns_goods,
        known_in_chat=number % 12 != 7,
        grade=pick.choice(_GRADES),
        customer_agrees=pick.random() < 0.6,
        finance_approves=pick.random() < 0.85,
        travels_s=pick.uniform(4, 12) if returns_goods and number % 3 == 1 else None,
        withdrawn_after_s=pick.uniform(2, 60) if number % 9 == 4 else None,
    )
