"""Writing a batch of records: each shelf by one statement, the newer version of a thing always the one that stays."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Text,
    Update,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy import Table as TableOfRows
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import BigInteger

from domain.customers.order_rows import SOLD_BY
from domain.customers.records import STATUS_COLUMNS, Record, Shelf
from domain.organisation import HEADQUARTERS, Placement
from storage.article_categories import ArticleCategories
from storage.bulk import fetch
from storage.goods import GoodsRow, StockRow
from storage.interactions import InteractionRow
from storage.nickname_digests import name_digests
from storage.order_lines import rank_of_lines, write_lines
from storage.orders import OrderLineRow, OrderName, OrderRow, RefundRow, ShipmentRow
from storage.recordsets import Guard, guarded_upsert, recordset, run_with_rows, table_of, tie_of
from storage.tables import Table
from storage.unit_of_work import Repository


@dataclass(frozen=True, slots=True)
class _Place:
    """Where records of a shelf go. has_person: whether a row points at an identity; scoped: whether it has a unit."""

    model: type[Table]
    guard: Guard
    has_person: bool = True
    scoped: bool = True


_ORDER_DETAILS = (
    "identity_id",
    "unit_path",
    "currency",
    "paid_minor",
    "postage_minor",
    "discount_minor",
    "created_at",
    "paid_at",
    "shipped_at",
    "completed_at",
    "parent_order_id",
    "group_id",
    *SOLD_BY,
    "membership",
    "dining",
    "province",
    "city",
    "coupon_ids",
    "buyer",
    "receiver",
)
_REFUND_DETAILS = (
    "identity_id",
    "unit_path",
    "order_id",
    "amount_minor",
    "currency",
    "reason",
    "returns_goods",
    "line_ids",
)
_INTERACTION = (
    "identity_id",
    "unit_path",
    "occurred_at",
    "name",
    "state",
    "channel",
    "item_id",
    "category",
    "amount_minor",
    "details",
    "personal",
)
_COLUMNS = {"people": "identity_id"}
_BORROWED = (-(2**63), -1)
_GOODS_KEY = ("account_id", "item_id", "sku_id")
_GOODS = ("title", "category", "price_minor", "on_sale", "merchant_code", "video_ids")
_PLACES: Mapping[Shelf, _Place] = {
    "goods": _Place(
        GoodsRow,
        Guard(_GOODS_KEY, (("version", _GOODS),)),
        has_person=False,
        scoped=False,
    ),
    "stock": _Place(
        StockRow, Guard((*_GOODS_KEY, "warehouse"), (("version", ("available",)),)), has_person=False, scoped=False
    ),
    "orders": _Place(
        OrderRow,
        Guard(
            ("account_id", "order_id"),
            (("version", STATUS_COLUMNS), ("detail_version", _ORDER_DETAILS), ("lines_version", ())),
        ),
    ),
    "refunds": _Place(
        RefundRow,
        Guard(
            ("account_id", "refund_id"),
            (("version", ("status", "told_at")), ("detail_version", _REFUND_DETAILS)),
            earliest=("requested_at", "refunded_at"),
        ),
    ),
    "shipments": _Place(
        ShipmentRow,
        Guard(("account_id", "waybill", "order_id"), (("version", ("unit_path", "company", "state", "told_at")),)),
        has_person=False,
    ),
    "interactions": _Place(
        InteractionRow,
        Guard(("account_id", "kind", "key"), (("version", _INTERACTION),), followers=(("names", "personal"),)),
    ),
}


_MEET_WITHIN = timedelta(hours=1)


# From the refunds that wait to their orders, whatever the statistics say: while tables grow they are old, and a join
# would go through every order.
_MET = """
    WITH unsettled AS MATERIALIZED (
        SELECT account_id, order_id, told_at, recorded_at FROM refunds
        WHERE unsettled AND recorded_at > %(since)b::timestamptz
            AND (%(shops)b::text[] IS NULL OR account_id = ANY(%(shops)b::text[]))
        UNION ALL
        SELECT waiting.* FROM unnest(%(accounts)b::text[], %(numbers)b::text[]) AS given (account_id, order_id)
        CROSS JOIN LATERAL (
            SELECT account_id, order_id, told_at, recorded_at FROM refunds
            WHERE refunds.account_id = given.account_id AND refunds.order_id = given.order_id AND unsettled
            OFFSET 0
        ) AS waiting
    )
    SELECT unsettled.account_id, unsettled.order_id, unsettled.told_at, owner.customer_id
    FROM unsettled CROSS JOIN LATERAL (
        SELECT identities.customer_id FROM orders JOIN identities ON identities.id = orders.identity_id
        WHERE orders.account_id = unsettled.account_id AND orders.order_id = unsettled.order_id
            AND EXISTS (SELECT FROM order_lines WHERE order_key = orders.id OFFSET 0)
        OFFSET 0
    ) AS owner
    ORDER BY unsettled.recorded_at LIMIT %(limit)b::bigint
"""
_OF_NO_ORDER = {"accounts": None, "numbers": None}
_OF_NO_TIME = {"since": None, "shops": None}


RecordName = tuple[Shelf, tuple[str, ...]]
"""The shelf and the key of a record."""


@dataclass(slots=True)
class Written:
    """What a batch changed. stale: records that told nothing new.

    others: by record, whom it changed something of and does not name itself: the identities that its row belonged to
    before or that a newer telling gave it to, and those that an order and its refunds have from each other.
    owned: orders that were nobody's before.
    """

    new: int = 0
    changed: int = 0
    stale: int = 0
    others: dict[RecordName, set[int]] = field(default_factory=dict)
    owned: set[OrderName] = field(default_factory=set)

    def note(self, name: RecordName, identities: Iterable[int | None]) -> None:
        """Note whom a record changed something of."""
        self.others.setdefault(name, set()).update(each for each in identities if each is not None)


class Met(NamedTuple):
    """A refund and its order that came at the same moment. told_at: of the refund."""

    account_id: str
    order_id: str
    told_at: datetime
    customer: UUID


class Settled(NamedTuple):
    """An order that learned of a refund, or a refund that learned whose it is. identities: whom that concerns."""

    account_id: str
    order_id: str
    identities: tuple[int | None, ...]


class Records(Repository):
    """All shelves."""

    async def write(
        self, records: Sequence[Record], identities: Sequence[int | None], placements: Mapping[str, Placement]
    ) -> Written:
        """Write folded records, one a thing; `identities` are theirs, in the same order.

        Rows are taken in the order of their keys, so that two batches at once wait for each other and never embrace.
        """
        shelves: dict[Shelf, list[tuple[Record, int | None]]] = {}
        for record, identity in zip(records, identities, strict=True):
            shelves.setdefault(record.shelf, []).append((record, identity))
        written = Written()
        changed_orders = 0
        for shelf, place in _PLACES.items():
            found = shelves.get(shelf, [])
            if not found:
                continue
            rows = [self._row(place, record, identity, placements) for record, identity in found]
            statement = guarded_upsert(place.model, place.guard)
            changed = await run_with_rows(self.session, statement, place.model, rows)
            new = sum(row.is_new for row in changed)
            written.new += new
            written.changed += len(changed) - new
            written.stale += len(rows) - len(changed)
            if place.has_person:
                _note_others(written, shelf, place.guard.key, found, changed)
            if shelf == "orders":
                changed_orders = len(changed) - new
                found_owner = (row for row in changed if row.was is None and row.whose is not None and not row.is_new)
                written.owned = {(row.account_id, row.order_id) for row in found_owner} if changed_orders else set()
        # Before the lines: they take their category from there.
        await ArticleCategories(self.work).tell({(each.key[0], each.key[1]) for each, _ in shelves.get("goods", [])})
        orders = [record for record, _ in shelves.get("orders", [])]
        await write_lines(self.session, orders, are_new=not changed_orders)
        await self._settle(orders, [record for record, _ in shelves.get("refunds", [])], written)
        return written

    def _row(
        self, place: _Place, record: Record, identity: int | None, placements: Mapping[str, Placement]
    ) -> dict[str, Any]:
        row = {**dict(zip(place.guard.key, record.key, strict=True)), **record.values, "recorded_at": self.now}
        ranks = (
            (record.version, record.version_tie),
            (record.detail_version, record.detail_tie),
            rank_of_lines(record),
        )
        for (version, _), rank in zip(place.guard.groups, ranks, strict=False):
            row[version], row[tie_of(version)] = rank
        if gaps := {_COLUMNS.get(part, part): rank for part, rank in record.older.items() if part != "lines"}:
            row["gap_versions"] = gaps
        if place.has_person:
            row["identity_id"] = identity
        if record.shelf == "interactions":
            names = name_digests(self.work.database.keyring, record.values["personal"])
            row["names"] = names and [f"\\x{name.hex()}" for name in names]
        if place.scoped:
            place_of = placements.get(record.account_id, Placement(HEADQUARTERS, record.account_id))
            row["account_id"], row["unit_path"] = record.account_id, place_of.unit_path
        return row

    async def _settle(self, orders: Sequence[Record], refunds: Sequence[Record], written: Written) -> None:
        touched = {order.key for order in orders}
        touched |= {(refund.account_id, order_id) for refund in refunds if (order_id := refund.values.get("order_id"))}
        for account_id, order_id, identities in await self.settle(touched):
            written.note(("orders", (account_id, order_id)), identities)

    async def settle(self, orders: Collection[tuple[str, ...]]) -> list[Settled]:
        """Let orders (account, number) know what was refunded, and refunds whose they are, whichever came first; what
        that changed."""
        rows = [{"account_id": account_id, "order_id": order_id} for account_id, order_id in sorted(orders)]
        lent = await run_with_rows(self.session, _tell_refunds(), OrderRow, rows)
        paid_back = await run_with_rows(self.session, _tell_orders(), OrderRow, rows)
        settled = [Settled(row.account_id, row.order_id, (row.was, row.whose)) for row in lent if row.was != row.whose]
        return settled + [Settled(row.account_id, row.order_id, (row.identity_id,)) for row in paid_back]

    async def met(self, orders: Collection[tuple[str, str]], limit: int) -> list[Met]:
        """Refunds of these orders (account, number) that were written while nobody saw their order, which is here now:
        two batches at once may each have brought one of the two. `settle` takes them off."""
        if not orders:
            return []
        accounts, numbers = zip(*orders, strict=True)
        given = {**_OF_NO_TIME, "accounts": list(accounts), "numbers": list(numbers), "limit": limit}
        return [Met(*row) for row in await fetch(self.work, _MET, given)]

    async def met_later(self, limit: int, accounts: Collection[str] | None = None) -> list[Met]:
        """As `met`, whatever the order (of these accounts, when given): of the refunds that were told in the last hour,
        however many wait."""
        shops = None if accounts is None else list(accounts)
        given = {**_OF_NO_ORDER, "since": self.now - _MEET_WITHIN, "shops": shops, "limit": limit}
        return [Met(*row) for row in await fetch(self.work, _MET, given)]


def _note_others(
    written: Written,
    shelf: Shelf,
    key: Sequence[str],
    found: Sequence[tuple[Record, int | None]],
    changed: Iterable[Any],
) -> None:
    """Note the rows that belong, or belonged, to somebody whom their records do not name."""
    given: dict[tuple[str, ...], int | None] | None = None
    for row in changed:
        if row.was is None and row.is_new:
            continue
        given = given or {record.key: identity for record, identity in found}
        name = tuple(getattr(row, each) for each in key)
        own = given[name]
        others = [each for each in (row.was, row.whose) if each is not None and each != own]
        if others:
            written.note((shelf, name), others)


@lru_cache(maxsize=1)
def _tell_orders() -> Update:
    """Set `refunded_minor` of the given orders to what their refunds paid back."""
    orders, refunds = table_of(OrderRow), table_of(RefundRow)
    source = recordset(OrderRow, ("account_id", "order_id"))
    paid_back = (
        select(cast(func.coalesce(func.sum(refunds.c.amount_minor), literal(0)), BigInteger))
        .where(
            refunds.c.account_id == orders.c.account_id,
            refunds.c.order_id == orders.c.order_id,
            refunds.c.status == "refunded",
            or_(refunds.c.currency.is_(None), refunds.c.currency == orders.c.currency),
        )
        .scalar_subquery()
    )
    return (
        update(orders)
        .where(
            orders.c.account_id == source.c.account_id,
            orders.c.order_id == source.c.order_id,
            orders.c.refunded_minor != paid_back,
        )
        .values(refunded_minor=paid_back)
        .returning(orders.c.account_id, orders.c.order_id, orders.c.identity_id)
    )


@lru_cache(maxsize=1)
def _tell_refunds() -> Update:
    """Let refunds that name nobody point where their order points, and note which do not know their order yet.

    What is borrowed so is older than anything that a telling of the refund says.
    """
    orders, refunds = table_of(OrderRow), table_of(RefundRow)
    source = recordset(OrderRow, ("account_id", "order_id"))
    owner = select(orders.c.identity_id).where(_of_order(refunds, orders)).correlate(refunds).scalar_subquery()
    known = select(orders.c.id).where(_of_order(refunds, orders), orders.c.identity_id.is_not(None), _has_lines(orders))
    is_known = known.correlate(refunds).exists()
    gaps = func.coalesce(refunds.c.gap_versions, cast(literal("{}", Text), JSONB))
    borrowed = cast(literal(json.dumps({"identity_id": _BORROWED}), Text), JSONB)
    has_none = or_(refunds.c.identity_id.is_(None), gaps.contains(borrowed))
    borrows = and_(has_none, owner.is_not(None), refunds.c.identity_id.is_distinct_from(owner))
    return (
        update(refunds)
        .where(
            refunds.c.account_id == source.c.account_id,
            refunds.c.order_id == source.c.order_id,
            or_(borrows, refunds.c.unsettled == is_known),
        )
        .values(
            identity_id=case((borrows, owner), else_=refunds.c.identity_id),
            gap_versions=case((borrows, gaps.op("||")(borrowed)), else_=refunds.c.gap_versions),
            unsettled=~is_known,
        )
        .returning(
            refunds.c.account_id,
            refunds.c.order_id,
            literal_column("old.identity_id").label("was"),
            refunds.c.identity_id.label("whose"),
        )
    )


def _of_order(refunds: TableOfRows, orders: TableOfRows) -> ColumnElement[bool]:
    return and_(refunds.c.account_id == orders.c.account_id, refunds.c.order_id == orders.c.order_id)


def _has_lines(orders: TableOfRows) -> ColumnElement[bool]:
    lines = table_of(OrderLineRow)
    return select(lines.c.line_id).where(lines.c.order_key == orders.c.id).correlate(orders).exists()
