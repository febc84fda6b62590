"""Which process is it, does it still live, and how to end it: by identity, never by number alone.

A process number is reused by the system; number and start time together are not.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

# psutil computes a start time from the boot time, which the clock's corrections move a little.
_START_TIME_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class ProcessIdentity:
    """One process for its whole life: `started_at` is in seconds since the epoch."""

    pid: int
    started_at: float

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """The identity of a live process, or None when there is none with this number."""
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            return cls(pid, process.create_time())
        except psutil.Error:
            return None

    def alive(self) -> bool:
        """Whether this very process still runs, not another that got its number."""
        now = ProcessIdentity.of(self.pid)
        return now is not None and abs(now.started_at - self.started_at) <= _START_TIME_TOLERANCE_S

    def signal(self, number: int) -> bool:
        """Send a signal; False when the process is gone already."""
        if not self.alive():
            return False
        try:
            psutil.Process(self.pid).send_signal(number)
        except psutil.NoSuchProcess:
            return False
        return True

    def command(self) -> str:
        """The command line for a person to recognise, or an empty string."""
        try:
            return " ".join(psutil.Process(self.pid).cmdline())
        except psutil.Error:
            return ""


def _find(attributes: Iterable[str], matches: Any) -> list[ProcessIdentity]:
    found = []
    for process in psutil.process_iter([*attributes, "pid", "create_time", "status"]):
        info = process.info
        if info["status"] != psutil.STATUS_ZOMBIE and matches(info):
            found.append(ProcessIdentity(info["pid"], info["create_time"]))
    return found


def processes_with_argument(program: str, argument: str) -> list[ProcessIdentity]:
    """Live processes of a program that were started with exactly this argument."""
    return _find(
        ["name", "cmdline"],
        lambda info: (info["name"] or "").startswith(program) and argument in (info["cmdline"] or []),
    )


def processes_working_in(program: str, directory: Path) -> list[ProcessIdentity]:
    """Live processes of a program whose working directory this is."""
    wanted = str(directory.resolve())
    return _find(
        ["name", "cwd"],
        lambda info: (info["name"] or "").startswith(program) and info["cwd"] == wanted,
    )


async def wait_until_gone(processes: Iterable[ProcessIdentity], timeout_s: float) -> bool:
    """True as soon as all are gone, False when some outlive the timeout."""
    remaining = list(processes)
    deadline = time.monotonic() + timeout_s
    while remaining := [process for process in remaining if process.alive()]:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


async def end(processes: Iterable[ProcessIdentity], signals: Iterable[tuple[int, float]]) -> bool:
    """Send each signal in turn and wait its seconds, until all are gone; True when they are."""
    remaining = list(processes)
    for number, patience_s in signals:
        for process in remaining:
            process.signal(number)
        if await wait_until_gone(remaining, patience_s):
            return True
    return False
