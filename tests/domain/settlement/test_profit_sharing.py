"""A payout cut over payments: exact, within every bound, the same for the same payments."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.settlement.payouts import number_of
from domain.settlement.profit_sharing import (
    MOST_REQUESTS,
    SPARE,
    SPARE_REQUESTS,
    WITHIN,
    Payment,
    cut,
    share_number,
    shareable_minor,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@st.composite
def payments(draw: st.DrawFn) -> list[Payment]:
    found = []
    for number in range(draw(st.integers(0, 12))):
        paid = draw(st.integers(1, 10**7))
        refunded = draw(st.integers(0, paid))
        age = draw(st.timedeltas(timedelta(0), timedelta(days=40)))
        taken, requests = draw(st.integers(0, paid)), draw(st.integers(0, MOST_REQUESTS))
        found.append(Payment(f"42{number}", paid, NOW - age, refunded, taken, requests))
    return found


@given(payments(), st.integers(1, 10**8), st.integers(1, 100))
def test_the_pieces_are_the_amount_and_no_payment_gives_more_than_it_may(
    there: list[Payment], amount: int, percent: int
) -> None:
    pieces = cut(amount, there, percent, NOW)
    most = sum(shareable_minor(each, percent, NOW) for each in there)
    assert sum(each.amount_minor for each in pieces) == (amount if amount <= most else 0)
    known = {each.transaction_id: each for each in there}
    assert len({each.transaction_id for each in pieces}) == len(pieces), "each payment once"
    for transaction, piece in pieces:
        payment = known[transaction]
        assert piece > 0
        assert NOW - payment.paid_at < WITHIN - SPARE
        assert payment.requests < MOST_REQUESTS - SPARE_REQUESTS
        kept = payment.paid_minor - payment.refunded_minor
        assert (payment.taken_minor + piece) * 100 <= kept * percent
    shuffled = list(reversed(there))
    assert cut(amount, shuffled, percent, NOW) == pieces, "the order of payments does not matter"


@given(payments(), st.integers(1, 100))
def test_what_is_cut_leaves_no_room_that_was_cut_already(there: list[Payment], percent: int) -> None:
    most = sum(shareable_minor(each, percent, NOW) for each in there)
    if not most:
        return
    given_out = {each.transaction_id: each.amount_minor for each in cut(most, there, percent, NOW)}
    after = [each._replace(taken_minor=each.taken_minor + given_out.get(each.transaction_id, 0)) for each in there]
    assert cut(1, after, percent, NOW) == ()


def test_the_oldest_payment_gives_first_and_one_that_is_too_old_nothing() -> None:
    days = [Payment(f"42{age}", 10_000, NOW - timedelta(days=age)) for age in (1, 29, 15, 30, 31)]
    pieces = cut(7_000, days, 30, NOW)
    assert [(each.transaction_id, each.amount_minor) for each in pieces] == [
        ("4229", 3_000),
        ("4215", 3_000),
        ("421", 1_000),
    ]


def test_a_payment_is_asked_48_times_of_the_50_that_wechat_pay_allows() -> None:
    assert cut(1, [Payment("421", 10_000, NOW, requests=47)], 30, NOW) != ()
    assert cut(1, [Payment("421", 10_000, NOW, requests=48)], 30, NOW) == ()


def test_less_than_all_of_it_is_nothing() -> None:
    assert cut(3_001, [Payment("421", 10_000, NOW)], 30, NOW) == ()


def test_a_shares_number_is_the_payouts_own() -> None:
    number = share_number(number_of("batch", 7), 12)
    assert number.isalnum()
    assert len(number) <= 64
    assert number == share_number(number_of("batch", 7), 12) != share_number(number_of("batch", 7), 13)
