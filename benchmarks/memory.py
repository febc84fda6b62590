"""What a waiting run costs the worker in memory."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
from temporalio.client import WorkflowHandle

from benchmarks.figures import Figure
from benchmarks.hand_coded import HAND_CODED_WAITING
from benchmarks.stage import WAITING, Stage, connect, flow_type, make_worker

TITLE = "Memory of a worker for runs that wait for a timer"
NOTE = "growth of a fresh worker process, given for 1,000 runs; by hand: a workflow that only sleeps"
_ROUNDS = 3
_RUNS = 400
_WARM_UP = 40
_EVENTS_WHEN_WAITING = 5


async def measure(stage: Stage) -> list[Figure]:
    """Interpreted against a bare timer, each in a worker process of its own."""
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(_ROUNDS):
        ours.append(await _growth(stage, flow_type(WAITING), f"waiting-{number}"))
        theirs.append(await _growth(stage, HAND_CODED_WAITING, f"bare-{number}"))
    return [
        Figure("1,000 waiting runs", ours, "MB", "lower", theirs, "by hand", aim=60),
        Figure("1,000 bare timers", theirs, "MB", "lower"),
    ]


async def _growth(stage: Stage, workflow_type: str, queue: str) -> float:
    """Megabytes for 1,000 runs."""
    async with _worker_process(stage.server.address, queue) as process:
        await _let_wait(stage, workflow_type, queue, _WARM_UP)
        before = process.memory_info().rss
        handles = await _let_wait(stage, workflow_type, queue, _RUNS)
        growth = process.memory_info().rss - before
    await asyncio.gather(*(handle.terminate() for handle in handles))
    return growth / 1_000_000 * 1_000 / _RUNS


async def _let_wait(stage: Stage, workflow_type: str, queue: str, count: int) -> list[WorkflowHandle[object, object]]:
    """So many runs, each of which has come to its timer."""
    slots = asyncio.Semaphore(20)

    async def one() -> WorkflowHandle[object, object]:
        async with slots:
            handle = await stage.start(workflow_type, WAITING, queue=queue)
            while (await handle.describe()).history_length < _EVENTS_WHEN_WAITING:
                await asyncio.sleep(0.05)
            return handle

    return await asyncio.gather(*(one() for _ in range(count)))


@asynccontextmanager
async def _worker_process(address: str, queue: str) -> AsyncIterator[psutil.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.memory", address, queue)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _serve(address: str, queue: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with make_worker(await connect(address), queue):
        await stop.wait()
    # The client's threads may abort an interpreter that ends in the ordinary way.
    gc.collect()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:3]))
