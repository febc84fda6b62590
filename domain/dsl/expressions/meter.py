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

_STEPS_BETWEEN_CHECKS = 20_000
_BYTES_PER_ITEM = 8
_BYTES_PER_MEMBER = 64


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one evaluation (or one rendering of a template) may use.

    `steps`: operations, a loop counting its body each time round. `allocated_bytes`: everything built on the way, kept
    or not. `output_elements` and `output_characters`: the size of the result. `depth`: nesting of a value.
    `deadline_s`: processor time of the thread, a safety net only.
    """

    steps: int = 200_000
    allocated_bytes: int = 64 * 1024 * 1024
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
        self._check_below = budget.steps - _STEPS_BETWEEN_CHECKS
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
    left = [meter.budget.output_elements, meter.budget.output_characters]
    return _settle(value, meter, left, 0)


def _settle(value: Any, meter: Meter, left: list[int], depth: int) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise Exhausted(
            f"表达式的结果超过 {meter.budget.output_elements} 个元素",
            f"the result of the expression has more than {meter.budget.output_elements} elements",
        )
    if isinstance(value, str):
        _count_characters(value, meter, left)
        return value
    if isinstance(value, float):
        if value - value == 0:
            return value
        return None if value != value else _LARGEST if value == _INFINITY else -_LARGEST
    if isinstance(value, list):
        depth = meter.descend(depth)
        items = [_settle(item, meter, left, depth) for item in value]
        return value if all(map(_is, items, value)) else items
    if isinstance(value, dict):
        depth = meter.descend(depth)
        members = {}
        for name, item in value.items():
            _count_characters(name, meter, left)
            members[name] = _settle(item, meter, left, depth)
        return value if all(map(_is, members.values(), value.values())) else members
    return value


def _is(left: Any, right: Any) -> bool:
    return left is right


def _count_characters(text: str, meter: Meter, left: list[int]) -> None:
    left[1] -= len(text)
    if left[1] < 0:
        raise Exhausted(
            f"表达式的结果超过 {meter.budget.output_characters} 个字符",
            f"the result of the expression has more than {meter.budget.output_characters} characters",
        )
