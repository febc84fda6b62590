"""What stands in the repository's Markdown, for the tests that hold it to the code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from cli import command_line

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^```(?P<language>[a-z]+)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|mailto:)(?P<path>[^)#\s]*)(?:#(?P<heading>[^)\s]*))?\)")
_COMMAND = re.compile(r"(?<![\w./-])tandem (?P<words>[a-z][^\n;|&`#]*)")
_TARGET = re.compile(r"(?:^\s*|`|&& )make (?P<target>[a-z]+(?:-[a-z]+)*)", re.MULTILINE)


def documents() -> list[Path]:
    """Every Markdown file that people read."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "simulator" / "README.md"])


def read(name: str) -> str:
    """The text of a document by its path in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return [found["text"] for found in _FENCE.finditer(text) if found["language"] == language]


def table(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, its head and its ruler left out."""
    below = text.split(f"\n{heading}\n", 1)[1]
    rows: list[list[str]] = []
    for line in below.splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif rows:
            break
    return rows[2:]


def broken_links(document: Path) -> list[str]:
    """Links of a document to files, or to headings of Markdown files, that are not there."""
    broken = []
    for link in _LINK.finditer(document.read_text(encoding="utf-8")):
        target = document.parent / link["path"] if link["path"] else document
        headings = {link["heading"]} - {None, ""}
        if not target.exists() or not headings <= _anchors(target):
            broken.append(link[0])
    return broken


def _anchors(file: Path) -> set[str]:
    if file.suffix != ".md":
        return set()
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def tandem_commands(text: str) -> list[str]:
    """Everything after `tandem` wherever a text calls it."""
    return [found["words"].strip() for found in _COMMAND.finditer(text)]


def wrong_command(words: str) -> str | None:
    """What is wrong with a call of `tandem`: a command or an option that does not exist."""
    command: Any = typer.main.get_command(command_line())
    given = words.replace('"', " ").split()
    while given and (below := getattr(command, "commands", None)):
        if given[0] in ("…", "--help"):
            return None
        inner = below.get(given.pop(0))
        if inner is None:
            return f"there is no `tandem {words}`"
        command = inner
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in given if re.fullmatch(r"--?[a-z][a-z-]*", word) and word not in known]
    return f"`tandem {words}` has no {', '.join(unknown)}" if unknown else None


def make_targets(text: str) -> Iterator[str]:
    """The targets of every `make …`."""
    return (found["target"] for found in _TARGET.finditer(text))
