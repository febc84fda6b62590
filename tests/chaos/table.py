"""Plain tables for the terminal."""

from collections.abc import Sequence
from unicodedata import east_asian_width


def table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their widest cell; numbers to the right."""
    cells = [list(heading), *([_shown(value) for value in row] for row in rows)]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(heading))]
    right = [
        all(isinstance(row[column], int | float) or row[column] is None for row in rows)
        for column in range(len(heading))
    ]
    lines = [_line(row, widths, right) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for cell, width, to_the_right in zip(row, widths, right, strict=True):
        space = " " * (width - _width(cell))
        padded.append(space + cell if to_the_right else cell + space)
    return "  ".join(padded).rstrip()


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _width(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
