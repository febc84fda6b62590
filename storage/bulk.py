"""Statements over thousands of values at once: arrays go to the server and rows come back in binary.

SQLAlchemy sends arrays as text, which costs a batch more than the server needs for it. The statement is the driver's
own (`%(name)b` for an array), and runs in the transaction of the unit of work.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, LiteralString

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from storage.unit_of_work import UnitOfWork


async def fetch(work: UnitOfWork, statement: LiteralString, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
    """The rows that a statement gives back; raises SQLAlchemy's errors, as every other statement does."""
    connection = await work.session.connection()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        async with driver.cursor(binary=True) as cursor:
            await cursor.execute(statement, values)
            rows: Sequence[tuple[Any, ...]] = await cursor.fetchall() if cursor.description else ()
            return rows
    except psycopg.Error as error:
        raise DBAPIError.instance(statement, None, error, psycopg.Error) from error


_NEVER = ("sort", "seqscan", "bitmapscan", "hashjoin", "mergejoin")
_OFF, _ON = (
    text("SELECT " + ", ".join(f"set_config('enable_{way}', '{value}', true)" for way in _NEVER))
    for value in ("off", "on")
)


async def fetch_by_index(
    work: UnitOfWork, statement: LiteralString, values: Mapping[str, Any]
) -> Sequence[tuple[Any, ...]]:
    """As `fetch`, letting the planner walk along indexes only, in their order.

    Where statistics are from a time when hardly any row was meant, it would collect all of them and sort for each step.
    """
    await work.session.execute(_OFF)
    rows = await fetch(work, statement, values)
    await work.session.execute(_ON)
    return rows


def array_literal(texts: Iterable[str]) -> str:
    """Texts as PostgreSQL writes an array of them: many of different lengths travel as one array of such literals."""
    return "{" + ",".join('"' + each.replace("\\", "\\\\").replace('"', '\\"') + '"' for each in texts) + "}"
