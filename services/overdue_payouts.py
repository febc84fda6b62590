"""Payouts whose rail has not said for weeks how they ended: each stands as a break until that is known.

It has the name that reconciling would give it, and what it comes to stands with what bills and books have left over, so
that a bill that tells of the payout after all settles both.
"""

from uuid import UUID

from domain.ids import derived_id
from domain.settlement.bills import day_of
from domain.settlement.reconciliation import Family
from services.payout_planning import batch_of
from storage.breaks import BreakRow, Breaks
from storage.leftovers import LeftoverRow
from storage.payouts import PayoutRow
from storage.unit_of_work import UnitOfWork

_FAMILY: Family = "transfer"


async def note_overdue(work: UnitOfWork, payout: PayoutRow) -> None:
    """Let a locked payout stand as a break, once; one that a person let go stays so."""
    batch = await batch_of(work, payout.batch)
    payer = batch.payers.get(payout.rail)
    if payer is None:
        return
    break_id = _break_id(payer.account, batch.scheme, payout.number)
    known = (await Breaks(work).known([break_id])).get(break_id)
    if known is not None and (known.stands or known.solved_by is not None):
        return
    day = day_of(payout.first_sent_at or payout.created_at)
    row = BreakRow(
        id=break_id,
        account=payer.account,
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
    await work.session.merge(row)
    left = LeftoverRow(
        account=payer.account,
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


async def end_overdue(work: UnitOfWork, payout: PayoutRow) -> None:
    """Solve the break of a locked payout that has ended, if it stands as one."""
    batch = await batch_of(work, payout.batch)
    payer = batch.payers.get(payout.rail)
    if payer is None:
        return
    break_id = _break_id(payer.account, batch.scheme, payout.number)
    row = (await Breaks(work).known([break_id])).get(break_id)
    if row is None or row.kind != "overdue" or not row.stands:
        return
    row.stands, row.changed_at = False, work.now
    if row.state != "solved":
        row.state, row.solved_by, row.solved_at = "solved", None, work.now
    name = {"account": payer.account, "family": _FAMILY, "shop": batch.scheme, "number": payout.number}
    left = await work.session.get(LeftoverRow, {**name, "bill": 0, "line": 0, "kind": ""})
    if left is not None:
        await work.session.delete(left)


def _break_id(account: str, scheme: str, number: str) -> UUID:
    return UUID(derived_id("break", account, _FAMILY, scheme, number))
