"""What a waiting run costs the worker in memory."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

from benchmarks.calls import WAITING
from benchmarks.figures import Figure
from benchmarks.hand_coded import HAND_CODED_WAITING
from benchmarks.stage import Kind, Stage, connect, make_worker

TITLE = "Memory of a worker for runs that wait for a timer"
NOTE = "growth of a fresh worker process, for 1,000 runs; by hand: a workflow that only sleeps and tells nobody"
_ROUNDS = 3
_RUNS = 300
_WARM_UP = 40
_EVENTS_WHEN_WAITING = 5


async def measure(stage: Stage) -> list[Figure]:
    """Interpreted against a bare timer, each in a worker process of its own; nobody else may serve the queue."""
    kinds = Kind.interpreted(WAITING), Kind(HAND_CODED_WAITING, WAITING)
    rounds = [[await _growth(stage, kind) for kind in kinds] for _ in range(_ROUNDS)]
    ours, theirs = zip(*rounds, strict=True)
    return [
        Figure("1,000 waiting runs", ours, "MB", "lower", theirs, "by hand", aim=60, limit=theirs),
        Figure("1,000 bare timers", theirs, "MB", "lower"),
    ]


async def _growth(stage: Stage, kind: Kind) -> float:
    """Megabytes for 1,000 runs."""
    async with _worker_process(stage.server.address) as process:
        await _let_wait(stage, kind, _WARM_UP)
        before = process.memory_info().rss
        await _let_wait(stage, kind, _RUNS)
        growth = process.memory_info().rss - before
    return float(growth) / 1_000_000 * 1_000 / _RUNS


async def _let_wait(stage: Stage, kind: Kind, count: int) -> None:
    """Start so many runs; return when each has come to its timer."""
    slots = asyncio.Semaphore(20)

    async def one() -> None:
        async with slots:
            handle = await stage.start(kind)
            arrived = False
            while not arrived:
                await asyncio.sleep(0.05)
                arrived = (await handle.describe()).history_length >= _EVENTS_WHEN_WAITING

    await asyncio.gather(*(one() for _ in range(count)))


@asynccontextmanager
async def _worker_process(address: str) -> AsyncIterator[psutil.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.memory", address)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _serve(address: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with make_worker(await connect(address)):
        await stop.wait()
    # The client's threads may abort an interpreter that ends in the ordinary way.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
