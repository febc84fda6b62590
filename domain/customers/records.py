"""From a canonical event to the row that remembers it: which table, under which key, how new, with which values.

A row knows nothing of customers (ADR 8). What several events of one batch say about one thing is folded into one row
here, by the same rule by which the database folds it into what it knows: the newest status stays, and so do the details
of the newest telling that had them all; a short one only fills gaps.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Literal

from pydantic import ValidationError

from domain.canonical import (
    CartData,
    ChatData,
    ContactData,
    CouponData,
    FollowerData,
    GoodsData,
    IdentityKey,
    LifeEventData,
    MemberData,
    OrderData,
    Origin,
    RefundData,
    ScanData,
    ShipmentData,
    StockData,
    VisitData,
    keys_of,
)
from domain.customers.interaction_rows import (
    cart_row,
    chat_row,
    contact_row,
    coupon_row,
    follower_row,
    life_row,
    member_row,
    scan_row,
    visit_row,
)
from domain.customers.order_rows import order_line_rows, order_row, refund_row, shipment_row
from domain.events import Event
from domain.problems import Text, ValidationProblem

Shelf = Literal["orders", "refunds", "shipments", "interactions", "goods", "stock"]

LARGEST_AMOUNT_MINOR = 10**13
NOT_SAID = -1
EARLIEST_COLUMNS = frozenset({"requested_at", "refunded_at"})
STATUS_COLUMNS = ("status", "told_at", "close_reason")
"""What goes by a record's `version`; all the rest goes by its `detail_version`."""
PROGRESS: Mapping[Shelf, tuple[str, ...]] = {
    "orders": ("unknown", "unpaid", "paid", "shipped", "completed", "closed"),
    "refunds": (
        "unknown", "requested", "awaiting_return", "returned", "return_refused", "refused", "closed", "refunded",
    ),
}  # fmt: skip
"""Which of two statuses told in the same instant is the later one: many platforms count in whole seconds."""


@dataclass(slots=True)
class Record:
    """One row to be. key: unique within the shelf. values: column → value; None is “not said”, not “empty”.

    version: how new the status is, -1 when it says none. detail_version: how new the rest is, -1 for a short telling.
    people: the keys its person is named by, the strongest first. lines: an order's articles.
    """

    shelf: Shelf
    key: tuple[str, ...]
    version: int
    detail_version: int
    account_id: str
    values: dict[str, Any]
    people: tuple[IdentityKey, ...] = ()
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How evidence and reasons speak of it: `orders:youzan/flagship/E1`."""
        return f"{self.shelf}:{'/'.join(self.key)}"

    @property
    def kind(self) -> str:
        """What rules call it: `orders`, `refunds`, and for interactions their kind (`chat`, `coupon` …)."""
        return self.key[1] if self.shelf == "interactions" else self.shelf

    def complete_key(self, identity: int | None) -> None:
        """Let a record that only a phone names go by the number of that identity."""
        if self.is_nameless and identity is not None:
            self.key = (*self.key[:2], f"identity/{identity}")

    @property
    def is_nameless(self) -> bool:
        """Whether nothing tells it from others of its kind: it is about nobody, and not remembered."""
        return self.shelf == "interactions" and not self.key[2]


@dataclass(frozen=True, slots=True)
class _Kind:
    model: type[Origin]
    shelf: Shelf
    row: Callable[[Any, datetime], tuple[tuple[str, ...], dict[str, Any]]]


_FAMILIES: Mapping[str, _Kind] = {
    "tandem.order": _Kind(OrderData, "orders", order_row),
    "tandem.refund": _Kind(RefundData, "refunds", refund_row),
    "tandem.shipment": _Kind(ShipmentData, "shipments", shipment_row),
    "tandem.contact": _Kind(ContactData, "interactions", contact_row),
    "tandem.follower": _Kind(FollowerData, "interactions", follower_row),
    "tandem.member": _Kind(MemberData, "interactions", member_row),
    "tandem.chat": _Kind(ChatData, "interactions", chat_row),
    "tandem.scan": _Kind(ScanData, "interactions", scan_row),
    "tandem.visit": _Kind(VisitData, "interactions", visit_row),
    "tandem.cart": _Kind(CartData, "interactions", cart_row),
    "tandem.coupon": _Kind(CouponData, "interactions", coupon_row),
    "tandem.life": _Kind(LifeEventData, "interactions", life_row),
    "tandem.goods": _Kind(GoodsData, "goods", lambda data, _at: _goods(data)),
    "tandem.stock": _Kind(StockData, "stock", lambda data, _at: _stock(data)),
}


def record_of(event: Event, received_at: datetime) -> Record | None:
    """The record in an event; None for events that are not remembered as rows (groups, tags, customers' own).

    Raises ValidationProblem when the data is not what the type promises, or an amount is beyond belief.
    """
    family, _, change = event.type.rpartition(".")
    kind = _FAMILIES.get(family)
    if kind is None:
        return None
    try:
        data = kind.model.model_validate(event.data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "(root)"
        raise ValidationProblem(
            Text(
                f"事件 {event.type} 的字段 {place} 不正确：{first['msg']}",
                f"Field {place} of a {event.type} is wrong: {first['msg']}",
            ),
            field=place,
            retryable=False,
        ) from None
    _check_amounts(event.type, data)
    key, values = kind.row(data, event.time or received_at)
    if kind.shelf == "interactions" and values["state"] is None:
        values["state"] = _STATE_OF_CHANGE.get((family, change))
    record = Record(kind.shelf, key, data.version, data.version, data.account_id, values, keys_of(data))
    if isinstance(data, OrderData | RefundData):
        record.version = data.version if data.status != "unknown" else NOT_SAID
    if isinstance(data, OrderData):
        record.lines = order_line_rows(data)
        record.detail_version = data.version if data.paid_minor is not None else NOT_SAID
    if isinstance(data, RefundData):
        record.detail_version = data.version if data.amount_minor is not None else NOT_SAID
    return record


_STATE_OF_CHANGE: Mapping[tuple[str, str], str] = {
    ("tandem.contact", "added"): "contact",
    ("tandem.contact", "half_added"): "half",
    ("tandem.contact", "updated"): "contact",
    ("tandem.contact", "archive_agreed"): "contact",
    ("tandem.contact", "removed"): "removed",
    ("tandem.contact", "lost"): "lost",
    ("tandem.contact", "read"): "contact",
    ("tandem.contact", "listed"): "contact",
    ("tandem.contact", "gone"): "gone",
}


def fold(records: Iterable[Record]) -> list[Record]:
    """One record per thing, in the order of keys: what the newest says, completed by what the older ones said."""
    by_thing: dict[tuple[Shelf, tuple[str, ...]], list[Record]] = {}
    for record in records:
        by_thing.setdefault((record.shelf, record.key), []).append(record)
    return [_folded(by_thing[thing]) for thing in sorted(by_thing)]


def _folded(same: list[Record]) -> Record:
    if len(same) == 1:
        return same[0]
    by_status = sorted(same, key=lambda record: (record.version, _progress(record)))
    by_detail = sorted(same, key=lambda record: (record.detail_version, record.version, _progress(record)))
    values: dict[str, Any] = dict.fromkeys(same[0].values)
    for name in values:
        told = by_status if name in STATUS_COLUMNS else by_detail
        said = [record.values[name] for record in told if is_said(record.values[name])]
        values[name] = said[-1] if said else told[-1].values[name]
    for name in EARLIEST_COLUMNS & values.keys():
        values[name] = min((value for record in same if (value := record.values[name])), default=None)
    newest, fullest = by_status[-1], by_detail[-1]
    people = next((record.people for record in reversed(by_detail) if record.people), ())
    lines = next((record.lines for record in reversed(by_detail) if record.lines), [])
    return Record(
        newest.shelf, newest.key, newest.version, fullest.detail_version, newest.account_id, values, people, lines
    )


def _progress(record: Record) -> int:
    order = PROGRESS.get(record.shelf, ())
    return order.index(record.values["status"]) if order else 0


def is_said(value: Any) -> bool:
    """Whether a value says something: null, an empty list and `unknown` do not."""
    return value is not None and value != [] and value != {} and value != "unknown"


def _goods(data: GoodsData) -> tuple[tuple[str, ...], dict[str, Any]]:
    return (data.account_id, data.item_id, data.sku_id or ""), {
        "title": data.title,
        "category": data.category,
        "price_minor": data.price_minor,
        "on_sale": data.on_sale,
        "video_ids": list(data.video_ids),
    }


def _stock(data: StockData) -> tuple[tuple[str, ...], dict[str, Any]]:
    return (data.account_id, data.item_id, data.sku_id or ""), {"available": data.available}


def _check_amounts(event_type: str, data: Origin) -> None:
    for name in _amounts_of(type(data)):
        value = getattr(data, name)
        if isinstance(value, int) and not 0 <= value <= LARGEST_AMOUNT_MINOR:
            raise ValidationProblem(
                Text(
                    f"事件 {event_type} 的金额 {name} 为 {value} 分，超出可信范围",
                    f"The amount {name} of a {event_type} is {value} minor units, which is beyond belief",
                ),
                field=name,
                retryable=False,
            )


@cache
def _amounts_of(model: type[Origin]) -> tuple[str, ...]:
    return tuple(name for name in model.model_fields if name.endswith("_minor"))
