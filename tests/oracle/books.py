"""What the oracle knows of a period: people, orders as they stand, deeds, scores, rates. Nothing of Tandem's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple

Cycle = Literal["day", "week", "half-month", "month"]


class Term(NamedTuple):
    """What holds of a payee from a day on, until the next one."""

    since: date
    role: str
    cycle: Cycle | None = None
    active: bool = True


class Person(NamedTuple):
    """A payee. terms: in order, at least one. above: who is above them, each from a day on; the last one that has begun
    holds."""

    code: str
    terms: tuple[Term, ...]
    above: tuple[tuple[date, str | None], ...] = ()


class Sold(NamedTuple):
    """A line of an order. words: what it is; total: what was paid for it, back: what of that was refunded, both in
    minor units of the order's currency. bonded: as it was found when the line began to count."""

    number: int
    words: Mapping[str, str]
    bonded: bool
    quantity: int
    total: int
    back: int = 0


class Order(NamedTuple):
    """An order as it stands at the end. words: by whom and where it was sold. first: None when nobody knows whose it
    is. bought: the day it was paid. currency: empty for the merchant's own; rate: what a unit of it was worth when the
    order was paid."""

    payee: str
    number: int
    basis: str
    day: date
    words: Mapping[str, str]
    first: bool | None
    lines: tuple[Sold, ...]
    bought: date
    currency: str = ""
    rate: Decimal = Decimal(1)
    closed: bool = False


class Noted(NamedTuple):
    """A deed or a score, in the order in which they were noted."""

    payee: str
    name: str
    day: date
    amount: int


@dataclass(frozen=True, slots=True)
class Books:
    """Everything there is. rates: from a day on, units of the merchant's currency for one unit of another."""

    people: Sequence[Person]
    orders: Sequence[Order]
    noted: Sequence[Noted]
    rates: Mapping[tuple[str, date], Decimal] = field(default_factory=dict)
