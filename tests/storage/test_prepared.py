from datetime import timedelta

import pytest
from sqlalchemy import BigInteger, Interval, Text, bindparam, cast, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import DataError

from storage.engine import Database
from storage.prepared import run_prepared
from storage.unit_of_work import UnitOfWork

GIVEN = cast(bindparam("given", type_=BigInteger), BigInteger)


async def test_constants_stay_what_they_are_and_parameters_change(database: Database) -> None:
    statement = select(
        literal([], JSONB).label("nothing"),
        literal({"a'": ["%s", "\\", "$1", ":x"]}, JSONB).label("thing"),
        literal(["大衣", "a'b"], ARRAY(Text)).label("words"),
        literal(timedelta(days=3), Interval).label("length"),
        literal("y", Text).in_(["x", "y"]).label("found"),
        GIVEN.label("given"),
    )
    async with UnitOfWork(database) as work:
        for given in (1, 2**40, None):
            (row,) = await run_prepared(work, statement, {"given": given})
            assert row.nothing == []
            assert row.thing == {"a'": ["%s", "\\", "$1", ":x"]}
            assert row.words == ["大衣", "a'b"]
            assert row.length == timedelta(days=3)
            assert (row.found, row.given) == (True, given)


async def test_what_the_database_refuses_is_said_as_by_every_other_statement(database: Database) -> None:
    with pytest.raises(DataError):
        async with UnitOfWork(database) as work:
            await run_prepared(work, select(1 / GIVEN), {"given": 0})
