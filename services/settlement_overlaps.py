"""No day is paid by two cycles: a scheme whose cycle changed begins where the old one ended, and so does a payee.

Payees' terms and the publishing of schemes keep to that already. What is refused here was settled before they did.
"""

from domain.problems import ConflictProblem, Text
from storage.calculation_tables import CalculationRow
from storage.settlement_overlaps import SettlementOverlaps
from storage.unit_of_work import UnitOfWork

_SHOWN = 5


async def refuse_paying_twice(work: UnitOfWork, row: CalculationRow) -> None:
    """Returns when nobody in a calculation that is to be booked is paid for any of its days by another cycle.

    :raises ConflictProblem: somebody is; it names them.
    """
    if row.purpose not in ("settlement", "adjustment"):
        return
    await work.session.flush()
    twice = await SettlementOverlaps(work).paid_twice(row.id, _SHOWN)
    if not twice:
        return
    first, codes = twice[0], list(dict.fromkeys(each.code for each in twice))
    raise ConflictProblem(
        Text(
            f"收款人 {'、'.join(codes)} 在账期 {row.start} 至 {row.end} 内的日子已按 {first.cycle} 结算过"
            f"（{first.start} 至 {first.end}），不能再按 {row.cycle} 结算一次；"
            f"请把其周期改为 {first.cycle}，直到两种周期共同的起点",
            f"Of the period {row.start} to {row.end} some days of {', '.join(codes)} are settled by {first.cycle} "
            f"({first.start} to {first.end}), and are not settled by {row.cycle} again: let their cycle be "
            f"{first.cycle} until a day on which both cycles begin a period",
        ),
        codes=codes,
    )
