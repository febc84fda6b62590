"""The steps of a batch: released holds, what each payee is paid, the days; then each sum out of its balance.

Every step may be repeated, also while an earlier attempt still runs somewhere.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID, uuid5

from domain.access import system_actor
from domain.problems import ConflictProblem, NotFoundProblem, Text
from domain.settlement.approvals import ApprovalPolicy
from domain.settlement.payouts import (
    Debt,
    Omission,
    Planned,
    Rail,
    Standing,
    Terms,
    number_of,
    planned,
    rail_of,
    receiver_for,
)
from domain.settlement.periods import begun_between
from services.payout_days import give_days
from services.shareable_sums import ShareableSums
from storage.audit import AuditLog
from storage.engine import Database
from storage.ledger import Ledger, LedgerAccount, Transfer
from storage.payees import Payees, Receiving
from storage.payout_balances import Owed, PayoutBalances
from storage.payout_batches import PayoutBatches, PayoutBatchRow
from storage.payout_plans import CreatedPayout, PayoutPlan, PayoutPlans, PlannedOmission, PlannedPayout
from storage.payout_receivers import PayoutReceivers
from storage.payouts import Payouts
from storage.planner_statistics import count_settlements
from storage.unit_of_work import UnitOfWork

PARTS = 16
_SETTLEMENT = system_actor("settlement")
_KEYS = UUID("3b3d1d0e-8f43-5d55-9a7c-0c2f5e1d7a64")
"""The namespace of transfers' keys: which release, offset or payout they are for."""


class PayoutPlanning:
    """Planning and reserving, part by part."""

    def __init__(
        self, database: Database, policy: ApprovalPolicy | None = None, sharing: ShareableSums | None = None
    ) -> None:
        self._database = database
        self._policy = policy or ApprovalPolicy()
        self._sharing = sharing or ShareableSums()

    async def plan_part(self, batch_id: UUID, part: int) -> int:
        """Release what is held no longer, and write down who of a part is paid what; how many are."""
        async with UnitOfWork(self._database) as work:
            batch = await batch_of(work, batch_id)
            terms = Terms.model_validate(batch.terms)
        if "profit-sharing" in terms.rails and batch.state == "planning":
            await self._sharing.freshen()
        async with UnitOfWork(self._database) as work:
            batch = await batch_of(work, batch_id)
            if batch.state != "planning":
                return 0
            await Ledger(work).book(await _releases(work, batch, part))
            owed = await PayoutBalances(work).owed(batch.scheme, batch.currency, part, PARTS)
            payees = await Payees(work).receiving({each.payee for each in owed})
            plans = {each.payee: planned(_standing(each, batch.day, terms.instalments), terms) for each in owed}
            ways = await self._ways(work, batch, terms, payees, plans)
            payouts: list[PlannedPayout] = []
            omissions: list[PlannedOmission] = []
            for each in owed:
                plan, (rail, reason) = plans[each.payee], ways[each.payee]
                if rail is not None:
                    number = number_of(str(batch.id), each.payee)
                    payouts.append(PlannedPayout(number, each.payee, rail, plan.amount_minor, plan.offset_minor))
                elif each.payable_minor > 0:
                    left = each.payable_minor - plan.offset_minor
                    omissions.append(PlannedOmission(each.payee, reason, left, plan.offset_minor))
            # Somebody else may have planned this part meanwhile, and the batch may be approved by now.
            await PayoutBatches(work).hold(batch_id, part)
            if not await PayoutBatches(work).stands_at(batch_id, "planning"):
                return 0
            plan_of_part = PayoutPlan(batch_id, part, batch.currency, batch.day)
            rows = await PayoutPlans(work).write(plan_of_part, payouts, omissions)
            # What is approved is paid to these accounts and no others, whatever becomes of them meanwhile.
            await PayoutReceivers(work).add(
                (rows[each.number], receiver_for(payees[each.payee].details, each.amount_minor, each.rail))
                for each in payouts
            )
            return len(payouts)

    async def _ways(
        self,
        work: UnitOfWork,
        batch: PayoutBatchRow,
        terms: Terms,
        payees: Mapping[int, Receiving],
        plans: Mapping[int, Planned],
    ) -> Mapping[int, tuple[Rail | None, Omission]]:
        """The rail that pays each, or why nothing is paid."""
        ways = {payee: _way(payees[payee], plan, terms, batch.currency) for payee, plan in plans.items()}
        # It takes a while to find out, and most are paid otherwise.
        sharing = [payee for payee, (rail, _) in ways.items() if rail == "profit-sharing"]
        there = await self._sharing.of(work, terms.payers.get("profit-sharing"), sharing, batch.day, batch.id)
        return ways | {
            payee: _way(payees[payee], plans[payee], terms, batch.currency, shareable)
            for payee, shareable in there.items()
        }

    async def finish_plan(self, batch_id: UUID) -> None:
        """Spread the payouts over days as the rails' quotas want it, and note what it comes to."""
        await count_settlements(self._database)
        async with UnitOfWork(self._database) as work:
            batch = await batch_of(work, batch_id, for_update=True)
            if batch.state != "planning":
                return
            await give_days(work, batch)
            sums = await Payouts(work).sums(batch_id)
            batch.payouts, batch.total_minor = (
                sum(each.payouts for each in sums),
                sum(each.amount_minor for each in sums),
            )
            batch.approvals_needed = self._policy.needed(batch.total_minor, batch.currency)
            batch.state = "planned"

    async def reserve_part(self, batch_id: UUID, part: int) -> int:
        """Take a part's sums out of the balances; how many payouts go on. One that is no longer covered ends here."""
        async with UnitOfWork(self._database) as work:
            batch = await batch_of(work, batch_id)
            if batch.state == "paying":
                # All parts were: what was left out then is a later batch's by now.
                return 0
            if batch.state != "reserving":
                raise ConflictProblem(Text("付款批次尚未通过复核", "The batch is not approved"), state=batch.state)
            plans = PayoutPlans(work)
            rows, owing = await plans.created(batch_id, part), await plans.owing(batch_id, part)
            ids = [*(row.payee for row in rows), *(payee for payee, _ in owing)]
            found = await PayoutBalances(work).owed(batch.scheme, batch.currency, part, PARTS, ids)
            balances = {each.payee: each.payable_minor for each in found}
            transfers: list[Transfer] = []
            going: list[int] = []
            uncovered: list[int] = []
            for row in rows:
                if balances.get(row.payee, 0) < row.amount_minor + row.offset_minor:
                    uncovered.append(row.id)
                    continue
                going.append(row.id)
                transfers += _offset(batch, row.payee, row.offset_minor)
                transfers.append(_reserve(batch, row))
            for payee, offset_minor in owing:
                if balances.get(payee, 0) >= offset_minor:
                    transfers += _offset(batch, payee, offset_minor)
            await plans.cancel(uncovered, "balance-changed")
            await plans.reserve(going)
            await Ledger(work).book(transfers)
            return len(going)

    async def finish_reserving(self, batch_id: UUID) -> None:
        """Let the rails begin, from today on."""
        await count_settlements(self._database)
        async with UnitOfWork(self._database) as work:
            batch = await batch_of(work, batch_id, for_update=True)
            if batch.state == "reserving":
                await give_days(work, batch)
                batch.state = "paying"

    async def fail(self, batch_id: UUID, problem: Mapping[str, Any]) -> None:
        """Note why a plan comes to nothing; another one may be asked for."""
        async with UnitOfWork(self._database) as work:
            batch = await batch_of(work, batch_id, for_update=True)
            if batch.state == "planning":
                batch.state, batch.problem, batch.ended_at = "failed", dict(problem), work.now
                told = {"scheme": batch.scheme, "problem": problem.get("message")}
                await AuditLog(work).record(_SETTLEMENT, "payouts.fail", target_of(batch_id), told)


def target_of(batch_id: UUID) -> str:
    """A batch as audit entries name it."""
    return f"payout-batch:{batch_id}"


async def batch_of(work: UnitOfWork, batch_id: UUID, *, for_update: bool = False) -> PayoutBatchRow:
    """The batch; raises NotFoundProblem."""
    found = await PayoutBatches(work).find(batch_id, for_update=for_update)
    if found is None:
        raise NotFoundProblem(Text(f"没有付款批次 {batch_id}", f"There is no batch of payouts {batch_id}"))
    return found


def _standing(owed: Owed, day: date, instalments: int) -> Standing:
    debts = [Debt(each.amount_minor, begun_between(each.cycle, each.day, day, instalments)) for each in owed.debts]
    return Standing(owed.payable_minor, debts, owed.repaid_minor)


def _way(
    payee: Receiving, plan: Planned, terms: Terms, currency: str, shareable_minor: int | None = None
) -> tuple[Rail | None, Omission]:
    """The rail that pays somebody, or why nothing is paid. shareable_minor: as in `rail_of`."""
    if plan.amount_minor == 0:
        return None, "owes" if plan.offset_minor else "below-minimum"
    if not payee.active:
        return None, "inactive"
    rail, reason = rail_of(payee.details, plan.amount_minor, terms.rails, currency, shareable_minor)
    return rail, reason or "no-account"


async def _releases(work: UnitOfWork, batch: PayoutBatchRow, part: int) -> Sequence[Transfer]:
    """What is not released yet: a part that is planned again, or was by a batch whose plan failed, has been."""
    sums = await PayoutBatches(work).held(batch.id, batch.currency, part, PARTS)
    keys = {(period, payee): uuid5(_KEYS, f"release/{period}/{payee}") for period, payee, _ in sums}
    booked = await Ledger(work).periods_of(keys.values())
    found = []
    for period, payee, amount in sums:
        if keys[period, payee] in booked:
            continue
        held, payable = LedgerAccount("held", payee), LedgerAccount("payable", payee)
        found.append(
            Transfer(
                key=keys[period, payee],
                period=batch.period,
                debit=held if amount > 0 else payable,
                credit=payable if amount > 0 else held,
                amount_minor=abs(amount),
                currency=batch.currency,
                kind="release",
                source=f"period/{period}",
            )
        )
    return found


def _offset(batch: PayoutBatchRow, payee: int, amount_minor: int) -> Sequence[Transfer]:
    if not amount_minor:
        return []
    return [
        Transfer(
            key=uuid5(_KEYS, f"offset/{batch.id}/{payee}"),
            period=batch.period,
            debit=LedgerAccount("payable", payee),
            credit=LedgerAccount("receivable", payee),
            amount_minor=amount_minor,
            currency=batch.currency,
            kind="offset",
            source=f"batch/{batch.id}",
        )
    ]


def _reserve(batch: PayoutBatchRow, row: CreatedPayout) -> Transfer:
    return Transfer(
        key=uuid5(_KEYS, f"reserve/{row.number}"),
        period=batch.period,
        debit=LedgerAccount("payable", row.payee),
        credit=LedgerAccount("paying", row.payee),
        amount_minor=row.amount_minor,
        currency=batch.currency,
        kind="payout-reserved",
        source=f"payout/{row.number}",
    )
