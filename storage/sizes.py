"""How much space each table takes."""

from dataclasses import dataclass

from sqlalchemy import text

from storage.unit_of_work import UnitOfWork

# `reltuples` is -1 before the first ANALYZE.
_SIZES = text(
    """
    SELECT relname, greatest(reltuples, 0)::bigint, pg_total_relation_size(oid)
    FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    ORDER BY 3 DESC, 1
    """
)


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table with its indexes and large values. rows: as PostgreSQL estimates."""

    name: str
    rows: int
    size_bytes: int


async def table_sizes(work: UnitOfWork) -> list[TableSize]:
    """Every table, the largest first."""
    return [TableSize(name, rows, size_bytes) for name, rows, size_bytes in await work.session.execute(_SIZES)]
