"""Waiting for several tasks at once, in an order that every replay repeats.

`asyncio.wait` answers with sets, whose order differs between processes; a workflow must not depend on it.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")


class AsTheyFinish(Generic[T]):
    """Iterates over tasks, each when it is done. A class, not a generator: leaving early leaves nothing to clean up."""

    def __init__(self, tasks: Sequence["asyncio.Task[T]"]) -> None:
        self._left = len(tasks)
        self._finished: deque[asyncio.Task[T]] = deque()
        self._arrived = asyncio.Event()
        for task in tasks:
            task.add_done_callback(self._note)

    def _note(self, task: "asyncio.Task[T]") -> None:
        self._finished.append(task)
        self._arrived.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> "asyncio.Task[T]":
        if self._left == 0:
            raise StopAsyncIteration
        self._left -= 1
        while not self._finished:
            self._arrived.clear()
            await self._arrived.wait()
        return self._finished.popleft()


async def first_finished(tasks: Sequence["asyncio.Task[T]"]) -> "asyncio.Task[T]":
    """The first of the tasks that is done; `tasks` must not be empty."""
    return await anext(AsTheyFinish(tasks))


async def cancel_all(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    """Cancel what still runs and return when all of it has come to rest.

    In a coroutine that is thrown away (a run leaves a worker's memory) there is no loop to wait in: nothing is done.
    """
    if isinstance(sys.exception(), GeneratorExit):
        return
    for task in tasks:
        if not task.done():
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def first_of(work: Coroutine[Any, Any, T], alarm: Coroutine[Any, Any, None]) -> tuple[bool, T | None]:
    """`(True, result)` when the work ends first, `(False, None)` when the alarm does; the other one is cancelled.

    When both end in the same instant the work has won.
    """
    tasks: list[asyncio.Task[Any]] = [asyncio.ensure_future(work), asyncio.ensure_future(alarm)]
    try:
        await first_finished(tasks)
        if tasks[0].done():
            return True, tasks[0].result()
        tasks[1].result()
        return False, None
    finally:
        await cancel_all(tasks)
