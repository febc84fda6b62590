"""How much a run has computed without a rest: counted in steps of expressions and tasks, so that every replay agrees.

A run shares its worker with others, and Temporal takes a workflow that does not yield for two seconds for a broken one.
What is counted here is part of a run's history, because each rest is a timer: whoever changes these numbers, or the
cost of an expression, must keep old runs on the old ones (`workflow.patched`). A replay test notices.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.dsl.expressions import DEFAULT_BUDGET
from domain.dsl.expressions.meter import Meter

MOST_STEPS = 50_000
"""Steps of expressions after which a rest is due: 25 to 100 ms."""

MOST_TASKS = 200
"""Tasks after which a rest is due: about 20 ms."""

MOST_STEPS_OF_A_TASK = 200_000
"""Steps left to the expressions of one task, all together, since the last rest: it cannot rest in between."""

_REST_OF_A_STEP = timedelta(microseconds=5)
_SHORTEST_REST = timedelta(milliseconds=1)


class Effort:
    """What one run has spent since its last rest."""

    def __init__(self) -> None:
        self._steps = 0
        self._tasks = 0
        self._meter: Meter | None = None

    def meter(self, now: datetime) -> Meter:
        """The meter for one evaluation; what it counts is counted here."""
        left = MOST_STEPS_OF_A_TASK - self._spent()
        budget = DEFAULT_BUDGET if left >= DEFAULT_BUDGET.steps else replace(DEFAULT_BUDGET, steps=max(left, 0))
        self._steps = self._spent()
        self._meter = Meter(budget, now)
        return self._meter

    def count_task(self) -> None:
        """One more task begins."""
        self._tasks += 1

    @property
    def needs_rest(self) -> bool:
        """Whether others should have their turn now."""
        return self._tasks >= MOST_TASKS or self._spent() >= MOST_STEPS

    def begin_anew(self) -> timedelta:
        """Forget what was spent; how long to rest for it."""
        length = max(_SHORTEST_REST, self._spent() * _REST_OF_A_STEP)
        self._steps, self._tasks, self._meter = 0, 0, None
        return length

    def _spent(self) -> int:
        return self._steps + (self._meter.steps_used if self._meter is not None else 0)
