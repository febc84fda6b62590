"""The bench's month by DuckDB in memory: every earning to the cent, by arithmetic that shares nothing with Tandem's."""

import tempfile
import time
from collections.abc import Mapping
from uuid import UUID

import duckdb
import psycopg

from storage.calculations import Calculations
from storage.engine import Database
from storage.sales import PARTS
from storage.unit_of_work import UnitOfWork

_TABLES: Mapping[str, tuple[str, str]] = {
    "sales": (
        "payee INTEGER, kept_minor BIGINT, channel INTEGER, category INTEGER, quantity INTEGER, orders SMALLINT, "
        "is_first BOOLEAN",
        "payee, kept_minor, channel, category, quantity, orders, is_first",
    ),
    "payee_uplines": ("payee INTEGER, upline INTEGER", "payee, upline"),
}
"""What is read of which table, before the time is taken."""
# The scheme of the bench, in its own words: percentages are in millionths, and a half is rounded up.
_EARNED = """
    CREATE TABLE earned AS
    WITH sums AS (
        SELECT payee, sum(kept_minor) AS kept, sum(kept_minor) FILTER (channel IN (24, 28)) AS live,
            sum(orders) FILTER (is_first) AS firsts, sum(quantity) FILTER (category IN (42, 43, 44)) AS pieces
        FROM sales GROUP BY payee
    ),
    alone AS (
        SELECT payee,
            (
                least(kept, 100000) * 50000
                + greatest(least(kept, 500000) - 100000, 0) * 60000
                + greatest(least(kept, 2000000) - 500000, 0) * 70000
                + greatest(least(kept, 10000000) - 2000000, 0) * 80000
                + greatest(kept - 10000000, 0) * 100000
                + 500000
            ) // 1000000 AS sales,
            (coalesce(live, 0) * 10000 + 500000) // 1000000 AS live,
            coalesce(firsts, 0) * 200 AS first,
            (coalesce(pieces, 0) + 9) // 10 * 500 AS pieces
        FROM sums
    ),
    shares AS (
        SELECT u.upline AS payee, a.sales * 100000 AS share FROM alone a JOIN payee_uplines u USING (payee)
        UNION ALL
        SELECT above.upline, a.sales * 50000
        FROM alone a JOIN payee_uplines u USING (payee) JOIN payee_uplines above ON above.payee = u.upline
    )
    SELECT payee, component, amount FROM alone
    UNPIVOT (amount FOR component IN (sales, live, first, pieces)) WHERE amount > 0
    UNION ALL
    SELECT payee, 'above', (sum(share) + 500000) // 1000000 FROM shares GROUP BY payee
"""


async def floor_of(database: Database, url: str, calculation: UUID) -> tuple[float, int]:
    """How long DuckDB takes for the earnings on two threads, and how many of the calculation's are others than its."""
    memory = duckdb.connect(config={"threads": 2})
    for table, (columns, read) in _TABLES.items():
        memory.execute(f"CREATE TABLE {table} ({columns})")
        with tempfile.NamedTemporaryFile(suffix=".csv") as file, psycopg.connect(url) as connection:
            with connection.cursor().copy(f"COPY (SELECT {read} FROM {table}) TO STDOUT (FORMAT csv)".encode()) as copy:
                for block in copy:
                    file.write(block)
            file.flush()
            memory.execute(f"COPY {table} FROM '{file.name}' (FORMAT csv, HEADER false)")
    begun = time.perf_counter()
    memory.execute(_EARNED)
    took = time.perf_counter() - begun
    rows = memory.execute("SELECT payee, component, amount FROM earned WHERE amount > 0").fetchall()
    expected = {(payee, component): int(amount) for payee, component, amount in rows}
    async with UnitOfWork(database) as work:
        row = await Calculations(work).find(calculation)
        if row is None:
            raise LookupError(calculation)
        differing = 0
        for part in range(PARTS):
            for each in await Calculations(work).earned(row, part):
                differing += expected.pop((each.payee, each.component), 0) != each.amount
    return took, differing + len(expected)
