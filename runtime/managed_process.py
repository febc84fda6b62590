"""A process of ours: started in a session of its own, told to stop in steps, writing to one log file."""

import asyncio
import contextlib
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from domain.problems import ProblemError, Text, UnavailableProblem
from runtime.folders import unwritable
from runtime.processes import ProcessIdentity

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
_LOG_READ = 65_536


class ManagedProcess(ABC):
    """Something that starts, answers, ends; `async with` starts and stops it.

    Its own session keeps Ctrl-C in the terminal from it: only the supervisor gets that, and stops all in order.
    It writes straight to its log file, so that it outlives a killed parent; the next start finds and ends it.
    """

    def __init__(self, name: str, log_file: Path) -> None:
        self.name = name
        self.log_file = log_file.absolute()
        self._process: asyncio.subprocess.Process | None = None
        self._log_start = 0

    @abstractmethod
    async def start(self) -> None:
        """Returns when it answers.

        :raises ProblemError: it cannot; the sentence says why and what to do.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Returns when it is gone; calling it twice does no harm."""

    @abstractmethod
    async def healthy(self) -> bool:
        """Whether it answers, asked for a few seconds at most."""

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The process number while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def identity(self) -> ProcessIdentity | None:
        """Which process it is, while it runs."""
        return ProcessIdentity.of(self.pid) if self.pid else None

    async def wait(self) -> int:
        """The exit code, as soon as the process ended for whatever reason."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return await self._process.wait()

    async def _spawn(self, command: Sequence[str | Path], environment: Mapping[str, str], **options: Any) -> None:
        try:
            self.log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            log = self.log_file.open("ab")
        except OSError as error:
            raise unwritable(self.log_file.parent, error) from error
        with log:
            self._log_start = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,
                **options,
            )

    async def _end(self, signals: Sequence[tuple[int, float]]) -> None:
        """Send each signal in turn and wait its seconds, until the process is gone."""
        process = self._process
        if process is not None and process.returncode is None:
            # It stays known meanwhile: whoever does not want to wait ends it by its identity.
            for number, patience_s in signals:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)
                try:
                    async with asyncio.timeout(patience_s):
                        await process.wait()
                except TimeoutError:
                    continue
                break
        self._process = None

    def logged(self, first: int = 4, last: int = 8) -> str:
        """What it logged since it was started: the first and the last lines, as far as 64 KiB from either end reach.

        A crash tells its cause in its first lines, a traceback in its last ones.
        """
        try:
            with self.log_file.open("rb") as log:
                log.seek(self._log_start)
                lines = log.read(_LOG_READ).decode("utf-8", "replace").splitlines()
                if (left := self.log_file.stat().st_size - log.tell()) > 0:
                    log.seek(max(left - _LOG_READ, 0), os.SEEK_CUR)
                    lines += log.read(_LOG_READ).decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        if len(lines) > first + last:
            lines = [*lines[:first], "…", *lines[-last:]]
        return "\n".join(lines)

    def did_not_start(self, why: Text) -> ProblemError:
        """The refusal that shows what it logged."""
        said = self.logged()
        return UnavailableProblem(
            Text(
                f"{self.name} 未能启动：{why.zh}。日志：{self.log_file}\n{said}",
                f"{self.name} did not start: {why.en}. Log: {self.log_file}\n{said}",
            )
        )
