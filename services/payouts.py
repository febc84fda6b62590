"""Batches of payouts for people: asked for by finance, approved by others, looked at by auditors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from domain.access import Actor, Permission, require_second_person, system_actor
from domain.problems import ConflictProblem, NotFoundProblem, Text
from domain.settlement.approvals import ApprovalPolicy
from domain.settlement.payees import PayoutDetails
from domain.settlement.payouts import Omission, Rail, RailQuota, State, Terms
from domain.settlement.scheme import Scheme
from services.calculations import CalculationSteps
from services.payee_terms import today
from services.payers import payers_of
from services.payout_booking import booking_period
from services.payout_days import days_from_today
from services.payout_holds import held_until
from services.payout_planning import batch_of, target_of
from services.settlement_authors import authors_of_balances
from storage.audit import AuditLog
from storage.calculations import Calculations
from storage.engine import Database
from storage.paging import Page, PageRequest
from storage.payees import Payees
from storage.payout_batches import PayoutApprovalRow, PayoutBatches, PayoutBatchRow
from storage.payout_receivers import PayoutReceivers
from storage.payout_shares import PayoutShares
from storage.payouts import DaySum, PayoutRow, Payouts, StateSum
from storage.settlement_runs import SettlementRuns
from storage.unit_of_work import UnitOfWork

MOST_OMITTED = 1_000
_SETTLEMENT = system_actor("settlement")


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutWish:
    """What finance asks for. rails: the first that can pay a payee does; None: all that there are. quotas:
    what a rail takes in a day. accounts: the slug of the merchant that pays, by rail, where several are connected."""

    scheme: str
    rails: Sequence[Rail] | None = None
    quotas: Mapping[Rail, RailQuota] = field(default_factory=dict)
    accounts: Mapping[Rail, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch, what people said of it, where its payouts stand, on which days they are made, and who is left out."""

    batch: PayoutBatchRow
    approvals: Sequence[PayoutApprovalRow]
    sums: Sequence[StateSum]
    calendar: Sequence[DaySum]
    omitted: Mapping[Omission, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class NamedPayout:
    """A payout, the merchant's number of its payee, and what of it reached them, which a rail that pays in pieces may
    have done in part. receiver: the account that it goes to, masked; None of one that was planned before that was
    written down."""

    payout: PayoutRow
    payee: str
    paid_minor: int
    receiver: PayoutDetails | None


@dataclass(frozen=True, slots=True)
class NamedOmission:
    """A payee who is not paid, why, and what stays."""

    payee: str
    reason: Omission
    amount_minor: int


class PayoutService:
    """Everybody here has a scope of everything."""

    def __init__(
        self,
        database: Database,
        steps: CalculationSteps,
        quotas: Mapping[Rail, RailQuota] | None = None,
        policy: ApprovalPolicy | None = None,
    ) -> None:
        self._database = database
        self._steps = steps
        self._quotas = quotas or {}
        self._policy = policy or ApprovalPolicy()

    async def ask(self, actor: Actor, wish: PayoutWish) -> PayoutBatchRow:
        """Begin a batch of what a scheme's payees may have by now; a workflow plans it.

        :raises ConflictProblem: nothing of the scheme is booked, or a batch of it is planned already.
        :raises NotFoundProblem, ValidationProblem: it is not one merchant who pays by a rail, see `payers_of`.
        """
        actor.require(Permission.PAYOUTS_PREPARE)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            scheme = await self._scheme(work, wish.scheme)
            day = today(work.now)
            rails, payers = await payers_of(work, wish.rails, wish.accounts)
            terms = Terms(
                minimum_minor=scheme.minimum,
                instalments=scheme.instalments,
                keep=scheme.keep,
                rails=rails,
                quotas={**self._quotas, **dict(wish.quotas)},
                payers=payers,
            )
            batch = PayoutBatchRow(
                id=uuid4(),
                scheme=wish.scheme,
                currency=scheme.currency,
                period=(await booking_period(work, wish.scheme, day)).id,
                day=day,
                state="planning",
                terms=terms.model_dump(mode="json"),
                asked_by=actor.login,
                asked_at=work.now,
            )
            await PayoutBatches(work).add(batch)
            holds = await held_until(work, scheme.name, scheme.currency)
            over = [period for period, until in holds.items() if until <= day]
            released = await PayoutBatches(work).release(scheme.name, scheme.currency, over, str(batch.id))
            detail = {
                "scheme": scheme.name,
                "released": len(released),
                "rails": list(terms.rails),
                "payers": {rail: payer.model_dump() for rail, payer in payers.items()},
            }
            await AuditLog(work).record(actor, "payouts.plan", target_of(batch.id), detail)
            return batch

    async def decide(self, actor: Actor, batch_id: UUID, *, approve: bool, note: str | None = None) -> PayoutBatchRow:
        """Approve or refuse a plan. With enough approvals it is paid; one refusal ends it.

        :raises AuthorizationProblem: who asked for it, wrote or published the scheme or the attribution that it comes
            from, or it is more than the person may approve.
        :raises ConflictProblem: it is not planned, or decided.
        """
        actor.require(Permission.PAYOUTS_APPROVE)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            batch = await batch_of(work, batch_id, for_update=True)
            if batch.state != "planned":
                raise ConflictProblem(
                    Text(
                        f"付款批次处于 {batch.state}，不能复核",
                        f"The batch is {batch.state}: there is nothing to approve",
                    ),
                    state=batch.state,
                )
            require_second_person(actor, [batch.asked_by], Text("付款", "A payout"))
            if approve:
                what = Text("自己方案或归属规则的付款", "A payout by one's own scheme or attribution")
                require_second_person(actor, await authors_of_balances(work, batch.scheme), what)
                self._policy.require_within_limit(actor, batch.total_minor or 0, batch.currency)
            await PayoutBatches(work).decide(batch_id, actor.login, approved=approve, note=note)
            approvals = await PayoutBatches(work).approvals(batch_id)
            if not approve:
                batch.state, batch.decided_at, batch.ended_at = "refused", work.now, work.now
                await Payouts(work).cancel_all(batch_id, "refused")
            elif sum(each.approved for each in approvals) >= (batch.approvals_needed or 1):
                batch.state, batch.decided_at = "reserving", work.now
            action = "payouts.approve" if approve else "payouts.refuse"
            detail = {"note": note, "state": batch.state, "roles": sorted(actor.roles)}
            await AuditLog(work).record(actor, action, target_of(batch_id), detail)
            return batch

    async def show(self, actor: Actor, batch_id: UUID) -> BatchView:
        """Where a batch stands. Raises NotFoundProblem."""
        _require_reading(actor)
        async with UnitOfWork(self._database) as work:
            batch, payouts = await batch_of(work, batch_id), Payouts(work)
            return BatchView(
                batch,
                await PayoutBatches(work).approvals(batch_id),
                await payouts.sums(batch_id),
                days_from_today(work, batch, await payouts.calendar(batch_id)),
                await payouts.omitted(batch_id),
            )

    async def list(self, actor: Actor, page: PageRequest, *, scheme: str | None = None) -> Page[PayoutBatchRow]:
        """Batches, the newest first."""
        _require_reading(actor)
        async with UnitOfWork(self._database) as work:
            return await PayoutBatches(work).search(page, scheme=scheme)

    async def payouts(
        self,
        actor: Actor,
        batch_id: UUID,
        page: PageRequest,
        *,
        state: State | None = None,
        rail: Rail | None = None,
    ) -> Page[NamedPayout]:
        """Payouts of a batch, in one state or by one rail where it is given. Raises NotFoundProblem."""
        _require_reading(actor)
        async with UnitOfWork(self._database) as work:
            await batch_of(work, batch_id)
            found = await Payouts(work).search(batch_id, page, state=state, rail=rail)
            return Page(await named_payouts(work, found.items), found.next_cursor)

    async def payout(self, actor: Actor, number: str) -> NamedPayout:
        """One payout by our number. Raises NotFoundProblem."""
        _require_reading(actor)
        async with UnitOfWork(self._database) as work:
            row = await Payouts(work).find(number)
            if row is None:
                raise NotFoundProblem(Text(f"没有付款 {number}", f"There is no payout {number}"))
            return (await named_payouts(work, [row]))[0]

    async def omissions(self, actor: Actor, batch_id: UUID) -> Sequence[NamedOmission]:
        """Who of a batch is not paid, the largest sums first. Raises NotFoundProblem."""
        _require_reading(actor)
        async with UnitOfWork(self._database) as work:
            await batch_of(work, batch_id)
            rows = await Payouts(work).omissions(batch_id, MOST_OMITTED)
            codes = await Payees(work).codes({each.payee for each in rows})
            return [NamedOmission(codes[each.payee], each.reason, each.amount_minor) for each in rows]

    async def unfinished(
        self, before: datetime, limit: int, after: tuple[datetime, UUID] | None = None
    ) -> Sequence[PayoutBatchRow]:
        """Batches that a workflow has to go on with: so many that wait for their plan or to be reserved, then so many
        that are being paid, behind the one that was asked for `after`. Those whose payouts have all ended are ended."""
        async with UnitOfWork(self._database) as work:
            for ended in await PayoutBatches(work).end_finished():
                paid = [each for each in await Payouts(work).sums(ended.batch) if each.state == "paid"]
                sums = {
                    "payouts": sum(each.payouts for each in paid),
                    "amount_minor": sum(each.amount_minor for each in paid),
                }
                detail = {"scheme": ended.scheme, "paid": sums}
                await AuditLog(work).record(_SETTLEMENT, "payouts.end", target_of(ended.batch), detail)
            batches = PayoutBatches(work)
            return [*await batches.to_begin(before, limit), *await batches.to_follow(before, limit, after)]

    async def _scheme(self, work: UnitOfWork, name: str) -> Scheme:
        """By the version of what was booked last: a balance is of many periods, so all of it is paid by one. What is
        held is apart: see `held_until`."""
        last = await SettlementRuns(work).last_of_scheme(name)
        row = await Calculations(work).find(last) if last is not None else None
        if row is None:
            raise ConflictProblem(
                Text(
                    f"方案 {name} 还没有记账的结算，没有可付的款",
                    f"No settlement of {name} is booked: nothing is to be paid",
                )
            )
        return await self._steps.scheme(work, row)


async def named_payouts(work: UnitOfWork, rows: Sequence[PayoutRow]) -> Sequence[NamedPayout]:
    """Payouts as people read them."""
    codes = await Payees(work).codes({each.payee for each in rows})
    shared = await PayoutShares(work).shared([each.id for each in rows if each.rail == "profit-sharing"])
    paid = {each.id: each.amount_minor if each.state == "paid" else shared.get(each.id, 0) for each in rows}
    receivers = await PayoutReceivers(work).of([each.id for each in rows])
    masked = {payout: details.as_masked() for payout, details in receivers.items()}
    return [NamedPayout(each, codes[each.payee], paid[each.id], masked.get(each.id)) for each in rows]


def _require_reading(actor: Actor) -> None:
    actor.require(Permission.SETTLEMENTS_READ)
    actor.require_everything()
