"""One running Tandem for each data folder: its lock, and where its servers answer."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from domain.problems import ConfigurationProblem, ConflictProblem, Text
from runtime.folders import unwritable
from runtime.processes import ProcessIdentity

_LOCK_NAME = "tandem.lock"
_ADDRESSES_NAME = "addresses.json"


@dataclass(frozen=True)
class Addresses:
    """Where a running instance's servers answer; read by commands in another terminal."""

    database_url: str
    temporal_address: str
    api_url: str
    simulator_url: str | None = None
    temporal_ui_url: str | None = None

    def write(self, data_dir: Path) -> None:
        unfinished = data_dir / f".{_ADDRESSES_NAME}.{os.getpid()}"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
        unfinished.replace(data_dir / _ADDRESSES_NAME)


def read_addresses(data_dir: Path) -> Addresses | None:
    """Where the instance of this folder answers, or None when none runs."""
    if lock_holder(data_dir) is None:
        return None
    try:
        return Addresses(**json.loads((data_dir / _ADDRESSES_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def lock_holder(data_dir: Path) -> ProcessIdentity | None:
    """The live process that holds the folder; a lock whose process is gone is no lock."""
    identity = _read(data_dir / _LOCK_NAME)
    return identity if identity and identity.alive() else None


@contextlib.contextmanager
def hold_lock(data_dir: Path) -> Iterator[None]:
    """The folder is this process's alone inside the `with`; a stale lock is replaced.

    :raises ConflictProblem: another live process holds it.
    :raises ConfigurationProblem: the folder cannot be written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        path = data_dir / _LOCK_NAME
        mine = data_dir / f".{_LOCK_NAME}.{os.getpid()}"
        mine.write_text(_content(), encoding="utf-8")
    except OSError as error:
        raise unwritable(data_dir, error) from error
    try:
        _take(path, mine)
    finally:
        mine.unlink(missing_ok=True)
    try:
        yield
    finally:
        for name in (_ADDRESSES_NAME, _LOCK_NAME):
            (data_dir / name).unlink(missing_ok=True)


def _take(path: Path, mine: Path) -> None:
    """Put our lock in place. A link is made whole or not at all, so nobody ever reads half a lock."""
    deadline = time.monotonic() + 5
    while True:
        try:
            _place(mine, path)
        except FileExistsError:
            holder = _read(path)
            if holder and holder.alive():
                raise _held(path, holder) from None
            # Two may find the same stale lock: only the one that moves it away goes on.
            stale = mine.with_suffix(".stale")
            with contextlib.suppress(FileNotFoundError):
                path.rename(stale)
                moved = _read(stale)
                if moved and moved.alive():
                    _place(stale, path)
                stale.unlink()
            if time.monotonic() > deadline:
                raise ConfigurationProblem(
                    Text(
                        f"无法替换失效的锁 {path}，请手动删除它。",
                        f"The stale lock {path} cannot be replaced: remove it.",
                    )
                ) from None
        else:
            return


def _place(source: Path, path: Path) -> None:
    try:
        os.link(source, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links.
        with path.open("x", encoding="utf-8") as file:
            file.write(source.read_text(encoding="utf-8"))


def _held(path: Path, holder: ProcessIdentity) -> ConflictProblem:
    return ConflictProblem(
        Text(
            f"数据目录 {path.parent} 正由另一个 Tandem 使用（进程 {holder.pid}）。"
            f"请先在它的终端按 Ctrl-C（或 kill {holder.pid}），或用 TANDEM_DATA_DIR 指定另一个目录。",
            f"Another Tandem (process {holder.pid}) uses the data folder {path.parent}. "
            f"Press Ctrl-C in its terminal (or kill {holder.pid}), or name another folder with TANDEM_DATA_DIR.",
        )
    )


def _content() -> str:
    identity = ProcessIdentity.of(os.getpid())
    started_at = identity.started_at if identity else 0.0
    return json.dumps({"pid": os.getpid(), "started_at": started_at}) + "\n"


def _read(path: Path) -> ProcessIdentity | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return ProcessIdentity(int(content["pid"]), float(content["started_at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
