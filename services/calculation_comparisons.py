"""A what-if beside the real settlement: by component, by who gets more or less, and for whom it changes most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.access import Actor, Permission
from domain.problems import ConflictProblem, Text, ValidationProblem
from domain.settlement.calculation import BOUNDS
from domain.settlement.scheme import Scheme
from services.reused_inputs import booked_for, calculation_named
from services.settlement_views import scheme_in
from storage.calculation_comparisons import CalculationComparisons
from storage.calculation_tables import CalculationRow
from storage.calculations import Calculations
from storage.engine import Database
from storage.payees import Payees
from storage.unit_of_work import UnitOfWork

LARGEST_SHOWN = 20
MOST_SHOWN = 100
_OTHER_INPUT = Text(
    "两者的输入不是同一次冻结的：差额里也有其间的订单、退款、登记与改动",
    "The two go by different inputs: what came or changed in between is in the difference, too",
)


@dataclass(frozen=True, slots=True)
class ComponentChange:
    """What a component comes to, and for how many payees, in the one and in the other; nothing where it has none."""

    component: str
    title: str
    before_payees: int
    now_payees: int
    before_minor: int
    now_minor: int


@dataclass(frozen=True, slots=True)
class PayeeChange:
    """What a payee gets in all, by code."""

    payee: str
    before_minor: int
    now_minor: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A calculation (`now`) beside another one (`before`). gaining, losing: how many payees get more or less, and how
    much altogether; unchanged: how many earn the same. same_input: whether both go by what was frozen once."""

    before: CalculationRow
    now: CalculationRow
    currency: str
    same_input: bool
    components: Sequence[ComponentChange]
    gaining: int
    gained_minor: int
    losing: int
    lost_minor: int
    unchanged: int
    largest: Sequence[PayeeChange]
    remarks: Sequence[Text]


class CalculationComparer:
    """Comparisons for who may see settlements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def compare(
        self, actor: Actor, calculation: UUID, beside: UUID | None = None, largest: int = LARGEST_SHOWN
    ) -> Comparison:
        """A calculation beside another one, or beside a settlement's; without any beside that whose input it goes by,
        else what was booked last of its period.

        :raises NotFoundProblem: there is none of these. :raises ConflictProblem: one of the two is not computed, or
            nothing is booked. :raises ValidationProblem: they are of different schemes, periods or currencies.
        """
        actor.require(Permission.SETTLEMENTS_READ)
        actor.require_everything()
        async with UnitOfWork(self._database) as work:
            now = await calculation_named(work, calculation)
            before = await _beside(work, now, beside)
            for each in (before, now):
                if each.state != "computed":
                    raise ConflictProblem(
                        Text(f"核算 {each.id} 尚未算完", f"The calculation {each.id} is not computed")
                    )
            schemes = (await scheme_in(work, before), await scheme_in(work, now))
            _refuse_different(before, now, schemes)
            found = await CalculationComparisons(work).changes(before.id, now.id, min(largest, MOST_SHOWN))
            codes = await Payees(work).codes({each.payee for each in found.largest})
            same_input = _input(now) == _input(before)
            return Comparison(
                before,
                now,
                schemes[1].currency,
                same_input,
                await _components(work, before, now, _titles(schemes)),
                found.gaining,
                found.gained_minor,
                found.losing,
                found.lost_minor,
                found.unchanged,
                [PayeeChange(codes[each.payee], each.before_minor, each.now_minor) for each in found.largest],
                () if same_input else (_OTHER_INPUT,),
            )


async def _beside(work: UnitOfWork, now: CalculationRow, named: UUID | None) -> CalculationRow:
    if (named := named or now.input_of) is not None:
        return await calculation_named(work, named)
    booked = await booked_for(work, now.scheme, now.cycle, now.start)
    if booked is None:
        raise ConflictProblem(
            Text(
                f"方案 {now.scheme} 的账期 {now.start} 至 {now.end} 还没有记账；请指明与哪次结算或核算比较",
                f"Nothing of {now.scheme}, {now.start} to {now.end}, is booked: name what to compare it with",
            )
        )
    return booked


def _refuse_different(before: CalculationRow, now: CalculationRow, schemes: tuple[Scheme, Scheme]) -> None:
    compared = [
        (row.scheme, row.cycle, row.start, scheme.currency) for row, scheme in zip((before, now), schemes, strict=True)
    ]
    if compared[0] != compared[1]:
        told = ["{} {} {} {}".format(*each) for each in compared]
        raise ValidationProblem(
            Text(
                f"两者不是同一方案、周期、账期和币种，不能比较：{told[0]}；{told[1]}",
                f"They are not of the same scheme, cycle, period and currency: {told[0]}; {told[1]}",
            )
        )


def _input(row: CalculationRow) -> UUID:
    """The calculation that froze what this one goes by."""
    return row.input_of or row.repeats or row.id


async def _components(
    work: UnitOfWork, before: CalculationRow, now: CalculationRow, titles: Mapping[str, str]
) -> Sequence[ComponentChange]:
    """By name: a component has a number of its own in each version. As the newer version has them, others last."""
    sums = [
        {name: (payees, amount) for name, payees, amount in await Calculations(work).by_component(row)}
        for row in (before, now)
    ]
    names = dict.fromkeys([*now.components, *before.components, BOUNDS])
    found = []
    for name in names:
        if name in sums[0] or name in sums[1]:
            was, is_now = sums[0].get(name, (0, 0)), sums[1].get(name, (0, 0))
            found.append(ComponentChange(name, titles[name], was[0], is_now[0], was[1], is_now[1]))
    return found


def _titles(schemes: tuple[Scheme, Scheme]) -> Mapping[str, str]:
    told = {each.name: each.title for scheme in schemes for each in scheme.components}
    return {**told, BOUNDS: "保底与封顶"}
