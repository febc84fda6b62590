"""What a waiting run costs the worker in memory."""

import asyncio
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psutil
from temporalio.client import WorkflowHandle

from benchmarks.calls import WAITING
from benchmarks.figures import Figure
from benchmarks.hand_coded import HAND_CODED_WAITING
from benchmarks.stage import Kind, Stage, connect, make_worker
from worker import CACHED_RUNS
from workflows.messages import PROGRESS_QUERY

Handle = WorkflowHandle[Any, Any]

TITLE = "Memory of a worker for runs that wait for a timer"
NOTE = "growth of a fresh worker process; by hand: a workflow that only sleeps and tells nobody"
_ROUNDS = 3
_RUNS = 300
_THOUSAND = 1_000
_WARM_UP = 40
_ASKED = 30
_EVENTS_WHEN_WAITING = 5


async def measure(stage: Stage) -> list[Figure]:
    """Interpreted against a bare timer, each in a worker process of its own; nobody else may serve the queue."""
    kinds = Kind.interpreted(WAITING), Kind(HAND_CODED_WAITING, WAITING)
    rounds = [[(await _growth(stage, kind, _RUNS))[0] / _RUNS for kind in kinds] for _ in range(_ROUNDS)]
    ours, theirs = zip(*rounds, strict=True)
    growth, (replayed, kept) = await _growth(stage, kinds[0], _THOUSAND, ask=True)
    return [
        Figure("a run in memory", ours, "kB", "lower", theirs, "by hand"),
        Figure("a bare timer in memory", theirs, "kB", "lower"),
        Figure(f"1,000 waiting runs, {CACHED_RUNS} of them in memory", [growth / 1_000], "MB", "lower", aim=60),
        Figure("  asking one in memory where it stands, p50", [kept], "ms", "lower"),
        Figure("  asking one that is not, p50", [replayed], "ms", "lower", [kept], "in memory"),
    ]


async def _growth(stage: Stage, kind: Kind, runs: int, *, ask: bool = False) -> tuple[float, tuple[float, float]]:
    """Kilobytes for so many runs; asked, also the milliseconds for asking the oldest and the youngest of them."""
    async with _worker_process(stage.server.address) as process:
        await _let_wait(stage, kind, _WARM_UP)
        before = process.memory_info().rss
        handles = await _let_wait(stage, kind, runs)
        growth = (process.memory_info().rss - before) / 1_000
        asked = (await _ask(handles[:_ASKED]), await _ask(handles[-_ASKED:])) if ask else (0.0, 0.0)
    return growth, asked


async def _ask(handles: Sequence[Handle]) -> float:
    times = []
    for handle in handles:
        begun = time.perf_counter()
        await handle.query(PROGRESS_QUERY)
        times.append((time.perf_counter() - begun) * 1_000)
    return statistics.median(times)


async def _let_wait(stage: Stage, kind: Kind, count: int) -> list[Handle]:
    """Start so many runs; return when each has come to its timer."""
    slots = asyncio.Semaphore(20)

    async def one() -> Handle:
        async with slots:
            handle = await stage.start(kind)
            arrived = False
            while not arrived:
                await asyncio.sleep(0.05)
                arrived = (await handle.describe()).history_length >= _EVENTS_WHEN_WAITING
            return handle

    return await asyncio.gather(*(one() for _ in range(count)))


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
