"""Grades: one word for each customer, by stages, by points or by rank (`domain.tags.rfm`), kept as tags are.

stages: the first whose condition holds; the last may go without one.
points: what each condition is worth; `grades` says from how many points on which word holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from domain.dsl.findings import child, listed
from domain.problems import RuntimeProblem, Text
from domain.remarks import Remark, Remarks
from domain.tags.conditions import Condition, leaves
from domain.tags.facts import EVERY_KIND, FACTS
from domain.tags.reading import read_condition
from domain.tags.rfm import Breaks, Rfm, condition_of, read_rfm
from domain.tags.sense import holds_for_strangers

GRADING = "grading"
MOST_STEPS = 60
MOST_POINTS = 10_000
_KEYS = ("name", "version", "title", "active", "stages", "points", "grades", "rfm")


@dataclass(frozen=True, slots=True)
class GradeStep:
    """A stage or a condition worth points. condition: None for the stage of everybody else."""

    name: str
    condition: Condition | None
    points: int = 0


@dataclass(frozen=True, slots=True)
class LiveGrading:
    """A grading in force. steps: stages in order, or what is worth points; grades: word and least points, the highest
    first, none for stages. looks_at: as of `LiveRule`."""

    name: str
    version: str
    title: str
    active: bool
    steps: tuple[GradeStep, ...]
    grades: tuple[tuple[str, int], ...]
    looks_at: frozenset[str]
    rfm: Rfm | None = None

    def with_breaks(self, breaks: Breaks) -> "LiveGrading":
        """The same grading with the segments of its RFM as stages."""
        if self.rfm is None:
            return self
        steps = [GradeStep(each.name, condition_of(each, self.rfm, breaks)) for each in self.rfm.segments]
        # Nobody comes after the segment of everybody else.
        last = next((number for number, step in enumerate(steps) if step.condition is None), len(steps) - 1)
        return replace(self, steps=tuple(steps[: last + 1]))

    @property
    def words(self) -> Sequence[str]:
        """Every grade that it may give."""
        return [name for name, _ in self.grades] or [step.name for step in self.steps]

    @property
    def key(self) -> str:
        """How checks and backfills call it, so that no tag rule has the same name."""
        return f"{GRADING}:{self.name}"

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What its steps ask."""
        return tuple(conditions_of(self))

    def switched_off(self) -> "LiveGrading":
        """The same for nobody: it takes the grade from who has one, and no record calls for it."""
        return replace(self, active=False, looks_at=frozenset())

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> "LiveGrading":
        """The grading of a stored version's properties. Raises RuntimeProblem when this Tandem cannot read it."""
        remarks = Remarks()
        rfm = read_rfm(properties["rfm"], "/rfm", remarks) if properties.get("rfm") is not None else None
        steps, grades = _read(properties, "", remarks)
        name, version = str(properties["name"]), str(properties["version"])
        if remarks.has_errors:
            raise RuntimeProblem(
                Text(f"分级 {name} {version} 无法读取", f"The grading {name} {version} cannot be read"),
            )
        title = properties.get("title") or {}
        said = title.get("zh") or next(iter(title.values()), name)
        is_active = bool(properties.get("active", True))
        looks_at = EVERY_KIND
        if rfm is None and not _grades_strangers(steps, grades):
            conditions = [step.condition for step in steps if step.condition is not None]
            looks_at = frozenset().union(*(FACTS[leaf.fact].looks_at for each in conditions for leaf in leaves(each)))
        return cls(name, version, said, is_active, tuple(steps), tuple(grades), looks_at, rfm)


def _grades_strangers(steps: Sequence[GradeStep], grades: Sequence[tuple[str, int]]) -> bool:
    """Whether somebody of whom nothing is known has a grade: whatever they come to be known by gives it."""
    if grades and grades[-1][1] <= 0:
        return True
    return any(step.condition is None or holds_for_strangers(step.condition) for step in steps)


def check_grading(document: Mapping[str, Any]) -> list[Remark]:
    """Everything there is to say about a document with the top key `grading`, but for what its model checks."""
    remarks = Remarks()
    grading, root = document.get(GRADING), child("", GRADING)
    if not isinstance(grading, Mapping):
        remarks.error("bad-resource", root, Text("grading 下面要写分级", "`grading` needs a grading below it"))
        return remarks.found
    remarks.unknown_keys(grading, _KEYS, root)
    if missing := [key for key in ("name", "title") if grading.get(key) is None]:
        text = Text(f"还要写：{listed(missing)}", f"Missing: {listed(missing)}")
        remarks.error("missing-key", root, text, of_key=True)
    _read(grading, root, remarks)
    return remarks.found


def _read(data: Mapping[str, Any], root: str, remarks: Remarks) -> tuple[list[GradeStep], list[tuple[str, int]]]:
    ways = [way for way in ("stages", "points", "rfm") if data.get(way) is not None]
    if len(ways) != 1:
        text = Text("请写 stages、points 或 rfm，三者选一", "Write `stages`, `points` or `rfm`, one of them")
        remarks.error("missing-key", root, text, of_key=True)
        return [], []
    if ways == ["rfm"]:
        read_rfm(data["rfm"], child(root, "rfm"), remarks)
        return [], []
    steps = _steps(data[ways[0]], ways[0], child(root, ways[0]), remarks)
    if ways == ["stages"]:
        return steps, []
    return steps, _grades(data.get("grades"), child(root, "grades"), remarks)


def _steps(data: Any, way: str, place: str, remarks: Remarks) -> list[GradeStep]:
    if not isinstance(data, list) or not 1 <= len(data) <= MOST_STEPS:
        text = Text(f"这里要写 1 到 {MOST_STEPS} 项", f"A list of 1 to {MOST_STEPS} items belongs here")
        remarks.error("bad-value", place, text)
        return []
    steps: list[GradeStep] = []
    known = ("name", "when") if way == "stages" else ("name", "points", "when")
    for index, item in enumerate(data):
        here = child(place, index)
        if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
            remarks.error("missing-key", here, Text("这一项要写 name", "This item needs a name"))
            continue
        remarks.unknown_keys(item, known, here)
        condition = None
        if item.get("when") is not None:
            condition, found = read_condition(item["when"], child(here, "when"))
            remarks.found += found
        elif way == "points" or index < len(data) - 1:
            text = Text(
                "这一项要写 when；只有最后一个阶段可以省略",
                "This item needs `when`; only the last stage may go without",
            )
            remarks.error("missing-key", here, text)
        steps.append(GradeStep(item["name"], condition, _points(item.get("points", 0), here, remarks)))
    return steps


def _points(value: Any, place: str, remarks: Remarks) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MOST_POINTS:
        text = Text(f"points 要写 ±{MOST_POINTS} 以内的整数", f"`points` is a whole number within ±{MOST_POINTS}")
        remarks.error("bad-value", child(place, "points"), text)
        return 0
    return value


def _grades(data: Any, place: str, remarks: Remarks) -> list[tuple[str, int]]:
    grades: list[tuple[str, int]] = []
    for item in data if isinstance(data, list) else ():
        least = item.get("at-least") if isinstance(item, Mapping) else None
        if isinstance(item, Mapping) and isinstance(item.get("name"), str) and isinstance(least, int):
            grades.append((item["name"], least))
    is_falling = all(above > below for (_, above), (_, below) in pairwise(grades))
    if not grades or not isinstance(data, list) or len(grades) < len(data) or not is_falling:
        text = Text(
            "grades 要写 { name, at-least } 列表，分数从高到低",
            "`grades` is a list of { name, at-least }, the highest first",
        )
        remarks.error("bad-value", place, text)
    return grades


def conditions_of(grading: LiveGrading) -> list[Condition]:
    """Every condition of a grading, in order."""
    return [step.condition for step in grading.steps if step.condition is not None]
