"""Customers who are no person: one member number for every walk-in, one device for a whole hall.

What rules and gradings say is measured over all records of a customer, in the transaction that takes new ones in. Of a
crowd that would take longer with every record, until nothing is taken in any more.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, any_, literal_column, or_, select, true

from domain.tags.facts import Source
from storage.fact_columns import shelf_of
from storage.measures import customers_given, keys_of
from storage.prepared import run_by_index
from storage.unit_of_work import Repository

MOST_RECORDS = 20_000
"""Orders, refunds or interactions of one customer; who has more is a crowd."""
_SOURCES: tuple[Source, ...] = ("orders", "interactions", "refunds")


class Crowds(Repository):
    """Found by counting index entries up to the limit, and no further."""

    async def among(self, customers: Collection[UUID]) -> frozenset[UUID]:
        """Those of these customers who have too many records to be looked at."""
        if not customers:
            return frozenset()
        rows = await run_by_index(self.work, _crowds(), {"customers": sorted(customers)}, in_order=True)
        return frozenset(row.id for row in rows)


@lru_cache(maxsize=1)
def _crowds() -> Select[Any]:
    who = customers_given()
    keys = keys_of(who)
    beyond: list[ColumnElement[bool]] = []
    for source in _SOURCES:
        identity: Any = shelf_of(source).identity
        records: Select[Any] = (
            select(literal_column("1")).where(identity == any_(keys.c.ids)).offset(MOST_RECORDS).limit(1)
        )
        beyond.append(records.correlate(keys).exists())
    return select(who.c.id).select_from(who.join(keys, true())).where(or_(*beyond))
