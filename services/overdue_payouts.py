"""Payouts whose rail or bank has not said for long how they ended: each stands as a break until that is known, or until
two people say it.

It has the name that reconciling would give it, and what it comes to stands with what bills and books have left over, so
that a merchant's bill that tells of the payout after all settles both. A bank's statement is of another account: what
it tells people have to say, and they cannot say otherwise.
"""

from datetime import timedelta
from uuid import UUID

from domain.ids import content_digest, derived_id
from domain.problems import ConflictProblem, Text
from domain.settlement.bank_answers import BANK
from domain.settlement.bills import day_of
from domain.settlement.payouts import UNDER_WAY
from domain.settlement.reconciliation import Family
from services.break_keeping import told_of
from services.payout_booking import settle_paid, settle_returned
from services.payout_planning import batch_of
from storage.bank_files import BankFiles
from storage.bills import Bills
from storage.breaks import BreakRow, Breaks
from storage.events import Events
from storage.leftovers import LeftoverRow
from storage.payout_batches import PayoutBatchRow
from storage.payouts import PayoutRow, Payouts
from storage.unit_of_work import UnitOfWork

ANSWERED_WITHIN = timedelta(days=10)
"""How long a bank may take, over the longest holidays."""
_FAMILY: Family = "transfer"


async def note_unanswered(work: UnitOfWork, limit: int) -> int:
    """Let payouts by bank stand as breaks whose bank has not answered for `ANSWERED_WITHIN`, so many at once, and tell
    finance of them; how many there were."""
    payouts = await BankFiles(work).unanswered(work.now - ANSWERED_WITHIN, limit)
    opened = [row for each in payouts if (row := await note_overdue(work, each)) is not None]
    digest = content_digest(" ".join(sorted(str(each.id) for each in opened)))
    await Events(work).add(told_of(BANK, digest, opened, work))
    return len(payouts)


async def note_overdue(work: UnitOfWork, payout: PayoutRow) -> BreakRow | None:
    """Let a locked payout stand as a break, once, which is given back when it is new; one that a person let go stays
    so."""
    batch = await batch_of(work, payout.batch)
    account = _account_of(batch, payout)
    if account is None:
        return None
    break_id = _break_id(account, batch.scheme, payout.number)
    known = (await Breaks(work).known([break_id])).get(break_id)
    if known is not None and (known.stands or known.solved_by is not None):
        return None
    day = day_of(payout.first_sent_at or payout.created_at)
    row = BreakRow(
        id=break_id,
        account=account,
        day=day,
        kind="overdue",
        family=_FAMILY,
        shop=batch.scheme,
        number=payout.number,
        lines=[],
        our_minor=-payout.amount_minor,
        their_minor=0,
        opened_at=work.now if known is None else known.opened_at,
        changed_at=work.now,
    )
    merged = await work.session.merge(row)
    left = LeftoverRow(
        account=account,
        family=_FAMILY,
        shop=batch.scheme,
        number=payout.number,
        bill=0,
        line=0,
        kind="",
        day=day,
        difference_minor=payout.amount_minor,
    )
    await work.session.merge(left)
    return merged


async def end_overdue(work: UnitOfWork, payout: PayoutRow) -> None:
    """Solve the break of a locked payout that has ended, if it stands as one."""
    batch = await batch_of(work, payout.batch)
    account = _account_of(batch, payout)
    if account is None:
        return
    break_id = _break_id(account, batch.scheme, payout.number)
    row = (await Breaks(work).known([break_id])).get(break_id)
    if row is None or row.kind != "overdue" or not row.stands:
        return
    row.stands, row.changed_at = False, work.now
    if row.state != "solved":
        row.state, row.solved_by, row.solved_at = "solved", None, work.now
    name = {"account": account, "family": _FAMILY, "shop": batch.scheme, "number": payout.number}
    left = await work.session.get(LeftoverRow, {**name, "bill": 0, "line": 0, "kind": ""})
    if left is not None:
        await work.session.delete(left)


async def overdue_payout(work: UnitOfWork, row: BreakRow) -> PayoutRow:
    """The payout, locked, that a break says is overdue, and whose end people may say: nobody else will.

    :raises ConflictProblem: it is none of those.
    """
    payout = await Payouts(work).find(row.number or "", for_update=True) if row.kind == "overdue" else None
    if payout is None or payout.rail == "profit-sharing" or payout.state not in UNDER_WAY:
        raise ConflictProblem(
            Text(
                "只有逾期仍无结果的银行或微信转账付款，才能由两人认定已付或未付；分账一直可以向微信查询",
                "Only a payout by bank or WeChat Pay transfer that is overdue can be said to be paid or not by two "
                "people; about profit sharing WeChat Pay can always be asked",
            ),
            state=payout.state if payout is not None else None,
        )
    return payout


async def never_paid_payout(work: UnitOfWork, row: BreakRow) -> PayoutRow:
    """As `overdue_payout`, of one that no bill has paid.

    :raises ConflictProblem: it is none of those, or a bill tells that money left for it.
    """
    payout = await overdue_payout(work, row)
    if (await Bills(work).transferred(None, {payout.number, payout.rail_number or payout.number}) or 0) > 0:
        raise ConflictProblem(
            Text(
                "账单或银行流水里有这笔付款付出的钱，不能认定为未付；请按已付（paid-after-all）说明，"
                "确有退回的，先导入退回那天的流水",
                "A bill or a statement has money that left for this payout: say that it was paid after all; if it came "
                "back, take in the statement of that day first",
            ),
            state=payout.state,
        )
    return payout


async def refuse_other_words(work: UnitOfWork, row: BreakRow) -> None:
    """Returns when an overdue payout will end without people saying how, as others can still be asked about it.

    :raises ConflictProblem: nobody else will say, and a reason that says nothing of it would let it stand for ever.
    """
    payout = await Payouts(work).find(row.number or "", for_update=True)
    if payout is not None and payout.rail != "profit-sharing" and payout.state in UNDER_WAY:
        raise ConflictProblem(
            Text(
                "逾期未有结果的付款只能说明为已付（paid-after-all）或未付（never-paid）：别的原因不会让它有结果",
                "Of an overdue payout say that it was paid after all (paid-after-all) or never paid (never-paid): no "
                "other reason ends it",
            ),
            state=payout.state,
        )


async def end_by_word(work: UnitOfWork, row: BreakRow) -> None:
    """Book how an overdue payout ended, as the reason of its break says: paid after all, or never paid.

    :raises ConflictProblem: it has ended meanwhile, or a bill says otherwise.
    """
    payout = await (never_paid_payout if row.reason == "never-paid" else overdue_payout)(work, row)
    if row.reason == "never-paid":
        Payouts(work).move(payout, "failed", reason=row.reason)
        await settle_returned(work, payout)
    else:
        Payouts(work).move(payout, "paid", reason=row.reason)
        await settle_paid(work, payout, payout.rail)
    await end_overdue(work, payout)


def _account_of(batch: PayoutBatchRow, payout: PayoutRow) -> str | None:
    """By whose account it is paid; None where nobody was chosen."""
    if payout.rail == "bank":
        return BANK
    payer = batch.payers.get(payout.rail)
    return payer.account if payer is not None else None


def _break_id(account: str, scheme: str, number: str) -> UUID:
    return UUID(derived_id("break", account, _FAMILY, scheme, number))
