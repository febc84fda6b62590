"""Payouts that ended otherwise than our books say: sent back after they were paid, or paid after all.

Two people say so by a break: one explains it, another solves it, and only that books anything. What a bank sent back
has left `payable` for good otherwise, and the payee would never get it; what was paid although it had failed is in
`payable` again otherwise, and the next batch would pay it once more.
"""

from domain.problems import ConflictProblem, Text
from domain.settlement.bank_answers import BANK
from services.break_keeping import solve_by_itself
from services.overdue_payouts import end_by_word, overdue_payout
from services.payout_booking import settle_after_all, settle_bounced
from storage.breaks import BreakRow, Breaks, Reason
from storage.leftovers import Leftovers
from storage.payouts import PayoutRow, Payouts
from storage.unit_of_work import UnitOfWork


async def require_meaning(work: UnitOfWork, row: BreakRow, reason: Reason) -> None:
    """Refuse a reason that says of a payout what cannot be. Raises ConflictProblem."""
    match reason:
        case "returned":
            await _returned(work, row)
        case "never-paid":
            await overdue_payout(work, row)
        case "paid-after-all" if row.kind == "overdue":
            await overdue_payout(work, row)
        case "paid-after-all":
            await _paid_after_all(work, row)


async def book_meaning(work: UnitOfWork, row: BreakRow) -> None:
    """Book what the reason of an explained break says of its payout, if it says anything; once, however many say so.

    :raises ConflictProblem: it cannot be any more.
    """
    if row.reason == "never-paid" or (row.reason == "paid-after-all" and row.kind == "overdue"):
        await end_by_word(work, row)
        return
    match row.reason:
        case "returned":
            payout = await _returned(work, row)
            await settle_bounced(work, payout)
            Payouts(work).bounce(payout)
        case "paid-after-all":
            payout = await _paid_after_all(work, row)
            await settle_after_all(work, payout, row.id)
            # Of what a bank answers its serial stands there; of bills what might belong together.
            Payouts(work).pay_after_all(payout, row.suggestion if row.account == BANK else None)
        case _:
            return
    if row.reason == "returned" or row.kind == "state":
        for each in await Breaks(work).of_number(BANK, payout.number):
            solve_by_itself(each, work)
        await Leftovers(work).settle(BANK, payout.number)


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
    is_otherwise = payout is not None and (
        (row.kind == "state" and payout.state in ("failed", "cancelled"))
        or (row.kind == "duplicate" and payout.state == "paid")
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
