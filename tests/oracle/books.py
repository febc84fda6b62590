"""What the oracle knows of a period: people, order lines as they stand, deeds, scores, rates. Nothing of Tandem's."""

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


class Line(NamedTuple):
    """An order line as it stands at the end. words: by field; order: what the whole order came to. Amounts are in minor
    units of the merchant's currency, foreign in the order's own."""

    payee: str
    number: int
    basis: str
    day: date
    order: int
    words: Mapping[str, str]
    first: bool
    bonded: bool
    currency: str
    paid: int
    kept: int
    foreign: int
    quantity: int
    orders: int


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
    lines: Sequence[Line]
    noted: Sequence[Noted]
    rates: Mapping[tuple[str, date], Decimal] = field(default_factory=dict)
