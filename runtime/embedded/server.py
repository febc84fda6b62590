"""What both embedded servers share: a folder, a log file, a child process of its own session."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from domain.problems import ConfigurationProblem, ProblemError, Text, UnavailableProblem
from runtime.processes import ProcessIdentity


class EmbeddedServer:
    """A server process that lives in a folder of ours; `async with` starts and stops it.

    It runs in a session of its own, so that Ctrl-C in the terminal reaches only the supervisor, which stops
    the servers last. A server outlives a killed parent; the next start finds it, stops it properly and goes on.
    """

    name: str

    def __init__(self, directory: Path, log_file: Path | None) -> None:
        self.directory = directory.absolute()
        self.log_file = (log_file or self.directory / f"{self.name.lower()}.log").absolute()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when the server answers.

        :raises ProblemError: it cannot; the sentence says why and what to do.
        """
        raise NotImplementedError

    async def stop(self) -> None:
        """Returns when the server is gone; calling it twice does no harm."""
        raise NotImplementedError

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
        """The server's process number while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def wait(self) -> int:
        """The exit code, as soon as the process ended for whatever reason."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return await self._process.wait()

    async def _spawn(self, command: Sequence[str | Path], environment: Mapping[str, str], **options: Any) -> None:
        with self.log_file.open("ab") as log:
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
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        for number, patience_s in signals:
            try:
                process.send_signal(number)
                await asyncio.wait_for(process.wait(), patience_s)
            except ProcessLookupError:
                return
            except TimeoutError:
                continue
            return

    def _identity(self) -> ProcessIdentity | None:
        return ProcessIdentity.of(self._process.pid) if self._process else None

    def _prepare_directory(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            probe = self.directory / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise unwritable(self.directory, error) from error

    def _log_tail(self, lines: int = 8) -> str:
        try:
            with self.log_file.open("rb") as log:
                log.seek(max(0, self.log_file.stat().st_size - 8192))
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _did_not_start(self, why: Text) -> ProblemError:
        tail = self._log_tail()
        return UnavailableProblem(
            Text(
                f"内嵌 {self.name} 未能启动：{why.zh}。日志：{self.log_file}\n{tail}",
                f"The embedded {self.name} did not start: {why.en}. Log: {self.log_file}\n{tail}",
            )
        )


def unwritable(directory: Path, error: OSError) -> ConfigurationProblem:
    """The refusal of a data folder that cannot be written."""
    return ConfigurationProblem(
        Text(
            f"无法写入数据目录 {directory}（{error.strerror}）。"
            "请修改该目录的权限，或用 TANDEM_DATA_DIR 指定可写的目录。",
            f"The data folder {directory} cannot be written ({error.strerror}). "
            "Change its permissions, or name a writable folder with TANDEM_DATA_DIR.",
        )
    )
