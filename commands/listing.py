"""Lists in the terminal, and secrets read from it."""

import json
import sys
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import typer

from domain.problems import Text, ValidationProblem
from storage.paging import LARGEST_PAGE, Page, PageRequest

Item = TypeVar("Item")


def show_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print rows of equal members as JSON, or as columns under their names; nothing for none."""
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        return
    lines = [[str(name) for name in rows[0]], *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


async def all_pages(fetch: Callable[[PageRequest], Awaitable[Page[Item]]]) -> list[Item]:
    """The items of every page."""
    items: list[Item] = []
    cursor = None
    while True:
        page = await fetch(PageRequest(LARGEST_PAGE, cursor))
        items.extend(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return items


def read_hidden(what: Text, *, confirm: bool = False) -> str:
    """A value that must not stand on the command line: typed unseen, or all of the standard input.

    :raises ValidationProblem: the standard input is empty.
    """
    if sys.stdin.isatty():
        return str(typer.prompt(f"{what.zh} / {what.en}", hide_input=True, confirmation_prompt=confirm))
    value = sys.stdin.read().rstrip("\r\n")
    if not value:
        raise ValidationProblem(
            Text(f"标准输入为空：请用管道提供{what.zh}", f"The standard input is empty: pipe in the {what.en.lower()}")
        )
    return value


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "✓" if value else "✗"
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
