"""PostgreSQL refuses to run as root: the account it runs under instead, and the little it must be able to reach."""

import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.problems import ConfigurationProblem, Text

# An account made for it, the distribution's own, or the one that every system has.
_CANDIDATES = ("tandem", "postgres", "nobody")


@dataclass(frozen=True)
class ServerAccount:
    """The user a server runs under when we are root."""

    name: str
    uid: int
    gid: int

    def subprocess_options(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give a folder (and what is in it, when it was somebody else's) to this account."""
        if path.stat().st_uid == self.uid:
            return
        os.chown(path, self.uid, self.gid)
        for folder, names, files in os.walk(path):
            for name in (*names, *files):
                os.chown(Path(folder, name), self.uid, self.gid, follow_symlinks=False)

    def let_through(self, path: Path) -> None:
        """Let this account pass through the folders above `path`, without letting it list them."""
        for parent in path.resolve().parents:
            status = parent.stat()
            if status.st_uid != self.uid and not status.st_mode & stat.S_IXOTH:
                parent.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)

    def let_read(self, tree: Path) -> None:
        """Let this account read and execute an installation that a strict umask closed."""
        for folder, _, files in os.walk(tree):
            _add_mode(Path(folder), stat.S_IROTH | stat.S_IXOTH)
            for name in files:
                file = Path(folder, name)
                if not file.is_symlink():
                    execute = stat.S_IXOTH if file.stat().st_mode & stat.S_IXUSR else 0
                    _add_mode(file, stat.S_IROTH | execute)


def _add_mode(path: Path, bits: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode | bits != mode:
        path.chmod(mode | bits)


def server_account() -> ServerAccount | None:
    """None unless we are root; then an unprivileged account, made when the system has none that fits.

    :raises ConfigurationProblem: root without any other account to run under.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    def lookup(name: str) -> ServerAccount | None:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            return None
        return ServerAccount(name, entry.pw_uid, entry.pw_gid) if entry.pw_uid else None

    useradd = shutil.which("useradd")
    if not any(lookup(name) for name in _CANDIDATES[:2]) and useradd:
        subprocess.run(  # noqa: S603 - fixed arguments
            [useradd, "--system", "--no-create-home", "--shell", "/bin/false", _CANDIDATES[0]],
            check=False,
            capture_output=True,
        )
    for name in _CANDIDATES:
        if account := lookup(name):
            return account
    raise ConfigurationProblem(
        Text(
            "PostgreSQL 不能以 root 身份运行，而系统中没有可用的普通账号。"
            "请用普通用户运行，或先执行 useradd --system tandem。",
            "PostgreSQL refuses to run as root and this system has no other account for it. "
            "Run as an ordinary user, or first: useradd --system tandem",
        )
    )
