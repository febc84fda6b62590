from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.problems import UnavailableProblem
from storage.bulk import array_literal, fetch
from storage.encryption import Keyring
from storage.engine import Database
from storage.unit_of_work import UnitOfWork

_ROWS = """
    SELECT * FROM unnest(%(ids)b::bigint[], %(names)b::text[], %(raw)b::bytea[], %(marks)b::uuid[],
        %(instants)b::timestamptz[])
"""


async def test_values_come_back_as_they_went(database: Database) -> None:
    rows = [
        (1, "王小明,{\"'}", b"\0\xff", UUID(int=1), datetime(2026, 11, 11, 1, 2, 3, 4, tzinfo=UTC)),
        (2**40, "", b"", None, datetime(2000, 1, 1, tzinfo=UTC)),
    ]
    for sent in (rows, rows[1:], []):
        columns = [list(column) for column in zip(*sent, strict=True)] or [[] for _ in range(5)]
        async with UnitOfWork(database) as work:
            names = ("ids", "names", "raw", "marks", "instants")
            assert list(await fetch(work, _ROWS, dict(zip(names, columns, strict=True)))) == sent


async def test_a_statement_that_takes_too_long_is_said_so(database_url: str) -> None:
    database = Database(database_url, Keyring({"k1": bytes(32)}), statement_timeout_s=1)
    with pytest.raises(UnavailableProblem):
        async with UnitOfWork(database) as work:
            await fetch(work, "SELECT pg_sleep(%(seconds)b::float8)", {"seconds": 30.0})
    await database.close()


async def test_arrays_of_different_lengths_travel_together(database: Database) -> None:
    given = [[], ["plain", "with, comma", 'a "quote"'], ["back\\slash", "{brace}", "", "NULL", "大衣\n"]]
    async with UnitOfWork(database) as work:
        statement = "SELECT literal::text[] FROM unnest(%(literals)b::text[]) AS t (literal)"
        rows = await fetch(work, statement, {"literals": [array_literal(each) for each in given]})
    assert [row[0] for row in rows] == given
