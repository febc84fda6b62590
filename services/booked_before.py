"""What was booked of a calculation's period before it, which is what it would be booked as the difference to."""

from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations
from storage.settlement_periods import SettlementPeriods
from storage.settlement_runs import SettlementRuns
from storage.unit_of_work import UnitOfWork


async def booked_before(work: UnitOfWork, row: CalculationRow) -> CalculationRow | None:
    """Of a settlement's the one that its run was asked for beside, of others the one that was booked for the period
    last; None where nothing was."""
    if row.purpose in ("settlement", "adjustment"):
        booked = await SettlementRuns(work).before(row.id)
    else:
        period = await SettlementPeriods(work).find(row.scheme, row.cycle, row.start)
        last = await SettlementRuns(work).last_booked([period.id]) if period is not None else {}
        booked = last.get(period.id) if period is not None else None
    return await Calculations(work).find(booked) if booked is not None else None
