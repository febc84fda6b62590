"""Records of a platform compared with the rows that are here, and rows that give way to what it says when asked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Text,
    Update,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal,
    select,
    update,
)
from sqlalchemy import Table as TableOfRows
from sqlalchemy.dialects.postgresql import aggregate_order_by

from domain.customers.order_rows import NOBODY, SOLD_BY
from domain.customers.records import Record, Shelf
from storage.erased_people import ErasedPeople, erased_people
from storage.goods import GoodsRow, StockRow
from storage.identities import Identities, IdentityRow
from storage.interactions import InteractionRow
from storage.orders import OrderLineRow, OrderRow, RefundRow, ShipmentRow
from storage.parcels import find_shops
from storage.recordsets import recordset, run_with_rows, said, table_of, tie_of
from storage.tables import Table
from storage.unit_of_work import Repository

_Version = Literal["version", "detail_version"]


@dataclass(frozen=True, slots=True)
class _Compared:
    """What of a shelf is compared: the rows with a record's key, by what the record says of these fields.

    details: fields that a short telling only fills gaps of, so that only a full one is compared by them. versions: the
    row's versions, and which of the record's each of them takes. lines: also by its articles; buyer: also by whose it
    is. as_of_then: a record tells of a moment, and a row that is newer does not differ from it.
    """

    model: type[Table]
    key: tuple[str, ...]
    status: tuple[str, ...]
    versions: Mapping[str, _Version]
    details: tuple[str, ...] = ()
    lines: bool = False
    buyer: bool = False
    as_of_then: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns that are compared one by one."""
        return (*self.status, *self.details)

    @property
    def parts(self) -> tuple[str, ...]:
        """Everything in which a row may differ."""
        return (*self.fields, *(("lines",) if self.lines else ()), *(("buyer",) if self.buyer else ()))


_BOTH: Mapping[str, _Version] = {"version": "version", "detail_version": "detail_version"}
_ONE: Mapping[str, _Version] = {"version": "version"}
_COMPARED: Mapping[Shelf, _Compared] = {
    "orders": _Compared(
        OrderRow,
        ("account_id", "order_id"),
        ("status",),
        {**_BOTH, "lines_version": "detail_version"},
        # What amounts, rules and commissions go by.
        details=(
            "currency",
            "paid_minor",
            "postage_minor",
            "discount_minor",
            "created_at",
            "paid_at",
            "completed_at",
            *SOLD_BY,
            "coupon_ids",
        ),
        lines=True,
        buyer=True,
    ),
    "refunds": _Compared(
        RefundRow,
        ("account_id", "refund_id"),
        ("status",),
        _BOTH,
        details=("amount_minor", "currency", "order_id", "line_ids"),
    ),
    "shipments": _Compared(
        ShipmentRow,
        ("account_id", "waybill", "order_id"),
        ("state", "company", "order_account"),
        _ONE,
        as_of_then=True,
    ),
    "interactions": _Compared(
        InteractionRow, ("account_id", "kind", "key"), ("state",), _ONE, buyer=True, as_of_then=True
    ),
    "goods": _Compared(
        GoodsRow, ("account_id", "item_id", "sku_id"), ("price_minor", "on_sale"), _ONE, as_of_then=True
    ),
    "stock": _Compared(
        StockRow, ("account_id", "item_id", "sku_id", "warehouse"), ("available",), _ONE, as_of_then=True
    ),
}
_OF_A_LINE = ("line_id", "item_id", "quantity", "total_minor")
_OF_SOMEBODY = frozenset(shelf for shelf, compared in _COMPARED.items() if compared.buyer)
_STAY = frozenset({"orders", "refunds"})
_NOBODY = UUID(int=0)
"""Whose an order is of whose buyer nobody has heard: of none that is here."""
_LOST = -1
"""A tie that every telling wins: theirs are not negative."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How records of a platform compare with what is here: not here at all, otherwise here, or not to be understood.

    parts: in how many of the differing ones each part differs.
    """

    records: int = 0
    missing: int = 0
    differing: int = 0
    unread: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Difference") -> "Difference":
        return Difference(
            self.records + other.records,
            self.missing + other.missing,
            self.differing + other.differing,
            self.unread + other.unread,
            Counter(self.parts) + Counter(other.parts),
        )


class RecordComparison(Repository):
    """Records as a platform tells them when it is asked again."""

    async def difference(self, records: Sequence[Record]) -> tuple[Difference, list[Record]]:
        """Compare folded records with the rows that are here: how many are missing or differ, and which; nothing is
        written."""
        total, wrong = Difference(), list[Record]()
        await find_shops(self.work, records)
        erased = await erased_people(self.work, records)
        # Erased people's orders are compared without them, and what else was theirs is not here on purpose.
        records = [each for each in records if each.shelf in _STAY or not erased.have(each)]
        buyers = await self._buyers([each for each in records if each.shelf in _OF_SOMEBODY], erased)
        for shelf, compared in _COMPARED.items():
            on_shelf = {record.key: record for record in records if record.shelf == shelf and not record.is_nameless}
            rows = [self._row(compared, record, buyers) for record in on_shelf.values()]
            found = await run_with_rows(self.session, _differences(shelf), compared.model, rows)
            missing = sum(row.is_missing for row in found)
            parts = Counter(part for row in found for part in compared.parts if getattr(row, f"in_{part}"))
            differing = sum(any(getattr(row, f"in_{part}") for part in compared.parts) for row in found)
            total += Difference(len(rows), missing, differing, 0, parts)
            wrong += [on_shelf[tuple(row[-len(compared.key) :])] for row in found if any(row[: -len(compared.key)])]
        return total, wrong

    async def give_way(self, records: Sequence[Record], before: datetime) -> None:
        """Let rows that were written before an instant lose against these records of the same version.

        Of two tellings with one version the platform itself knows the right one: the one it tells when asked later.
        """
        for shelf, compared in _COMPARED.items():
            rows = [
                {
                    **dict(zip(compared.key, record.key, strict=True)),
                    **{name: getattr(record, told) for name, told in compared.versions.items()},
                }
                for record in records
                if record.shelf == shelf
            ]
            await run_with_rows(self.session, _giving_way(shelf), compared.model, rows, before=before)

    def _row(self, compared: _Compared, record: Record, buyers: Mapping[tuple[str, ...], UUID]) -> Mapping[str, Any]:
        row = dict(zip(compared.key, record.key, strict=True)) | {name: record.values[name] for name in compared.status}
        is_full = record.detail_version >= 0
        row |= {name: record.values[name] if is_full else None for name in compared.details}
        if compared.lines:
            row["lines"] = _told_lines(record)
        if compared.buyer:
            row["owner"] = buyers.get(record.key)
        return row | ({"version": record.version} if compared.as_of_then else {})

    async def _buyers(self, records: Sequence[Record], erased: ErasedPeople) -> Mapping[tuple[str, ...], UUID]:
        """By record that names whose it is, the customer."""
        named = {each.key: each.people[0] for each in records if each.people and not erased.have(each)}
        if not named:
            return {}
        known = await Identities(self.work).find(set(named.values()))
        owners = {key: stored.customer_id for key, stored in known.items()}
        return {record: owners.get(key, _NOBODY) for record, key in named.items()}


def _told_lines(order: Record) -> str | None:
    """An order's articles as `_stored_lines` writes those of a row, None when the record says none."""
    lines = sorted(order.lines, key=lambda line: str(line["line_id"]).encode())
    told = (":".join("" if line[name] is None else str(line[name]) for name in _OF_A_LINE) for line in lines)
    return ",".join(told) or None


def _stored_lines(orders: TableOfRows) -> ColumnElement[str]:
    lines = table_of(OrderLineRow)
    told = func.concat_ws(":", *(func.coalesce(cast(lines.c[name], Text), "") for name in _OF_A_LINE))
    in_order = aggregate_order_by(literal(",", Text), lines.c.line_id.collate("C"))
    every = select(func.string_agg(told, in_order)).where(lines.c.order_key == orders.c.id)
    return func.coalesce(every.correlate(orders).scalar_subquery(), literal("", Text))


@lru_cache(maxsize=8)
def _differences(shelf: Shelf) -> Any:
    """For each given record: whether its row is missing, and in which parts it differs."""
    compared = _COMPARED[shelf]
    table = table_of(compared.model)
    more = [column("lines", Text)] if compared.lines else []
    more += [column("owner", Uuid)] if compared.buyer else []
    versions = ("version",) if compared.as_of_then else ()
    source = recordset(compared.model, (*compared.key, *compared.fields, *versions), *more)
    is_same = and_(*(table.c[name] == source.c[name] for name in compared.key))
    is_missing = table.c[compared.key[0]].is_(None)
    differs: dict[str, ColumnElement[bool]] = {}
    for name in compared.fields:
        # What nobody spoke of does not differ from what there is none of.
        here: ColumnElement[Any] = table.c[name]
        if name in SOLD_BY:
            here = func.coalesce(here, literal(NOBODY))
        differs[name] = and_(said(source.c[name]).is_not(None), here.is_distinct_from(source.c[name]))
    if compared.lines:
        differs["lines"] = and_(source.c.lines.is_not(None), _stored_lines(table) != source.c.lines)
    if compared.buyer:
        identities = table_of(IdentityRow)
        owner = select(identities.c.customer_id).where(identities.c.id == table.c.identity_id)
        stored = owner.correlate(table).scalar_subquery()
        differs["buyer"] = and_(source.c.owner.is_not(None), stored.is_distinct_from(source.c.owner))
    counts = and_(~is_missing, *(table.c[name] <= source.c[name] for name in versions))
    told = select(
        is_missing.label("is_missing"),
        *(and_(counts, differs[part]).label(f"in_{part}") for part in compared.parts),
        *(source.c[name] for name in compared.key),
    )
    return told.select_from(source.outerjoin(table, is_same))


@lru_cache(maxsize=8)
def _giving_way(shelf: Shelf) -> Update:
    """Take from the rows of the given records, where they have the record's version, what decides a tie."""
    compared = _COMPARED[shelf]
    table, versions = table_of(compared.model), tuple(compared.versions)
    source = recordset(compared.model, (*compared.key, *versions))
    is_same = and_(*(table.c[name] == source.c[name] for name in compared.key))
    # In the order in which batches take rows.
    held = (
        select(*(table.c[name].label(f"of_{name}") for name in compared.key), *(source.c[name] for name in versions))
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
    is_held = and_(*(table.c[name] == held.c[f"of_{name}"] for name in compared.key))
    return update(table).where(is_held).values(**ties)
