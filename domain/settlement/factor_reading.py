"""A coefficient by a score, read from YAML: `factor: { score: after-sale, steps: [ { from: 60, times: '0.8' } ] }`."""

from collections.abc import Mapping
from typing import Any

from domain.dsl.findings import child
from domain.problems import Text
from domain.remarks import Remarks
from domain.settlement.formula_reading import MOST_STEPS
from domain.settlement.formulas import Step
from domain.settlement.promises import tell_drops
from domain.settlement.scalars import read_count, read_times
from domain.settlement.scheme import Factor


def read_factor(data: Any, pointer: str, remarks: Remarks, *, rising: bool) -> Factor | None:
    """The coefficient; None where there is none, and with remarks. rising: whether it is promised to rise."""
    if data is None:
        return None
    rows = data.get("steps") if isinstance(data, Mapping) else None
    score = data.get("score") if isinstance(data, Mapping) else None
    if not isinstance(rows, list) or not 0 < len(rows) <= MOST_STEPS or not isinstance(score, str):
        example = "factor: { score: after-sale, steps: [ { from: 60, times: '0.8' } ] }"
        remarks.error("bad-factor", pointer, Text(f"请写成 {example}", f"Write {example}"))
        return None
    steps: list[Step] = []
    for number, row in enumerate(rows):
        at = child(pointer, "steps", number)
        if not isinstance(row, Mapping):
            remarks.error("bad-factor", at, Text("每档要写 from 和 times", "Each step has `from` and `times`"))
            return None
        mark = read_count(row.get("from"), child(at, "from"), remarks)
        times = read_times(row.get("times"), child(at, "times"), remarks)
        if mark is None or times is None:
            return None
        if steps and mark <= steps[-1].mark:
            remarks.error("overlapping-tiers", child(at, "from"), Text("各档要由低到高", "The steps have to ascend"))
            return None
        steps.append(Step(mark, times))
    what = Text("系数", "the coefficient")
    tell_drops(steps, what, str, child(pointer, "steps"), remarks, promised=rising)
    return Factor(score, tuple(steps))
