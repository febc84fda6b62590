"""Settling a period: computed, approved by others than who asked, booked; then closed for ever.

What is booked is the difference to what was booked for the same period before, so a run may be repeated. Periods that
are closed, by whatever cycle, are computed again when anything of theirs changed since, by the version they were closed
with, and the difference is booked in the open period: late orders as adjustments, late refunds as clawbacks. That goes
on when the scheme does not.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID

from connectors.registry import ConnectorRegistry
from domain.access import Actor, Permission, require_second_person, system_actor
from domain.problems import ConflictProblem, NotFoundProblem, Text, ValidationProblem
from domain.settlement.approvals import ApprovalPolicy
from domain.settlement.scheme import Cycle
from domain.settlement.unfinished import refuse_closing_early
from services.calculations import CalculationSteps, Wanted
from services.closing_unreconciled import left_unreconciled, refuse_unreconciled, with_new_breaks
from services.frozen_rates import FrozenRate, frozen_rates, rates_in, refuse_own_rates
from services.noted_facts import noted_facts_in, refuse_own_facts
from services.run_planning import RunPlanning
from services.run_views import RunView, run_view
from services.scheme_versions import published_for
from services.settlement_authors import authors_of
from services.settlement_overlaps import refuse_paying_twice
from services.settlement_remarks import remarks_on
from storage.audit import AuditLog
from storage.calculations import Calculations
from storage.engine import Database
from storage.ledger import AccountKind, KindSum, Ledger
from storage.paging import Page, PageRequest
from storage.payee_terms import PayeeTermBook
from storage.payees import Payees
from storage.payout_batches import PayoutBatches
from storage.planner_statistics import count_settlements
from storage.settlement_booking import Difference, SettlementBooking, kinds_of
from storage.settlement_overlaps import SettlementOverlaps
from storage.settlement_periods import SettlementPeriodRow, SettlementPeriods
from storage.settlement_runs import Hold, RunCalculationRow, SettlementRunRow, SettlementRuns
from storage.unit_of_work import UnitOfWork

_SETTLEMENT = system_actor("settlement")
_SHOWN = 5


class SettlementRunService:
    """Runs for finance, approvers and auditors, each with a scope of everything."""

    def __init__(
        self,
        database: Database,
        steps: CalculationSteps,
        connectors: ConnectorRegistry,
        policy: ApprovalPolicy | None = None,
    ) -> None:
        self._database = database
        self._steps = steps
        self._connectors = connectors
        self._planning = RunPlanning(steps)
        self._policy = policy or ApprovalPolicy()

    async def ask(
        self, actor: Actor, scheme: str, day: date, cycle: Cycle | None = None, *, leave_out: bool = False
    ) -> RunView:
        """Plan the settlement of the period that a day is in, and of closed ones that changed; a workflow computes it.

        leave_out: also while orders of the period have no sales; the audit says how many.

        :raises NotFoundProblem, ValidationProblem: as `CalculationSteps.ask`, when no closed period changed either.
        :raises ConflictProblem: the period is closed, a settlement of it is under way, it is too early, orders have no
            sales, or uplines are settled by another cycle.
        """
        actor.require(Permission.SETTLEMENTS_RUN)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            wanted = Wanted(scheme, day, "settlement", None, cycle)
            return await run_view(work, await self._planning.plan(work, actor, wanted, leave_out=leave_out))

    async def computed(self, run_id: UUID) -> None:
        """Note that all calculations of a run are done, and how many people have to approve what comes of it."""
        async with UnitOfWork(self._database) as work:
            run = await _run(work, run_id, "to change")
            if run.state != "computing":
                return
            total, more, less = 0, 0, 0
            for each in await SettlementRuns(work).calculations(run_id):
                now = await Calculations(work).find(each.calculation)
                then = await Calculations(work).find(each.before) if each.before is not None else None
                if now is None or now.state != "computed":
                    raise ConflictProblem(Text("核算尚未完成", "A calculation is not done yet"))
                total += (now.total_minor or 0) - ((then.total_minor or 0) if then is not None else 0)
                moved = await SettlementBooking(work).moved(each.calculation, each.before, now.parts)
                more, less = more + moved.more_minor, less + moved.less_minor
            run.total_minor, run.moved_minor, run.state = total, max(more, less), "computed"
            currency = (await SettlementPeriods(work).require(run.period)).currency
            run.approvals_needed = self._policy.needed(run.moved_minor, currency)

    async def failed(self, run_id: UUID, problem: dict[str, object]) -> None:
        """Note why a run cannot be computed or booked; with nothing of it booked it ends, and another may be asked for.

        One that is booked in part stays approved, with its problem: what is missing is tried again.
        """
        async with UnitOfWork(self._database) as work:
            run = await _run(work, run_id, "to change")
            if run.state not in ("computing", "approved"):
                return
            run.problem = problem
            if not (await SettlementRuns(work).booked(run_id)).parts:
                run.state = "failed"
                told = {"scheme": run.scheme, "problem": problem.get("message")}
                await AuditLog(work).record(_SETTLEMENT, "settlement.fail", _target(run_id), told)

    async def moved_together(self, runs: Collection[UUID]) -> Mapping[UUID, int]:
        """Of each of these runs that is there, how much moves in all of its scheme's among them."""
        async with UnitOfWork(self._database) as work:
            found = [each for run in runs if (each := await SettlementRuns(work).find(run)) is not None]
        sums = Counter[str]()
        for each in found:
            sums[each.scheme] += each.moved_minor or abs(each.total_minor or 0)
        return {each.id: sums[each.scheme] for each in found}

    async def decide(
        self, actor: Actor, run_id: UUID, *, approve: bool, note: str | None = None, together_minor: int = 0
    ) -> RunView:
        """Approve or refuse. With enough approvals it is booked; one refusal ends it.

        together_minor: how much moves in all that are approved at once: it takes as many people as that does, and
        nobody may approve more at once than in one.

        :raises AuthorizationProblem: who asked for it, wrote or published its scheme or the attribution, noted facts
            or rates that count in it, or may not approve so much.
        :raises ConflictProblem: it is not computed, or decided, or days of it were settled by another cycle meanwhile.
        """
        actor.require(Permission.PAYOUTS_APPROVE)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            run = await _run(work, run_id, "to change")
            if run.state != "computed":
                raise ConflictProblem(
                    Text(
                        f"结算处于 {run.state}，不能复核", f"The settlement is {run.state}: there is nothing to approve"
                    ),
                    state=run.state,
                )
            require_second_person(actor, [run.asked_by], Text("结算", "A settlement"))
            if approve:
                moved_minor = max(run.moved_minor or abs(run.total_minor or 0), together_minor)
                currency = (await SettlementPeriods(work).require(run.period)).currency
                run.approvals_needed = max(run.approvals_needed or 1, self._policy.needed(moved_minor, currency))
                self._policy.require_within_limit(actor, moved_minor, currency)
                await SettlementOverlaps(work).hold(run.scheme)
                planned = await SettlementRuns(work).calculations(run_id)
                await _refuse_outdated(work, planned)
                for each in planned:
                    await self._require_approvable(work, actor, each.calculation)
            await SettlementRuns(work).decide(run_id, actor.login, approved=approve, note=note)
            approvals = await SettlementRuns(work).approvals(run_id)
            if not approve:
                run.state, run.decided_at = "refused", work.now
            elif sum(each.approved for each in approvals) >= (run.approvals_needed or 1):
                run.state, run.decided_at = "approved", work.now
            action = "settlement.approve" if approve else "settlement.refuse"
            detail = {"note": note, "state": run.state, "roles": sorted(actor.roles)}
            await AuditLog(work).record(actor, action, _target(run_id), detail)
            return await run_view(work, run)

    async def _require_approvable(self, work: UnitOfWork, actor: Actor, calculation: UUID) -> None:
        row = await Calculations(work).find(calculation)
        if row is not None:
            what = Text("自己方案或归属规则的结算", "A settlement by one's own scheme or attribution")
            require_second_person(actor, await authors_of(work, row), what)
            scheme = await self._steps.scheme(work, row)
            await refuse_own_facts(work, actor, scheme, row)
            await refuse_own_rates(work, actor, scheme, row)
            await refuse_paying_twice(work, row)

    async def book_part(self, run_id: UUID, calculation: UUID, part: int) -> int:
        """Book what a part of a calculation pays more or less than was booked; how many transfers are there for it.

        :raises ConflictProblem: the run is not approved, or its period is closed.
        """
        async with UnitOfWork(self._database) as work:
            # As it is: one whose booking was given up is not booked by an attempt that comes late.
            run = await _run(work, run_id, "as it is")
            if run.state not in ("approved", "booked"):
                raise ConflictProblem(Text("结算尚未通过复核", "The settlement is not approved"), state=run.state)
            planned = await SettlementRuns(work).calculations(run_id)
            each = next(one for one in planned if one.calculation == calculation)
            difference = await _difference(work, self._steps, run, each)
            booked = await SettlementBooking(work).book(difference, part)
            await SettlementRuns(work).note_part(run_id, calculation, part, booked.transfers, booked.amount_minor)
            return booked.transfers

    async def finish(self, run_id: UUID) -> None:
        """Note that a run is booked. Raises ConflictProblem while a part is missing, or the sums do not tie."""
        await count_settlements(self._database)
        async with UnitOfWork(self._database) as work:
            run = await _run(work, run_id, "to change")
            if run.state == "booked":
                return
            parts = 0
            for each in await SettlementRuns(work).calculations(run_id):
                row = await Calculations(work).find(each.calculation)
                parts += row.parts if row is not None else 0
            booked = await SettlementRuns(work).booked(run_id)
            if booked.parts < parts:
                missing = parts - booked.parts
                raise ConflictProblem(Text(f"还有 {missing} 个分片未记账", f"{missing} parts are not booked"))
            if booked.amount_minor != run.total_minor:
                raise ConflictProblem(
                    Text(
                        f"记账合计 {booked.amount_minor} 与批准的 {run.total_minor} 不符",
                        f"{booked.amount_minor} were booked, and {run.total_minor} approved",
                    )
                )
            run.state, run.booked_at, run.booked_minor = "booked", work.now, booked.amount_minor
            run.problem = None
            told = {"scheme": run.scheme, "booked_minor": booked.amount_minor, "transfers": booked.transfers}
            await AuditLog(work).record(_SETTLEMENT, "settlement.book", _target(run_id), told)

    async def close(
        self, actor: Actor, scheme: str, day: date, cycle: Cycle | None = None, *, unreconciled: bool = False
    ) -> SettlementPeriodRow:
        """Close a period for ever. unreconciled: also while days of it are not reconciled, or breaks are not solved;
        the audit says how many.

        :raises ConflictProblem: it was not settled, or payees who were in it are otherwise by now, or it is not over,
            or a settlement is under way, or not all of it is reconciled. :raises ValidationProblem: the day is in
            periods of several cycles, and none is named.
        """
        actor.require(Permission.PAYOUTS_APPROVE)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            period = await SettlementPeriods(work).only_one_of_day(scheme, day, cycle)
            if period is None:
                raise _not_settled()
            # Before anything is held: it looks at all accounts, and nobody waits for that.
            left = await left_unreconciled(work, self._connectors, period, closing=True)
            await PayeeTermBook(work).hold()
            booked = (await SettlementRuns(work).last_booked([period.id])).get(period.id)
            if booked is None:
                await _refuse_unsettled(work, period)
            refuse_closing_early(period.start, period.end, work.now)
            await SettlementPeriods(work).hold(period.id)
            if await SettlementRuns(work).is_under_way(period.id):
                raise ConflictProblem(Text("账期有结算在进行，不能关闭", "A settlement of the period is under way"))
            if await PayoutBatches(work).is_planned(period.id):
                raise ConflictProblem(
                    Text("账期有付款在计划中，不能关闭", "Payouts that are booked in the period are being planned")
                )
            if booked is not None:
                await self._refuse_changed_members(work, booked)
            left = await with_new_breaks(work, left, period)
            if not unreconciled:
                refuse_unreconciled(left, period)
            await SettlementPeriods(work).close(period.id, actor.login)
            target = f"settlement-period:{scheme}/{period.start}"
            told = {"unreconciled": left.counts} if left else {}
            await AuditLog(work).record(actor, "settlement.close", target, {"cycle": period.cycle, **told})
            return period

    async def _refuse_changed_members(self, work: UnitOfWork, booked: UUID) -> None:
        """What is said of payees afterwards holds from an open day on, so what was said before has to be settled."""
        row = await Calculations(work).find(booked)
        changed = await self._steps.members_changed(work, row, _SHOWN) if row is not None else []
        if changed:
            codes = sorted((await Payees(work).codes(changed)).values())
            raise ConflictProblem(
                Text(
                    f"结算之后，收款人 {'、'.join(codes)} 等在该账期的角色、周期、启用或上级有改动；请再结算一次再关闭",
                    f"After it was settled, the role, cycle, activity or uplines of {', '.join(codes)} or others were "
                    "changed for this period: settle it once more, then close it",
                ),
                codes=codes,
            )

    async def trial_balance(self, actor: Actor) -> Sequence[KindSum]:
        """What all accounts of each kind and currency come to."""
        actor.require(Permission.SETTLEMENTS_READ)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            return await Ledger(work).sums()

    async def unfinished(
        self, for_s: timedelta, limit: int, after: tuple[datetime, UUID] | None = None
    ) -> Sequence[RunView]:
        """Runs that have waited so long for a workflow to go on with them, behind the one asked for `after`."""
        async with UnitOfWork(self._database) as work:
            rows = await SettlementRuns(work).unfinished(work.now - for_s, limit, after)
            return [await run_view(work, each) for each in rows]

    async def show(self, actor: Actor, run_id: UUID) -> RunView:
        """Raises NotFoundProblem."""
        actor.require(Permission.SETTLEMENTS_READ)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            view = await run_view(work, await _run(work, run_id))
            own = next((each for each in view.calculations if each.purpose == "settlement"), None)
            remarks = list(view.remarks)
            if own is not None:
                remarks += await remarks_on(work, await self._steps.scheme(work, own), own)
            rates: list[FrozenRate] = []
            for each in view.calculations:
                rates += await frozen_rates(work, each)
                if each is not own:
                    scheme = await self._steps.scheme(work, each)
                    remarks += await noted_facts_in(work, scheme, each)
                    remarks += await rates_in(work, scheme, each)
            if view.period.closed_at is None:
                left = await left_unreconciled(work, self._connectors, view.period)
                remarks += [left.text(view.period)] if left else []
            return replace(view, remarks=remarks, rates=rates)

    async def list(self, actor: Actor, page: PageRequest, *, scheme: str | None = None) -> Page[SettlementRunRow]:
        """Runs, the newest first."""
        actor.require(Permission.SETTLEMENTS_READ)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            return await SettlementRuns(work).search(page, scheme=scheme)


async def _refuse_outdated(work: UnitOfWork, planned: Sequence[RunCalculationRow]) -> None:
    """Raises ConflictProblem when something else was booked last than what these are the difference to."""
    booked = await SettlementRuns(work).last_booked([each.origin for each in planned])
    if any(each.before != booked.get(each.origin) for each in planned):
        raise ConflictProblem(
            Text(
                "这次结算之后，同一账期又记了别的账；请拒绝它，再结算一次",
                "Something else of the same period was booked since this settlement was asked for: refuse it, and "
                "settle once more",
            )
        )


async def _difference(
    work: UnitOfWork, steps: CalculationSteps, run: SettlementRunRow, planned: RunCalculationRow
) -> Difference:
    """What a calculation changes, and between which accounts.

    What a closed period takes back is owed: it is taken off later, as the scheme says. Everything else of a period
    that holds money back is held, until the period is released.
    """
    row = await Calculations(work).find(planned.calculation)
    if row is None:
        raise NotFoundProblem(Text("核算不存在", "The calculation is not there"))
    scheme = await steps.scheme(work, row)
    late = planned.origin != run.period
    own: AccountKind = "payable"
    if scheme.hold_days and not await PayoutBatches(work).is_released(run.period):
        own = "held"
    more_kind, less_kind = kinds_of(late=late)
    return Difference(
        source=f"run/{run.id}/{planned.calculation}",
        calculation=planned.calculation,
        before=planned.before,
        period=run.period,
        currency=scheme.currency,
        more=own,
        less="receivable" if late else own,
        more_kind=more_kind,
        less_kind=less_kind,
    )


async def _run(work: UnitOfWork, run_id: UUID, hold: Hold | None = None) -> SettlementRunRow:
    run = await SettlementRuns(work).find(run_id, hold=hold)
    if run is None:
        raise NotFoundProblem(Text(f"没有结算 {run_id}", f"There is no settlement {run_id}"))
    return run


async def _refuse_unsettled(work: UnitOfWork, period: SettlementPeriodRow) -> None:
    """Returns when a period can only have had adjustments, and some are booked in it."""
    with suppress(NotFoundProblem, ValidationProblem):
        await published_for(work, period.scheme, period.start, period.cycle)
        raise _not_settled()
    if not await SettlementRuns(work).has_booked(period.id):
        raise _not_settled()


def _not_settled() -> ConflictProblem:
    return ConflictProblem(Text("账期还没有结算，不能关闭", "The period was not settled: it stays open"))


def _target(run_id: UUID) -> str:
    return f"settlement-run:{run_id}"
