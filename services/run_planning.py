"""What a settlement consists of: the calculation of its own period, and of closed ones that changed since.

Where no version of the scheme is for the period, as after the last day of a campaign, closed ones are adjusted all the
same: refunds go on coming.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID, uuid4

from domain.access import Actor
from domain.problems import ConflictProblem, NotFoundProblem, ProblemError, Text, ValidationProblem
from domain.settlement.periods import period_of
from domain.settlement.unfinished import refuse_settling_early
from services.calculations import CalculationSteps, Wanted
from services.left_out import refuse_left_out
from services.scheme_versions import own_cycle, published_for
from services.settlement_members import refuse_uplines_elsewhere
from storage.audit import AuditLog
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations
from storage.settlement_overlaps import SettlementOverlaps
from storage.settlement_periods import SettlementPeriodRow, SettlementPeriods
from storage.settlement_runs import RunCalculationRow, SettlementRunRow, SettlementRuns
from storage.unit_of_work import UnitOfWork

MOST_ADJUSTED = 200
"""Closed periods in one run: each is some 200 events in the history of its workflow, which ends at 51,200. Others wait
for the next run, those that were booked last."""


class RunPlanning:
    """Runs as they are asked for, written down and audited."""

    def __init__(self, steps: CalculationSteps) -> None:
        self._steps = steps

    async def plan(self, work: UnitOfWork, actor: Actor, wanted: Wanted, *, leave_out: bool) -> SettlementRunRow:
        """The settlement of the period that a day is in, and of closed ones that changed; of those alone, if there are
        any, where no version is for the period. Raises as `SettlementRunService.ask`."""
        try:
            await published_for(work, wanted.scheme, wanted.day, wanted.cycle)
        except (NotFoundProblem, ValidationProblem) as uncovered:
            return await self._adjusting_only(work, actor, wanted, uncovered)
        own = await self._steps.plan(work, actor, uuid4(), wanted)
        scheme = await self._steps.scheme(work, own)
        refuse_settling_early(scheme, own.start, own.end, work.now)
        period = await _opened(work, own.scheme, own.cycle, own.start, own.end, scheme.currency)
        await self._steps.refuse_overlapping(work, own)
        await refuse_uplines_elsewhere(work, scheme, own)
        omitted = await self._steps.left_out(work, own)
        if not leave_out:
            refuse_left_out(omitted, own.start, own.end)
        # Two runs of different cycles would adjust the same closed period.
        await SettlementOverlaps(work).hold(own.scheme)
        changed, waiting = await SettlementPeriods(work).changed_since(own.scheme, MOST_ADJUSTED)
        told = {"left_out": dict(omitted.counts)} if leave_out else {}
        return await self._add(work, actor, period, own, changed, waiting, told)

    async def _adjusting_only(
        self, work: UnitOfWork, actor: Actor, wanted: Wanted, uncovered: ProblemError
    ) -> SettlementRunRow:
        await SettlementOverlaps(work).hold(wanted.scheme)
        changed, waiting = await SettlementPeriods(work).changed_since(wanted.scheme, MOST_ADJUSTED)
        if not changed:
            raise uncovered
        cycle, currency = await own_cycle(work, wanted.scheme, wanted.day)
        start, end = period_of(wanted.cycle or cycle, wanted.day)
        refuse_settling_early(None, start, end, work.now)
        period = await _opened(work, wanted.scheme, wanted.cycle or cycle, start, end, currency)
        return await self._add(work, actor, period, None, changed, waiting, {})

    async def _add(
        self,
        work: UnitOfWork,
        actor: Actor,
        period: SettlementPeriodRow,
        own: CalculationRow | None,
        changed: Sequence[tuple[int, UUID]],
        waiting: int,
        told: Mapping[str, object],
    ) -> SettlementRunRow:
        run = SettlementRunRow(
            id=uuid4(),
            scheme=period.scheme,
            cycle=period.cycle,
            period=period.id,
            state="computing",
            asked_by=actor.login,
            asked_at=work.now,
            waiting=waiting,
        )
        # First: it waits for a run that is just being booked, which is what this one books the difference to.
        await SettlementRuns(work).begin(run)
        planned = []
        if own is not None:
            before = (await SettlementRuns(work).last_booked([period.id])).get(period.id)
            planned.append(RunCalculationRow(run=run.id, calculation=own.id, origin=period.id, before=before))
        for origin, booked in changed:
            again = await self._again(work, actor, await SettlementPeriods(work).require(origin), booked)
            planned.append(RunCalculationRow(run=run.id, calculation=again, origin=origin, before=booked))
        await SettlementRuns(work).add(planned)
        adjusts = {"adjusts": len(changed), "waiting": waiting}
        detail = {"scheme": run.scheme, "start": str(period.start), **adjusts, **told}
        await AuditLog(work).record(actor, "settlement.run", f"settlement-run:{run.id}", detail)
        return run

    async def _again(self, work: UnitOfWork, actor: Actor, period: SettlementPeriodRow, booked: UUID) -> UUID:
        """A calculation of a closed period by the version it was booked with last."""
        row = await Calculations(work).find(booked)
        if row is None:
            raise LookupError(booked)
        wanted = Wanted(row.scheme, row.start, "adjustment", row.version, period.cycle)
        return (await self._steps.plan(work, actor, uuid4(), wanted)).id


async def _opened(
    work: UnitOfWork, scheme: str, cycle: str, start: date, end: date, currency: str
) -> SettlementPeriodRow:
    period = await SettlementPeriods(work).open(scheme, cycle, start, end, currency)
    if period.closed_at is not None:
        raise ConflictProblem(
            Text(
                f"账期 {start} 至 {end} 已关闭；之后的改动在下一期作为调整结算",
                f"The period {start} to {end} is closed; what changes is adjusted in the next one",
            )
        )
    return period
