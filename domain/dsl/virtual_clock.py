"""An event loop whose clock jumps: ninety days of waiting take as long as the code between the waits.

When nothing can run, the clock moves to the next timer instead of sleeping. While something outside is under way (a
real HTTP request), the clock stands still until it answers.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on virtual seconds. `on_stall` is called when nothing can ever happen again by itself."""

    def __init__(self, on_stall: Callable[[], None]) -> None:
        self._virtual_s = 0.0
        self._on_stall = on_stall
        self.outside = 0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Virtual seconds since the loop began."""
        return self._virtual_s

    def jump(self, seconds: float) -> None:
        self._virtual_s += seconds

    def stalled(self) -> None:
        self._on_stall()

    async def wait_outside(self, work: Callable[[], T]) -> T:
        """The result of blocking work done in a thread, the clock standing still meanwhile."""
        self.outside += 1
        try:
            return await self.run_in_executor(None, work)
        finally:
            self.outside -= 1


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualClockLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._loop.outside:
            return super().select(None if timeout is None or timeout > 0 else timeout)
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            self._loop.stalled()
        else:
            self._loop.jump(timeout)
        return []


def run_virtually(main: Callable[[VirtualClockLoop], Coroutine[Any, Any, T]], on_stall: Callable[[], None]) -> T:
    """The result of a coroutine on a loop of its own; call it from a thread without a running loop."""
    loop = VirtualClockLoop(on_stall)
    try:
        return loop.run_until_complete(main(loop))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
