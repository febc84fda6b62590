"""A child process that runs one of our own commands: API, worker, simulator."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from domain.problems import Text
from runtime.managed_process import KILL, ManagedProcess

HealthCheck = Callable[["ChildProcess"], Awaitable[bool]]
_HEALTH_TIMEOUT_S = 5.0


class ChildProcess(ManagedProcess):
    """`python -m cli <arguments>` until it is stopped; `check` says whether it serves already.

    drain_s: how long it may finish what it began after SIGTERM.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        log_file: Path,
        check: HealthCheck,
        start_timeout_s: float = 90.0,
        drain_s: float = 30.0,
        program: Sequence[str] = (sys.executable, "-m", "cli"),
    ) -> None:
        super().__init__(name, log_file)
        self._command = [*program, *arguments]
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}
        self._check = check
        self._start_timeout_s = start_timeout_s
        self._drain_s = drain_s

    async def start(self) -> None:
        await self._spawn(self._command, self._environment)
        deadline = time.monotonic() + self._start_timeout_s
        while not await self.healthy():
            if self.pid is None:
                raise self.did_not_start(Text("进程已退出", "the process ended"))
            if time.monotonic() > deadline:
                raise self.did_not_start(
                    Text(
                        f"{self._start_timeout_s:.0f} 秒内未就绪",
                        f"it was not ready within {self._start_timeout_s:.0f} s",
                    )
                )
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        group = self._process.pid if self._process else None
        await self._end([(signal.SIGTERM, self._drain_s), (KILL, 5.0)])
        if group is not None:
            # Whatever it had started itself.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, KILL)

    async def healthy(self) -> bool:
        if self.pid is None:
            return False
        try:
            async with asyncio.timeout(_HEALTH_TIMEOUT_S):
                return await self._check(self)
        except TimeoutError:
            return False
