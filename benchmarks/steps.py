"""Steps of a settlement by hand instead of by workflows."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

_AT_ONCE = 2


async def each_part(parts: Iterable[int], step: Callable[[int], Awaitable[Any]]) -> None:
    """A step for every part, two at once."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(part: int) -> None:
        async with slots:
            await step(part)

    await asyncio.gather(*(one(part) for part in parts))


async def timed(work: Callable[[], Awaitable[Any]]) -> float:
    """How many seconds it takes."""
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun
