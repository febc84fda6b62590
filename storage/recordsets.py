"""Many rows into one table by one statement: they travel as one JSON text, which PostgreSQL reads itself.

A guarded upsert decides column by column. Each group of columns has a version, and a tie for tellings with one version,
that say which of two states is the newer one: the newer one wins, what it does not say stays, and an older one fills
gaps. Columns that the newest state did not say keep how new they are in `gap_versions`, so that of two older states the
newer one fills the gap. So rows may come twice, late, in any order and in any batches, and the table ends the same.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    CursorResult,
    Dialect,
    Insert,
    Select,
    Table,
    TableValuedAlias,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.encryption import encrypted_type
from storage.tables import Table as TableModel

Values = Mapping[str, Any]


def as_json(model: type[TableModel], rows: Iterable[Values], dialect: Dialect) -> str:
    """The rows as the text of `recordset`: instants in ISO 8601, encrypted columns encrypted and in hex."""
    sealed = [(each.name, kind) for each in table_of(model).columns if (kind := encrypted_type(each.type))]

    def stored(row: Values) -> Values:
        given = [(name, kind.process_bind_param(row[name], dialect)) for name, kind in sealed if name in row]
        return {**row, **{name: f"\\x{value.hex()}" for name, value in given if value is not None}}

    told = [stored(row) for row in rows] if sealed else list(rows)
    try:
        # The standard library's encoder takes three times as long, for each row of each batch.
        return to_json(told, fallback=str).decode()
    except PydanticSerializationError:
        # Half of a surrogate pair: written as an escape, PostgreSQL refuses it as it does any text it cannot keep.
        return json.dumps(told, default=str)


def recordset(model: type[TableModel], names: Sequence[str], *more: ColumnClause[Any]) -> TableValuedAlias:
    """The parameter `rows` as a table with these columns of the model, typed as they are there, and `more`."""
    table = table_of(model)
    columns = [*(column(name, table.columns[name].type) for name in names), *more]
    given = cast(bindparam("rows", type_=Text), JSON)
    return func.json_to_recordset(given).table_valued(*columns, name="r").render_derived(with_types=True)


@dataclass(frozen=True, slots=True)
class Guard:
    """How an upsert decides. groups: version column → the columns it guards. earliest: the earlier instant stays.

    followers: columns that go with another one: whoever's word counts there counts here.
    """

    key: tuple[str, ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    earliest: tuple[str, ...] = ()
    followers: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that a row has."""
        guarded = tuple(name for version, columns in self.groups for name in (version, tie_of(version), *columns))
        followers = tuple(name for name, _ in self.followers)
        return (*self.key, *guarded, *self.earliest, *followers, *(("gap_versions",) * self.has_gaps), "recorded_at")

    @property
    def has_gaps(self) -> bool:
        """Whether a telling may leave something out that another one says."""
        return any(len(columns) > 1 for _, columns in self.groups)


def tie_of(version: str) -> str:
    """The column that decides between tellings with one version."""
    return f"{version}_tie"


@lru_cache(maxsize=64)
def guarded_upsert(model: type[TableModel], guard: Guard) -> Insert:
    """An INSERT of the rows in the parameter `rows` that lets newer versions win.

    It gives back, for every row that was written, whether it is new (`is_new`), and its key; where rows point at an
    identity also which one it points at (`whose`), and which one before (`was`, NULL for a new row).
    """
    table = table_of(model)
    source = recordset(model, guard.names)
    rows: Select[Any] = select(*(source.c[name] for name in guard.names)).order_by(
        *(source.c[name] for name in guard.key)
    )
    statement = insert(table).from_select(guard.names, rows)
    old, new = table.c, statement.excluded
    changes: dict[str, Any] = {"recorded_at": new["recorded_at"]}
    reasons: list[ColumnElement[bool]] = []
    takes: dict[str, ColumnElement[bool]] = {}
    gaps: list[Any] = []
    gapless: list[ColumnElement[bool]] = []
    for version, columns in guard.groups:
        group = _Group(old, new, version, guard.has_gaps)
        reasons.append(group.is_newer)
        changes[version] = func.greatest(old[version], new[version])
        changes[tie_of(version)] = case((group.is_newer, new[tie_of(version)]), else_=old[tie_of(version)])
        for name in columns:
            before, after = said(old[name]), said(new[name])
            takes[name] = and_(after.is_not(None), or_(before.is_(None), group.is_newer_in(name)))
            changes[name] = case((takes[name], new[name]), else_=old[name])
            reasons.append(takes[name])
            if guard.has_gaps:
                gaps += [name, group.gap(name, takes[name], before.is_not(None))]
                gapless.append(group.is_whole(before.is_not(None), after.is_not(None)))
    for name in guard.earliest:
        changes[name] = func.least(old[name], new[name])
        reasons.append(or_(new[name] < old[name], and_(old[name].is_(None), new[name].is_not(None))))
    for name, leader in guard.followers:
        changes[name] = case((takes[leader], new[name]), else_=old[name])
    if guard.has_gaps:
        no_gaps = and_(old["gap_versions"].is_(None), new["gap_versions"].is_(None), *gapless)
        kept = func.nullif(func.jsonb_strip_nulls(func.jsonb_build_object(*gaps)), _NOTHING)
        changes["gap_versions"] = case((no_gaps, null()), else_=kept)
    guarded = statement.on_conflict_do_update(index_elements=list(guard.key), set_=changes, where=or_(*reasons))
    told: list[ColumnElement[Any]] = [literal_column("(xmax = 0)").label("is_new"), *(old[name] for name in guard.key)]
    if "identity_id" in guard.names:
        told += [literal_column("old.identity_id").label("was"), old["identity_id"].label("whose")]
    return guarded.returning(*told)


class _Group:
    """The columns under one version: how new a row that comes is beside the row that is there."""

    def __init__(self, old: Any, new: Any, version: str, has_gaps: bool) -> None:
        self._old, self._new, self._has_gaps = old, new, has_gaps
        was, comes = (tuple_(row[version], row[tie_of(version)]) for row in (old, new))
        self._was, self._comes = (func.jsonb_build_array(row[version], row[tie_of(version)]) for row in (old, new))
        self.is_newer: ColumnElement[bool] = comes > was
        self._is_older: ColumnElement[bool] = comes < was

    def is_newer_in(self, name: str) -> ColumnElement[bool]:
        """Whether what comes is newer in this column."""
        if not self._has_gaps:
            return self.is_newer
        before, after = self._gap(self._old, name), self._gap(self._new, name)
        newer = func.coalesce(after, self._comes).op(">", is_comparison=True)(func.coalesce(before, self._was))
        return case((and_(before.is_(None), after.is_(None)), self.is_newer), else_=newer)

    def gap(self, name: str, takes: ColumnElement[bool], was_said: ColumnElement[bool]) -> ColumnElement[Any]:
        """How new the column is when the rest of the group is newer, else NULL."""
        return case(
            (takes, func.coalesce(self._gap(self._new, name), case((self._is_older, self._comes)))),
            (was_said, func.coalesce(self._gap(self._old, name), case((self.is_newer, self._was)))),
        )

    def is_whole(self, was_said: ColumnElement[bool], is_said: ColumnElement[bool]) -> ColumnElement[bool]:
        """Whether the newer row says the column when the other one does; given that neither row has gaps."""
        return and_(or_(~self.is_newer, is_said, ~was_said), or_(~self._is_older, was_said, ~is_said))

    @staticmethod
    def _gap(row: Any, name: str) -> ColumnElement[Any]:
        gap: ColumnElement[Any] = row["gap_versions"].op("->", return_type=JSONB())(literal_column(f"'{name}'"))
        return gap


async def run_with_rows(
    session: AsyncSession, statement: Any, model: type[TableModel], rows: Sequence[Values], **more: Any
) -> list[Any]:
    """The rows that a statement over `recordset` gives back; nothing is asked of the database for no rows."""
    if not rows:
        return []
    dialect = session.get_bind().dialect
    result = await session.execute(statement, {"rows": as_json(model, rows, dialect), **more})
    return list(result) if isinstance(result, CursorResult) and result.returns_rows else []


def table_of(model: type[TableModel]) -> Table:
    """The table of a model, for statements that the ORM need not understand."""
    return model.metadata.tables[str(model.__tablename__)]


_NOTHING = cast(literal("{}", Text), JSONB)


def said(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """The value, NULL when it says nothing: an empty list or object, the word `unknown`."""
    if isinstance(value.type, ARRAY):
        return func.nullif(value, cast(literal("{}"), value.type))
    if isinstance(value.type, JSONB):
        return func.nullif(value, _NOTHING)
    if value.key in ("status", "state"):
        return func.nullif(value, "unknown")
    return value
