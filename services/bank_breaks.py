"""What a bank answers and our books contradict, kept as breaks. What they mean is said by people (`payout_breaks`)."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from domain.ids import content_digest, derived_id
from domain.settlement.bank_answers import BANK, AnswerRow
from domain.settlement.bills import day_of
from domain.settlement.leftovers import Leftover
from domain.settlement.reconciliation import BreakKind
from services.break_keeping import told_of
from storage.breaks import BreakRow, Breaks
from storage.events import Events
from storage.leftovers import Leftovers
from storage.payouts import PayoutRow
from storage.unit_of_work import UnitOfWork


class Contradiction(NamedTuple):
    """A payout, and a row of a bank's answer that says something else of it."""

    payout: PayoutRow
    row: AnswerRow


async def keep_contradictions(work: UnitOfWork, scheme: str, found: Sequence[Contradiction]) -> None:
    """Keep them as breaks of the day on which they are heard of, each once, and tell finance of those that are new."""
    new: list[BreakRow] = []
    asked, times = found, 1
    while asked:
        rows = [(one, each) for one in asked if (each := _break(scheme, one, times, work)) is not None]
        known = await Breaks(work).existing([each.id for _, each in rows])
        new += [each for _, each in rows if each.id not in known]
        # What was settled and is contradicted again is another break than the first.
        asked = [one for one, each in rows if not known.get(each.id, True)]
        times += 1
    if not new:
        return
    await Breaks(work).add(new)
    left = [
        Leftover("transfer", each.day, each.difference_minor, scheme, each.number or "", kind=str(each.id))
        for each in new
    ]
    await Leftovers(work).add(BANK, left)
    digest = content_digest(" ".join(sorted(str(each.id) for each in new)).encode())
    await Events(work).add(told_of(BANK, digest, new, work))


def _break(scheme: str, one: Contradiction, times: int, work: UnitOfWork) -> BreakRow | None:
    """None where no money is in question: a payout that was cancelled, and that the bank did not pay. times: the how
    manieth it is that says the same."""
    payout, row = one
    booked, said = payout.state == "paid", row.result == "paid"
    kind: BreakKind = "duplicate" if booked and said else "state"
    ours = -payout.amount_minor if booked and not said else 0
    theirs = -payout.amount_minor if said else 0
    if ours == theirs:
        return None
    parts = ["bank", payout.number, row.result, (row.serial or "") if kind == "duplicate" else ""]
    parts += [str(times)] if times > 1 else []
    return BreakRow(
        id=UUID(derived_id("break", BANK, *parts)),
        account=BANK,
        day=day_of(work.now),
        kind=kind,
        family="transfer",
        shop=scheme,
        number=payout.number,
        lines=[],
        our_minor=ours,
        their_minor=theirs,
        suggestion=row.serial,
        opened_at=work.now,
        changed_at=work.now,
    )
