"""Payouts that ended otherwise than our books say: sent back after they were paid, paid after all, or paid once more.

Two people say so by a break: one explains it, another solves it, and only that books anything. What a bank sent back
has left `payable` for good otherwise, and the payee would never get it; what was paid although it had failed is in
`payable` again otherwise, and the next batch would pay it once more.

A bank's answer and its statement tell of the same money, each by a break of its own, and a statement that is withdrawn
and taken again tells of it once more. So nothing is booked by a break while the books hold what is told already.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from domain.problems import ConflictProblem, Text
from domain.settlement.bank_answers import BANK
from services.break_keeping import solve_by_itself
from services.overdue_payouts import end_by_word, never_paid_payout, overdue_payout, refuse_other_words
from services.payout_booking import (
    extra_payments,
    settle_after_all,
    settle_bounced,
    settle_once_more,
    settle_sent_back,
    times_once_more,
    times_sent_back,
)
from storage.bills import Bills
from storage.breaks import BreakRow, Breaks, Reason
from storage.leftovers import Leftovers
from storage.payouts import PayoutRow, Payouts
from storage.unit_of_work import UnitOfWork


class Meaning(NamedTuple):
    """What the word of two on a break came to. booked: whether money was; twins: open breaks by which others tell of
    the same money, to be let go with the same words."""

    booked: bool
    twins: Sequence[BreakRow] = ()


async def require_meaning(work: UnitOfWork, row: BreakRow, reason: Reason) -> None:
    """Refuse a reason that says of a payout what cannot be. Raises ConflictProblem."""
    match reason:
        case "returned":
            await _returned(work, row)
        case "never-paid":
            await never_paid_payout(work, row)
        case "paid-after-all" if row.kind == "overdue":
            await overdue_payout(work, row)
        case "paid-after-all":
            await _paid_after_all(work, row)
        case _ if row.kind == "overdue":
            await refuse_other_words(work, row)


async def book_meaning(work: UnitOfWork, row: BreakRow) -> Meaning:
    """Book what the reason of an explained break says of its payout, if it says anything; once, however many say so.

    :raises ConflictProblem: it cannot be any more.
    """
    if row.reason == "never-paid" or (row.reason == "paid-after-all" and row.kind == "overdue"):
        await end_by_word(work, row)
        return Meaning(booked=True)
    match row.reason:
        case "returned":
            payout = await _returned(work, row)
            was = payout.state
            booked = await _book_return(work, row, payout)
        case "paid-after-all":
            payout = await _paid_after_all(work, row)
            was = payout.state
            booked = await _book_payment(work, row, payout)
        case _:
            if row.kind == "overdue":
                await refuse_other_words(work, row)
            return Meaning(booked=False)
    if not booked:
        return Meaning(booked=False)
    told = await Breaks(work).of_payout(payout.number)
    same = [each for each in told if each.difference_minor == row.difference_minor]
    if payout.state != was:
        # Bills are compared again by themselves; what banks answer is not.
        agreed = _agreed([each for each in same if each.account == BANK], payout)
        for each in agreed:
            solve_by_itself(each, work)
        await Leftovers(work).settle(BANK, [str(each.id) for each in agreed])
        return Meaning(booked=True)
    twins: dict[str, BreakRow] = {}
    for each in same:
        if each.account != row.account and each.state == "open":
            twins.setdefault(each.account, each)
    return Meaning(booked=True, twins=list(twins.values()))


async def _book_return(work: UnitOfWork, row: BreakRow, payout: PayoutRow) -> bool:
    """Book one payment less. The payout has failed when that was the last one."""
    extra = await extra_payments(work, payout)
    told = await _told_minor(work, row, payout)
    if told is None:
        is_new = len(await _answered(work, row, payout)) > await times_sent_back(work, payout)
    else:
        is_new = told <= extra * payout.amount_minor
    if not is_new:
        return False
    if extra:
        await settle_sent_back(work, payout)
    else:
        await settle_bounced(work, payout)
        Payouts(work).bounce(payout)
    return True


async def _book_payment(work: UnitOfWork, row: BreakRow, payout: PayoutRow) -> bool:
    """Book one payment more: the payout's own, if it had failed, else one too many."""
    if payout.state != "paid":
        await settle_after_all(work, payout)
        # Of what a bank answers its serial stands there; of bills what might belong together.
        Payouts(work).pay_after_all(payout, row.suggestion if row.account == BANK else None)
        return True
    # Where bills tell of the payout, they are believed: a serial may be of a payment that came back.
    told = await Bills(work).transferred(None, _numbers(payout))
    is_new = told is None or told >= (2 + await extra_payments(work, payout)) * payout.amount_minor
    if is_new and row.account == BANK:
        is_new = await _answered_once_more(work, row, payout) > await times_once_more(work, payout)
    if is_new:
        await settle_once_more(work, payout)
    return is_new


async def _told_minor(work: UnitOfWork, row: BreakRow, payout: PayoutRow) -> int | None:
    """What left for a payout less what came back, as the bills tell that a break is of; None of a bank's answer."""
    if row.account == BANK:
        return None
    return await Bills(work).transferred([row.account], _numbers(payout))


def _numbers(payout: PayoutRow) -> Collection[str]:
    """What bills call it."""
    return {payout.number, payout.rail_number or payout.number}


async def _answered_once_more(work: UnitOfWork, row: BreakRow, payout: PayoutRow) -> int:
    """How many payments too many a bank has answered, by the word of two, this one among them."""
    # Where only a bill told of the first payment, the first serial that the bank answers is that one's.
    return len(await _answered(work, row, payout)) - (payout.rail_number is None)


async def _answered(work: UnitOfWork, row: BreakRow, payout: PayoutRow) -> Sequence[BreakRow]:
    """A break of a bank's answer, and those that two people have said the same of before, and that stand."""
    return [
        each
        for each in await Breaks(work).of_payout(payout.number)
        if (each.account, each.kind) == (BANK, row.kind)
        and (each.id == row.id or (each.state == "solved" and each.reason == row.reason))
    ]


def _agreed(answers: Sequence[BreakRow], payout: PayoutRow) -> Sequence[BreakRow]:
    """Which of a bank's answers a payout agrees with by now."""
    named = [each for each in answers if each.kind == "state" or each.suggestion == payout.rail_number]
    return named or answers[:1]


async def _returned(work: UnitOfWork, row: BreakRow) -> PayoutRow:
    """The payout, locked, that a break says was sent back."""
    payout = await _payout_of(work, row)
    if payout is None or payout.rail != "bank" or payout.state != "paid" or row.difference_minor != payout.amount_minor:
        raise ConflictProblem(
            Text(
                "只有银行已付清、又整笔退回的付款才能按退票处理",
                "Only a payout that a bank had paid, and sent back as a whole, can be booked as returned",
            ),
            state=payout.state if payout is not None else None,
        )
    return payout


async def _paid_after_all(work: UnitOfWork, row: BreakRow) -> PayoutRow:
    """The payout, locked, that a break says was paid although it had failed, or was paid twice."""
    payout = await _payout_of(work, row)
    has_failed = payout is not None and payout.state in ("failed", "cancelled")
    is_otherwise = payout is not None and (
        (row.kind in ("state", "duplicate") and has_failed) or (row.kind == "duplicate" and payout.state == "paid")
    )
    if payout is None or not is_otherwise or row.difference_minor != -payout.amount_minor:
        raise ConflictProblem(
            Text(
                "只有记为失败、银行或账单却说整笔已付（或付了两次）的付款，才能按已付处理",
                "Only a payout that our books say failed, and that a bank or a bill says was paid as a whole, or one "
                "that was paid twice, can be booked as paid after all",
            ),
            state=payout.state if payout is not None else None,
        )
    return payout


async def _payout_of(work: UnitOfWork, row: BreakRow) -> PayoutRow | None:
    return await Payouts(work).find(row.number or "", for_update=True) if row.family == "transfer" else None
