"""From a canonical event to the row that remembers it: which table, under which key, how new, with which values.

A row knows nothing of customers (ADR 8).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Literal
from zlib import crc32

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from domain.canonical import (
    CartData,
    ChatData,
    ConsentData,
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
from domain.canonical.records import FUTURE_TOLERANCE
from domain.customers.consents import consent_row
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
from domain.events import Event, rfc3339
from domain.problems import Text, ValidationProblem
from domain.validation_texts import explain

Shelf = Literal["orders", "refunds", "shipments", "interactions", "consents", "goods", "stock"]

Rank = tuple[int, int]
"""How new something told is: the version of its telling, and which of two with one version counts as the newer."""

LARGEST_AMOUNT_MINOR = 10**13
_BELOW = 2**63
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
_DIGEST_BITS = 27
_TIMES_OF_TELLING = frozenset({"told_at", "occurred_at"})


@dataclass(slots=True)
class Record:
    """One row to be. key: unique within the shelf. values: column → value; None is “not said”, not “empty”.

    version: how new the status is, below zero when it says none. detail_version: how new the rest is, below zero for a
    short telling, so that it only fills gaps. version_tie, detail_tie: which of two tellings with one version counts.
    people: the keys its person is named by, the strongest first. lines: an order's articles. older: how new that is
    which an older telling said and the newer ones left out, by column, `people` and `lines`.
    """

    shelf: Shelf
    key: tuple[str, ...]
    version: int
    detail_version: int
    account_id: str
    values: dict[str, Any]
    people: tuple[IdentityKey, ...] = ()
    lines: list[dict[str, Any]] = field(default_factory=list)
    version_tie: int = 0
    detail_tie: int = 0
    older: dict[str, Rank] = field(default_factory=dict)

    def rank_of(self, part: str) -> Rank:
        """How new a column, `people` or `lines` is."""
        if part in self.older:
            return self.older[part]
        return (self.version, self.version_tie) if part in STATUS_COLUMNS else (self.detail_version, self.detail_tie)

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
    "tandem.consent": _Kind(ConsentData, "consents", consent_row),
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
        place, why = ".".join(map(str, first["loc"])) or "(root)", explain(first)
        raise ValidationProblem(
            Text(
                f"事件 {event.type} 的字段 {place} 不正确：{why.zh}",
                f"Field {place} of a {event.type} is wrong: {why.en}",
            ),
            field=place,
            retryable=False,
        ) from None
    _check_amounts(event.type, data)
    _check_instants(event.type, data, received_at)
    key, values = kind.row(data, event.time or received_at)
    if kind.shelf == "interactions" and values["state"] is None:
        values["state"] = _STATE_OF_CHANGE.get((family, change))
    record = Record(kind.shelf, key, data.version, data.version, data.account_id, values, keys_of(data))
    if isinstance(data, OrderData | RefundData) and data.status == "unknown":
        record.version -= _BELOW
    if isinstance(data, OrderData):
        record.lines = order_line_rows(data)
    if _is_short(data):
        record.detail_version -= _BELOW
    record.version_tie = record.detail_tie = _tie_of(record)
    return record


def _is_short(data: Origin) -> bool:
    return (isinstance(data, OrderData) and data.paid_minor is None) or (
        isinstance(data, RefundData) and data.amount_minor is None
    )


def _tie_of(record: Record) -> int:
    """The further status counts, and else whichever the digest says: in every order of arrival the same."""
    progress = PROGRESS.get(record.shelf, ())
    place = progress.index(record.values["status"]) if progress else 0
    said = [value for name, value in record.values.items() if name not in _TIMES_OF_TELLING]
    told = (said, record.people, record.lines)
    try:
        # Every record has one: `repr` takes four times as long.
        digest = crc32(to_json(told, fallback=str))
    except PydanticSerializationError:
        # Half of a surrogate pair, which the database refuses later with a reason.
        digest = crc32(repr(told).encode("utf-8", "surrogatepass"))
    return (place << _DIGEST_BITS) + (digest >> (32 - _DIGEST_BITS))


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


def _goods(data: GoodsData) -> tuple[tuple[str, ...], dict[str, Any]]:
    return (data.account_id, data.item_id, data.sku_id or ""), {
        "title": data.title,
        "category": data.category,
        "price_minor": data.price_minor,
        "on_sale": data.on_sale,
        "merchant_code": data.merchant_code,
        "video_ids": list(data.video_ids),
    }


def _stock(data: StockData) -> tuple[tuple[str, ...], dict[str, Any]]:
    key = (data.account_id, data.item_id, data.sku_id or "", data.warehouse or "")
    return key, {"available": data.available}


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


def _check_instants(event_type: str, data: Origin, received_at: datetime) -> None:
    """What has not happened yet would be newer than all that comes after it, and stay for ever."""
    for name in _instants_of(type(data)):
        value = getattr(data, name)
        if value is not None and value > received_at + FUTURE_TOLERANCE:
            raise ValidationProblem(
                Text(
                    f"事件 {event_type} 的时间 {name} 为 {rfc3339(value)}，晚于收到的时间",
                    f"The instant {name} of a {event_type} is {rfc3339(value)}, after it came in",
                ),
                field=name,
                retryable=False,
            )


@cache
def _instants_of(model: type[Origin]) -> tuple[str, ...]:
    return tuple(name for name in model.model_fields if name.endswith("_at"))


@cache
def _amounts_of(model: type[Origin]) -> tuple[str, ...]:
    return tuple(name for name in model.model_fields if name.endswith("_minor"))
