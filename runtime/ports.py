"""TCP ports: is one free, who holds it, give me any."""

import errno
import os
import socket
from contextlib import ExitStack, suppress
from random import SystemRandom

import psutil

from domain.problems import ConfigurationProblem, ConflictProblem, Text
from runtime.processes import ProcessIdentity

API = Text("接口服务", "the API")
SIMULATOR = Text("平台模拟器", "the platform simulator")

_NEVER_HANDED_OUT = range(10_000, 32_768)


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago."""
    return free_ports(1, host)[0]


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Different ports that were free a moment ago; asked for one by one, two may be the same.

    They lie below those that the system hands out by itself (Linux: from 32768, RFC 6335: from 49152): a server
    that listens on any port, as Temporal's inner ones do, cannot take one before it is used.
    """
    with ExitStack() as held:
        found: list[int] = []
        for port in SystemRandom().sample(_NEVER_HANDED_OUT, len(_NEVER_HANDED_OUT)):
            if len(found) == count:
                break
            probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            with suppress(OSError):
                probe.bind((host, port))
                found.append(port)
        return found


def obstacle(port: int, host: str = "127.0.0.1") -> OSError | None:
    """Why a server could not listen here now, or None; a port closed a moment ago (TIME_WAIT) counts as free."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)) if is_listening(port, host) else None


def is_listening(port: int, host: str = "127.0.0.1", timeout_s: float = 0.5) -> bool:
    """Whether somebody accepts connections here."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def holder(port: int) -> ProcessIdentity | None:
    """The process that listens on a port, when the system lets us see it."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return ProcessIdentity.of(connection.pid)
    return None


def require_free(port: int, setting: str, purpose: Text, host: str = "127.0.0.1") -> None:
    """Refuse with who holds the port and which setting takes another one.

    :raises ConflictProblem: the port is taken.
    :raises ConfigurationProblem: nobody could listen there: no such address here, or not for this user.
    """
    why = obstacle(port, host)
    if why is None:
        return
    if why.errno != errno.EADDRINUSE:
        said = why.strerror or str(why)
        who = purpose.en[0].upper() + purpose.en[1:]
        address = setting.replace("_PORT", "_HOST")
        raise ConfigurationProblem(
            Text(
                f"{purpose.zh}无法监听 {host}:{port}（{said}）。请检查 {address} 与 {setting}；"
                "地址须属于本机，1024 以下的端口通常需要特权。",
                f"{who} cannot listen on {host}:{port} ({said}). Check {address} and {setting}: "
                "the address must be one of this machine, and ports below 1024 are mostly reserved.",
            )
        )
    process = holder(port)
    who_zh = f"，占用者：进程 {process.pid}（{process.command()[:80]}）" if process else ""
    who_en = f" by process {process.pid} ({process.command()[:80]})" if process else ""
    raise ConflictProblem(
        Text(
            f"{purpose.zh}需要的端口 {port} 已被占用{who_zh}。请停止占用者，或设置 {setting}=<空闲端口> 后重试。",
            f"Port {port}, needed by {purpose.en}, is taken{who_en}. "
            f"Stop the holder, or set {setting}=<a free port>, then try again.",
        )
    )
