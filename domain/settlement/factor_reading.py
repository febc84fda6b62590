"""A coefficient by a score, read from YAML: `factor: { score: after-sale, steps: [ { from: 60, times: '0.8' } ] }`."""

from collections.abc import Mapping
from typing import Any

from domain.dsl.findings import child
from domain.problems import Text
from domain.remarks import Remarks
from domain.settlement.formula_reading import MOST_STEPS
from domain.settlement.formulas import Step
from domain.settlement.promises import tell_drops
from domain.settlement.scalars import NAME, read_count, read_times
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
    remarks.unknown_keys(data, ("score", "steps"), pointer, if_new=True)
    if NAME.fullmatch(score) is None:
        text = Text(
            "score 是考核分的名称，用小写字母、数字和连字符，最多 40 个",
            "`score` names a score: lower-case letters, digits and hyphens, 40 at most",
        )
        remarks.error_if_new("bad-score", child(pointer, "score"), text)
    steps: list[Step] = []
    for number, row in enumerate(rows):
        at = child(pointer, "steps", number)
        if not isinstance(row, Mapping):
            remarks.error("bad-factor", at, Text("每档要写 from 和 times", "Each step has `from` and `times`"))
            return None
        remarks.unknown_keys(row, ("from", "times"), at, if_new=True)
        mark = read_count(row.get("from"), child(at, "from"), remarks)
        times = read_times(row.get("times"), child(at, "times"), remarks)
        if mark is None or times is None:
            return None
        if steps and mark <= steps[-1].mark:
            remarks.error("overlapping-tiers", child(at, "from"), Text("各档要由低到高", "The steps have to ascend"))
            return None
        steps.append(Step(mark, times))
    if steps[0].mark > 0:
        least = steps[0].mark
        text = Text(
            f"低于 {least} 分（含没有登记的）系数为 0，什么也得不到；如非本意，请加一档 from: 0",
            f"Below a score of {least}, or without one, the coefficient is 0, and nothing is earned. Where that is not "
            "meant, add a step `from: 0`",
        )
        remarks.add("nothing-below", "warning", child(pointer, "steps", 0, "from"), text)
    what = Text("系数", "the coefficient")
    tell_drops(steps, what, str, child(pointer, "steps"), remarks, promised=rising)
    return Factor(score, tuple(steps))
