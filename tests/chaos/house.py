"""A complete Tandem of its own: `tandem up` in a child process, a fresh data folder, free ports."""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from runtime.instance import Addresses, read_addresses
from runtime.ports import free_ports
from runtime.processes import ProcessIdentity

_ROOT = Path(__file__).parents[2]
_START_S = 150.0
_STOP_S = 90.0
_LINES_KEPT = 400
# What the supervisor says when something it restarted answers again.
_BACK = re.compile(r"\] (\S+) is back \(")

SERVERS = ("worker", "api", "Temporal", "PostgreSQL")


class HouseProblem(Exception):
    """The Tandem under test did not start, or ended by itself."""


@dataclass(frozen=True)
class Returned:
    """Something was restarted; `at` is monotonic."""

    name: str
    at: float


class House:
    """`async with House() as house:` starts it, and stops it by Ctrl-C's signal.

    returned: what the supervisor restarted so far. settings: more `TANDEM_…` variables.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.data_dir = Path(tempfile.mkdtemp(prefix="tandem-chaos-"))
        self.api_url, self.simulator_url = (f"http://127.0.0.1:{port}" for port in free_ports(2))
        self.returned: list[Returned] = []
        self.lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self.exit_code: int | None = None
        self.leftovers: list[str] = []
        self._settings = settings or {}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "cli",
                "up",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=_ROOT,
                env=self._environment(),
                start_new_session=True,
                limit=1024 * 1024,
            )
            self._reader = asyncio.create_task(self._read())
            await self._until_running()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Ask it to stop as Ctrl-C does; note its exit code and whatever it left running. Twice does no harm."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
            try:
                self.exit_code = await asyncio.wait_for(process.wait(), _STOP_S)
            except TimeoutError:
                process.kill()
                self.exit_code = await process.wait()
            self.leftovers = [" ".join(child.cmdline())[:120] for child in self._processes()]
            for child in self._processes():
                child.kill()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)

    def forget(self) -> None:
        """Remove the data folder; it stays when nobody says so, to be looked into."""
        shutil.rmtree(self.data_dir, ignore_errors=True)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def addresses(self) -> Addresses:
        """Where its database and its Temporal answer."""
        addresses = read_addresses(self.data_dir)
        if addresses is None:
            raise HouseProblem(f"it runs no more:\n{self.tail()}")
        return addresses

    def tokens(self) -> dict[str, str]:
        """The demo people's tokens by login."""
        logins = json.loads((self.data_dir / "secrets" / "demo_logins.json").read_text(encoding="utf-8"))
        return {login["login"]: login["token"] for login in logins}

    def log(self, name: str) -> str:
        """All that a process wrote to its log."""
        file = self.data_dir / "logs" / f"{name}.log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def tail(self, lines: int = 30) -> str:
        return "\n".join(list(self.lines)[-lines:])

    def find(self, name: str) -> ProcessIdentity | None:
        """The process of one of the servers, None while it is away."""
        process = self._child(name)
        return ProcessIdentity.of(process.pid) if process is not None else None

    def kill(self, name: str, *, with_children: bool = False) -> bool:
        """SIGKILL, as the kernel does when memory is short; `with_children` what it had started as well."""
        process = self._child(name)
        if process is None:
            return False
        try:
            doomed = [process, *(process.children(recursive=True) if with_children else [])]
        except psutil.NoSuchProcess:
            return False
        for each in doomed:
            try:
                each.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        return True

    def environment(self) -> dict[str, str]:
        """The variables under which `tandem …` commands speak to this very instance."""
        return self._environment()

    def _child(self, name: str) -> psutil.Process | None:
        if self._process is None:
            return None
        try:
            children = psutil.Process(self._process.pid).children()
        except psutil.NoSuchProcess:
            return None
        return next((child for child in children if _is(child, name)), None)

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
        return {
            **ours,
            "PYTHONPATH": str(_ROOT),
            "TANDEM_DATA_DIR": str(self.data_dir),
            "TANDEM_API_PORT": self.api_url.rpartition(":")[2],
            "TANDEM_SIMULATOR_PORT": self.simulator_url.rpartition(":")[2],
            "TANDEM_TEMPORAL_PORT": "0",
            "TANDEM_TEMPORAL_UI_PORT": "0",
            "TANDEM_SIMULATOR_TRICKLE_S": "0",
            "TANDEM_LOCALE": "en",
            **self._settings,
        }

    async def _until_running(self) -> None:
        deadline = time.monotonic() + _START_S
        while read_addresses(self.data_dir) is None:
            if not self.running or time.monotonic() > deadline:
                raise HouseProblem(f"`tandem up` did not get ready:\n{self.tail()}")
            await asyncio.sleep(0.2)

    async def _read(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        with (self.data_dir / "up.log").open("a", encoding="utf-8") as log:
            async for raw in self._process.stdout:
                line = raw.decode("utf-8", "replace").rstrip()
                self.lines.append(line)
                print(line, file=log, flush=True)
                if back := _BACK.search(line):
                    self.returned.append(Returned(back[1], time.monotonic()))

    def _processes(self) -> list[psutil.Process]:
        """Every live process that belongs to the data folder."""
        return [each for each in psutil.process_iter() if each.pid != os.getpid() and self._is_ours(each)]

    def _is_ours(self, process: psutil.Process) -> bool:
        folder = str(self.data_dir)
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            places = (*process.cmdline(), process.cwd(), process.environ().get("TANDEM_DATA_DIR", ""))
        except psutil.Error:
            return False
        return any(folder in place for place in places)


def _is(process: psutil.Process, name: str) -> bool:
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    program = Path(command[0]).name if command else ""
    match name:
        case "PostgreSQL":
            return program == "postgres"
        case "Temporal":
            return program == "temporal"
        case _:
            return bool(command[-3:] == ["-m", "cli", name])
