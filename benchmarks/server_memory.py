"""How much memory a PostgreSQL server and this process hold at most while something is measured."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

_EVERY_S = 0.25
_MB = 1024 * 1024


@dataclass
class Peak:
    """The most at any look, in MB. server: of all its processes, what they share counted once."""

    server_mb: float = 0.0
    own_mb: float = 0.0


@asynccontextmanager
async def peak_of(data: Path) -> AsyncIterator[Peak]:
    """Looks from time to time at the server whose data is there, and at this process."""
    peak, postmaster = Peak(), psutil.Process(int((data / "postmaster.pid").read_text().split("\n", 1)[0]))
    looking = asyncio.create_task(_look(peak, postmaster))
    try:
        yield peak
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


async def _look(peak: Peak, postmaster: psutil.Process) -> None:
    while True:
        # Elsewhere than on the loop: walking the pages of shared buffers takes milliseconds.
        peak.server_mb = max(peak.server_mb, await asyncio.to_thread(_server_mb, postmaster))
        peak.own_mb = max(peak.own_mb, psutil.Process().memory_info().rss / _MB)
        await asyncio.sleep(_EVERY_S)


def _server_mb(postmaster: psutil.Process) -> float:
    found = 0.0
    for process in (postmaster, *postmaster.children()):
        # Backends come and go.
        with contextlib.suppress(psutil.NoSuchProcess):
            found += process.memory_full_info().pss / _MB
    return found
