"""What rules may ask about: the facts, their fields, what can be added up, and when they happened.

A fact is a kind of record (ADR 8) as operations speak of it. `orders` and `order_lines` are orders that were paid,
unless a rule names other statuses itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from domain.tags.topics import TOPICS

FieldType = Literal["text", "list", "number", "money", "flag"]
Source = Literal["orders", "order_lines", "refunds", "interactions", "rhythms"]

PAID_STATUSES = ("paid", "shipped", "completed")
"""An order that counts: paid, and not closed since."""


@dataclass(frozen=True, slots=True)
class FactField:
    """One thing to ask about a record. choices: the words it may hold; empty when any."""

    type: FieldType
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """source: where its records lie; kind: which interactions. looks_at: kinds of records that can change it
    (`Record.kind`). instants: what `latest` and `earliest` may be of, the record's own time first.

    endless: whether its records only pile up, so that a rule should say how far back it looks.

    A record of `replenishment` is a category that the customer buys: when last (`at`), how often (`interval`, in days,
    `own` or what is usual), when it is time again (`due`). Only it has a `silence`.
    """

    name: str
    source: Source
    looks_at: frozenset[str]
    fields: Mapping[str, FactField]
    kind: str = ""
    instants: tuple[str, ...] = ("at",)
    has_details: bool = False
    endless: bool = False
    statuses: tuple[str, ...] = ()

    @property
    def amounts(self) -> tuple[str, ...]:
        """What `sum` may be of."""
        return tuple(name for name, each in self.fields.items() if each.type in ("money", "number"))

    @property
    def has_rhythm(self) -> bool:
        """Whether `silence` may be measured."""
        return self.source == "rhythms"

    @property
    def status_field(self) -> str:
        return "status" if "status" in self.fields else "state"


_TEXT, _MONEY, _NUMBER, _LIST, _FLAG = (
    FactField("text"),
    FactField("money"),
    FactField("number"),
    FactField("list"),
    FactField("flag"),
)
_ORIGIN: Mapping[str, FactField] = {"platform": _TEXT, "account": _TEXT}
_ORDER: Mapping[str, FactField] = {
    **_ORIGIN,
    "status": FactField("text", ("unpaid", "paid", "shipped", "completed", "closed", "unknown")),
    "channel": _TEXT,
    "influencer": _TEXT,
    "video": _TEXT,
    "membership": _TEXT,
    "dining": FactField("text", ("takeaway", "dine_in")),
    "province": _TEXT,
    "city": _TEXT,
    "group": _TEXT,
    "parent": _TEXT,
    "currency": _TEXT,
    "coupons": _LIST,
}
_REFUND_STATUSES = (
    "requested",
    "awaiting_return",
    "returned",
    "refused",
    "return_refused",
    "closed",
    "refunded",
    "unknown",
)


def _interactions(
    name: str,
    kind: str,
    fields: Mapping[str, FactField],
    *,
    instants: tuple[str, ...] = ("at",),
    endless: bool = False,
) -> Fact:
    all_fields = {**_ORIGIN, **fields}
    return Fact(name, "interactions", frozenset({kind}), all_fields, kind, instants, True, endless)


_ALL = (
    Fact(
        "orders",
        "orders",
        frozenset({"orders", "refunds"}),
        {
            **_ORDER,
            "paid": _MONEY,
            "discount": _MONEY,
            "postage": _MONEY,
            "refunded": _MONEY,
            "kept": _MONEY,
        },
        statuses=PAID_STATUSES,
    ),
    Fact(
        "order_lines",
        "order_lines",
        frozenset({"orders"}),
        {
            **_ORDER,
            "item": _TEXT,
            "sku": _TEXT,
            "category": _TEXT,
            "title": _TEXT,
            "quantity": _NUMBER,
            "price": _MONEY,
            "total": _MONEY,
        },
        statuses=PAID_STATUSES,
    ),
    Fact(
        "refunds",
        "refunds",
        frozenset({"refunds", "orders"}),
        {
            **_ORIGIN,
            "status": FactField("text", _REFUND_STATUSES),
            "reason": _TEXT,
            "returns_goods": _FLAG,
            "currency": _TEXT,
            "amount": _MONEY,
        },
    ),
    Fact(
        "replenishment",
        "rhythms",
        frozenset({"orders"}),
        {"category": _TEXT, "purchases": _NUMBER, "interval": _NUMBER, "own": _FLAG},
        instants=("at", "due"),
    ),
    _interactions(
        "coupons",
        "coupon",
        {
            "name": _TEXT,
            "state": FactField("text", ("taken", "used", "expired", "returned")),
            "channel": _TEXT,
            "currency": _TEXT,
            "amount": _MONEY,
        },
        instants=("at", "expires"),
    ),
    _interactions(
        "chats",
        "chat",
        {
            "name": FactField("text", ("in", "out")),
            "state": FactField("text", ("text", "image", "voice", "video", "file", "card", "other")),
            "topics": FactField("list", tuple(TOPICS)),
        },
        endless=True,
    ),
    _interactions("scans", "scan", {"channel": _TEXT}, endless=True),
    _interactions("visits", "visit", {"name": _TEXT, "item": _TEXT, "category": _TEXT, "channel": _TEXT}, endless=True),
    _interactions(
        "carts",
        "cart",
        {
            "state": FactField("text", ("open", "ordered", "cleared")),
            "item": _TEXT,
            "category": _TEXT,
            "currency": _TEXT,
            "amount": _MONEY,
        },
    ),
    _interactions(
        "contacts",
        "contact",
        {
            "name": _TEXT,
            "state": FactField("text", ("contact", "half", "removed", "lost", "gone")),
            "channel": _TEXT,
            "tags": _LIST,
        },
    ),
    _interactions("follows", "follow", {"state": FactField("text", ("following", "left")), "channel": _TEXT}),
    _interactions("members", "member", {"name": _TEXT}),
    _interactions("life", "life", {"name": _TEXT}, instants=("at", "due")),
)

FACTS: Mapping[str, Fact] = {fact.name: fact for fact in _ALL}
EVERY_KIND: frozenset[str] = frozenset().union(*(fact.looks_at for fact in _ALL))
"""Every kind of record that some rule may look at."""
DETAILS = FactField("text")
DETAIL_PREFIX = "details."


def field_of(fact: Fact, name: str) -> FactField | None:
    """What a fact's field is; None for a field it does not have. `details.x` is whatever the platform said of it."""
    if fact.has_details and name.startswith(DETAIL_PREFIX) and len(name) > len(DETAIL_PREFIX):
        return DETAILS
    return fact.fields.get(name)
