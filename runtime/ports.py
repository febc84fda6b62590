"""TCP ports: is one free, who holds it, give me any."""

import socket

import psutil

from domain.problems import ConflictProblem, Text
from runtime.processes import ProcessIdentity


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen here now; a port closed a moment ago (TIME_WAIT) counts as free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return not is_listening(port, host)


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
    """
    if is_free(port, host):
        return
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
