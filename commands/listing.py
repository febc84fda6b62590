"""Lists in the terminal."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import typer

from commands.console import width_of
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
    widths = [max(map(width_of, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell + " " * (width - width_of(cell)) for cell, width in zip(line, widths, strict=True))
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


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "✓" if value else "✗"
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)
