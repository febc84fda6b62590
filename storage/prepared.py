"""Large statements that run again and again: put into text once, and kept prepared by each connection.

What SQLAlchemy and the driver do for every run of a statement grows with its length and with the number of its
constants; a statement of some hundred rules has hundreds. Here only the parameters that have no value of their own
travel anew.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from psycopg import AsyncRawCursor
from psycopg.rows import namedtuple_row
from sqlalchemy import Dialect, Select, TextClause, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from storage.unit_of_work import UnitOfWork

_KIND: Any = make_url("postgresql+psycopg://").get_dialect()
_DIALECT: Dialect = _KIND(paramstyle="numeric_dollar", dbapi=psycopg)


class _Compiled(NamedTuple):
    """The text with its parameters as `$1`, their values in order, and the places of those that a run gives."""

    text: str
    values: Sequence[Any]
    places: Mapping[str, int]


async def run_prepared(work: UnitOfWork, statement: Select[Any], given: Mapping[str, Any]) -> Sequence[Any]:
    """The rows of a statement, by name; raises SQLAlchemy's errors, as every other statement does.

    given: the statement's own parameters; the driver takes the values as they are.
    """
    compiled = _compiled(statement, tuple(given))
    values = list(compiled.values)
    for name, value in given.items():
        values[compiled.places[name]] = value
    connection = await work.session.connection()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        async with AsyncRawCursor(driver, row_factory=namedtuple_row) as cursor:
            await cursor.execute(compiled.text.encode(), values, prepare=True, binary=True)
            rows: Sequence[Any] = await cursor.fetchall()
            return rows
    except psycopg.Error as error:
        raise DBAPIError.instance(compiled.text, None, error, psycopg.Error) from error


_WAYS = ("hashjoin", "mergejoin", "seqscan", "memoize")
_WAYS_IN_ORDER = (*_WAYS, "bitmapscan")


def _set(ways: Sequence[str], value: str) -> TextClause:
    return text("SELECT " + ", ".join(f"set_config('enable_{way}', '{value}', true)" for way in ways))


_BY_INDEX, _IN_ORDER, _AS_IT_LIKES = _set(_WAYS, "off"), _set(_WAYS_IN_ORDER, "off"), _set(_WAYS_IN_ORDER, "on")


async def run_by_index(
    work: UnitOfWork, statement: Select[Any], given: Mapping[str, Any], *, in_order: bool = False
) -> Sequence[Any]:
    """As `run_prepared`, letting the planner find rows by index only.

    While tables grow their statistics are old: it would read all of them for a batch of customers.
    in_order: walk an index entry by entry, never collect all of them first; for a statement that stops early.
    """
    await work.session.execute(_IN_ORDER if in_order else _BY_INDEX)
    rows = await run_prepared(work, statement, given)
    await work.session.execute(_AS_IT_LIKES)
    return rows


@lru_cache(maxsize=256)
def _compiled(statement: Select[Any], given: tuple[str, ...]) -> _Compiled:
    compiled: Any = statement.compile(dialect=_DIALECT)
    state = compiled.construct_expanded_state(dict.fromkeys(given))
    names = state.positiontup or []
    values = [
        value if name in given else _for_driver(compiled, state, name, value)
        for name, value in zip(names, state.positional_parameters, strict=True)
    ]
    return _Compiled(state.statement, values, {name: names.index(name) for name in given})


def _for_driver(compiled: Any, state: Any, name: str, value: Any) -> Any:
    """A constant as the driver takes it: JSON in its wrapper, an instant in UTC."""
    bound = compiled.binds.get(name)
    process = bound.type.dialect_impl(_DIALECT).bind_processor(_DIALECT) if bound is not None else None
    process = state.processors.get(name, process)
    return value if process is None else process(value)
