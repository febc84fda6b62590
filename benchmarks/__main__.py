"""`python -m benchmarks [NAME…]`: measures, prints a table for each topic, and never fails for being slow."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import (
    definitions,
    expressions,
    history,
    human_tasks,
    identity,
    ingest,
    latency,
    memory,
    profile,
    read_model,
    settlement,
    starts,
    streams,
    tags,
    throughput,
    webhooks,
)
from benchmarks.figures import Figure, table
from benchmarks.house import House, open_house, processes
from benchmarks.stage import Stage, connect, open_stage
from runtime.embedded import EmbeddedTemporal


@dataclass(frozen=True, slots=True)
class Topic:
    """A title, what to know when reading the table, and the measurement."""

    title: str
    note: str
    measure: Callable[[], Awaitable[list[Figure]]]


IN_THIS_PROCESS = {
    "expressions": expressions,
    "definitions": definitions,
    "tags": tags,
    "ingest": ingest,
    "streams": streams,
    "settlement": settlement,
}
WITH_WORKER = {"throughput": throughput, "latency": latency, "history": history}
WITHOUT_WORKER = {"memory": memory}
IN_THE_HOUSE = {"read_model": read_model, "identity": identity}
OVER_HTTP = {"human_tasks": human_tasks, "webhooks": webhooks, "starts": starts, "profile": profile}
NAMES = (*IN_THIS_PROCESS, *WITH_WORKER, *WITHOUT_WORKER, *IN_THE_HOUSE, *OVER_HTTP)


async def run(names: Sequence[str]) -> None:
    """Measure the named topics, each group on servers of its own."""
    for name in _of(IN_THIS_PROCESS, names):
        pure = IN_THIS_PROCESS[name]
        await _show(Topic(pure.TITLE, pure.NOTE, pure.measure))
    if _of({**WITH_WORKER, **WITHOUT_WORKER}, names):
        await _run_on_temporal(names)
    if _of(IN_THE_HOUSE, names):
        async with _a_house() as house:
            for name in _of(IN_THE_HOUSE, names):
                await _show_in(house, name)
    if _of(OVER_HTTP, names):
        # Another one: its worker would first do what the flows of the others left to be told.
        async with _a_house() as house, processes(house):
            for name in _of(OVER_HTTP, names):
                await _show_in(house, name)


async def _run_on_temporal(names: Sequence[str]) -> None:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tandem-bench-")))
        server = await stack.enter_async_context(EmbeddedTemporal(directory, durable=True))

        async def show(name: str, stage: Stage) -> None:
            topic = {**WITH_WORKER, **WITHOUT_WORKER}[name]
            await _show(Topic(topic.TITLE, topic.NOTE, lambda: topic.measure(stage)))

        async with open_stage(server) as stage:
            for name in _of(WITH_WORKER, names):
                await show(name, stage)
        for name in _of(WITHOUT_WORKER, names):
            await show(name, Stage(server, await connect(server.address)))


@asynccontextmanager
async def _a_house() -> AsyncIterator[House]:
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as directory:
        async with open_house(Path(directory)) as house:
            yield house


async def _show_in(house: House, name: str) -> None:
    topic = {**IN_THE_HOUSE, **OVER_HTTP}[name]
    await _show(Topic(topic.TITLE, topic.NOTE, lambda: topic.measure(house)))


def _of(topics: Mapping[str, object], names: Sequence[str]) -> list[str]:
    return [name for name in topics if name in names]


async def _show(topic: Topic) -> None:
    begun, busy = time.monotonic(), _busy_elsewhere()
    figures = await topic.measure()
    seconds = time.monotonic() - begun
    others = max(0.0, _busy_elsewhere() - busy) / seconds / (os.cpu_count() or 1)
    print(table(topic.title, figures, topic.note))
    print(f"({seconds:.0f} s; other programs used {others:.0%} of the machine meanwhile)", flush=True)


def _busy_elsewhere() -> float:
    """CPU seconds of the machine so far, less those of this process and its children."""
    times = psutil.cpu_times()
    total = float(sum(times) - times.idle - getattr(times, "iowait", 0.0))
    mine = psutil.Process()
    own = mine.cpu_times()
    used = float(own.user + own.system + own.children_user + own.children_system)
    for child in mine.children(recursive=True):
        try:
            spent = child.cpu_times()
        except psutil.Error:
            continue
        used += float(spent.user + spent.system)
    return total - used


def main() -> int:
    names = sys.argv[1:] or list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    asyncio.run(run(names))
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # The Temporal client's threads may abort an interpreter that ends in the ordinary way.
    os._exit(code)
