"""Tables of rows (an export of a shop, a till, a spreadsheet) as canonical records, by a mapping of columns to fields.

A table is read once and row by row; nothing here knows whether it was CSV or XLSX. A row that cannot be understood is
told by line, column and reason, and holds up no other.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

from domain.problems import Text

MOST_COLUMNS = 500


class Unreadable(NamedTuple):
    """A cell or a row that is no value, and why: a formula, a broken quotation."""

    reason: Text


Cell = str | int | float | bool | datetime | date | Unreadable | None
"""What stands in a cell. Times have no zone: the mapping says where the table comes from."""


class Row(NamedTuple):
    """A row, and the line it begins at. fault: why none of it can be read."""

    line: int
    cells: tuple[Cell, ...]
    fault: Text | None = None


class Table(NamedTuple):
    """The column titles, and the rows below them."""

    columns: tuple[str, ...]
    rows: Iterator[Row]


class RowError(NamedTuple):
    """Why a row was refused. column: its title, empty when the row as a whole is meant."""

    line: int
    column: str
    reason: Text


__all__ = ["MOST_COLUMNS", "Cell", "Row", "RowError", "Table", "Unreadable"]
