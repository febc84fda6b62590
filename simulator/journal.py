"""An append-only journal of rows, so that a killed simulator goes on where it was.

One JSON object a line. Every line is handed to the operating system before the caller goes on, which
survives a kill of the process (not a power cut). A torn last line is ignored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO


class JournalMismatch(Exception):
    """The state folder belongs to another seed."""


class Journal:
    """Appends to and reads one file; `None` keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: TextIO | None = None

    def read(self) -> Iterator[dict[str, Any]]:
        """The lines written so far, oldest first."""
        if self._path is None or not self._path.exists():
            return
        with self._path.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    continue

    def append(self, line: dict[str, Any]) -> None:
        """Writes one line and hands it to the operating system."""
        if self._path is None:
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._end_torn_line()
            self._file = self._path.open("a", encoding="utf-8")
        self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        self._file.flush()

    def rewrite(self, lines: Iterable[dict[str, Any]]) -> None:
        """Replaces the journal by `lines` in one step (compaction)."""
        if self._path is None:
            return
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as out:
            for line in lines:
                out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._path)

    def close(self) -> None:
        """Lets go of the file; a later append opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _end_torn_line(self) -> None:
        if self._path is None or not self._path.exists() or self._path.stat().st_size == 0:
            return
        with self._path.open("rb+") as raw:
            raw.seek(-1, os.SEEK_END)
            if raw.read(1) != b"\n":
                raw.write(b"\n")


Append = Callable[[dict[str, Any]], None]
