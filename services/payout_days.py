"""The days of payouts: what a rail takes in a day holds for all that a merchant pays by it, of whatever batches.

Days are given when a batch is planned, and given again when it is approved, as it may be late by then; and what nobody
paid on its day is not made up for at once, but given another one. Whoever gives days of a merchant does so alone.
"""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from itertools import groupby

from domain.settlement.payouts import Calendar, Rail, RailQuota, Terms
from services.payee_terms import today
from storage.locks import lock_all
from storage.payout_batches import PayoutBatchRow
from storage.payouts import DaySum, Payouts
from storage.unit_of_work import UnitOfWork


async def give_days(work: UnitOfWork, batch: PayoutBatchRow) -> None:
    """Spread the payouts of a batch that were not handed to a rail over the days from today on."""
    await _give(work, batch, Terms.model_validate(batch.terms).rails, only_overdue=False)


async def give_overdue_days(work: UnitOfWork, batch: PayoutBatchRow, rails: Collection[Rail]) -> None:
    """Other days for payouts of these rails that nobody paid on theirs."""
    if await Payouts(work).next_day(batch.id, rails, today(work.now)) is not None:
        await _give(work, batch, rails, only_overdue=True)


def days_from_today(work: UnitOfWork, batch: PayoutBatchRow, days: Sequence[DaySum]) -> Sequence[DaySum]:
    """A calendar as it would be if the batch were approved now: days that are over by then are given again."""
    first = min((each.day for each in days), default=batch.day)
    late = max(today(work.now) - first, timedelta()) if batch.state in ("planned", "reserving") else timedelta()
    return [each._replace(day=each.day + late) for each in days]


async def _give(work: UnitOfWork, batch: PayoutBatchRow, rails: Collection[Rail], *, only_overdue: bool) -> None:
    terms, day, payouts = Terms.model_validate(batch.terms), today(work.now), Payouts(work)
    payers = {rail: payer.mch_id if (payer := terms.payers.get(rail)) is not None else None for rail in rails}
    await lock_all(work, [f"payout-days/{rail}/{mch_id}" for rail, mch_id in payers.items()])
    found = await payouts.to_place(batch.id, rails, day if only_overdue else None)
    placed: dict[int, date] = {}
    for rail, rows in groupby(found, key=lambda each: each.rail):
        taken = await payouts.taken(batch.id, rail, payers[rail], day, day if only_overdue else None)
        calendar = Calendar(day, terms.quotas.get(rail, RailQuota()), taken)
        placed |= {row.id: on for row in rows if (on := calendar.place(row.amount_minor)) != row.pay_on}
    await payouts.place(placed)
