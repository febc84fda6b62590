"""When a run lets others have their turn, and when it is taken to be running in circles."""

import asyncio

from domain.dsl.effort import Effort
from domain.dsl.expressions.meter import Meter
from domain.dsl.host import Host
from domain.dsl.run_state import RunState
from domain.problems import RuntimeProblem, Text

MOST_IDLE_TURNS = 100_000
"""Tasks executed in a row without waiting for anything; beyond it the flow is taken to be running in circles."""


class Pace:
    """The pace of one run; all of its branches share it."""

    def __init__(self, host: Host, state: RunState) -> None:
        self._host = host
        self._state = state
        self._effort = Effort()
        self._rest: asyncio.Future[None] | None = None

    async def pause(self) -> None:
        """Rest when the run has computed for long enough; all of its branches rest together."""
        while self._rest is not None or self._effort.needs_rest:
            if self._rest is None:
                self._rest = asyncio.ensure_future(self._host.rest(self._effort.begin_anew()))
                self._rest.add_done_callback(self._rested)
            await asyncio.shield(self._rest)

    def count_task(self, reference: str) -> None:
        """One more task begins. Raises RuntimeProblem when too many did since anything was waited for."""
        self._effort.count_task()
        self._state.idle_turns += 1
        if self._state.idle_turns > MOST_IDLE_TURNS:
            raise RuntimeProblem(
                Text(
                    f"流程连续执行了 {MOST_IDLE_TURNS} 步而没有等待任何事情，疑似死循环",
                    f"The flow took {MOST_IDLE_TURNS} steps without waiting for anything: it seems to run in circles",
                ),
                instance=reference,
            )

    def waited(self) -> None:
        """Something outside was waited for: the flow is not running in circles."""
        self._state.idle_turns = 0

    def meter(self) -> Meter:
        """The meter for one evaluation of an expression."""
        return self._effort.meter(self._host.now())

    def _rested(self, _rest: "asyncio.Future[None]") -> None:
        self._rest = None
