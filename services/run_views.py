"""What people see of a settlement: its calculations and how far each is, approvals, what is booked, what is odd."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.problems import Text
from services.frozen_rates import FrozenRate
from services.settlement_remarks import ADJUSTING_ONLY
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations
from storage.settlement_periods import SettlementPeriodRow, SettlementPeriods
from storage.settlement_runs import ApprovalRow, SettlementRunRow, SettlementRuns
from storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a calculation of a run is: parts of both passes done, of `parts`; and parts booked, of half as many."""

    calculation: UUID
    parts_done: int
    parts: int
    parts_booked: int


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, with its calculations, what people said of it, and how much is booked. remarks, rates: what is odd about
    it, and what currencies were worth, where somebody looks at it."""

    run: SettlementRunRow
    period: SettlementPeriodRow
    calculations: Sequence[CalculationRow]
    approvals: Sequence[ApprovalRow]
    progress: Sequence[Progress]
    transfers: int
    remarks: Sequence[Text] = ()
    rates: Sequence[FrozenRate] = ()

    @property
    def parts_done(self) -> int:
        """Of all calculations."""
        return sum(each.parts_done for each in self.progress)

    @property
    def parts(self) -> int:
        """How many there are to be computed."""
        return sum(each.parts for each in self.progress)

    @property
    def parts_booked(self) -> int:
        """Of all calculations."""
        return sum(each.parts_booked for each in self.progress)


async def run_view(work: UnitOfWork, run: SettlementRunRow) -> RunView:
    """A run as it stands."""
    runs, calculations = SettlementRuns(work), Calculations(work)
    found = [await calculations.find(each.calculation) for each in await runs.calculations(run.id)]
    rows = [each for each in found if each is not None]
    done, booked = await calculations.parts_done([each.id for each in rows]), await runs.booked(run.id)
    progress = [
        Progress(each.id, done.get(each.id, 0), 2 * each.parts, booked.by_calculation.get(each.id, 0)) for each in rows
    ]
    return RunView(
        run,
        await SettlementPeriods(work).require(run.period),
        rows,
        await runs.approvals(run.id),
        progress,
        booked.transfers,
        () if any(each.purpose == "settlement" for each in rows) else (ADJUSTING_ONLY,),
    )
