"""Waiting for several tasks at once, in an order that every replay repeats.

`asyncio.wait` answers with sets, whose order differs between processes; a workflow must not depend on it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def as_they_finish(tasks: Sequence["asyncio.Task[T]"]) -> AsyncIterator["asyncio.Task[T]"]:
    """The tasks one by one, each when it is done."""
    finished: deque[asyncio.Task[T]] = deque()
    arrived = asyncio.Event()

    def note(task: "asyncio.Task[T]") -> None:
        finished.append(task)
        arrived.set()

    for task in tasks:
        task.add_done_callback(note)
    for _ in tasks:
        while not finished:
            arrived.clear()
            await arrived.wait()
        yield finished.popleft()


async def first_finished(tasks: Sequence["asyncio.Task[T]"]) -> "asyncio.Task[T]":
    """The first of the tasks that is done; `tasks` must not be empty."""
    return await anext(as_they_finish(tasks))


async def cancel_all(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    """Cancel what still runs and return when all of it has come to rest."""
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
