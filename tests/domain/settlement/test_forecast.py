"""What falls due when: what a batch would pay today, what stays and why, what is owed back by when."""

from datetime import date

import pytest

from domain.settlement.exact import RATE
from domain.settlement.forecast import Accounts, DatedDebt, Piece, pieces_of
from domain.settlement.payees import PayoutDetails
from domain.settlement.payouts import Terms

TODAY, NEXT, AFTER = date(2026, 5, 12), date(2026, 6, 1), date(2026, 7, 1)
NAMED = PayoutDetails(real_name="某人", bank_account="6222020200112233445")


@pytest.mark.parametrize(
    ("payable", "details", "expected"),
    [
        (5_000, NAMED, [Piece("payable", TODAY, 5_000)]),
        (999, NAMED, [Piece("below-minimum", None, 999)]),
        (5_000, PayoutDetails(), [Piece("no-account", None, 5_000)]),
        (5_000, PayoutDetails(bank_account="6222020200112233445"), [Piece("no-real-name", None, 5_000)]),
        (5_000, None, [Piece("inactive", None, 5_000)]),
        (-300, NAMED, [Piece("overdrawn", None, -300)]),
        (0, NAMED, []),
    ],
)
def test_a_balance_is_due_when_a_batch_would_pay_it(
    payable: int, details: PayoutDetails | None, expected: list[Piece]
) -> None:
    found = pieces_of(Accounts(payable_minor=payable, details=details), Terms(minimum_minor=1_000), TODAY)
    assert found == expected


def test_what_is_owed_back_is_due_by_its_instalments() -> None:
    """Of 1,000 in three parts two are due by now, of which 400 was repaid; half of a balance is left to the payee."""
    accounts = Accounts(
        payable_minor=500,
        debts=[DatedDebt(1_000, 1, [NEXT, AFTER])],
        repaid_minor=400,
        details=NAMED,
    )
    found = pieces_of(accounts, Terms(instalments=3, keep=RATE // 2), TODAY)
    assert found == [
        Piece("offset", TODAY, 250),
        Piece("payable", TODAY, 250),
        Piece("receivable", TODAY, -266),
        Piece("receivable", NEXT, -334),
    ]


def test_what_was_repaid_ahead_counts_for_the_next_instalments() -> None:
    accounts = Accounts(debts=[DatedDebt(900, 0, [NEXT, AFTER])], repaid_minor=700, details=NAMED)
    assert pieces_of(accounts, Terms(instalments=3), TODAY) == [Piece("receivable", AFTER, -200)]


def test_all_of_a_balance_may_go_to_what_is_owed() -> None:
    accounts = Accounts(payable_minor=300, debts=[DatedDebt(1_000, 0, [])], details=NAMED)
    assert pieces_of(accounts, Terms(minimum_minor=100), TODAY) == [
        Piece("offset", TODAY, 300),
        Piece("receivable", TODAY, -1_000),
    ]


def test_what_is_held_or_under_way_is_due_on_its_day() -> None:
    accounts = Accounts(held={NEXT: 70}, paying={date(2026, 5, 1): 30, AFTER: 40}, details=NAMED)
    assert pieces_of(accounts, Terms(), TODAY) == [
        Piece("held", NEXT, 70),
        Piece("paying", TODAY, 30),
        Piece("paying", AFTER, 40),
    ]


def test_each_debt_is_rounded_by_itself_as_a_batch_rounds_it() -> None:
    debts = [DatedDebt(101, 0, [NEXT, AFTER])] * 2
    found = pieces_of(Accounts(payable_minor=1_000, debts=debts, details=NAMED), Terms(instalments=3), TODAY)
    assert found[:3] == [Piece("offset", TODAY, 66), Piece("payable", TODAY, 934), Piece("receivable", TODAY, -66)]
