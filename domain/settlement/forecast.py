"""What of a payee's accounts falls due when: what the next batch would pay, what stays and why, what is owed back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from domain.settlement.payees import PayoutDetails
from domain.settlement.payouts import Debt, Standing, Terms, planned, rail_of


class Piece(NamedTuple):
    """An amount that is paid, held or owed. due: None for what does not fall due. sort: why it does not, or what it is:
    `payable`, `offset` (goes to what is owed), `held`, `paying` (under way), `receivable` (less than nothing),
    `overdrawn` (a balance below nothing)."""

    sort: str
    due: date | None
    amount_minor: int


class DatedDebt(NamedTuple):
    """What was taken back. ago: as in `payouts.Debt`. next_days: with which days the periods after the present one
    begin: when the instalments that are not due yet are."""

    amount_minor: int
    ago: int
    next_days: Sequence[date]


@dataclass(frozen=True, slots=True)
class Accounts:
    """A payee's accounts in a scheme. payable: with what is held no longer. held: by the day that it can be paid from.
    paying: by the day it is to be paid on. details: where the money goes; None of somebody who is not active."""

    payable_minor: int = 0
    held: Mapping[date, int] = field(default_factory=dict)
    paying: Mapping[date, int] = field(default_factory=dict)
    debts: Sequence[DatedDebt] = ()
    repaid_minor: int = 0
    details: PayoutDetails | None = None


def pieces_of(accounts: Accounts, terms: Terms, today: date) -> Sequence[Piece]:
    """All that is in the accounts, a piece for each sort and day."""
    found = [*_payable(accounts, terms, today)]
    found += [Piece("held", due, amount) for due, amount in sorted(accounts.held.items())]
    found += [Piece("paying", max(due, today), amount) for due, amount in sorted(accounts.paying.items())]
    found += [Piece("receivable", due, -amount) for due, amount in _instalments(accounts, terms, today)]
    sums: dict[tuple[str, date | None], int] = {}
    for each in found:
        sums[each.sort, each.due] = sums.get((each.sort, each.due), 0) + each.amount_minor
    return [Piece(sort, due, amount) for (sort, due), amount in sums.items() if amount]


def _payable(accounts: Accounts, terms: Terms, today: date) -> Sequence[Piece]:
    """As `services.payout_planning` plans a batch, but for what can be shared, which only its day tells."""
    if accounts.payable_minor <= 0:
        return [Piece("overdrawn", None, accounts.payable_minor)]
    debts = [Debt(each.amount_minor, each.ago) for each in accounts.debts]
    plan = planned(Standing(accounts.payable_minor, debts, accounts.repaid_minor), terms)
    left = accounts.payable_minor - plan.offset_minor
    offset = Piece("offset", today, plan.offset_minor)
    if plan.amount_minor == 0:
        return [offset, Piece("owes" if plan.offset_minor else "below-minimum", None, left)]
    if accounts.details is None:
        return [offset, Piece("inactive", None, left)]
    rail, reason = rail_of(accounts.details, plan.amount_minor, terms.rails)
    if rail is None:
        return [offset, Piece(reason or "no-account", None, left)]
    return [offset, Piece("payable", today, left)]


def _instalments(accounts: Accounts, terms: Terms, today: date) -> Sequence[tuple[date, int]]:
    """What is owed back by the day that it is due; what was repaid counts for the earliest."""
    by_day: dict[date, int] = {}
    for debt in accounts.debts:
        for number in range(terms.instalments):
            upto, before = (debt.amount_minor * count // terms.instalments for count in (number + 1, number))
            due = today if number <= debt.ago else debt.next_days[number - debt.ago - 1]
            by_day[due] = by_day.get(due, 0) + upto - before
    repaid, found = accounts.repaid_minor, []
    for due, amount in sorted(by_day.items()):
        covered = min(repaid, amount)
        repaid -= covered
        found.append((due, amount - covered))
    return found
