"""The form of what is assumed of a caterers' platform."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from domain.canonical import OrderStatus, RefundStatus

Dining = Literal["takeaway", "dine_in"]
Kind = Literal["order", "refund"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Apis:
    """Names of the platform's interfaces. A list answers with `total` and `items` under the names below."""

    get_order: str
    list_orders: str
    get_refund: str
    list_refunds: str
    agree_refund: str
    refuse_refund: str
    list_goods: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CateringWire:
    """Everything that one platform's contract is taken to be.

    order, line, refund, dish, variant: the platform's name of each of our fields. offered: its word for a dish that is
    on sale. *_words: what its words for a state mean. pushes:
    which record a kind of push carries. amounts: whether they are whole fen or yuan. window: how far a push's time may
    be off. widest, lag, reaches_back: of the lists.
    """

    platform: str
    apis: Apis
    order: Mapping[str, str]
    line: Mapping[str, str]
    refund: Mapping[str, str]
    dish: Mapping[str, str]
    variant: Mapping[str, str]
    offered: str
    order_words: Mapping[str, OrderStatus]
    refund_words: Mapping[str, RefundStatus]
    dining_words: Mapping[str, Dining]
    pushes: Mapping[str, Kind]
    amounts: Literal["fen", "yuan"]
    total: str
    items: str
    page_size: int
    window: timedelta
    widest: timedelta
    lag: timedelta
    reaches_back: timedelta
