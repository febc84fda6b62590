"""Refusals that every shop platform has in common: a thing's state or amount is not what the call was meant for."""

from typing import Literal

from domain.money import major_from_minor
from domain.problems import ConflictProblem, Text

_WORDS = {"order": Text("订单", "Order"), "refund": Text("退款单", "Refund")}


def wrong_state(platform: str, thing: Literal["order", "refund"], number: str, status: str) -> ConflictProblem:
    """An order or a refund is in a state that does not allow the step."""
    word = _WORDS[thing]
    return ConflictProblem(
        Text(
            f"{word.zh} {number} 的状态是 {status}，不能执行此操作",
            f"{word.en} {number} is {status}, which does not allow this",
        ),
        platform=platform,
        retryable=False,
        outcome="not_done",
        state=status,
    )


def other_amount(platform: str, number: str, present_minor: int | None, approved_minor: int) -> ConflictProblem:
    """A refund's amount is not the one that was approved."""
    present = "?" if present_minor is None else major_from_minor(present_minor)
    approved = major_from_minor(approved_minor)
    return ConflictProblem(
        Text(
            f"退款单 {number} 的金额是 ¥{present}，批准的是 ¥{approved}，请重新审批",
            f"Refund {number} is ¥{present}, approved was ¥{approved}; have it approved again",
        ),
        platform=platform,
        retryable=False,
        outcome="not_done",
        amount_minor=present_minor,
    )
