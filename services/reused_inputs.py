"""What-if by the input of a real settlement: the same payees, sales, facts and rates, and only the version differs."""

from datetime import date
from uuid import UUID

from domain.problems import ConflictProblem, NotFoundProblem, Text, ValidationProblem
from domain.settlement.periods import CYCLES
from domain.settlement.scheme import Cycle, Scheme
from services.settlement_members import membership_of
from services.settlement_rates import rates_of_last_day
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations, Membership
from storage.reused_inputs import Frozen, ReusedInputs, asks_for_more
from storage.settlement_periods import SettlementPeriods
from storage.settlement_runs import SettlementRuns
from storage.unit_of_work import UnitOfWork


async def calculation_named(work: UnitOfWork, named: UUID) -> CalculationRow:
    """The calculation of an id, or of a settlement's id the one of its own period.

    :raises NotFoundProblem: there is none.
    """
    found = await Calculations(work).find(named)
    run = await SettlementRuns(work).find(named) if found is None else None
    if run is not None:
        for each in await SettlementRuns(work).calculations(run.id):
            if each.origin == run.period:
                found = await Calculations(work).find(each.calculation)
    if found is None:
        raise NotFoundProblem(
            Text(f"没有结算或核算 {named}", f"There is no settlement or calculation {named}"),
        )
    return found


async def booked_for(work: UnitOfWork, scheme: str, cycle: str, start: date) -> CalculationRow | None:
    """What was booked last for a period as it stands, if anything was."""
    period = await SettlementPeriods(work).find(scheme, cycle, start)
    if period is None:
        return None
    booked = (await SettlementRuns(work).last_booked([period.id])).get(period.id)
    return await Calculations(work).find(booked) if booked is not None else None


async def input_named(
    work: UnitOfWork, named: UUID, scheme: str, day: date, cycle: Cycle | None
) -> tuple[CalculationRow, Cycle]:
    """A calculation whose input another one is to go by, with its cycle.

    :raises NotFoundProblem: there is none. :raises ConflictProblem: nothing is frozen for it yet.
    :raises ValidationProblem: it is of another scheme or period than the one that is asked for.
    """
    found = await calculation_named(work, named)
    if found.scheme != scheme or not found.start <= day < found.end or cycle not in (None, found.cycle):
        raise ValidationProblem(
            Text(
                f"{named} 是方案 {found.scheme} 按 {found.cycle} 的账期 {found.start} 至 {found.end}，"
                "不是要假设的方案或账期，不能用它的输入",
                f"{named} is of {found.scheme}, {found.start} to {found.end} by {found.cycle}: that is not the scheme "
                "or the period asked for, and its input cannot be taken",
            )
        )
    if found.sales_upto is None:
        raise ConflictProblem(
            Text(f"核算 {found.id} 的输入尚未冻结", f"What counts for the calculation {found.id} is not frozen yet")
        )
    return found, next(each for each in CYCLES if each == found.cycle)


async def take_input(
    work: UnitOfWork, row: CalculationRow, scheme: Scheme, source: CalculationRow, source_scheme: Scheme
) -> None:
    """Let a calculation by a scheme go by what was frozen for another one, by its own.

    :raises ValidationProblem: the scheme asks for the rate of a currency that has none.
    """
    wanted, frozen = _members(row, scheme, source, source_scheme)
    row.members = await ReusedInputs(work).take_members(frozen, wanted)
    row.left_out, row.facts_upto, row.sales_upto = source.left_out, source.facts_upto, source.sales_upto
    # Of what the other one did not ask for, as noted by now.
    rates = await rates_of_last_day(work, scheme, row)
    row.rates = {**rates, **(source.rates or {})} if rates is not None else None


def remark_on_input(row: CalculationRow, scheme: Scheme, source: CalculationRow, source_scheme: Scheme) -> Text:
    """What a calculation goes by that froze nothing itself."""
    wanted, frozen = _members(row, scheme, source, source_scheme)
    zh = f"所用的收款人、业绩、到店等和汇率，是核算 {source.id}（{source.purpose}，版本 {source.version}）冻结的"
    en = (
        f"Payees, sales, facts and rates are those frozen for the calculation {source.id} ({source.purpose}, by "
        f"{source.version})"
    )
    if asks_for_more(frozen, wanted):
        zh += "；它没有看的角色和更高的上级，按现在登记的"
        en += "; roles and levels of uplines that it did not look at are as they are known by now"
    return Text(zh, en)


def _members(
    row: CalculationRow, scheme: Scheme, source: CalculationRow, source_scheme: Scheme
) -> tuple[Membership, Frozen]:
    was = membership_of(source_scheme, source)
    wanted = membership_of(scheme, row)._replace(own_cycle=was.own_cycle)
    return wanted, Frozen(source.id, was.roles, was.levels)
