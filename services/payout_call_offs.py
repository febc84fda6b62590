"""Reserved payouts called off by a second person: nobody was paid yet, and the sums go back to the balances.

Only what no rail was ever asked for can be called off. What was handed over once may be paid however it stands now: a
request that was held up may still arrive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.access import Actor, Permission, require_second_person
from domain.problems import ConflictProblem, NotFoundProblem, Text
from services.payout_booking import settle
from services.payout_planning import batch_of
from services.payouts import NamedPayout, named_payouts
from storage.audit import AuditLog
from storage.engine import Database
from storage.payout_batches import PayoutBatchRow
from storage.payouts import PayoutRow, Payouts
from storage.unit_of_work import UnitOfWork

AT_ONCE = 1_000
MOST = 20_000
"""Of a batch in one call; the rest by the next."""
REASON = "called-off"


@dataclass(frozen=True, slots=True)
class CalledOff:
    """What went back to the balances. more: there are others to be called off."""

    payouts: int
    amount_minor: int
    more: bool


class PayoutCallOffs:
    """For who may approve payouts, with a scope of everything; never for who asked for the batch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_batch(self, actor: Actor, batch_id: UUID, note: str) -> CalledOff:
        """Call off what of a batch no rail was asked for yet; a thousand at a time, each written and audited together.

        :raises NotFoundProblem: there is no such batch. :raises AuthorizationProblem: who asked for it.
        :raises ConflictProblem: it is not being paid.
        """
        _require(actor)
        payouts = amount_minor = 0
        while payouts < MOST:
            async with UnitOfWork(self._database) as work:
                batch = await batch_of(work, batch_id)
                _require_calling_off(actor, batch)
                rows = await Payouts(work).never_sent(batch_id, AT_ONCE)
                if rows:
                    await _call_off(work, actor, f"payout-batch:{batch_id}", rows, note)
            payouts += len(rows)
            amount_minor += sum(row.amount_minor for row in rows)
            if len(rows) < AT_ONCE:
                return CalledOff(payouts, amount_minor, more=False)
        return CalledOff(payouts, amount_minor, more=True)

    async def of_one(self, actor: Actor, number: str, note: str) -> NamedPayout:
        """Call off one payout.

        :raises NotFoundProblem: there is no such payout. :raises AuthorizationProblem: who asked for its batch.
        :raises ConflictProblem: it is not reserved, or its rail was asked for it; its state is told.
        """
        _require(actor)
        async with UnitOfWork(self._database) as work:
            row = await Payouts(work).find(number, for_update=True)
            if row is None:
                raise NotFoundProblem(Text(f"没有付款 {number}", f"There is no payout {number}"))
            _require_calling_off(actor, await batch_of(work, row.batch))
            if row.state != "reserved":
                raise _too_late(row)
            if row.first_sent_at is not None:
                raise _was_sent(row)
            await _call_off(work, actor, f"payout:{number}", [row], note)
            return (await named_payouts(work, [row]))[0]


async def _call_off(work: UnitOfWork, actor: Actor, target: str, rows: Sequence[PayoutRow], note: str) -> None:
    for row in rows:
        Payouts(work).move(row, "cancelled", reason=REASON)
    await settle(work, [(row, "payable") for row in rows])
    detail = {"note": note, "payouts": len(rows), "amount_minor": sum(row.amount_minor for row in rows)}
    await AuditLog(work).record(actor, "payouts.call-off", target, detail)


def _require(actor: Actor) -> None:
    actor.require(Permission.PAYOUTS_APPROVE)
    actor.require_everything()


def _require_calling_off(actor: Actor, batch: PayoutBatchRow) -> None:
    if batch.state != "paying":
        raise ConflictProblem(
            Text(
                f"付款批次处于 {batch.state}，没有可撤回的付款",
                f"The batch is {batch.state}: there is nothing to call off",
            ),
            state=batch.state,
        )
    require_second_person(actor, [batch.asked_by], Text("付款的撤回", "Calling payouts off"))


def _too_late(row: PayoutRow) -> ConflictProblem:
    return ConflictProblem(
        Text(
            f"付款 {row.number} 已处于 {row.state}，不能撤回；只有尚未提交渠道的可以",
            f"The payout {row.number} is {row.state} by now: only what no rail was asked for can be called off",
        ),
        state=row.state,
    )


def _was_sent(row: PayoutRow) -> ConflictProblem:
    return ConflictProblem(
        Text(
            f"付款 {row.number} 已向渠道提交过 {row.attempts} 次，可能仍会付出，不能撤回；它会重试，或在失败后退回余额",
            f"The payout {row.number} was handed to its rail {row.attempts} times and may still be paid: it cannot be "
            "called off. It is tried again, or goes back to the balance once it failed",
        ),
        state=row.state,
        attempts=row.attempts,
    )
