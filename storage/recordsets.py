"""Many rows into one table by one statement: they travel as one JSON text, which PostgreSQL reads itself.

A guarded upsert decides group by group. Each group of columns has a version that tells which of two states is the newer
one: the newer one wins, what it does not say stays, and an older one only fills gaps. So rows may come twice, late and
in any order, and the table ends the same.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

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
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.encryption import encrypted_type
from storage.tables import Table as TableModel

Values = Mapping[str, Any]


def as_json(model: type[TableModel], rows: Iterable[Values], dialect: Dialect) -> str:
    """The rows as the text of `recordset`: instants in ISO 8601, encrypted columns encrypted and in hex."""
    table = table_of(model)
    sealed = {each.name: kind for each in table.columns if (kind := encrypted_type(each.type))}

    def value(name: str, given: Any) -> Any:
        if given is None:
            return None
        if name in sealed:
            stored = sealed[name].process_bind_param(given, dialect)
            return None if stored is None else f"\\x{stored.hex()}"
        return given

    return json.dumps(
        [{name: value(name, given) for name, given in row.items()} for row in rows],
        ensure_ascii=False,
        default=_plain,
    )


def recordset(model: type[TableModel], names: Sequence[str], *more: ColumnClause[Any]) -> TableValuedAlias:
    """The parameter `rows` as a table with these columns of the model, typed as they are there, and `more`."""
    table = table_of(model)
    columns = [*(column(name, table.columns[name].type) for name in names), *more]
    given = cast(bindparam("rows", type_=Text), JSON)
    return func.json_to_recordset(given).table_valued(*columns, name="r").render_derived(with_types=True)


@dataclass(frozen=True, slots=True)
class Guard:
    """How an upsert decides. groups: version column → the columns it guards. earliest: the earlier instant stays.

    progress: the words of `status`, the earliest first; of two states with one version the further one is the newer.
    """

    key: tuple[str, ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    earliest: tuple[str, ...] = ()
    progress: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that a row has."""
        guarded = tuple(name for version, columns in self.groups for name in (version, *columns))
        return (*self.key, *guarded, *self.earliest, "recorded_at")


@lru_cache(maxsize=64)
def guarded_upsert(model: type[TableModel], guard: Guard) -> Insert:
    """An INSERT of the rows in the parameter `rows` that lets newer versions win. It gives back, for every row that was
    written, whether it is new (`is_new`)."""
    table = table_of(model)
    source = recordset(model, guard.names)
    rows: Select[Any] = select(*(source.c[name] for name in guard.names)).order_by(
        *(source.c[name] for name in guard.key)
    )
    statement = insert(table).from_select(guard.names, rows)
    old, new = table.c, statement.excluded
    changes: dict[str, Any] = {"recorded_at": new["recorded_at"]}
    reasons: list[ColumnElement[bool]] = []
    for version, columns in guard.groups:
        is_newer: ColumnElement[bool] = new[version] > old[version]
        if guard.progress:
            is_further = _place(guard.progress, new["status"]) > _place(guard.progress, old["status"])
            is_newer = or_(is_newer, and_(new[version] == old[version], is_further))
        reasons.append(is_newer)
        changes[version] = func.greatest(old[version], new[version])
        for name in columns:
            before, after = _said(old[name]), _said(new[name])
            change = case((is_newer, func.coalesce(after, before)), else_=func.coalesce(before, after))
            changes[name] = change if old[name].nullable else func.coalesce(change, old[name])
            reasons.append(and_(before.is_(None), after.is_not(None)))
    for name in guard.earliest:
        changes[name] = func.least(old[name], new[name])
        reasons.append(or_(new[name] < old[name], and_(old[name].is_(None), new[name].is_not(None))))
    guarded = statement.on_conflict_do_update(index_elements=list(guard.key), set_=changes, where=or_(*reasons))
    return guarded.returning(literal_column("(xmax = 0)").label("is_new"))


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


def _place(progress: Sequence[str], status: ColumnElement[Any]) -> ColumnElement[int]:
    return func.coalesce(func.array_position(cast(literal(list(progress), ARRAY(Text)), ARRAY(Text)), status), 0)


def _said(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """The value, NULL when it says nothing: an empty list or object, the word `unknown`."""
    if isinstance(value.type, ARRAY):
        return func.nullif(value, cast(literal("{}"), value.type))
    if isinstance(value.type, JSONB):
        return func.nullif(value, cast(literal("{}", Text), JSONB))
    if value.key in ("status", "state"):
        return func.nullif(value, "unknown")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)
