"""Visits, reviews, bookings and scores of payees from the rows of a table: one row is one fact.

Columns are known by their Chinese or English titles. Without a key a fact is named after payee and day, as it is on the
command line: the same table again says nothing new.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from domain.imports import Row, RowError, Table
from domain.imports.cells import Form, cell_value
from domain.imports.titles import places_of
from domain.problems import Text
from domain.settlement.payees import NewFact
from domain.validation_texts import explain

_SHANGHAI = ZoneInfo("Asia/Shanghai")
_TITLES: Mapping[str, tuple[str, ...]] = {
    "code": ("编号", "收款人", "code", "payee"),
    "name": ("事项", "name", "fact"),
    "day": ("日期", "day"),
    "amount": ("数值", "amount", "value"),
    "key": ("key",),
}
_NEEDED = ("code", "name", "day", "amount")
_FORMS: Mapping[str, Form] = {"day": "date", "amount": "whole"}


class FactLine(NamedTuple):
    """One fact of a table."""

    line: int
    fact: NewFact


class FactTable:
    """A table of facts, to be read once. Raises ValidationProblem when a column is missing, or one is unknown."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._places = places_of(table.columns, _TITLES, _NEEDED)

    def title(self, field: str) -> str:
        """The title of a field's column; the field itself where it has none."""
        place = self._places.get(field)
        return self._table.columns[place] if place is not None else field

    def lines(self) -> Iterator[FactLine | list[RowError]]:
        """Each row as a fact, or what is wrong with it."""
        first: dict[tuple[str, str, str], int] = {}
        for row in self._table.rows:
            if row.fault is not None:
                yield [RowError(row.line, "", row.fault)]
            elif any(cell is not None and cell != "" for cell in row.cells):
                found = self._read(row)
                if isinstance(found, FactLine):
                    fact = found.fact
                    before = first.setdefault((fact.code, fact.name, fact.key), row.line)
                    found = found if before == row.line else [self._repeated(row.line, before)]
                yield found

    def _read(self, row: Row) -> FactLine | list[RowError]:
        told: dict[str, Any] = {}
        errors: list[RowError] = []
        for field, place in self._places.items():
            if place >= len(row.cells):
                continue
            try:
                value = cell_value(row.cells[place], _FORMS.get(field, "text"), _SHANGHAI)
            except ValueError as error:
                errors.append(RowError(row.line, self.title(field), error.args[0]))
                continue
            if value is not None:
                told[field] = value
        if errors:
            return errors
        if "key" not in told:
            told["key"] = f"{told.get('code')}/{told.get('day')}"
        try:
            return FactLine(row.line, NewFact.model_validate(told))
        except ValidationError as error:
            return [self._wrong(row.line, each) for each in error.errors(include_url=False)]

    def _wrong(self, line: int, found: Any) -> RowError:
        field = str(found["loc"][-1]) if found["loc"] else ""
        return RowError(line, self.title(field), explain(found))

    def _repeated(self, line: int, before: int) -> RowError:
        text = Text(
            f"与第 {before} 行是同一收款人、同一天的同一事项；确是另一件事，请各写一个 key",
            f"the same fact of the same payee and day as in line {before}; name each by a `key` if it is another one",
        )
        return RowError(line, self.title("key" if "key" in self._places else "code"), text)
