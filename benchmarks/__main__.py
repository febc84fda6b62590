"""`python -m benchmarks [NAME…]`: measures, prints a table for each topic, and never fails for being slow."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

from benchmarks import definitions, expressions, history, latency, memory, throughput
from benchmarks.figures import Figure, table
from benchmarks.stage import Stage, connect, open_stage
from runtime.embedded import EmbeddedTemporal

PURE = {"expressions": expressions, "definitions": definitions}
WITH_WORKER = {"throughput": throughput, "latency": latency, "history": history}
WITH_SERVER = {"memory": memory}
NAMES = (*PURE, *WITH_WORKER, *WITH_SERVER)


async def run(names: Sequence[str]) -> None:
    """Measure the named topics."""
    for name in names:
        if name in PURE:
            topic = PURE[name]
            await _show(topic.TITLE, topic.NOTE, topic.measure)
    if not set(names) - set(PURE):
        return
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tandem-bench-")))
        server = await stack.enter_async_context(EmbeddedTemporal(directory / "temporal", durable=True))
        if set(names) & set(WITH_WORKER):
            async with open_stage(server) as stage:
                for name in names:
                    if name in WITH_WORKER:
                        topic = WITH_WORKER[name]
                        await _show(topic.TITLE, topic.NOTE, lambda topic=topic: topic.measure(stage))
        stage = Stage(server, await connect(server.address))
        for name in names:
            if name in WITH_SERVER:
                topic = WITH_SERVER[name]
                await _show(topic.TITLE, topic.NOTE, lambda topic=topic: topic.measure(stage))


async def _show(title: str, note: str, measure: Callable[[], Awaitable[list[Figure]]]) -> None:
    begun, busy = time.monotonic(), _busy_elsewhere()
    figures = await measure()
    seconds = time.monotonic() - begun
    others = max(0.0, (_busy_elsewhere() - busy) / seconds / (os.cpu_count() or 1))
    print(table(title, figures, note))
    print(f"({seconds:.0f} s; other programs used {others:.0%} of the machine meanwhile)", flush=True)


def _busy_elsewhere() -> float:
    """CPU seconds of the machine so far, less those of this process and its children."""
    times = psutil.cpu_times()
    total = sum(times) - times.idle - getattr(times, "iowait", 0.0)
    mine = psutil.Process()
    own = sum(mine.cpu_times()[:4])
    for child in mine.children(recursive=True):
        try:
            own += sum(child.cpu_times()[:2])
        except psutil.Error:
            continue
    return total - own


def main() -> int:
    names = sys.argv[1:] or list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    asyncio.run(run(names))
    return 0


if __name__ == "__main__":
    # The client's threads may abort an interpreter that ends in the ordinary way.
    code = main()
    sys.stdout.flush()
    os._exit(code)
