"""Log files of the children: their warnings shown in the terminal, and no file grows for ever."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

_LARGEST_FILE = 32 * 1024 * 1024
_LONGEST_LINE = 2_000
_POLL_S = 0.5
_QUIET_LEVELS = frozenset({"debug", "info"})
# Said in the line's own words or by the prefix.
_HIDDEN_MEMBERS = frozenset({"event", "level", "logger", "timestamp", "service", "exception"})

Show = Callable[[str, str], None]


async def follow(files: Mapping[str, Path], show: Show, *, everything: bool = False) -> None:
    """Hand each new line of each file to `show(name, line)`, until cancelled.

    Of JSON lines only warnings and worse are shown, in a readable form; of others each; `everything` shows all.
    """
    positions = {name: _size(path) for name, path in files.items()}
    rests: dict[str, bytes] = dict.fromkeys(files, b"")
    while True:
        for name, path in files.items():
            positions[name], lines, rests[name] = await asyncio.to_thread(_read, path, positions[name], rests[name])
            for line in lines:
                if (readable := readable_line(line, everything)) is not None:
                    show(name, readable)
        await asyncio.sleep(_POLL_S)


async def keep_bounded(files: Mapping[str, Path], *, largest: int = _LARGEST_FILE) -> None:
    """Move a file that has grown past `largest` bytes to `<name>.1`, over the one before, until cancelled.

    Its writers have it open to append: they go on in the emptied file.
    """
    while True:
        for path in files.values():
            if _size(path) > largest:
                await asyncio.to_thread(_turn_over, path)
        await asyncio.sleep(5)


def readable_line(line: str, everything: bool = False) -> str | None:
    """One line for a person, or None when it is not worth the terminal."""
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if not isinstance(entry, dict):
        return line[:_LONGEST_LINE] if line.strip() else None
    level = str(entry.get("level", "info")).lower()
    if level in _QUIET_LEVELS and not everything:
        return None
    members = " ".join(f"{name}={value}" for name, value in entry.items() if name not in _HIDDEN_MEMBERS)
    failure = entry.get("exception")
    if isinstance(failure, list) and failure and isinstance(failure[0], dict):
        members = f"{members} {failure[0].get('exc_type')}: {failure[0].get('exc_value')}".strip()
    return f"{level.upper()} {entry.get('event', '')} {members}".strip()[:_LONGEST_LINE]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(path: Path, position: int, rest: bytes) -> tuple[int, list[str], bytes]:
    size = _size(path)
    if size < position:
        position, rest = 0, b""
    if size == position:
        return position, [], rest
    with path.open("rb") as file:
        file.seek(position)
        content = rest + file.read(1024 * 1024)
        position = file.tell()
    *lines, rest = content.split(b"\n")
    return position, [line.decode("utf-8", "replace") for line in lines], rest[-_LONGEST_LINE:]


def _turn_over(path: Path) -> None:
    shutil.copyfile(path, path.with_name(path.name + ".1"))
    os.truncate(path, 0)
