"""What a scheme promises of a component: `promise: rising`, that more sold and a better score never earn less.

Graduated tiers, packages, proportions and bonuses of every step rise however they are written. Volume tiers, bonuses of
the highest step and coefficients rise when each of their steps is worth no less than the one before, which is looked
at here. Rounding, floors and caps change none of it.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from domain.dsl.findings import child
from domain.problems import Text
from domain.remarks import Remarks
from domain.settlement.formulas import Step
from domain.settlement.scheme import Base

RISING = "rising"
FALLS_BY_FACTOR = Text(
    "汇兑差额可为负，系数越高扣得越多，不能承诺只升不降",
    "An FX difference may be negative, and a higher coefficient takes more off: it cannot be promised to rise",
)


def read_promise(data: Any, pointer: str, remarks: Remarks) -> bool:
    """Whether it is promised to rise."""
    if data == RISING:
        return True
    if data is not None:
        text = Text(f"promise 只能写 {RISING}（只升不降）", f"`promise` is {RISING}: more never earns less")
        remarks.error("bad-promise", pointer, text)
    return False


def refuse_unkept(base: Base | None, pointer: str, remarks: Remarks, *, deducts: bool, has_factor: bool) -> None:
    """A remark where a promise to rise cannot be kept whatever the steps are."""
    if deducts:
        text = Text(
            "扣款越多拿得越少，不能承诺只升不降", "More to take off is less to have: that cannot be promised to rise"
        )
    elif base == "fx-difference" and has_factor:
        text = FALLS_BY_FACTOR
    else:
        return
    remarks.error("broken-promise", pointer, text)


def tell_drops(
    steps: Sequence[Step], what: Text, shown: Callable[[int], str], pointer: str, remarks: Remarks, *, promised: bool
) -> None:
    """A remark for each step that is worth less than the one before: an error where it was promised to rise.

    what: falls there; shown: a mark, for people.
    """
    for place, (lower, upper) in enumerate(pairwise(steps), start=1):
        if upper.worth < lower.worth:
            zh = f"达到 {shown(upper.mark)} 后{what.zh}反而降低：多做一点，收入会骤减"
            en = f"On reaching {shown(upper.mark)} {what.en} falls: who does a little more earns less"
            if promised:
                text = Text(f"{zh}；与 promise: {RISING} 不符", f"{en}, against `promise: {RISING}`")
                remarks.error("broken-promise", child(pointer, place), text)
            else:
                remarks.add("falling-tiers", "warning", child(pointer, place), Text(zh, en))
