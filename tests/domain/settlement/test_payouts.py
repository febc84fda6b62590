"""What is paid of a balance, and on which day."""

from datetime import date, timedelta
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.catalog.wechat_pay import TransferArguments
from domain.settlement.exact import RATE
from domain.settlement.payees import PayoutDetails
from domain.settlement.payouts import (
    ENDS,
    FOLLOWERS,
    OMISSIONS,
    RAILS,
    Calendar,
    Debt,
    Omission,
    RailQuota,
    Standing,
    Terms,
    due_of,
    number_of,
    obstacle,
    planned,
    rail_of,
)

AMOUNTS = st.integers(0, 10**9)
DEBTS = st.lists(st.builds(Debt, st.integers(1, 10**7), st.integers(0, 30)), max_size=5)
TERMS = st.builds(Terms, minimum_minor=st.integers(0, 10**5), instalments=st.integers(1, 12), keep=st.integers(0, RATE))


@given(st.integers(-(10**9), 10**9), DEBTS, AMOUNTS, TERMS)
def test_no_more_is_paid_and_offset_than_there_is_and_what_has_to_be_left_is_left(
    payable: int, debts: list[Debt], repaid: int, terms: Terms
) -> None:
    plan = planned(Standing(payable, debts, repaid), terms)
    there = max(payable, 0)
    assert plan.offset_minor >= 0
    assert plan.amount_minor in (0, there - plan.offset_minor)
    assert there - plan.offset_minor >= there * terms.keep / RATE
    assert plan.offset_minor <= max(sum(each.amount_minor for each in debts) - repaid, 0)
    assert plan.amount_minor == 0 or plan.amount_minor >= max(terms.minimum_minor, 1)


@given(DEBTS, st.integers(1, 12))
def test_instalments_never_fall_and_come_to_the_whole_debt(debts: list[Debt], instalments: int) -> None:
    due = [due_of([each._replace(ago=each.ago + more) for each in debts], instalments) for more in range(13)]
    assert due == sorted(due)
    assert due[-1] == sum(each.amount_minor for each in debts)


def test_a_debt_of_three_instalments_is_taken_in_thirds_and_leaves_half() -> None:
    terms = Terms(instalments=3, keep=RATE // 2, minimum_minor=1_000)
    assert planned(Standing(10_000, [Debt(9_000, 0)]), terms) == (3_000, 7_000)
    assert planned(Standing(4_000, [Debt(9_000, 0)]), terms) == (2_000, 2_000), "half is left"
    assert planned(Standing(10_000, [Debt(9_000, 1)], 2_000), terms) == (4_000, 6_000), "what was missed is made up"
    assert planned(Standing(999), terms) == (0, 0), "less than the minimum stays"
    assert planned(Standing(-5), terms) == (0, 0)


def test_the_first_rail_that_somebody_has_an_account_for_pays() -> None:
    everything = PayoutDetails(real_name="李四", openid="o1", bank_account="6222000000000000", merchant_receiver="m1")
    assert rail_of(everything, 100, RAILS) == ("wechat-pay", None)
    assert rail_of(everything, 100, ("bank", "wechat-pay")) == ("bank", None)
    assert rail_of(PayoutDetails(openid="o1"), 199_999, RAILS) == ("wechat-pay", None)
    assert rail_of(PayoutDetails(openid="o1"), 200_000, RAILS) == (None, "no-real-name")
    assert rail_of(PayoutDetails(openid="o1", merchant_receiver="m"), 200_000, RAILS) == ("profit-sharing", None)
    assert rail_of(PayoutDetails(merchant_receiver="1900000110"), 1, RAILS) == (None, "no-real-name")
    assert rail_of(PayoutDetails(bank_account="6222000000000000"), 1, RAILS) == (None, "no-real-name")
    assert rail_of(PayoutDetails(), 1, RAILS) == (None, "no-account")


def test_what_cannot_be_shared_in_whole_is_paid_by_the_next_rail_or_stays() -> None:
    receiver = PayoutDetails(merchant_receiver="m1", real_name="李四")
    banked = receiver.model_copy(update={"bank_account": "6222000000000000"})
    for there, rail in ((100, "profit-sharing"), (None, "profit-sharing"), (99, "bank"), (0, "bank")):
        assert rail_of(banked, 100, RAILS, shareable_minor=there) == (rail, None)
    assert rail_of(receiver, 100, RAILS, shareable_minor=99) == (None, "nothing-to-share")
    assert rail_of(PayoutDetails(openid="o1"), 100, RAILS, shareable_minor=0) == ("wechat-pay", None)


def test_a_number_is_one_of_the_rails_and_the_same_for_every_attempt() -> None:
    number = number_of("b1", 7)
    assert number == number_of("b1", 7) != number_of("b2", 7)
    assert len(number) == 32
    assert number.isalnum()


@given(st.lists(st.integers(1, 1_000), min_size=1), st.integers(1, 5), st.integers(500, 2_000))
def test_no_day_has_more_than_the_rail_takes_and_no_day_is_left_out(
    amounts: list[int], payouts: int, amount: int
) -> None:
    first = date(2026, 11, 30)
    calendar = Calendar(first, RailQuota(payouts=payouts, amount_minor=amount))
    days: dict[date, list[int]] = {}
    for each in amounts:
        days.setdefault(calendar.place(each), []).append(each)
    assert sorted(days) == [first + timedelta(days=n) for n in range(len(days))]
    for placed in days.values():
        assert len(placed) <= payouts
        assert sum(placed) <= amount or len(placed) == 1


@given(st.lists(st.integers(1, 1_000), min_size=1), st.dictionaries(st.integers(0, 9), st.integers(0, 5)))
def test_what_others_take_of_a_day_counts(amounts: list[int], others: dict[int, int]) -> None:
    first, quota = date(2026, 11, 30), RailQuota(payouts=3, amount_minor=1_500)
    taken = {first + timedelta(days=number): (count, 100 * count) for number, count in others.items()}
    calendar = Calendar(first, quota, taken)
    days: dict[date, list[int]] = {}
    for each in amounts:
        days.setdefault(calendar.place(each), []).append(each)
    for day, placed in days.items():
        count, amount = taken.get(day, (0, 0))
        assert count + len(placed) <= 3
        assert amount + sum(placed) <= 1_500 or count + len(placed) == 1


def test_what_wechat_pay_does_not_take_goes_by_bank_or_stays() -> None:
    everything = PayoutDetails(openid="o", real_name="名", merchant_receiver="m", bank_account="6222000000000000")
    wechat = PayoutDetails(openid="o", real_name="名", merchant_receiver="m")
    assert rail_of(everything, 100, RAILS, "USD") == ("bank", None)
    assert rail_of(wechat, 100, RAILS, "USD") == (None, "currency")
    assert rail_of(everything, 10**9 + 1, ("wechat-pay", "bank")) == ("bank", None)
    assert rail_of(wechat, 10**9 + 1, ("wechat-pay",)) == (None, "above-maximum")
    for amount, named in ((1, False), (199_999, False), (200_000, True), (10**9, True), (10**9 + 1, True)):
        for name in (None, "名"):
            details = PayoutDetails(openid="o", real_name=name)
            given_name = {"payee_name": name} if named and name else {}
            try:
                TransferArguments(openid="o", amount_minor=amount, remark="x", **given_name)
                is_taken = True
            except ValidationError:
                is_taken = False
            assert (obstacle(details, amount, "CNY", "wechat-pay") is None) == is_taken, (amount, name)
    assert set(OMISSIONS) == set(get_args(Omission))


def test_what_ended_has_no_followers_and_everything_else_can_end() -> None:
    for state, followers in FOLLOWERS.items():
        assert (state in ENDS) == (not followers)
        assert state in ENDS or followers & ENDS
