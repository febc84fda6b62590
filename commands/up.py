"""`tandem up`: everything on this machine, from nothing to an address to open, until Ctrl-C."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import typer

from commands.console import progress
from commands.demo import fill
from commands.welcome import welcome
from domain.problems import Text
from runtime.application import Application
from runtime.child import ChildProcess, HealthCheck
from runtime.configuration import with_addresses, with_secrets
from runtime.embedded import EmbeddedPostgres, EmbeddedTemporal
from runtime.health import API_LIVENESS_PATH, SIMULATOR_HEALTH_PATH, Polling, answers
from runtime.instance import Addresses, hold_lock
from runtime.log_files import follow, keep_bounded
from runtime.managed_process import KILL
from runtime.ports import API, SIMULATOR, require_free
from runtime.search_attributes import register_search_attributes
from runtime.settings import Settings
from runtime.settings_source import read_settings
from runtime.supervisor import Supervised, Supervisor
from services.setup import DemoLogin
from storage.migrations import upgrade

Say = Callable[[Text], None]

# Work in hand is finished first, while everything it needs still runs.
_STOP_ORDER = ("worker", "api", "simulator", "Temporal", "PostgreSQL")


def up(
    verbose: Annotated[bool, typer.Option("--verbose", help="显示子进程的全部日志 / show all log lines")] = False,
) -> None:
    """启动全部服务，Ctrl-C 停止 / start everything; Ctrl-C stops it."""
    settings = read_settings()
    with hold_lock(settings.data_dir):
        code = asyncio.run(_House(settings, verbose=verbose).serve())
    raise typer.Exit(code)


class _House:
    """One Tandem on this machine."""

    def __init__(self, settings: Settings, *, verbose: bool) -> None:
        self.settings = settings
        self.complete = with_secrets(settings, generate=True)
        self.say: Say = progress(settings.locale)
        self.verbose = verbose
        self.temporal_ui: str | None = None
        self.logins: list[DemoLogin] = []

    async def serve(self) -> int:
        """0 after a stop by request, 1 when a process had to be given up.

        :raises ProblemError: something did not start; whatever had started is stopped again.
        """
        supervisor = Supervisor(self.settings.data_dir, self.say)
        stop = asyncio.Event()
        with _stopped_by_signals(stop, supervisor, self.say):
            stopping = asyncio.create_task(stop.wait())
            starting = asyncio.create_task(self._start(supervisor))
            watching: list[asyncio.Task[None]] = []
            try:
                await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
                if stop.is_set():
                    return 0
                await starting
                watching = self._watch_logs(supervisor)
                given_up = asyncio.create_task(supervisor.until_given_up())
                await asyncio.wait([given_up, stopping], return_when=asyncio.FIRST_COMPLETED)
                return 0 if stop.is_set() else 1
            finally:
                for task in (starting, stopping, *watching):
                    task.cancel()
                await asyncio.gather(starting, stopping, *watching, return_exceptions=True)
                await supervisor.stop(_STOP_ORDER)

    async def _start(self, supervisor: Supervisor) -> None:
        settings = self.settings
        await supervisor.end_leftovers()
        self._require_ports()
        self.say(Text("正在启动数据库与流程引擎…", "starting the database and the workflow engine…"))
        connected = await self._start_servers(supervisor)
        self.say(Text("正在升级数据库结构…", "migrating the database…"))
        await asyncio.to_thread(upgrade, connected.required_database_url())
        if self._runs_simulator():
            await supervisor.start(self._simulator(connected))
        await self._prepare(connected)
        self.say(Text("正在启动服务进程…", "starting the services…"))
        await supervisor.start(*self._children(connected))
        addresses = Addresses(
            database_url=connected.required_database_url(),
            temporal_address=connected.required_temporal_address(),
            api_url=settings.api_url,
            simulator_url=settings.simulator_address if settings.simulator_enabled else None,
            temporal_ui_url=self.temporal_ui,
        )
        addresses.write(settings.data_dir)
        typer.echo(welcome(settings, addresses, self.logins))

    async def _prepare(self, connected: Settings) -> None:
        """What must be there before anybody works: search attributes, and the demo if it is wanted."""
        complete = with_addresses(
            self.complete, connected.required_database_url(), connected.required_temporal_address()
        )
        application = await Application.connect(complete)
        try:
            await register_search_attributes(application.client)
            if self.settings.wants_demo:
                self.say(Text("正在准备演示数据…", "preparing the demo…"))
                self.logins, said = await fill(application, with_accounts=self.settings.simulator_enabled)
                for sentence in said:
                    self.say(sentence)
        finally:
            await application.close()

    def _require_ports(self) -> None:
        settings = self.settings
        require_free(settings.api_port, "TANDEM_API_PORT", API, settings.api_host)
        if self._runs_simulator():
            require_free(settings.simulator_port, "TANDEM_SIMULATOR_PORT", SIMULATOR, settings.simulator_host)

    def _runs_simulator(self) -> bool:
        return self.settings.simulator_enabled and self.settings.simulator_url is None

    async def _start_servers(self, supervisor: Supervisor) -> Settings:
        """The settings with the addresses of the servers, those that are not elsewhere started."""
        settings = self.settings
        postgres = EmbeddedPostgres(settings.data_dir / "postgres", log_file=settings.logs_dir / "postgresql.log")
        temporal = EmbeddedTemporal(
            settings.data_dir / "temporal",
            port=settings.temporal_port or None,
            ui_port=settings.temporal_ui_port or None,
            namespace=settings.temporal_namespace,
            log_file=settings.logs_dir / "temporal.log",
        )
        stage = []
        if settings.embedded_database:
            stage.append(Supervised(postgres))
        if settings.embedded_temporal:
            stage.append(Supervised(temporal))
        await supervisor.start(*stage)
        self.temporal_ui = temporal.ui_address if settings.embedded_temporal else None
        temporal_address = temporal.address if settings.embedded_temporal else ""
        return with_addresses(settings, postgres.url(), temporal_address)

    def _children(self, connected: Settings) -> list[Supervised]:
        polling = Polling(connected)
        alive = answers(f"{self.settings.api_url}{API_LIVENESS_PATH}")
        return [
            Supervised(self._child("api", connected, alive, drain_s=15)),
            Supervised(self._child("worker", connected, polling, drain_s=30)),
        ]

    def _simulator(self, connected: Settings) -> Supervised:
        check = answers(f"{self.settings.simulator_address}{SIMULATOR_HEALTH_PATH}")
        # Tandem is of use without it: the shops of the real platforms are elsewhere.
        every_s = self.settings.simulator_trickle_s
        options = ["--customers", str(self.settings.simulator_customers)]
        options += ["--years", str(self.settings.simulator_years)]
        options += ["--trickle", str(every_s)] if every_s else []
        return Supervised(self._child("simulator", connected, check, options, drain_s=10), essential=False)

    def _child(
        self, name: str, connected: Settings, check: HealthCheck, options: Sequence[str] = (), *, drain_s: float
    ) -> ChildProcess:
        return ChildProcess(
            name,
            [name, *options],
            environment=connected.environment(),
            log_file=self.settings.logs_dir / f"{name}.log",
            check=check,
            drain_s=drain_s,
        )

    def _watch_logs(self, supervisor: Supervisor) -> list[asyncio.Task[None]]:
        files = {process.name: process.log_file for process in supervisor.running}
        children = {
            process.name: process.log_file for process in supervisor.running if isinstance(process, ChildProcess)
        }

        def show(name: str, line: str) -> None:
            typer.echo(f"{name:>10} | {line}")

        return [
            asyncio.create_task(follow(children, show, everything=self.verbose)),
            asyncio.create_task(keep_bounded(files)),
        ]


@contextlib.contextmanager
def _stopped_by_signals(stop: asyncio.Event, supervisor: Supervisor, say: Say) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal ask for a stop; asking again does not wait for unfinished work."""
    loop = asyncio.get_running_loop()
    signals = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

    def asked() -> None:
        if not stop.is_set():
            stop.set()
            say(Text("正在停止（再按一次 Ctrl-C 立即结束）…", "stopping (Ctrl-C again ends it at once)…"))
            return
        for process in supervisor.running:
            if identity := process.identity:
                identity.signal(KILL)

    for number in signals:
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
