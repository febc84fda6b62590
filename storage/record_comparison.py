"""Records of a platform compared with the rows that are here, and rows that give way to what it says when asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import DateTime, Update, and_, bindparam, case, literal, or_, select, update

from domain.customers.records import Record, Shelf
from storage.orders import OrderRow, RefundRow
from storage.recordsets import recordset, run_with_rows, table_of, tie_of
from storage.tables import Table
from storage.unit_of_work import Repository


@dataclass(frozen=True, slots=True)
class _Compared:
    """What of a shelf is compared: the rows with a record's key, by status and amount."""

    model: type[Table]
    key: tuple[str, ...]
    amount: str


_COMPARED: Mapping[Shelf, _Compared] = {
    "orders": _Compared(OrderRow, ("account_id", "order_id"), "paid_minor"),
    "refunds": _Compared(RefundRow, ("account_id", "refund_id"), "amount_minor"),
}
_LOST = -1
"""A tie that every telling wins: theirs are not negative."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How records of a platform compare with what is here: not here at all, or with another status or amount."""

    records: int = 0
    missing: int = 0
    differing: int = 0

    def __add__(self, other: "Difference") -> "Difference":
        return Difference(self.records + other.records, self.missing + other.missing, self.differing + other.differing)


class RecordComparison(Repository):
    """Orders and refunds, as a platform tells them when it is asked again."""

    async def difference(self, records: Sequence[Record]) -> tuple[Difference, list[Record]]:
        """Compare folded records with the rows that are here, by status and amount: how many are missing or differ, and
        which; nothing is written."""
        total, wrong = Difference(), list[Record]()
        for shelf, compared in _COMPARED.items():
            on_shelf = {record.key: record for record in records if record.shelf == shelf}
            rows = [
                {
                    **dict(zip(compared.key, record.key, strict=True)),
                    "status": record.values["status"],
                    compared.amount: record.values[compared.amount],
                }
                for record in on_shelf.values()
            ]
            found = await run_with_rows(self.session, _differences(shelf), compared.model, rows)
            missing = sum(row.is_missing for row in found)
            total += Difference(len(rows), missing, sum(bool(row.differs) for row in found))
            wrong += [on_shelf[tuple(row[2:])] for row in found if row.is_missing or row.differs]
        return total, wrong

    async def give_way(self, records: Sequence[Record], before: datetime) -> None:
        """Let rows that were written before an instant lose against these records of the same version.

        Of two tellings with one version the platform itself knows the right one: the one it tells when asked later.
        """
        for shelf, compared in _COMPARED.items():
            rows = [
                {
                    **dict(zip(compared.key, record.key, strict=True)),
                    "version": record.version,
                    "detail_version": record.detail_version,
                }
                for record in records
                if record.shelf == shelf
            ]
            await run_with_rows(self.session, _giving_way(shelf), compared.model, rows, before=before)


@lru_cache(maxsize=4)
def _differences(shelf: Shelf) -> Any:
    """For each given record: whether its row is missing, or has another status or amount."""
    compared = _COMPARED[shelf]
    table = table_of(compared.model)
    source = recordset(compared.model, (*compared.key, "status", compared.amount))
    is_same = and_(*(table.c[name] == source.c[name] for name in compared.key))
    missing = table.c.id.is_(None)
    differs = and_(
        ~missing,
        or_(
            and_(source.c.status != "unknown", table.c.status != source.c.status),
            and_(
                source.c[compared.amount].is_not(None),
                table.c[compared.amount].is_distinct_from(source.c[compared.amount]),
            ),
        ),
    )
    key = (source.c[name] for name in compared.key)
    told = select(missing.label("is_missing"), differs.label("differs"), *key)
    return told.select_from(source.outerjoin(table, is_same))


@lru_cache(maxsize=4)
def _giving_way(shelf: Shelf) -> Update:
    """Take from the rows of the given records, where they have the record's version, what decides a tie."""
    compared = _COMPARED[shelf]
    table = table_of(compared.model)
    versions = ("version", "detail_version")
    source = recordset(compared.model, (*compared.key, *versions))
    is_same = and_(*(table.c[name] == source.c[name] for name in compared.key))
    # In the order in which batches take rows.
    held = (
        select(table.c.id, *(source.c[name] for name in versions))
        .select_from(table.join(source, is_same))
        .where(table.c.recorded_at < bindparam("before", type_=DateTime(timezone=True)))
        .order_by(*(table.c[name] for name in compared.key))
        .with_for_update(of=table)
        .cte("held")
    )
    ties = {
        tie_of(name): case((table.c[name] == held.c[name], literal(_LOST)), else_=table.c[tie_of(name)])
        for name in versions
    }
    return update(table).where(table.c.id == held.c.id).values(**ties)
