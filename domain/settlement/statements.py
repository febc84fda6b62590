"""A payee's statement for some days: what they began with, earned, had taken back and were paid, and what is left."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from domain.problems import Text
from domain.settlement.payouts import State
from domain.settlement.reports import Days


class EarnedLine(NamedTuple):
    """What a component came to. late: of a period that was closed before. rule: None for the scheme's own floor and
    cap. base: as people read it."""

    title: str
    period_start: date
    late: bool
    base: str
    rule: Text | None
    amount_minor: int


StatedState = State | Literal["part", "later", "overpaid", "recovered"]
"""part: some of it was paid, for good, and the rest is in the balance again; later: it ended after these days;
overpaid: it was paid once more than it should, as a line of its own; recovered: that came back."""


class PayoutLine(NamedTuple):
    """A payout that was planned or ended in these days. day: when it ended, if that was in them, else when it was to be
    paid. paid_minor: what was paid of it in them."""

    number: str
    rail: str
    state: StatedState
    day: date
    amount_minor: int
    paid_minor: int


class Proof(NamedTuple):
    """By which calculation something came to what it did, and its digest."""

    scheme: str
    version: str
    period_start: date
    digest: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One payee's, in one currency. payable, held, paying, owed: what is left, by where it is."""

    payee: str
    name: str
    days: Days
    currency: str
    opening_minor: int
    earned: Sequence[EarnedLine]
    payouts: Sequence[PayoutLine]
    paid_minor: int
    payable_minor: int
    held_minor: int
    paying_minor: int
    owed_minor: int
    proofs: Sequence[Proof]

    @property
    def earned_minor(self) -> int:
        """All lines together."""
        return sum(each.amount_minor for each in self.earned)

    @property
    def closing_minor(self) -> int:
        """What they began with and earned, less what was paid: what is left, wherever it is."""
        return self.opening_minor + self.earned_minor - self.paid_minor
