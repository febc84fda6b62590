"""Who takes part in a settlement, and who above them does not, although the scheme would let them earn by it."""

from collections.abc import Sequence

from domain.problems import ConflictProblem, Text
from domain.settlement.scheme import Scheme
from domain.settlement.upline_ways import upline_ways
from storage.calculation_tables import CalculationRow
from storage.calculations import Membership
from storage.unit_of_work import UnitOfWork
from storage.uplines_elsewhere import ElsewhereSome, UplinesElsewhere

_SHOWN = 5


def membership_of(scheme: Scheme, row: CalculationRow) -> Membership:
    """Who takes part in a calculation by its scheme."""
    return Membership(row.id, list(scheme.roles), row.cycle, scheme.cycle, row.start, row.end, _levels_above(scheme))


async def refuse_uplines_elsewhere(work: UnitOfWork, scheme: Scheme, row: CalculationRow) -> None:
    """Returns when everybody above who would take part, and earns by them, takes part as well.

    :raises ConflictProblem: some are settled by another cycle, where those below them are not; it names them.
    """
    found = await UplinesElsewhere(work).above_those_to_be(membership_of(scheme, row), upline_ways(scheme), _SHOWN)
    if not found.total:
        return
    said = _said(found, row)
    codes = sorted({code for each in found.some for code in (each.payee, each.upline)})
    raise ConflictProblem(
        Text(
            f"{said.zh}。请让他们的周期一致（登记收款人的 cycle），或取消这层上级，再结算",
            f"{said.en}. Let both have the same cycle (`cycle` of the payees), or nobody be above, then settle",
        ),
        codes=codes,
        count=found.total,
    )


async def uplines_elsewhere_in(work: UnitOfWork, scheme: Scheme, row: CalculationRow) -> Sequence[Text]:
    """That some above those who took part did not; nothing where all did."""
    found = await UplinesElsewhere(work).above_members(membership_of(scheme, row), upline_ways(scheme), _SHOWN)
    return [_said(found, row)] if found.total else []


def _said(found: ElsewhereSome, row: CalculationRow) -> Text:
    more = found.total > len(found.some)
    zh = "、".join(f"{each.payee} 的上级 {each.upline} 按 {each.cycle}" for each in found.some)
    en = ", ".join(f"{each.upline} above {each.payee} by {each.cycle}" for each in found.some)
    return Text(
        f"有上级不按 {row.cycle} 结算，从下级的这些账期里什么也得不到：{zh}{f' 等共 {found.total} 对' if more else ''}",
        f"Uplines who are not settled by {row.cycle} earn nothing by those below them who are: {en}"
        f"{f' and others, {found.total} pairs in all' if more else ''}",
    )


def _levels_above(scheme: Scheme) -> int:
    """How many levels up anything is earned."""
    overrides = [len(each.override.rates) for each in scheme.components if each.override is not None]
    return max([*overrides, *(each.level for each in scheme.components)], default=0)
