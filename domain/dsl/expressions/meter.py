"""The budget of an evaluation, and the meter that counts against it.

Steps and bytes are counted by rules that know nothing of the machine, so a replay stops at the same place as the first
run. The processor-time limit is a net under that: the step limit is chosen so that it trips first by far. It measures
the thread's own time, so that a busy machine cannot trip it.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.dsl.expressions.failures import Exhausted

_STEPS_BETWEEN_CHECKS = 10_000
_BYTES_PER_ITEM = 8
_BYTES_PER_MEMBER = 64


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one evaluation (or one rendering of a template) may use.

    `steps`: operations, a loop counting its body each time round. `allocated_bytes`: everything built on the way, kept
    or not. `output_elements` and `output_characters`: the size of the result. `depth`: nesting of a value.
    `deadline_s`: processor time of the thread, a safety net only.
    """

    steps: int = 100_000
    allocated_bytes: int = 48 * 1024 * 1024
    output_elements: int = 100_000
    output_characters: int = 2_000_000
    depth: int = 100
    deadline_s: float = 2.0


DEFAULT_BUDGET = Budget()


class Meter:
    """Counts one evaluation's use of its budget; holds the run's time. Not shared between threads."""

    __slots__ = ("_bytes_left", "_check_below", "_deadline", "_now", "_steps_left", "budget")

    def __init__(self, budget: Budget, now: datetime) -> None:
        self.budget = budget
        self._now = now
        self._steps_left = budget.steps
        self._check_below = max(0, budget.steps - _STEPS_BETWEEN_CHECKS)
        self._bytes_left = budget.allocated_bytes
        self._deadline: float | None = None

    @property
    def now_s(self) -> int | float:
        """The run's time in seconds since 1970, whole where it is whole."""
        seconds = self._now.timestamp()
        return int(seconds) if seconds.is_integer() else seconds

    @property
    def steps_used(self) -> int:
        return self.budget.steps - self._steps_left

    def spend(self, steps: int) -> None:
        """Count `steps`. Raises Exhausted when none are left."""
        self._steps_left -= steps
        if self._steps_left < self._check_below:
            self._check()

    def allocate(self, size: int) -> None:
        """Count `size` bytes about to be built. Raises Exhausted before they are."""
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise Exhausted(
                "表达式构造的数据过大，超出了内存预算；请缩小数据，或用 map 代替逐个累加",
                "the expression builds too much data and went over its memory budget; "
                "use less data, or `map` instead of adding one by one",
            )

    def allocate_items(self, count: int) -> None:
        self.allocate(_BYTES_PER_ITEM * count)

    def allocate_members(self, count: int) -> None:
        self.allocate(_BYTES_PER_MEMBER * count)

    def descend(self, depth: int) -> int:
        """One level deeper into a value. Raises Exhausted below the allowed depth."""
        if depth >= self.budget.depth:
            raise Exhausted(
                f"数据嵌套超过 {self.budget.depth} 层", f"the data is nested more than {self.budget.depth} levels deep"
            )
        return depth + 1

    def _check(self) -> None:
        if self._steps_left < 0:
            raise Exhausted(
                f"表达式的计算量超过了 {self.budget.steps} 步的预算；请减少循环或数据量",
                f"the expression went over its budget of {self.budget.steps} steps; use fewer loops or less data",
            )
        used = time.thread_time()
        if self._deadline is None:
            self._deadline = used + self.budget.deadline_s
        elif used > self._deadline:
            raise Exhausted(
                f"表达式的计算超过了 {self.budget.deadline_s} 秒",
                f"the expression took over {self.budget.deadline_s} s",
            )
        self._check_below = max(0, self._steps_left - _STEPS_BETWEEN_CHECKS)


_INFINITY = float("inf")
_LARGEST = 1.7976931348623157e308


def settle(value: Any, meter: Meter) -> Any:
    """The result as plain JSON within the output limits: NaN becomes null and an infinity the largest number, as jq
    prints them. Nothing is copied unless it must be. Raises Exhausted when the result is too large or too deep.

    A small graph of shared lists can be a huge document, so the walk counts what a reader would see.
    """
    return value if _measured(value, meter.budget) else _finite(value)


def _measured(value: Any, budget: Budget) -> bool:
    """Whether every number is finite. Raises Exhausted when a limit is passed."""
    elements, characters, depth, finite = 1, 0, 0, True
    level = [value]
    while level:
        below: list[Any] = []
        for part in level:
            kind = type(part)
            if kind is str:
                characters += len(part)
            elif kind is float:
                finite = finite and part - part == 0
            elif kind is dict or kind is list:
                elements += len(part)
                if elements > budget.output_elements:
                    raise _output_too_large(budget.output_elements, "个元素", "elements")
                if kind is dict:
                    characters += sum(map(len, part))
                    below.extend(part.values())
                else:
                    below.extend(part)
        if characters > budget.output_characters:
            raise _output_too_large(budget.output_characters, "个字符", "characters")
        depth += 1
        if below and depth > budget.depth:
            raise _output_too_large(budget.depth, "层", "levels")
        level = below
    return finite


def _output_too_large(limit: int, zh: str, en: str) -> Exhausted:
    return Exhausted(f"表达式的结果超过 {limit} {zh}", f"the result of the expression has more than {limit} {en}")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:
        return None if value != value else _LARGEST if value == _INFINITY else -_LARGEST
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return value
