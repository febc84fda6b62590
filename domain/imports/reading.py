"""From the rows of a table to the records they tell of.

How new a record of a table is, when no column says it: the minute of its latest instant, or of the table's export.
Platforms count in seconds or finer, so what a platform itself tells is always newer than what an import tells of it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel

from domain.canonical.orders import OrderLine
from domain.canonical.origin import Origin
from domain.canonical.records import RECORD_TYPES, parse_record
from domain.dsl.findings import listed
from domain.imports import Row, RowError, Table
from domain.imports.cells import Form, cell_text, cell_value, known_currency
from domain.imports.mapping import CURRENCY, FieldSource, ImportMapping, form_of
from domain.money import HOME_CURRENCY
from domain.problems import ProblemError, Text, ValidationProblem

MOST_LINES = 500
_MOST_GROUPS = 2_000_000
_SECONDS_A_MINUTE = 60


class ReadRecord(NamedTuple):
    """A record of the table, checked. line: where its first row begins; rows: how many rows it took."""

    line: int
    rows: int
    data: dict[str, Any]


class _Draft(NamedTuple):
    """What one row says: of the record, and of one of its lines. currency: None when what it names is none."""

    line: int
    top: dict[str, Any]
    detail: dict[str, Any]
    errors: list[RowError]
    currency: str | None = HOME_CURRENCY


class TableReader:
    """Reads the tables of one account by one mapping. accounts: the ids of all there are, see `parse_record`.

    :raises ValidationProblem: a column that the mapping names is not there; those there are are listed.
    """

    def __init__(
        self,
        mapping: ImportMapping,
        columns: tuple[str, ...],
        platform: str,
        account: str,
        accounts: Collection[str] | None = None,
    ) -> None:
        self._mapping = mapping
        self._zone = mapping.zone
        self._platform = platform
        self._account = account
        self._accounts = accounts
        self._model = RECORD_TYPES[mapping.record]
        self._id = next(name for name in self._model.model_fields if name not in Origin.model_fields)
        self._top = _placed(mapping.fields, self._model, columns)
        self._detail = _placed(mapping.lines, OrderLine, columns)
        spec = self._model.model_fields.get(CURRENCY)
        self._has_orders_currency = spec is not None and spec.default is None
        self._moments = [name for name in self._model.model_fields if form_of(self._model, name) == "time"]

    def read(self, table: Table, received_at: datetime) -> Iterator[ReadRecord | list[RowError]]:
        """Every record in turn, or why its rows are refused."""
        for group in self._groups(self._drafts(table)):
            yield self._record(group, received_at)

    def _drafts(self, table: Table) -> Iterator[_Draft]:
        before: _Draft | None = None
        for row in table.rows:
            before = self._draft(row, len(table.columns), before)
            yield before

    def _groups(self, drafts: Iterable[_Draft]) -> Iterator[list[_Draft]]:
        """Rows that make one record: each alone, or neighbours with the same number where there are lines."""
        if not self._detail:
            yield from ([draft] for draft in drafts)
            return
        group: list[_Draft] = []
        seen: set[int] = set()
        for draft in drafts:
            number = draft.top.get(self._id)
            if group and number is not None and number == group[0].top.get(self._id):
                # One that is too long is refused as a whole: what else belongs to it need not be kept.
                if len(group) <= MOST_LINES:
                    group.append(draft)
                continue
            if group:
                yield group
            if number is not None and hash(number) in seen:
                text = Text("同一单号的行应相邻：请按单号排序", "rows of one number must be neighbours: sort by it")
                draft.errors.append(RowError(draft.line, self._column(f"data/{self._id}"), text))
            elif number is not None and len(seen) < _MOST_GROUPS:
                seen.add(hash(number))
            group = [draft]
        if group:
            yield group

    def _draft(self, row: Row, width: int, before: _Draft | None) -> _Draft:
        if row.fault is not None:
            return _Draft(row.line, {}, {}, [RowError(row.line, "", row.fault)])
        errors: list[RowError] = []
        if len(row.cells) > width and any(cell not in (None, "") for cell in row.cells[width:]):
            text = Text("单元格比列标题多", "there are more cells than column titles")
            errors.append(RowError(row.line, "", text))
        top = self._fill({}, row, self._top, errors)
        detail = self._fill({}, row, self._detail, errors)
        currency = self._currency(row, top, before, errors)
        if currency is not None:
            self._fill(top, row, self._top, errors, amounts_of=currency)
            self._fill(detail, row, self._detail, errors, amounts_of=currency)
            if self._has_orders_currency and any(
                found.form == "yuan" and found.place is not None and path in top for path, found in self._top.items()
            ):
                # Left out, it would be the order's, and the amount another one than was read.
                top.setdefault(CURRENCY, currency)
        return _Draft(row.line, top, detail, errors, currency)

    def _currency(self, row: Row, top: dict[str, Any], before: _Draft | None, errors: list[RowError]) -> str | None:
        """What the amounts of a row are of: what it names, else what the row before it of the same record did."""
        title, number = self._column(f"data/{CURRENCY}"), top.get(self._id)
        has_more = bool(self._detail) and number is not None
        first = before if before is not None and has_more and number == before.top.get(self._id) else None
        if CURRENCY not in top and not any(error.column == title for error in errors):
            return first.currency if first else HOME_CURRENCY
        try:
            named = known_currency(top[CURRENCY]) if CURRENCY in top else None
        except ValueError as error:
            errors.append(RowError(row.line, title, error.args[0]))
            return None
        if named and first and first.currency not in (None, named):
            text = Text("同一单号的行应为同一货币", "the rows of one number must be of one currency")
            errors.append(RowError(row.line, title, text))
        return named

    def _fill(
        self,
        data: dict[str, Any],
        row: Row,
        placed: Mapping[str, "_Placed"],
        errors: list[RowError],
        *,
        amounts_of: str | None = None,
    ) -> dict[str, Any]:
        """Put what a row says into the data: its amounts when their currency is known, else everything but them."""
        for path, found in placed.items():
            if (found.form == "yuan") != (amounts_of is not None):
                continue
            try:
                value = self._value(row, found, amounts_of or HOME_CURRENCY)
            except ValueError as error:
                errors.append(RowError(row.line, found.title, error.args[0]))
                continue
            if value is not None:
                _put(data, path, value)
        return data

    def _value(self, row: Row, found: "_Placed", currency: str) -> Any:
        source = found.source
        if found.place is None:
            return source.value
        cell = row.cells[found.place] if found.place < len(row.cells) else None
        if source.values:
            word = cell_text(cell)
            if word is None or word not in source.values:
                if word is not None and source.default is None:
                    raise ValueError(Text("映射的 values 中没有这个值", "the mapping's `values` lack this word"))
                return source.default
            return source.values[word]
        value = cell_value(cell, found.form, self._zone, source.separator, currency=currency)
        return source.default if value is None else value

    def _record(self, group: list[_Draft], received_at: datetime) -> ReadRecord | list[RowError]:
        first = group[0]
        errors = [error for draft in group for error in draft.errors]
        data = dict(first.top)
        if self._detail:
            data["lines"] = [_whole_line(draft.detail, place) for place, draft in enumerate(group)]
            if len(group) > MOST_LINES:
                text = Text(f"一单最多 {MOST_LINES} 行", f"one record has at most {MOST_LINES} rows")
                errors = [RowError(first.line, "", text)]
        if errors:
            return errors
        self._date(data)
        try:
            parse_record(
                self._mapping.record,
                data,
                platform=self._platform,
                account=self._account,
                received_at=received_at,
                accounts=self._accounts,
            )
        except ProblemError as problem:
            found = problem.problem.as_dict().get("errors", [])
            # A moment that was derived from a column is wrong where that column is.
            own = [error for error in found if error["path"] != "data/occurred_at" or "occurred_at" in self._top]
            return [self._row_error(error, group) for error in own or found]
        return ReadRecord(first.line, len(group), data)

    def _date(self, data: dict[str, Any]) -> None:
        """When the record was so, and which version of it that makes."""
        moments = [datetime.fromisoformat(data[name]) for name in self._moments if isinstance(data.get(name), str)]
        if moments and "occurred_at" not in data:
            data["occurred_at"] = max(moments).isoformat()
        if "version" not in data:
            known = [*moments, *([self._mapping.as_of] if self._mapping.as_of else [])]
            if known:
                data["version"] = int(max(known).timestamp()) // _SECONDS_A_MINUTE
            else:
                data["version"] = None

    def _row_error(self, error: Mapping[str, str], group: list[_Draft]) -> RowError:
        path, reason = error["path"], Text(error["zh"], error["en"])
        parts = path.split("/")
        line = group[0].line
        if parts[:2] == ["data", "lines"] and len(parts) > 2 and parts[2].isdigit():
            line = group[min(int(parts[2]), len(group) - 1)].line
            path = "/".join(("lines", *parts[3:]))
        if path == "data/version":
            reason = Text(
                "没有时间列可以判断新旧：请映射一个时间字段，或在映射中写 as_of",
                "no time says how new this is: map a time, or write `as_of` in the mapping",
            )
        return RowError(line, self._column(path), reason)

    def _column(self, path: str) -> str:
        """The title of the column that a field comes from; the field itself when it comes from none."""
        top, _, rest = path.partition("/")
        placed = self._detail if top == "lines" else self._top
        name = rest.replace("/", ".")
        return placed[name].title if name in placed and placed[name].title else name


class _Placed(NamedTuple):
    source: FieldSource
    place: int | None
    title: str
    form: Form


def _placed(fields: Mapping[str, FieldSource], model: type[BaseModel], columns: tuple[str, ...]) -> dict[str, _Placed]:
    """Each field with the place of its column."""
    found: dict[str, _Placed] = {}
    for path, source in fields.items():
        title = next((title for title in source.column if title in columns), None)
        if source.column and title is None:
            wanted, known = " / ".join(source.column), listed(columns, most=40)
            raise ValidationProblem(
                Text(f"没有列“{wanted}”。表中有：{known}", f"There is no column “{wanted}”; there are: {known}"),
                errors=[],
            )
        if title is not None and columns.count(title) > 1:
            raise ValidationProblem(
                Text(f"列标题“{title}”出现了多次", f"The column title “{title}” appears more than once"), errors=[]
            )
        place = None if title is None else columns.index(title)
        found[path] = _Placed(source, place, title or "", source.form or form_of(model, path) or "text")
    return found


def _put(data: dict[str, Any], path: str, value: Any) -> None:
    *outer, name = path.split(".")
    for part in outer:
        data = data.setdefault(part, {})
    data[name] = value


def _whole_line(detail: Mapping[str, Any], place: int) -> dict[str, Any]:
    """An order line with what tables leave out: its number within the order, one piece, the sum."""
    line = {"line_id": str(place + 1), "quantity": 1, **detail}
    if "total_minor" not in line and isinstance(line.get("price_minor"), int) and isinstance(line["quantity"], int):
        line["total_minor"] = line["price_minor"] * line["quantity"]
    if "price_minor" not in line and isinstance(line.get("total_minor"), int) and line["quantity"]:
        line["price_minor"] = line["total_minor"] // line["quantity"]
    return line
