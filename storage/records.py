"""Writing a batch of records: each shelf by one statement, the newer version of a thing always the one that stays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.customers.order_rows import SOLD_BY
from domain.customers.records import STATUS_COLUMNS, Record, Shelf
from domain.organisation import HEADQUARTERS, Placement
from storage.article_categories import ArticleCategories
from storage.goods import GoodsRow, StockRow
from storage.interactions import InteractionRow
from storage.nickname_digests import buyer_digests, name_digests
from storage.order_lines import rank_of_lines, write_lines
from storage.orders import OrderName, OrderRow, RefundRow, ShipmentRow
from storage.recordsets import Guard, guarded_upsert, run_with_rows, tie_of
from storage.refund_settling import RefundSettling
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
            followers=(("names", "buyer"),),
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
        Guard(
            ("account_id", "waybill", "order_id"),
            (("version", ("unit_path", "order_account", "company", "state", "told_at")),),
        ),
        has_person=False,
    ),
    "interactions": _Place(
        InteractionRow,
        Guard(("account_id", "kind", "key"), (("version", _INTERACTION),), followers=(("names", "personal"),)),
    ),
}


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
            if shelf == "orders":
                # Whatever a batch brings: the rows that are there first, then those that are new.
                await RefundSettling(self.work).hold(_orders_told(shelves))
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
        if place.guard.followers:
            names = self._names(record)
            row["names"] = names and [f"\\x{name.hex()}" for name in names]
        if place.scoped:
            place_of = placements.get(record.account_id, Placement(HEADQUARTERS, record.account_id))
            row["account_id"], row["unit_path"] = record.account_id, place_of.unit_path
        return row

    def _names(self, record: Record) -> list[bytes] | None:
        keyring = self.work.database.keyring
        if record.shelf == "orders":
            return buyer_digests(keyring, record.account_id, record.values["buyer"])
        return name_digests(keyring, record.values["personal"])

    async def _settle(self, orders: Sequence[Record], refunds: Sequence[Record], written: Written) -> None:
        touched = {order.key for order in orders} | _orders_of(refunds)
        for account_id, order_id, identities in await RefundSettling(self.work).tell(touched):
            written.note(("orders", (account_id, order_id)), identities)


def _orders_of(refunds: Sequence[Record]) -> set[tuple[str, ...]]:
    return {(refund.account_id, order_id) for refund in refunds if (order_id := refund.values.get("order_id"))}


def _orders_told(shelves: Mapping[Shelf, Sequence[tuple[Record, int | None]]]) -> set[tuple[str, ...]]:
    """What a batch tells something about, itself or a refund of it."""
    orders = {record.key for record, _ in shelves.get("orders", ())}
    return orders | _orders_of([record for record, _ in shelves.get("refunds", ())])


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
